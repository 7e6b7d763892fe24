"""Previews of a slow coarsest pass, from some of the samples, until its points are evaluated on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import fill
from lljupyter.session.engine import Floats, Sums, Values
from lljupyter.session.request import Cell, Request
from lljupyter.session.tasks import EvaluatePreview, PreviewValues
from lljupyter.surface.frame import PreviewNote

# A coarsest pass that takes longer, in seconds, is previewed; the first preview of it takes about so long.
SECONDS = 1.0
# How often a preview is made from twice as many samples.
DOUBLINGS = 2
# A preview has at most this share of all samples.
LARGEST_SHARE = 1 / 8


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
    ) -> tuple[dict[str, Floats], PreviewNote | None]:
        """Return what to draw until the coarsest pass is complete, ``{name: array}``, and its description.

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


class Samples(NamedTuple):
    """What previews are made from.

    Attributes:
        n: How many samples there are.
        smallest: The smallest share of them that is useful.
    """

    n: int
    smallest: float


class Preview:
    """Estimates of the coarsest pass of one surface; for drawing only. Not thread-safe.

    The first point is evaluated on more and more samples, until it is known that the pass is quick enough without a
    preview, or that a preview of it takes about ``SECONDS``. The other points follow; then all of them are evaluated
    on further samples, as many as before. Means and standard errors are those of all samples so far. The errors are
    not corrected for the finite number of samples: times sqrt(1 - share), they would be at most 7 % smaller.

    Args:
        samples: What it is made from.
        cells: The points that are not known yet, center first.
        pace: Seconds per point on all samples, or None if unknown.

    Attributes:
        done: Whether nothing is left to do.
    """

    def __init__(self, samples: Samples, cells: Sequence[Cell], pace: float | None) -> None:
        self._samples, self._cells = samples, list(cells)
        self._share, self._sized, self._n_doublings = samples.smallest, False, 0
        self._reached = dict.fromkeys(self._cells, 0.0)
        self._sums: dict[Cell, Mapping[str, Sums]] = {}
        self._means: dict[Cell, tuple[Values, int]] = {}
        self._claimed: EvaluatePreview | None = None
        self.done = not cells or (pace is not None and pace * len(cells) <= SECONDS)

    def claim(self, request: Request) -> EvaluatePreview | None:
        """Return the next point to evaluate, or None if one is claimed already or nothing is left to do."""
        if self.done or self._claimed is not None:
            return None
        cell = next(cell for cell in self._cells if self._reached[cell] < self._share)
        before = self._sums.get(cell, {})
        self._claimed = EvaluatePreview(request, cell, self._reached[cell], self._share, before)
        return self._claimed

    def release(self, task: EvaluatePreview) -> None:
        """Give a claim back."""
        if task is self._claimed:
            self._claimed = None

    def complete(self, task: EvaluatePreview, result: PreviewValues | None) -> bool:
        """Keep the value of a point; None ends the preview.

        Returns:
            Whether all points are now known from more samples than before.
        """
        if task is not self._claimed:
            return False
        self._claimed = None
        if result is None:
            self._give_up()
            return False
        cell, n = task.cell, result.n_added
        n_so_far = n + (self._means[cell][1] if cell in self._means else 0)
        first = self._reached[cell] == 0
        self._sums[cell] = result.sums
        self._means = {**self._means, cell: (result.values, n_so_far)}
        self._reached[cell] = self._share
        if not self._sized:
            seconds = result.seconds * len(self._cells) / max(n, 1)
            if n and seconds * self._samples.n <= SECONDS:
                self._give_up()
            elif not first:  # the first call sets up what is set up lazily
                self._sized = 2 * seconds * n_so_far > SECONDS or 2 * self._share > LARGEST_SHARE
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

    def means(self) -> PreviewMeans | None:
        """Return the estimates so far, or None while there is nothing to draw."""
        return PreviewMeans(self._means, self._samples.n) if self._sized and self._means else None

    def _give_up(self) -> None:
        self._means = {}
        self._end()

    def _end(self) -> None:
        self.done = True
        self._sums.clear()
