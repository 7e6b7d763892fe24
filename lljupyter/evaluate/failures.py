"""Points at which model or loss raise: they have no value, and the others have theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from lljupyter.problem.messages import Failure, forget_frames, shortened


class PointsFailed(RuntimeError):
    """Model or loss raised at some points.

    Args:
        text: The message.
        values: ``{name: values}`` of all points, each of shape (k,), float64, NaN at those that failed.
        reasons: ``{index of the point: the error}`` of those that failed, each of at most 500 characters.

    Attributes:
        values: As given.
        reasons: As given.
    """

    def __init__(self, text: str, values: Mapping[str, NDArray[np.float64]], reasons: Mapping[int, str]) -> None:
        super().__init__(text, values, reasons)  # all of them, so that it can be pickled
        self.values, self.reasons = dict(values), dict(reasons)

    def __str__(self) -> str:
        """Return the message."""
        return str(self.args[0])


class Failures:
    """Collects the failures of points.

    Attributes:
        reasons: ``{index of the point: the error}``.
    """

    def __init__(self) -> None:
        self.reasons: dict[int, str] = {}
        self._first: tuple[str, BaseException | None] = "", None

    def add(self, index: int, place: str, failure: Failure) -> None:
        """Record what model or loss raised at a point."""
        forget_frames(failure)
        if not self.reasons:
            self._first = place, failure.__cause__
        self.reasons[index] = str(failure)

    def raise_with(self, n_points: int, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Raise a ``PointsFailed`` if there is a failure.

        Args:
            n_points: k, how many points there are.
            values: ``{name: values}`` of the points that did not fail, in their order.
        """
        if not self.reasons:
            return
        good = [i for i in range(n_points) if i not in self.reasons]
        whole = {name: np.full(n_points, np.nan) for name in values}
        for name, column in values.items():
            whole[name][good] = column
        (place, cause), others = self._first, len(self.reasons) - 1
        more = f"; {others} more of these {n_points} points failed" if others else ""
        text = f"evaluating {place} failed: {next(iter(self.reasons.values()))}{more}"
        raise PointsFailed(text, whole, self.reasons) from cause


def replaced(points: NDArray[np.float64], failed: Sequence[int]) -> NDArray[np.float64]:
    """Return points with the first good one in the place of those that failed: as many, so that all are grouped alike.

    Args:
        points: Shape (k, 2).
        failed: Indices of some, not of all of them.
    """
    good = next(i for i in range(len(points)) if i not in failed)
    other: NDArray[np.float64] = points.copy()
    other[list(failed)] = points[good]
    return other


@contextmanager
def naming(place: str, passes: bool = False) -> Iterator[None]:
    """Raise a RuntimeError that names what was evaluated when something fails, with the error as its cause.

    Args:
        place: What is evaluated.
        passes: Whether a ``Failure`` passes through as it is, unless there was too little memory.
    """
    try:
        yield
    except Failure as failure:
        if passes and not failure.of_memory:
            raise
        raise RuntimeError(f"evaluating {place} failed: {failure}") from failure.__cause__
    except Exception as error:
        raise RuntimeError(f"evaluating {place} failed: {shortened(error)}") from error
