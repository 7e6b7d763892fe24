"""A result in the viewer: a Dataset, with no model and nothing to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from lljupyter.jupyter.look import Landscape, check_choices
from lljupyter.jupyter.wire import pack_dataset

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
        self._dataset = _on_a_grid(dataset)
        self._names = [
            str(name)
            for name, values in self._dataset.data_vars.items()
            if name != "evaluated" and set(values.dims) == {"alpha", "beta"} and values.dtype.kind in "biuf"
        ]
        if not self._names:
            raise ValueError(
                f"expected a Dataset with a quantity on (beta, alpha), got {list(dataset.data_vars)}; "
                "loss_surface(model, loader) returns one"
            )
        look.setdefault("quantity", "loss" if "loss" in self._names else self._names[0])
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


def _on_a_grid(dataset: Any) -> Any:
    """Checks the axes; a line gets the one that it lacks."""
    if not hasattr(dataset, "data_vars"):
        raise TypeError(
            f"expected an xarray.Dataset, got {type(dataset).__name__}; loss_surface(model, loader) returns one"
        )
    known = [axis for axis in ("alpha", "beta") if axis in dataset.dims and axis in dataset.coords]
    if not known:
        raise ValueError(f"expected a Dataset on the dimensions (beta, alpha), got {tuple(dataset.dims)}")
    for axis in known:
        values = np.asarray(dataset[axis].values, dtype=np.float64)
        if not _is_even(values):
            raise ValueError(
                f"expected {axis} ascending in even steps, got {values[:4]}...; sort it with dataset.sortby({axis!r})"
            )
    for axis in ("alpha", "beta"):
        if axis not in known:
            dataset = dataset.drop_vars(axis, errors="ignore").expand_dims({axis: [0.0]})
    return dataset


def _is_even(values: NDArray[np.float64]) -> bool:
    """Whether values ascend in even steps, as far as a picture shows it."""
    steps = np.diff(values)
    if not len(steps):
        return bool(np.isfinite(values).all())
    return bool(np.isfinite(values).all() and steps.min() > 0 and np.ptp(steps) <= 1e-4 * steps.max())
