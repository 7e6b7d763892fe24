"""lljupyter: look at the loss landscape of a neural network inside Jupyter.

``%load_ext lljupyter``, then ``LandscapeWidget(model, loader)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lljupyter import zoo
    from lljupyter.compute.convexity import convexity_map
    from lljupyter.compute.gradient import gradient_direction
    from lljupyter.compute.hessian_directions import hessian_directions
    from lljupyter.compute.interpolation import interpolate
    from lljupyter.compute.lines import loss_line
    from lljupyter.compute.projected_curvatures import projected_curvatures
    from lljupyter.compute.projected_hessian import projected_hessian
    from lljupyter.compute.surfaces import loss_surface
    from lljupyter.geometry.direction_files import load_directions
    from lljupyter.geometry.directions import between, normalize_direction, random_direction
    from lljupyter.geometry.plane import Plane, plane_through
    from lljupyter.geometry.projection import project
    from lljupyter.geometry.trajectory import pca_directions
    from lljupyter.jupyter.comparison import compare
    from lljupyter.jupyter.extension import load_ipython_extension, unload_ipython_extension
    from lljupyter.jupyter.show import show
    from lljupyter.jupyter.widget import LandscapeWidget
    from lljupyter.surface.draw.html import to_html
    from lljupyter.surface.draw.interactive import to_plotly
    from lljupyter.surface.draw.matplotlib import to_matplotlib
    from lljupyter.surface.io.load import load
    from lljupyter.surface.io.save import save
    from lljupyter.surface.metrics import nonconvex_share, sharpness
    from lljupyter.training.recorder import TrajectoryRecorder

# Imported when first used, so that neither torch nor the widget stack is loaded before.
_HOMES = {
    "LandscapeWidget": "lljupyter.jupyter.widget",
    "Plane": "lljupyter.geometry.plane",
    "TrajectoryRecorder": "lljupyter.training.recorder",
    "between": "lljupyter.geometry.directions",
    "compare": "lljupyter.jupyter.comparison",
    "convexity_map": "lljupyter.compute.convexity",
    "gradient_direction": "lljupyter.compute.gradient",
    "hessian_directions": "lljupyter.compute.hessian_directions",
    "interpolate": "lljupyter.compute.interpolation",
    "load": "lljupyter.surface.io.load",
    "load_directions": "lljupyter.geometry.direction_files",
    "load_ipython_extension": "lljupyter.jupyter.extension",
    "loss_line": "lljupyter.compute.lines",
    "loss_surface": "lljupyter.compute.surfaces",
    "nonconvex_share": "lljupyter.surface.metrics",
    "normalize_direction": "lljupyter.geometry.directions",
    "pca_directions": "lljupyter.geometry.trajectory",
    "plane_through": "lljupyter.geometry.plane",
    "project": "lljupyter.geometry.projection",
    "projected_curvatures": "lljupyter.compute.projected_curvatures",
    "projected_hessian": "lljupyter.compute.projected_hessian",
    "random_direction": "lljupyter.geometry.directions",
    "save": "lljupyter.surface.io.save",
    "sharpness": "lljupyter.surface.metrics",
    "show": "lljupyter.jupyter.show",
    "to_html": "lljupyter.surface.draw.html",
    "to_matplotlib": "lljupyter.surface.draw.matplotlib",
    "to_plotly": "lljupyter.surface.draw.interactive",
    "unload_ipython_extension": "lljupyter.jupyter.extension",
    "zoo": "lljupyter.zoo",
}

__all__ = [
    "LandscapeWidget",
    "Plane",
    "TrajectoryRecorder",
    "__version__",
    "between",
    "compare",
    "convexity_map",
    "gradient_direction",
    "hessian_directions",
    "interpolate",
    "load",
    "load_directions",
    "load_ipython_extension",
    "loss_line",
    "loss_surface",
    "nonconvex_share",
    "normalize_direction",
    "pca_directions",
    "plane_through",
    "project",
    "projected_curvatures",
    "projected_hessian",
    "random_direction",
    "save",
    "sharpness",
    "show",
    "to_html",
    "to_matplotlib",
    "to_plotly",
    "unload_ipython_extension",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lljupyter' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home if name == "zoo" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
