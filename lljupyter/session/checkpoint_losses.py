"""A training run over a surface: where its checkpoints fall, how far off they lie, and their real losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.checkpoints import Checkpoint
from lljupyter.geometry.trajectory import ProjectedPath

Floats = NDArray[np.float64]


class TrajectoryLosses(NamedTuple):
    """What is known of the checkpoints of a training run.

    Attributes:
        labels: n strings.
        values: ``{name: array}``, each of shape (n,): coordinates, distances, values and, if known, learning rates.
        captured: The share of the variation of the run that the plane captures.
    """

    labels: Sequence[str]
    values: Mapping[str, Floats]
    captured: float


class Overlay:
    """The checkpoints of a training run, projected onto a plane; each is measured where it really is. Not thread-safe.

    Args:
        checkpoints: n of them; read again one by one when they are measured.
        path: Where they fall on the plane.
        names: The values that are measured.

    Attributes:
        labels: n strings.
        path: As given.
        values: ``{name: array}``, each of shape (n,), NaN where not measured yet.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], path: ProjectedPath, names: Sequence[str]) -> None:
        about = [checkpoint.metadata() for checkpoint in checkpoints]
        self.checkpoints = list(checkpoints)
        self.labels = [told.get("label", c.label) for told, c in zip(about, checkpoints, strict=True)]
        self.path = path
        self.values = {name: np.full(len(checkpoints), np.nan) for name in names}
        self._rates = np.array([float(told.get("learning_rate", math.nan)) for told in about])
        self._measured = np.zeros(len(checkpoints), dtype=bool)

    def next(self) -> int | None:
        """Returns the index of the next checkpoint to measure: the ends of the run first; None when all are."""
        left = np.flatnonzero(~self._measured)
        if not len(left):
            return None
        return int(left[-1] if not self._measured[-1] else left[0])

    def take(self, index: int, values: Sequence[float]) -> None:
        """Keeps the values of a checkpoint, in the order of the names."""
        for array, value in zip(self.values.values(), values, strict=True):
            array[index] = value
        self._measured[index] = True

    def known(self) -> TrajectoryLosses:
        """Returns copies of all that is known."""
        arrays = {"alpha": self.path.alpha, "beta": self.path.beta, "outside": self.path.outside, **self.values}
        if np.isfinite(self._rates).any():
            arrays["learning_rate"] = self._rates
        return TrajectoryLosses(self.labels, {name: array.copy() for name, array in arrays.items()}, self.path.captured)
