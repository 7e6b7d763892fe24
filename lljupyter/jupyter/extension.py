"""``%load_ext lljupyter``: makes ``LandscapeWidget`` and the magics available without loading torch."""

from __future__ import annotations

from typing import Any

MAGICS = {"line": "landscape", "cell": "record_trajectory"}


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
    """Puts ``LandscapeWidget`` into the namespace of the notebook, and ``%landscape`` and ``%%record_trajectory``.

    A name that is taken stays what it is.
    """
    from lljupyter.jupyter.magics import OPTIONS, LandscapeMagics, complete

    if "LandscapeWidget" not in ip.user_ns:
        ip.push({"LandscapeWidget": LandscapeWidget}, interactive=False)
    magics = LandscapeMagics(ip)
    for kind, name in MAGICS.items():
        if name not in ip.magics_manager.magics[kind]:
            ip.register_magic_function(getattr(magics, name), kind, name)
    for name in OPTIONS:
        ip.set_hook("complete_command", complete, str_key=name)


def unload_ipython_extension(ip: Any) -> None:
    """Takes all of it out again, as far as it is still what was put there."""
    from lljupyter.jupyter.magics import OPTIONS, LandscapeMagics

    if ip.user_ns.get("LandscapeWidget") is LandscapeWidget:
        ip.drop_by_id({"LandscapeWidget": LandscapeWidget})
    for kind, name in MAGICS.items():
        known = ip.magics_manager.magics[kind]
        if isinstance(getattr(known.get(name), "__self__", None), LandscapeMagics):
            del known[name]
    for name in OPTIONS:
        ip.strdispatchers["complete_command"].strs.pop(name, None)
