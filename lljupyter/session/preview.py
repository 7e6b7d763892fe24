"""Draws the coarsest pass from some of the samples first, where it would take long from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import Tick, Values
from lljupyter.geometry.grid import fill
from lljupyter.problem.averages import Measured, means_of
from lljupyter.problem.batches import Batch, are_tensors, picked, resized
from lljupyter.process.precision import exact_products
from lljupyter.session.request import Cell, Request
from lljupyter.surface.frame import Sketched

Floats = NDArray[np.float64]

# A coarsest pass that takes longer, in seconds, is sketched first; the first sketch of it takes about so long.
SECONDS = 1.0
# The first point is tried with so many samples, or batches where these can't be split; a sketch has twice as many at
# least, and this share of all at most.
FEWEST, FEWEST_BATCHES, LARGEST_SHARE = 16, 2, 1 / 8
# With two samples of a loader there is a standard error.
FEWEST_OF_LOADER = 2
# How often a sketch is made from twice as many samples.
DOUBLINGS = 2
GOLDEN = (sqrt(5) - 1) / 2


class Subsets:
    """Samples spread evenly over each loader, of any share; a larger share holds all samples of a smaller one.

    Sample i belongs to the share s if frac(i * golden ratio) < s. The multiples of an irrational number fill the unit
    interval evenly, so that no order of the classes, sorted or periodic, is favored, and the golden ratio leaves the
    smallest gaps. Where the loss is known as the mean over a batch only, whole batches are taken so.

    Args:
        plain: Has the samples, which are not copied until they are asked for.
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

    def between(self, low: float, high: float) -> dict[str, list[Batch]]:
        """Returns the samples of the share ``high`` that are not in the share ``low``, ``{prefix: batches}``."""
        if self._kept is None or self._kept[0] != (low, high):
            batches = self._plain.batches
            size = max(batch.n for part in batches.values() for batch in part)
            chosen = {prefix: self._chosen(part, low, high) for prefix, part in batches.items()}
            self._kept = (low, high), chosen if self._whole else {k: resized(v, size) for k, v in chosen.items()}
        return self._kept[1]

    def forget(self) -> None:
        """Frees the samples that were asked for last."""
        self._kept = None

    def _n_units(self, batches: Sequence[Batch]) -> int:
        return len(batches) if self._whole else sum(batch.n for batch in batches)

    def _chosen(self, batches: Sequence[Batch], low: float, high: float) -> list[Batch]:
        n = self._n_units(batches)
        low, high = (share and max(share, FEWEST_OF_LOADER / n) for share in (low, high))
        place = np.arange(n) * GOLDEN % 1
        taken = (low <= place) & (place < high)
        if self._whole:
            return [batch for batch, is_taken in zip(batches, taken, strict=True) if is_taken]
        starts = np.cumsum([0, *(batch.n for batch in batches)])
        rows = [torch.from_numpy(np.flatnonzero(taken[i : i + b.n])) for i, b in zip(starts[:-1], batches, strict=True)]
        return [picked(batch, some) for batch, some in zip(batches, rows, strict=True) if len(some)]


class PreviewMeans(NamedTuple):
    """Estimates of points from some of the samples; for drawing only, and only while a point is not evaluated.

    Attributes:
        means: ``{cell: (values, n)}``, values with standard errors by name, from n samples.
        n_samples: How many samples there are.
    """

    means: Mapping[Cell, tuple[Values, int]]
    n_samples: int

    def drawn(
        self, request: Request, values: Mapping[str, Floats], evaluated: NDArray[np.bool_]
    ) -> tuple[dict[str, Floats], Sketched | None]:
        """Returns what to draw until the coarsest pass is complete, ``{name: array}``, and its description.

        Args:
            request: The surface.
            values: What is known of it, ``{name: array}``, each of shape (n_beta, n_alpha).
            evaluated: Shape (n_beta, n_alpha).
        """
        left = {cell: estimate for cell, estimate in self.means.items() if not evaluated[cell]}
        if not left:
            return {}, None
        at = tuple(np.transpose(list(left)))
        known = evaluated.copy()
        known[at] = True
        columns = {name: [float(means[name][0]) for means, _ in left.values()] for name in next(iter(left.values()))[0]}
        drawn: dict[str, Floats] = {}
        for name, column in columns.items():
            mixed = values[name].copy()
            mixed[at] = column
            drawn[name] = fill(mixed, known, request.alpha, request.beta)
        errors = {name.removesuffix("_stderr"): c for name, c in columns.items() if name.endswith("_stderr")}
        typical = {name: float(np.median(finite)) for name, e in errors.items() if (finite := [*filter(isfinite, e)])}
        n = min(n for _, n in left.values())
        return drawn, {"n": n, "n_samples": self.n_samples, "stderr": typical}


class Sketch:
    """What the coarsest pass of a surface looks like from some of the samples; for drawing only.

    The first point is measured on more and more samples, until it is known that the pass is quick enough without a
    sketch, or that a sketch of it takes about ``SECONDS``. The other points follow; then all of them are measured on
    further samples, as many as before. Means and standard errors are those of all samples so far. The errors are not
    corrected for there being finitely many samples: times sqrt(1 - share), they would be at most 7 % smaller.

    Args:
        subsets: What is measured on.
        cells: The points that are not known yet, center first.
        pace: Seconds that a point is known to take on all samples, or None.

    Attributes:
        done: Whether there is nothing more to measure.
    """

    def __init__(self, subsets: Subsets, cells: Sequence[Cell], pace: float | None) -> None:
        self._subsets, self._cells = subsets, list(cells)
        self._share, self._sized, self._n_doublings = subsets.smallest, False, 0
        self._reached = dict.fromkeys(self._cells, 0.0)
        self._measured: dict[Cell, dict[str, Measured]] = {}
        self._found: tuple[Cell, Values, int] | None = None
        self._drawn: dict[Cell, tuple[Values, int]] = {}
        self.done = not cells or (pace is not None and pace * len(cells) <= SECONDS)

    def measure(self, request: Request, plain: Plain, tick: Tick) -> None:
        """Measures the next point on further samples, for ``take``; called without a lock, as it takes a while.

        Raises:
            RuntimeError: If the model or the loss raises.
        """
        cell = next(cell for cell in self._cells if self._reached[cell] < self._share)
        point = np.array([[request.alpha[cell[1]], request.beta[cell[0]]]])
        batches = self._subsets.between(self._reached[cell], self._share)
        with exact_products():
            further = plain.measure(point, tick, batches)
            before = self._measured.get(cell, {})
            both = {name: [*before.get(name, []), *found] for name, (found,) in further.items()}
            means = means_of({name: [found] for name, found in both.items()})
        self._measured[cell] = both
        self._found = cell, means, sum(batch.n for part in batches.values() for batch in part)

    def give_up(self) -> None:
        """Ends it without a picture."""
        self._drawn = {}
        self._end()

    def take(self, seconds: float) -> bool:
        """Keeps what was measured last.

        Args:
            seconds: How long it took.

        Returns:
            Whether there is a picture of all points on more samples than before.
        """
        assert self._found is not None
        cell, means, n = self._found
        n_so_far = n + (self._drawn[cell][1] if cell in self._drawn else 0)
        first = self._reached[cell] == 0
        self._drawn = {**self._drawn, cell: (means, n_so_far)}
        self._reached[cell] = self._share
        if not self._sized:
            each = seconds * len(self._cells) / max(n, 1)
            if n and each * self._subsets.n_samples <= SECONDS:
                self.give_up()
            elif not first:  # the first call sets up what is set up lazily
                self._sized = 2 * each * n_so_far > SECONDS or 2 * self._share > LARGEST_SHARE
            if not self._sized:
                self._share *= 2
                return False
        if min(self._reached.values()) < self._share:
            return False
        if self._n_doublings == DOUBLINGS or 2 * self._share > LARGEST_SHARE:
            self._end()
        else:
            self._share, self._n_doublings = 2 * self._share, self._n_doublings + 1
        return True

    def _end(self) -> None:
        self.done = True
        self._measured.clear()
        self._subsets.forget()

    def means(self) -> PreviewMeans | None:
        """Returns what is known so far, or None while there is nothing to draw."""
        return PreviewMeans(self._drawn, self._subsets.n_samples) if self._sized and self._drawn else None
