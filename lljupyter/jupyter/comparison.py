"""Landscapes side by side: one color scale, one height scale, one camera."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import ipywidgets

from lljupyter.jupyter.export import Shared
from lljupyter.jupyter.result import ResultWidget
from lljupyter.jupyter.viewer import Landscape
from lljupyter.surface.draw.html import Picture
from lljupyter.surface.style import STYLE, checked_names

if TYPE_CHECKING:
    import xarray

    Comparable: TypeAlias = "Landscape | xarray.Dataset"

# The comparison a landscape belongs to, which is the last one it was put into.
_comparisons: weakref.WeakKeyDictionary[Landscape, Comparison] = weakref.WeakKeyDictionary()


class Comparison(Shared, ipywidgets.GridBox):
    """Landscapes that are drawn alike; made by ``compare``.

    Attributes:
        landscapes: The widgets, in the order they were passed.
    """

    def __init__(self, landscapes: tuple[Landscape, ...], columns: int | None) -> None:
        self.landscapes, self._columns = landscapes, columns
        tracks = f"repeat({columns}, minmax(0, 1fr))" if columns else "repeat(auto-fit, minmax(min(340px, 100%), 1fr))"
        layout = ipywidgets.Layout(grid_template_columns=tracks, grid_gap="12px", width="100%", overflow="hidden")
        super().__init__(children=landscapes, layout=layout)
        # The browser keeps those of one group together by itself, also while the kernel is busy.
        name = uuid.uuid4().hex
        for landscape in landscapes:
            if (before := _comparisons.get(landscape)) is not None:
                landscape.unobserve(before._on_change, tuple(STYLE))
            _comparisons[landscape] = self
            landscape.group = name
            landscape.observe(self._on_change, tuple(STYLE))

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        return f"compare({', '.join(repr(landscape) for landscape in self.landscapes)})"

    def _pictures(self) -> list[Picture]:
        return [picture for landscape in self.landscapes for picture in landscape._pictures()]

    def _on_change(self, change: Any) -> None:
        for landscape in self.landscapes:
            missing = change["name"] in ("quantity", "color") and change["new"] not in (None, *landscape.quantities())
            if landscape is not change["owner"] and not missing:
                landscape.set_trait(change["name"], change["new"])


def compare(*landscapes: Comparable, names: Sequence[str] | None = None, columns: int | None = None) -> Comparison:
    """Put landscapes side by side, with one color scale, one height scale and one camera.

    Pictures of filter-normalized directions may be compared this way: a surface that looks flatter is flatter. The
    scales hold the values of all of them and follow while they are computed. Whatever is changed about the drawing of
    one, here or in Python, is changed in all; ranges, seed and resolution stay each one's own.

    Args:
        *landscapes: Live widgets and Datasets such as ``loss_surface`` returns, in any mixture. A Dataset is shown as
            it is, without controls that would compute. A widget that is also shown elsewhere is drawn alike there.
        names: Their headings, in the same order; None for the names of the models.
        columns: The number of landscapes per row; None for as many as fit.

    Returns:
        A widget; its ``landscapes`` are the single ones.

    Raises:
        TypeError: If one is neither a widget nor a Dataset, or ``columns`` is not a whole number.
        ValueError: If there is none, one is passed twice, they have no quantity in common, there are more or fewer
            names, or ``columns`` is below 1.

    Example:
        >>> compare(loss_surface(a, loader), loss_surface(b, loader), names=["short", "noshort"])  # doctest: +SKIP

    Source:
        Li et al. 2018, section 4: why filter-normalized plots may be compared.
    """
    if not landscapes:
        raise ValueError("expected at least one landscape, got none; try compare(a, b)")
    if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int)):
        raise TypeError(f"expected columns as a whole number or None, got {columns!r}; try columns=2")
    if columns is not None and columns < 1:
        raise ValueError(f"expected at least one column, got {columns}; try columns=2")
    headings = checked_names(names, len(landscapes), "a landscape")
    for i, landscape in enumerate(landscapes):
        if not isinstance(landscape, Landscape) and not hasattr(landscape, "data_vars"):
            raise TypeError(
                f"expected widgets and Datasets, got {type(landscape).__name__} as number {i + 1}; "
                "pass LandscapeWidget(model, loader) or loss_surface(model, loader)"
            )
    if len({id(landscape) for landscape in landscapes}) < len(landscapes):
        raise ValueError("expected every landscape once, got one of them twice; leave it out, or compare a copy of it")
    shown = tuple(x if isinstance(x, Landscape) else ResultWidget(x) for x in landscapes)
    common = [name for name in shown[0].quantities() if all(name in other.quantities() for other in shown)]
    if not common:
        raise ValueError(
            "expected a quantity that all landscapes have, got "
            + ", ".join(str(landscape.quantities()) for landscape in shown)
        )
    _draw_alike(shown, common)
    for landscape, name in zip(shown, headings or [], strict=False):
        landscape.title = name
    return Comparison(shown, columns)


def _draw_alike(landscapes: tuple[Landscape, ...], common: list[str]) -> None:
    """Draw all as the first one is drawn, as far as they have its quantities."""
    first = landscapes[0]
    style = {name: getattr(first, name) for name in STYLE}
    style["show_panel"] = False  # one panel each would be more controls than pictures; opening one opens all
    if style["quantity"] not in common:
        style["quantity"] = common[0]
    if style["color"] not in common:
        style["color"] = None
    for landscape in landscapes:
        for name, value in style.items():
            landscape.set_trait(name, value)
