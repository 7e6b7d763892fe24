"""Finds out, by changing the outputs, whether they are class scores indexed by the targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch
from lljupyter.problem.objective import Objective
from lljupyter.problem.trial.rehearsal import Rehearsal

# Losses of class scores, which need no trial.
OF_SCORES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)
# So many samples are tried, and so many of them must show it.
N_TRIED, N_SHOWN = 8, 2
# Scores are changed by this share of their spread.
STEP = 0.5


def are_scores(rehearsal: Rehearsal, objective: Objective, outputs: Tensor, batch: Batch) -> bool:
    """Return True if outputs are class scores: a higher one at the target lowers the loss, one elsewhere does not.

    Embeddings of the same shape have no such rule.

    Args:
        rehearsal: Calls the loss.
        objective: Has the loss.
        outputs: Shape (n, C, ...).
        batch: Its targets, shape (n, ...), are indices of classes.
    """
    if isinstance(objective.module, OF_SCORES):
        return True
    step = STEP * max(float(outputs.double().std()), 1e-2)
    n_shown = 0
    try:
        base = _mean(rehearsal, outputs, batch)
        for row in (
            torch.linspace(0, len(outputs) - 1, min(len(outputs), N_TRIED), device="cpu").round().long().tolist()
        ):
            rest = (0,) * (outputs.dim() - 2)
            here = (row, *rest)
            target = int(batch.targets[here])
            if not 0 <= target < outputs.shape[1]:
                continue
            higher, other = (outputs.clone() for _ in range(2))
            at_it, beside_it = ((row, k % outputs.shape[1], *rest) for k in (target, target + 1))
            higher[at_it] += step
            other[beside_it] += step
            at_target, elsewhere = _mean(rehearsal, higher, batch) - base, _mean(rehearsal, other, batch) - base
            if at_target > 0 or elsewhere < 0:
                return False
            n_shown += at_target < 0 < elsewhere
    except Exception:  # a loss that can't be asked
        return False
    return n_shown >= min(N_SHOWN, len(outputs))


def _mean(rehearsal: Rehearsal, outputs: Tensor, batch: Batch) -> float:
    return float(rehearsal.loss_of(outputs, batch).value.mean())
