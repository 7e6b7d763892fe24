"""lljupyter: look at the loss landscape of a neural network inside Jupyter.

``%load_ext lljupyter``, then ``LandscapeWidget(model, loader)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lljupyter import zoo
    from lljupyter.compute import loss_surface
    from lljupyter.geometry.directions import normalize_direction, random_direction
    from lljupyter.geometry.plane import Plane
    from lljupyter.jupyter.comparison import compare
    from lljupyter.jupyter.extension import load_ipython_extension, unload_ipython_extension
    from lljupyter.jupyter.widget import LandscapeWidget

# Imported when first used, so that neither torch nor the widget stack is loaded before.
_HOMES = {
    "LandscapeWidget": "lljupyter.jupyter.widget",
    "Plane": "lljupyter.geometry.plane",
    "compare": "lljupyter.jupyter.comparison",
    "load_ipython_extension": "lljupyter.jupyter.extension",
    "loss_surface": "lljupyter.compute",
    "normalize_direction": "lljupyter.geometry.directions",
    "random_direction": "lljupyter.geometry.directions",
    "unload_ipython_extension": "lljupyter.jupyter.extension",
    "zoo": "lljupyter.zoo",
}

__all__ = [
    "LandscapeWidget",
    "Plane",
    "__version__",
    "compare",
    "load_ipython_extension",
    "loss_surface",
    "normalize_direction",
    "random_direction",
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
