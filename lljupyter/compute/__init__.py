"""The verbs: what a person calls. The widget prepares its session here too, so both compute the same."""

from lljupyter.compute.convexity import convexity_map, hessian_directions, projected_curvatures, projected_hessian
from lljupyter.compute.grids import check_seed, make_request
from lljupyter.compute.lines import interpolate, loss_line
from lljupyter.compute.prepare import prepare
from lljupyter.compute.surfaces import gradient_direction, loss_surface

__all__ = [
    "check_seed",
    "convexity_map",
    "gradient_direction",
    "hessian_directions",
    "interpolate",
    "loss_line",
    "loss_surface",
    "make_request",
    "prepare",
    "projected_curvatures",
    "projected_hessian",
]
