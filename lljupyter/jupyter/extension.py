"""``%load_ext lljupyter``: makes ``LandscapeWidget`` and the magics available without loading torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lljupyter.jupyter.options import widget_docstring, widget_signature

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Unpack

    from lljupyter.jupyter.options import WidgetOptions
    from lljupyter.jupyter.widget import LandscapeWidget as Widget
    from lljupyter.problem.loaders import Loader

MAGICS = {"line": "landscape", "cell": "record_trajectory"}


def LandscapeWidget(model: nn.Module, loader: Loader, **options: Unpack[WidgetOptions]) -> Widget:
    """Show the loss landscape of a model while it is computed: ``LandscapeWidget(model, loader)``.

    This is ``lljupyter.LandscapeWidget``, imported when it is first called; ``help(lljupyter.LandscapeWidget)`` also
    explains its methods.

    Args:
        model: A trained module.
        loader: Yields ``(inputs, targets)`` batches.
        **options: See ``WidgetOptions``.

    Returns:
        The widget, which the notebook shows if it is the last value of a cell.
    """
    from lljupyter.jupyter.widget import LandscapeWidget

    return LandscapeWidget(model, loader, **options)


LandscapeWidget.__signature__ = widget_signature()  # type: ignore[attr-defined]
LandscapeWidget.__doc__ = widget_docstring(LandscapeWidget.__doc__ or "")


def load_ipython_extension(ip: Any) -> None:
    """Add ``LandscapeWidget`` to the namespace of the notebook, and ``%landscape`` and ``%%record_trajectory``.

    A name that is already used keeps its value.
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
    """Remove again what ``load_ipython_extension`` added, unless it was replaced since."""
    from lljupyter.jupyter.magics import OPTIONS, LandscapeMagics

    if ip.user_ns.get("LandscapeWidget") is LandscapeWidget:
        ip.drop_by_id({"LandscapeWidget": LandscapeWidget})
    for kind, name in MAGICS.items():
        known = ip.magics_manager.magics[kind]
        if isinstance(getattr(known.get(name), "__self__", None), LandscapeMagics):
            del known[name]
    for name in OPTIONS:
        ip.strdispatchers["complete_command"].strs.pop(name, None)
