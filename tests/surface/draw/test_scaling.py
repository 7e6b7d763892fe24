from __future__ import annotations

from support.reference import batches_of, network

from lljupyter import loss_surface
from lljupyter.surface.draw.scaling import make_scene
from lljupyter.surface.style import CONVEXITY_LIMITS


def test_convexity_colors_on_the_scale_of_the_paper_unless_another_one_is_given():
    surface = loss_surface(network(), batches_of(8), quantities=["loss", "convexity"], resolution=3, progress=False)
    shown = make_scene(surface, {"color": "convexity"})
    assert (shown.color.lo, shown.color.hi) == CONVEXITY_LIMITS == (0, 0.5)
    shown = make_scene(surface, {"color": "convexity", "color_limits": (0, 0.1)})
    assert (shown.color.lo, shown.color.hi) == (0, 0.1)
    assert shown.height.name == "loss"
