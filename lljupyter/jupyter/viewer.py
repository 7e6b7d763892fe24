"""The base of live widgets and of loaded results: the viewer and its traits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from lljupyter.compute.signatures import complete_docstring, explanations
from lljupyter.jupyter.export import Shared
from lljupyter.jupyter.options import StyleOptions
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.draw.html import Picture
from lljupyter.surface.style import STYLE, checked_option

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray


class _Refused(traitlets.TraitError, ValueError, TypeError):
    """A setting that was refused; only a TraitError makes traitlets put the old value back."""


class Landscape(Shared, anywidget.AnyWidget):
    """The viewer in ``static/widget.js`` and the options of its style; the base of live widgets and of loaded results.

    Attributes:
        **options: See ``StyleOptions``.
    """

    # As a text: given a path, anywidget keeps every widget alive for the sake of reloading the file.
    _esm = (Path(__file__).parent / "static" / "widget.js").read_text(encoding="utf-8")

    frame = traitlets.Bytes(b"").tag(sync=True)
    meta = traitlets.Dict({}).tag(sync=True)
    live = traitlets.Bool(False, read_only=True).tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    view = traitlets.Enum(STYLE["view"].choices, "surface").tag(sync=True)
    scale = traitlets.Enum(STYLE["scale"].choices, "linear").tag(sync=True)
    quantity = traitlets.Unicode("loss").tag(sync=True)
    color = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    colormap = traitlets.Enum(STYLE["colormap"].choices, "viridis").tag(sync=True)
    clip = traitlets.Any(None).tag(sync=True)
    levels = traitlets.Any("auto").tag(sync=True)
    limits = traitlets.Any(None).tag(sync=True)
    color_limits = traitlets.Any(None).tag(sync=True)
    camera = traitlets.Dict({}).tag(sync=True)
    show_contours = traitlets.Bool(True).tag(sync=True)
    show_points = traitlets.Bool(False).tag(sync=True)
    show_marks = traitlets.Bool(True).tag(sync=True)
    show_path = traitlets.Bool(True).tag(sync=True)
    show_drop_lines = traitlets.Bool(True).tag(sync=True)
    show_labels = traitlets.Bool(True).tag(sync=True)
    show_slices = traitlets.Bool(True).tag(sync=True)
    show_panel = traitlets.Bool(True).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._answer_while_cells_run()

    def quantities(self) -> list[str]:
        """Return the names of what can be drawn."""
        raise NotImplementedError

    @property
    def surface(self) -> xarray.Dataset:
        """The Dataset that is shown."""
        raise NotImplementedError

    def _pictures(self) -> list[Picture]:
        dataset, quantities = on_grid(self.surface, seeds=True)
        one_by_one = "seed" in dataset.dims and 1 not in (dataset.sizes["alpha"], dataset.sizes["beta"])
        seed = getattr(self, "seed", None) if one_by_one else None
        return [Picture(dataset, quantities, self.title, {name: getattr(self, name) for name in STYLE}, seed)]

    def to_plotly(self, *, title: str = "") -> go.Figure:
        """Draw what is shown, as it is drawn now, as a plotly Figure; see ``lljupyter.to_plotly``.

        Args:
            title: A line above; "" for the heading of the widget.

        Raises:
            ImportError: If plotly is not installed.
            ValueError: If there is nothing to draw yet.
        """
        from lljupyter.surface.draw.interactive import to_plotly

        (picture,) = self._pictures()
        return to_plotly(picture.dataset, seed=picture.seed, title=title or self.title, **picture.style)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take settings from the browser; what is refused goes back to the value that was kept."""
        try:
            super().set_state(sync_data)
        except traitlets.TraitError as error:
            self.log.debug("a setting from the browser was refused: %s", error)
            self.send_state([name for name in sync_data if name in self.keys])

    @traitlets.validate("quantity", "color", "clip", "levels", "limits", "color_limits", "camera")
    def _valid_option(self, proposal: Any) -> Any:
        return self._refusing(proposal, self._checked_option)

    def _refusing(self, proposal: Any, check: Callable[[str, Any], Any]) -> Any:
        try:
            return check(proposal["trait"].name, proposal["value"])
        except (TypeError, ValueError) as error:
            raise _Refused(str(error)) from error

    def _checked_option(self, name: str, value: Any) -> Any:
        return checked_option(name, value, self.quantities())

    def _answer_while_cells_run(self) -> None:
        """Let the sliders work during a long cell.

        ipykernel 7.4 answers a widget on whichever thread published last, which is never the one that is free; this
        private hook, looked up by name there, restores the subshell that the front end asked for.
        """
        if self.comm is not None and hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default


Landscape.__doc__ = complete_docstring(Landscape.__doc__ or "", StyleOptions, explanations((StyleOptions,)))
