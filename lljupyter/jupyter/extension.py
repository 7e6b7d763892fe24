"""``%load_ext lljupyter``: makes ``LandscapeWidget`` available without an import and without loading torch."""

from __future__ import annotations

from typing import Any


def LandscapeWidget(model: Any, loader: Any, **options: Any) -> Any:
    """Shows the loss landscape of a model while it is computed: ``LandscapeWidget(model, loader)``.

    This is ``lljupyter.LandscapeWidget``, imported when it is first called. ``help(lljupyter.LandscapeWidget)`` and
    ``help(lljupyter.loss_surface)`` explain the options: what is computed (``loss_fn``, ``directions``, ``norm``,
    ``seed``, ``resolution``, ``alpha``, ``beta``, ``device``, ``max_samples``) and how it is drawn (``view``,
    ``scale``, ``colormap``).
    """
    from lljupyter.jupyter.widget import LandscapeWidget

    return LandscapeWidget(model, loader, **options)


def load_ipython_extension(ip: Any) -> None:
    """Puts ``LandscapeWidget`` into the namespace of the notebook, unless the name is taken."""
    if "LandscapeWidget" not in ip.user_ns:
        ip.push({"LandscapeWidget": LandscapeWidget}, interactive=False)


def unload_ipython_extension(ip: Any) -> None:
    """Takes ``LandscapeWidget`` out again, if it is still the one that was put there."""
    if ip.user_ns.get("LandscapeWidget") is LandscapeWidget:
        ip.drop_by_id({"LandscapeWidget": LandscapeWidget})
