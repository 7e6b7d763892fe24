"""What is measured beside the loss: accuracy, where outputs are scores of classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch
from lljupyter.problem.objective import IGNORE_INDEX, INDEXED, LossFunction, Objective


def accuracy(
    outputs: Tensor, targets: Tensor, n: int, ignored: frozenset[int] = frozenset({IGNORE_INDEX})
) -> tuple[Tensor, Tensor]:
    """Count the predictions whose largest score is at the target: ``(correct, counted)``, both of shape (n,)."""
    targets = targets.long()  # a byte of 156 would be taken for -100
    counted = torch.ones_like(targets, dtype=torch.bool)
    for value in ignored:
        counted &= targets != value
    counted = counted.reshape(n, -1)
    correct = (outputs.argmax(1) == targets).reshape(n, -1) & counted
    return correct.sum(1), counted.sum(1)


def classifies(outputs: Any, targets: Any) -> bool:
    """Return True if outputs have the shape of class scores, (n, C, ...), and targets that of indices, (n, ...)."""
    return (
        isinstance(outputs, Tensor)
        and outputs.dim() >= 2
        and outputs.shape[1] >= 2
        and _indices(targets)
        and targets.shape == outputs.shape[:1] + outputs.shape[2:]
    )


def _indices(targets: Any) -> bool:
    return isinstance(targets, Tensor) and targets.dtype in (
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
    )


def is_plain(loss_fn: LossFunction | None, batches: Sequence[Batch]) -> bool:
    """Return True if the loss is cross-entropy on class indices, without weights, smoothing and targets left out.

    Args:
        loss_fn: As the caller passed it.
        batches: The data, which fit the loss.
    """
    if loss_fn is not None and not (
        type(loss_fn) is nn.CrossEntropyLoss and loss_fn.weight is None and loss_fn.label_smoothing == 0
    ):
        return False
    ignored = IGNORE_INDEX if loss_fn is None else loss_fn.ignore_index
    targets = [batch.targets for batch in batches]
    if not all(_indices(part) and part.dim() == 1 for part in targets):
        return False
    return all(bool(((part.long() >= 0) & (part.long() != ignored)).all()) for part in targets)


def check_quantities(wanted: Sequence[str] | None) -> None:
    """Check the names of the quantities to measure.

    Raises:
        ValueError: If one is unknown, or there are none.
    """
    known = ("loss", "accuracy")
    if wanted is None:
        return
    several = isinstance(wanted, Collection) and not isinstance(wanted, str)  # an iterator is used up after one pass
    if not several or not wanted or any(name not in known for name in wanted):
        raise ValueError(f"expected quantities as some of {list(known)}, got {wanted!r}; None takes all")


def check_classification(objective: Objective, outputs: Any, batches: Sequence[Batch]) -> None:
    """Check that cross-entropy, if it is the loss, fits what the model and the loader yield.

    Args:
        objective: Losses of other kinds are not checked.
        outputs: The outputs of the model for the first batch, which may be a part of one.
        batches: All batches; the classes must be within the model's outputs.

    Raises:
        TypeError: If the outputs or the targets are of another kind.
        ValueError: If the targets name classes that the model does not have.
    """
    targets = batches[0].targets
    wanted = "pass loss_fn=..., a callable (outputs, targets) -> loss such as torch.nn.MSELoss()"
    if objective.default and not isinstance(outputs, Tensor):
        raise TypeError(
            f"expected a model that returns a tensor of class scores when no loss_fn is given, "
            f"got {type(outputs).__name__}; {wanted}"
        )
    fits = classifies(outputs, targets)
    if objective.default and not fits:
        kind = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
        raise TypeError(
            f"expected scores (n, classes) and class indices (n,) when no loss_fn is given, got outputs "
            f"{tuple(outputs.shape)} and targets {kind}; {wanted}"
        )
    if not fits or not isinstance(objective.module, INDEXED):
        return
    n_classes, ignored = outputs.shape[1], objective.module.ignore_index
    for batch in batches:
        classes = batch.targets.long()
        wrong = classes[((classes < 0) | (classes >= n_classes)) & (classes != ignored)]
        if len(wrong):
            raise ValueError(
                f"expected targets from 0 to {n_classes - 1} for a model with {n_classes} outputs, "
                f"got {int(wrong[0])}; {wanted}"
            )
