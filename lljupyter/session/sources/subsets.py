"""Samples spread evenly over the loaders, and points evaluated on them, for previews of slow surfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np
import torch

from lljupyter.evaluate.plain import Plain
from lljupyter.problem.averages import means_of
from lljupyter.problem.batches import Batch, are_tensors, picked, resized
from lljupyter.process.precision import exact_products
from lljupyter.session.engine import Floats, Sums, Values
from lljupyter.session.sources.preview import LARGEST_SHARE

# The first point is tried with so many samples, or batches if these can't be split; a preview has at least twice as
# many.
FEWEST, FEWEST_BATCHES = 16, 2
# With two samples of a loader there is a standard error.
FEWEST_OF_LOADER = 2
GOLDEN = (sqrt(5) - 1) / 2


class Subsets:
    """Samples spread evenly over each loader, of any share; a larger share holds all samples of a smaller one.

    Sample i belongs to the share s if frac(i * golden ratio) < s. The multiples of an irrational number fill the unit
    interval evenly, so that no order of the classes, sorted or periodic, is favored, and the golden ratio leaves the
    smallest gaps. If the loss is known as the mean over a batch only, whole batches are chosen this way.

    Args:
        plain: Has the samples, which are not copied until they are asked for.

    Attributes:
        n_samples: How many samples there are.
        smallest: The smallest share that is useful.
    """

    def __init__(self, plain: Plain) -> None:
        self._plain, problem = plain, plain.problem
        self._whole = not (problem.per_sample and are_tensors(problem.all_batches))
        self.n_samples = problem.n_samples
        n_units = max(self._n_units(batches) for batches in problem.batches.values())
        self.smallest = (FEWEST_BATCHES if self._whole else FEWEST) / n_units
        self._kept: tuple[tuple[float, float], dict[str, list[Batch]]] | None = None

    @property
    def useful(self) -> bool:
        """Whether there are enough samples, and nothing that needs all of them at every point."""
        problem = self._plain.problem
        return 2 * self.smallest <= LARGEST_SHARE and not problem.recalibrates and not problem.draws

    def measure(
        self, point: Floats, low: float, high: float, before: Mapping[str, Sums], tick: Callable[[], None]
    ) -> tuple[dict[str, Sums], Values, int]:
        """Evaluate one point, shape (1, 2), on the samples of the share ``high``, see ``PreviewSource``.

        Raises:
            RuntimeError: If the model or the loss raises.
        """
        batches = self.between(low, high)
        with exact_products():
            added = self._plain.measure(point, tick, batches)
            sums = {name: [*before.get(name, []), *pairs] for name, (pairs,) in added.items()}
            means = means_of({name: [pairs] for name, pairs in sums.items()})
        return sums, means, sum(batch.n for part in batches.values() for batch in part)

    def between(self, low: float, high: float) -> dict[str, list[Batch]]:
        """Return the samples of the share ``high`` that are not in the share ``low``, ``{prefix: batches}``."""
        if self._kept is None or self._kept[0] != (low, high):
            batches = self._plain.batches
            size = max(batch.n for part in batches.values() for batch in part)
            chosen = {prefix: self._chosen(part, low, high) for prefix, part in batches.items()}
            self._kept = (low, high), chosen if self._whole else {k: resized(v, size) for k, v in chosen.items()}
        return self._kept[1]

    def forget(self) -> None:
        """Free the samples that were used last."""
        self._kept = None

    def _n_units(self, batches: Sequence[Batch]) -> int:
        return len(batches) if self._whole else sum(batch.n for batch in batches)

    def _chosen(self, batches: Sequence[Batch], low: float, high: float) -> list[Batch]:
        n = self._n_units(batches)
        low, high = (share and max(share, FEWEST_OF_LOADER / n) for share in (low, high))
        place = np.arange(n) * GOLDEN % 1
        chosen = (low <= place) & (place < high)
        if self._whole:
            return [batch for batch, is_chosen in zip(batches, chosen, strict=True) if is_chosen]
        ends = np.cumsum([batch.n for batch in batches])
        rows = [torch.from_numpy(np.flatnonzero(part)) for part in np.split(chosen, ends[:-1])]
        return [picked(batch, some) for batch, some in zip(batches, rows, strict=True) if len(some)]
