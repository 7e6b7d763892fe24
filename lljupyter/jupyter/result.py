"""A result in the viewer: a Dataset, with no model and nothing to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from lljupyter.jupyter.look import Landscape
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.frame import pack_dataset
from lljupyter.surface.look import check_choices

if TYPE_CHECKING:
    import xarray


class ResultWidget(Landscape):
    """Shows a surface that was computed before, such as ``loss_surface`` returns.

    Args:
        dataset: With a quantity such as ``loss`` on the dimensions ``alpha`` and ``beta``, both evenly spaced; one of
            the dimensions may be missing, for a line.
        **look: How it is drawn, see ``Landscape``.

    Raises:
        TypeError: If it is no Dataset, or an option is unknown.
        ValueError: If the Dataset has no such dimensions or nothing to draw.
    """

    def __init__(self, dataset: xarray.Dataset, **look: Any) -> None:
        if unknown := [name for name in look if not self.has_trait(name)]:
            raise TypeError(f"expected how it is drawn, such as view or colormap, got {unknown[0]!r}")
        check_choices(look)
        self._dataset, self._names = on_grid(dataset)
        look.setdefault("quantity", self._names[0])
        frame, meta = pack_dataset(self._dataset, self._names)
        super().__init__(frame=frame, meta=dict(meta), **look)

    def quantities(self) -> list[str]:
        """Returns the names of what can be drawn."""
        return self._names

    @property
    def surface(self) -> xarray.Dataset:
        """The Dataset that is shown, a copy."""
        copy: xarray.Dataset = self._dataset.copy(deep=True)
        return copy

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        n_beta, n_alpha = self.meta["shape"]
        return f"ResultWidget({self.meta['title']}, {n_alpha} x {n_beta})"

    @traitlets.default("quantity")
    def _first_quantity(self) -> str:
        return self._names[0]
