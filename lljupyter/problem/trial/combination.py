"""How the values of batches make up the value of a set, found by trial: batches are cut, joined and masked.

A loss of a batch may be a mean over its samples, a mean over the targets that count, a sum, one value per sample, or
something that belongs to the batch as a whole. Which one it is shows in the values of a batch and of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.problem.batches import Batch, picked

Array = NDArray[np.float64]
Value = Callable[[Batch], Array]
Close = Callable[[Array, Array], bool]
Shape = Literal["values", "pair", "scalar"]
Kind = Literal["values", "pair", "samples", "targets", "sum", "batches"]
# So many samples, spread over the first batch, are tried beside the whole of it.
N_TRIED = 6
# Two ways to compute the same differ by so many roundings at most; half precision has few digits to tell by.
ROUNDINGS, HALF_ROUNDINGS = 200.0, 4.0
# If there are more distinct targets than this, only the likeliest are tried as ignored ones.
MANY_TARGETS = 64


class Weight(NamedTuple):
    """What a mean is over.

    Attributes:
        kind: Samples or targets.
        ignored: Targets that do not count.
        shift: So many targets at the start of the last axis do not count: a language model predicts the next token.
    """

    kind: Literal["samples", "targets"]
    ignored: frozenset[int] = frozenset()
    shift: int = 0

    def of(self, batch: Batch) -> float:
        """Return the weight of a batch."""
        return float(batch.n) if self.kind == "samples" else float(self.counted(batch.targets).sum())

    def counted(self, targets: Tensor) -> Tensor:
        """Return which targets count, bool."""
        targets = targets[..., self.shift :] if self.shift else targets
        counted = torch.ones_like(targets, dtype=torch.bool)
        for value in self.ignored:
            counted &= targets != value
        return counted


SAMPLES = Weight("samples")


class Observation(NamedTuple):
    """The values of some samples together, and of the same samples in parts.

    Attributes:
        parts: The parts.
        whole: The value of all of them: shape (1,), or (n,) with one per sample, or (2,), a sum and its weight.
        values: The values of the parts.
    """

    parts: Sequence[Batch]
    whole: Array
    values: Sequence[Array]


class Combination(NamedTuple):
    """How the values of batches make up the value of a set.

    Attributes:
        kind: "values": the mean of one value per sample. "pair": the sum of sums over the sum of weights. "samples",
            "targets": the mean weighted by the number of samples, or of targets that count. "sum": the sum. "batches":
            a value belongs to its batch as a whole; the mean weighted by the number of samples.
        weight: What a mean is over.
        divisible: Whether batches may be cut and joined, with the same result.
    """

    kind: Kind
    weight: Weight
    divisible: bool


def combination_of(
    shape: Shape, observations: Sequence[Observation | None], weights: Sequence[Weight], close: Close
) -> Combination:
    """Return the way to combine batches that explains all observations.

    Args:
        shape: What the loss returns.
        observations: At the center and elsewhere; None for one whose evaluation failed.
        weights: What a mean may be over; if several explain everything, the first is taken.
        close: Compares two values.
    """
    seen = [o for o in observations if o is not None]
    complete = 0 < len(seen) == len(observations)
    if shape == "values":
        return Combination(
            "values", SAMPLES, complete and all(close(np.concatenate(o.values, axis=-1), o.whole) for o in seen)
        )
    if shape == "pair":
        return Combination("pair", SAMPLES, complete and all(close(np.sum(o.values, axis=0), o.whole) for o in seen))
    for weight in weights if seen else ():
        if all(close(_mean(o, weight), o.whole) for o in seen):
            return Combination(weight.kind, weight, complete)
    if seen and all(close(np.sum(o.values, axis=0), o.whole) for o in seen):
        return Combination("sum", SAMPLES, complete)
    return Combination("batches", SAMPLES, False)


def _mean(observation: Observation, weight: Weight) -> Array:
    pairs = [(weight.of(part), value) for part, value in zip(observation.parts, observation.values, strict=True)]
    total = sum(w for w, _ in pairs)
    terms = [w * value for w, value in pairs if w]  # the value of a part with nothing that counts may be NaN
    return np.sum(terms, axis=0) / total if total else np.full(1, math.nan)


def cut(batch: Batch) -> list[Batch]:
    """Return a batch of two samples or more in two uneven parts."""
    at = max(batch.n // 3, 1)
    return [picked(batch, torch.arange(at, device="cpu")), picked(batch, torch.arange(at, batch.n, device="cpu"))]


def spread(batch: Batch, k: int = N_TRIED) -> Batch:
    """Return up to k samples from all over a batch: neighbors are often of one class."""
    return batch if batch.n <= k else picked(batch, torch.linspace(0, batch.n - 1, k, device="cpu").round().long())


def distinct_targets(targets: Sequence[Any]) -> list[int]:
    """Return the values among the targets that a loss may leave out, the likeliest first; none if they are no classes.

    Args:
        targets: Those of all batches.
    """
    if not targets or not all(isinstance(t, Tensor) and t.dtype in INTEGERS for t in targets):
        return []
    whole = torch.cat([t.detach().reshape(-1).long().cpu() for t in targets])
    values, counts = torch.unique(whole, return_counts=True)
    known: list[int] = values.tolist()
    likely = [value for value in known if value < 0 or value in (255, 0)]
    common: list[int] = values[counts.argsort(descending=True)].tolist()
    return list(dict.fromkeys([*likely[:8], known[-1], *common]))[: MANY_TARGETS if len(known) <= MANY_TARGETS else 12]


INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def with_targets(batch: Batch, value: int, rows: slice, start: int = 0) -> Batch:
    """Return a batch with the targets of some samples set to a value, from ``start`` on along their last axis."""
    assert batch.axis is not None
    targets = batch.targets.clone()
    part = targets.movedim(batch.axis, 0)[rows]
    part[..., start:] = value
    return batch._replace(targets=targets)


def counts_for_nothing(value: Value, batch: Batch, target: int, other: int, close: Close) -> bool:
    """Return True if samples with this target change nothing: the others alone have the same value.

    Args:
        value: A scalar loss.
        batch: A few samples, at least two.
        target: One that occurs in the data.
        other: What takes its place in these samples: another one that counts.
        close: Compares two values.
    """
    half = batch.n // 2
    batch = batch._replace(targets=torch.where(batch.targets == target, other, batch.targets))
    try:
        alone = value(with_targets(batch, target, slice(0, batch.n)))
        if np.isfinite(alone).all() and np.any(alone != 0):
            return False
        rest = value(picked(batch, torch.arange(half, batch.n, device="cpu")))
        return bool(np.isfinite(rest).all()) and close(value(with_targets(batch, target, slice(0, half))), rest)
    except Exception:
        return False


def unevenly_masked(batch: Batch, ignored: int) -> Batch:
    """Return a batch whose parts, see ``cut``, have other shares of its targets than of its samples."""
    if batch.targets.dim() == 1:
        return with_targets(batch, ignored, slice(0, 1))
    return with_targets(batch, ignored, slice(max(batch.n // 3, 1), batch.n), start=2)


def proportional(weights: Sequence[Weight], batches: Sequence[Batch]) -> bool:
    """Return True if all weights give the same shares to all batches."""
    table = np.array([[weight.of(batch) for batch in batches] for weight in weights])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = table / table.sum(1, keepdims=True)
    return bool(np.allclose(shares, shares[:1], rtol=1e-12, atol=0))


def closeness(dtypes: Iterable[torch.dtype]) -> Close:
    """Return what compares two values up to rounding in the coarsest of some types; NaN equals NaN."""
    types = [dtype for dtype in dtypes if dtype.is_floating_point or dtype.is_complex] or [torch.float32]
    widest = max(types, key=lambda dtype: torch.finfo(dtype).eps)
    eps = float(torch.finfo(widest).eps)
    share = (HALF_ROUNDINGS if widest in (torch.float16, torch.bfloat16) else ROUNDINGS) * eps

    def close(a: Array, b: Array) -> bool:
        if a.shape != b.shape:
            return False
        scale = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
        return np.allclose(a, b, rtol=share, atol=share * scale, equal_nan=True)

    return close
