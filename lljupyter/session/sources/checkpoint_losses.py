"""A training run over a surface: where its checkpoints fall, how far off they lie, and their real losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.geometry.projection import ProjectedTrajectory
from lljupyter.session.request import Request
from lljupyter.session.tasks import CheckpointValues, EvaluateCheckpoint

Floats = NDArray[np.float64]


class TrajectoryLosses(NamedTuple):
    """What is known of the checkpoints of a training run.

    Attributes:
        labels: n strings.
        values: ``{name: array}``, each of shape (n,): coordinates, distances, values and, if known, learning rates.
        captured: The share of the variation of the run that the plane captures.
        failed: Shape (n,), bool: where model or loss raised.
        failure: The first error of these, "" if there is none.
    """

    labels: Sequence[str]
    values: Mapping[str, Floats]
    captured: float
    failed: NDArray[np.bool_]
    failure: str


class CheckpointLosses:
    """The checkpoints of a training run, projected onto a plane; each is evaluated where it really is. Not thread-safe.

    Args:
        checkpoints: n of them; each is read again when it is evaluated.
        path: Where they fall on the plane.
        names: The values to evaluate.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], path: ProjectedTrajectory, names: Sequence[str]) -> None:
        metadata = [checkpoint.metadata() for checkpoint in checkpoints]
        self._checkpoints = list(checkpoints)
        self._labels = [own.get("label", c.label) for own, c in zip(metadata, checkpoints, strict=True)]
        self._path = path
        self._values = {name: np.full(len(checkpoints), np.nan) for name in names}
        self._failed, self._failure = np.zeros(len(checkpoints), dtype=bool), ""
        self._rates = np.array([float(own.get("learning_rate", math.nan)) for own in metadata])
        order = range(len(checkpoints))
        self._waiting = [*order[-1:], *order[:-1]]  # the ends of the run first
        self._claims: set[EvaluateCheckpoint] = set()

    def claim(self, request: Request) -> EvaluateCheckpoint | None:
        """Return the next checkpoint to evaluate, or None if all are evaluated or claimed."""
        if not self._waiting:
            return None
        index = self._waiting.pop(0)
        task = EvaluateCheckpoint(request, index, self._checkpoints[index])
        self._claims.add(task)
        return task

    def complete(self, task: EvaluateCheckpoint, result: CheckpointValues) -> None:
        """Keep the values of a checkpoint; those of a claim that is over change nothing."""
        if task in self._claims:
            self._claims.remove(task)
            for name, array in self._values.items():
                array[task.index] = result.values[name][0]
            self._failed[task.index] = bool(result.reason)
            self._failure = self._failure or result.reason

    def release(self, task: EvaluateCheckpoint) -> None:
        """Give a claim back, so that the checkpoint is claimed again before the others."""
        if task in self._claims:
            self._claims.remove(task)
            self._waiting.insert(0, task.index)

    def known(self) -> TrajectoryLosses:
        """Return copies of all that is known."""
        path = self._path
        arrays = {"alpha": path.alpha, "beta": path.beta, "outside": path.outside, **self._values}
        if np.isfinite(self._rates).any():
            arrays["learning_rate"] = self._rates
        copies = {name: array.copy() for name, array in arrays.items()}
        return TrajectoryLosses(self._labels, copies, path.captured, self._failed.copy(), self._failure)
