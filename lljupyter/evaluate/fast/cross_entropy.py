"""Plain cross-entropy and accuracy at many points at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def measure_scores(kinds: Sequence[str], scores: Tensor, targets: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Measure plain cross-entropy and accuracy at k points at once.

    Args:
        kinds: Some of "loss" and "accuracy".
        scores: Shape (k, classes, n): sums over classes are fast when the samples come last.
        targets: Shape (n,), indices of classes.

    Returns:
        By kind: totals of shape (k, n), and weights that broadcast to it.
    """
    indices = targets.long()
    found = scores.gather(1, indices.expand(len(scores), 1, -1)).squeeze(1)
    ones = torch.ones(1, len(targets), dtype=scores.dtype, device=scores.device)
    top = scores.amax(1)
    measured: dict[str, tuple[Tensor, Tensor]] = {}
    if "loss" in kinds:
        measured["loss"] = (scores - top[:, None]).exp_().sum(1).log_().add_(top - found), ones
    if "accuracy" in kinds:
        # argmax is slow on a processor; as there, the first of several largest counts, and NaN is larger than all.
        if bool(top.isnan().any()):
            right = scores.argmax(1) == indices
        else:
            before = torch.arange(scores.shape[1], device=scores.device)[:, None] < indices
            right = (found == top).logical_and_(((scores == top[:, None]) & before).any(1).logical_not_())
        measured["accuracy"] = right.to(scores.dtype), ones
    return measured


def score_sums(kinds: Sequence[str], scores: Tensor, places: Tensor, hidden: Tensor) -> Tensor:
    """Return sums over n samples of what ``measure_scores`` measures, in a few operations.

    Args:
        kinds: Some of "loss" and "accuracy".
        scores: Shape (k, classes, n), at most 256 samples.
        places: Shape (n,), int64, where the scores of the targets are among those of a point.
        hidden: Shape (classes, n), minus infinity at the targets, else zero.

    Returns:
        Shape (rows, k), float64. For the loss, its sum and the square root of the sum of its squares; for accuracy,
        how many more are right than wrong, and how many are either. Those with ties or NaN are neither.
    """
    logarithms = scores.log_softmax(1)
    found = logarithms.flatten(1).index_select(1, places)
    sums = []
    if "loss" in kinds:
        exact = found.double()
        sums += [exact.sum(1).neg_(), torch.linalg.vector_norm(exact, dim=1)]
    if "accuracy" in kinds:
        others = logarithms.add_(hidden).amax(1)  # argmax is slow on a processor
        signs = (found - others).sign_()
        sums += [signs.sum(1).double(), signs.abs_().sum(1).double()]
    return torch.stack(sums)
