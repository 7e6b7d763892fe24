"""lljupyter: look at the loss landscape of a neural network inside Jupyter.

``%load_ext lljupyter``, then ``LandscapeWidget(model, loader)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lljupyter import zoo
    from lljupyter.compute import (
        convexity_map,
        gradient_direction,
        hessian_directions,
        interpolate,
        loss_line,
        loss_surface,
        projected_curvatures,
        projected_hessian,
    )
    from lljupyter.engine.recorder import TrajectoryRecorder
    from lljupyter.geometry.direction_files import load_directions
    from lljupyter.geometry.directions import between, normalize_direction, random_direction
    from lljupyter.geometry.plane import Plane, plane_through
    from lljupyter.geometry.trajectory import pca_directions, project
    from lljupyter.jupyter.comparison import compare
    from lljupyter.jupyter.extension import load_ipython_extension, unload_ipython_extension
    from lljupyter.jupyter.show import show
    from lljupyter.jupyter.widget import LandscapeWidget
    from lljupyter.surface.figure import to_matplotlib
    from lljupyter.surface.files import load, save
    from lljupyter.surface.html import to_html
    from lljupyter.surface.measures import nonconvex_share, sharpness
    from lljupyter.surface.plotly_figure import to_plotly

# Imported when first used, so that neither torch nor the widget stack is loaded before.
_HOMES = {
    "LandscapeWidget": "lljupyter.jupyter.widget",
    "Plane": "lljupyter.geometry.plane",
    "TrajectoryRecorder": "lljupyter.engine.recorder",
    "between": "lljupyter.geometry.directions",
    "compare": "lljupyter.jupyter.comparison",
    "convexity_map": "lljupyter.compute",
    "gradient_direction": "lljupyter.compute",
    "hessian_directions": "lljupyter.compute",
    "interpolate": "lljupyter.compute",
    "load": "lljupyter.surface.files",
    "load_directions": "lljupyter.geometry.direction_files",
    "load_ipython_extension": "lljupyter.jupyter.extension",
    "loss_line": "lljupyter.compute",
    "loss_surface": "lljupyter.compute",
    "nonconvex_share": "lljupyter.surface.measures",
    "normalize_direction": "lljupyter.geometry.directions",
    "pca_directions": "lljupyter.geometry.trajectory",
    "plane_through": "lljupyter.geometry.plane",
    "project": "lljupyter.geometry.trajectory",
    "projected_curvatures": "lljupyter.compute",
    "projected_hessian": "lljupyter.compute",
    "random_direction": "lljupyter.geometry.directions",
    "save": "lljupyter.surface.files",
    "sharpness": "lljupyter.surface.measures",
    "show": "lljupyter.jupyter.show",
    "to_html": "lljupyter.surface.html",
    "to_matplotlib": "lljupyter.surface.figure",
    "to_plotly": "lljupyter.surface.plotly_figure",
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
