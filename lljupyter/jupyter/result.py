"""A result in the viewer: a Dataset, with no model and nothing to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from lljupyter.compute.signatures import check_names
from lljupyter.jupyter.options import RESULT_DEFAULTS, ResultOptions
from lljupyter.jupyter.viewer import Landscape
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.frame import pack_dataset
from lljupyter.surface.style import STYLE, check_texts, checked_option

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack


class ResultWidget(Landscape):
    """Show a surface that was computed before, such as ``loss_surface`` returns.

    Args:
        dataset: With a quantity such as ``loss`` on the dimensions ``alpha`` and ``beta``, both evenly spaced; one of
            the dimensions may be missing, for a line. With an additional dimension ``seed``, lines are drawn together,
            and surfaces one at a time.
        **options: See ``ResultOptions``.

    Attributes:
        seed: Which of several surfaces is shown; None if there is one.

    Raises:
        TypeError: If it is not a Dataset, or an option is unknown.
        ValueError: If the Dataset has no such dimensions or nothing to draw.
    """

    seed = traitlets.Any(None).tag(sync=True)

    def __init__(self, dataset: xarray.Dataset, **options: Unpack[ResultOptions]) -> None:
        check_names(options, list(RESULT_DEFAULTS), "show")
        style: dict[str, Any] = {**options}
        check_texts(title=style.get("title", ""))
        self._dataset, self._names = on_grid(dataset, seeds=True)
        self._seeds = [int(s) for s in self._dataset["seed"].values] if "seed" in self._dataset.dims else [None]
        if style.get("quantity") is None:
            style["quantity"] = self._names[0]
        if style.get("seed", 0) is None:
            del style["seed"]
        style.update({name: checked_option(name, style[name], self._names) for name in STYLE if name in style})
        frame, meta = pack_dataset(self._dataset, self._names)
        super().__init__(frame=frame, meta=dict(meta), **style)

    def quantities(self) -> list[str]:
        """Return the names of what can be drawn."""
        return self._names

    @property
    def surface(self) -> xarray.Dataset:
        """A copy of the Dataset that is shown."""
        copy: xarray.Dataset = self._dataset.copy(deep=True)
        return copy

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        n_beta, n_alpha = self.meta["shape"]
        seeds = f", {len(self._seeds)} seeds" if len(self._seeds) > 1 else ""
        return f"ResultWidget({self.meta['title']}, {n_alpha} x {n_beta}{seeds})"

    @traitlets.default("seed")
    def _first_seed(self) -> int | None:
        return self._seeds[0]

    @traitlets.validate("seed")
    def _valid_seed(self, proposal: Any) -> Any:
        return self._refusing(proposal, self._checked_seed)

    def _checked_seed(self, name: str, value: Any) -> Any:
        if value not in self._seeds:
            raise ValueError(f"expected {name} as one of {self._seeds}, got {value!r}; try {self._seeds[0]!r}")
        return self._seeds[self._seeds.index(value)]

    @traitlets.default("quantity")
    def _first_quantity(self) -> str:
        return self._names[0]
