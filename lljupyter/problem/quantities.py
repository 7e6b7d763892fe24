"""What is measured at a point: loss and accuracy, sample by sample."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch

IGNORE_INDEX = -100  # torch's: targets that cross-entropy leaves out
LossFunction = Callable[[Any, Any], Any]
# A measure maps (outputs, targets, n samples) to (totals, weights), both of shape (k,): k = n, or k = 1 for a batch
# whose samples can't be told apart. The quantity is sum(totals) / sum(weights).
Measure = Callable[[Any, Any, int], tuple[Tensor, Tensor]]


def measures_for(loss_fn: LossFunction | None, device: torch.device) -> dict[str, Measure]:
    """Chooses how loss and accuracy are measured.

    Args:
        loss_fn: None for cross-entropy on class indices; a torch loss module (of which a private copy without
            reduction is used); or any callable ``loss_fn(outputs, targets)`` that returns the mean over the batch
            or one value a sample.
        device: Where the outputs will be; a loss module with weights of its own is copied there.

    Returns:
        ``{"loss": measure, "accuracy": measure}``.

    Raises:
        TypeError: If ``loss_fn`` can't be called.
        ValueError: If it is a module with a reduction other than "mean", "batchmean" or "none".
    """
    if loss_fn is None:
        return {"loss": _module_loss(nn.CrossEntropyLoss(), device), "accuracy": accuracy}
    if isinstance(loss_fn, type) or not callable(loss_fn):
        raise TypeError(
            f"expected loss_fn as a callable (outputs, targets) -> loss, got {loss_fn!r}; "
            "pass an instance such as torch.nn.CrossEntropyLoss()"
        )
    if isinstance(loss_fn, nn.Module) and isinstance(getattr(loss_fn, "reduction", None), str):
        if loss_fn.reduction not in ("mean", "batchmean", "none"):
            raise ValueError(
                f"expected a loss with reduction 'mean' or 'none', got {loss_fn.reduction!r}, whose value depends "
                f"on the batch size; pass {type(loss_fn).__name__}(reduction='mean')"
            )
        ignored = getattr(loss_fn, "ignore_index", IGNORE_INDEX)
        return {"loss": _module_loss(loss_fn, device), "accuracy": partial(accuracy, ignore_index=ignored)}
    if isinstance(loss_fn, nn.Module):
        loss_fn = copy.deepcopy(loss_fn).to(device).eval()
    return {"loss": _callable_loss(loss_fn), "accuracy": accuracy}


def _module_loss(loss_fn: nn.Module, device: torch.device) -> Measure:
    private = copy.deepcopy(loss_fn).to(device).eval()
    mean_over_rest = private.reduction != "batchmean"
    private.reduction = "none"  # type: ignore[assignment]
    classifies = isinstance(private, (nn.CrossEntropyLoss, nn.NLLLoss))

    def measure(outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
        if classifies and not targets.is_floating_point():
            targets = targets.long()
        values = private(outputs, targets)
        if _is_mean(values, n):
            return _per_batch(values, n)
        _check_length(values, n)
        if classifies and not targets.is_floating_point():
            # torch divides a class-weighted mean by the weights of the targets, not by their number.
            by_class = private.weight
            counted = targets != private.ignore_index
            weight = by_class[targets.where(counted, 0)] if isinstance(by_class, Tensor) else torch.ones_like(values)
            weight = _wide(weight) * counted
            return _wide(values).reshape(n, -1).sum(1), weight.reshape(n, -1).sum(1)
        rows = _wide(values).reshape(n, -1)
        return rows.mean(1) if mean_over_rest else rows.sum(1), torch.ones_like(rows[:, 0])

    return measure


def _callable_loss(loss_fn: LossFunction) -> Measure:
    def measure(outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
        values = loss_fn(outputs, targets)
        if _is_mean(values, n):
            return _per_batch(values, n)
        _check_length(values, n)
        if values.dim() > 1:
            raise ValueError(
                f"expected a loss with one value a sample, shape ({n},), or the mean over the batch, "
                f"got shape {tuple(values.shape)}; average over the other axes"
            )
        return values, torch.ones_like(values)

    return measure


def _is_mean(values: Any, n: int) -> bool:
    return not isinstance(values, Tensor) or values.dim() == 0 or (values.numel() == 1 and n > 1)


def _per_batch(value: Any, n: int) -> tuple[Tensor, Tensor]:
    if not isinstance(value, (Tensor, float, int, np.number)) or (isinstance(value, Tensor) and value.is_complex()):
        raise TypeError(
            f"expected a loss as a real tensor or number, got {getattr(value, 'dtype', type(value).__name__)}; "
            "loss_fn(outputs, targets) returns the mean over the batch, or one value a sample"
        )
    if not isinstance(value, Tensor):
        value = torch.tensor(float(value), dtype=torch.float64, device="cpu")
    total = _wide(value).reshape(1) * n
    return total, torch.full_like(total, n)


def _wide(values: Tensor) -> Tensor:
    """Half precision overflows in sums."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _check_length(values: Tensor, n: int) -> None:
    if values.is_complex():
        raise TypeError(f"expected a loss as a real tensor or number, got {values.dtype}; take its absolute value")
    if len(values) != n:
        raise ValueError(
            f"expected a loss with one value a sample, shape ({n},), or the mean over the batch, "
            f"got shape {tuple(values.shape)}; return a scalar or a vector of length {n}"
        )


def accuracy(outputs: Tensor, targets: Tensor, n: int, ignore_index: int = IGNORE_INDEX) -> tuple[Tensor, Tensor]:
    """Counts the predictions whose largest score is at the target: ``(correct, counted)``, both of shape (n,)."""
    targets = targets.long()  # a byte of 156 would be taken for -100
    counted = (targets != ignore_index).reshape(n, -1)
    correct = (outputs.argmax(1) == targets).reshape(n, -1) & counted
    return correct.sum(1), counted.sum(1)


def classifies(outputs: Any, targets: Any) -> bool:
    """Says whether outputs are scores of two classes or more, (n, C, ...), and targets their indices, (n, ...)."""
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
    """Says whether the loss is cross-entropy on class indices, without weights, smoothing and targets left out.

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
    """Checks the names of the quantities to measure.

    Raises:
        ValueError: If one is unknown, or there are none.
    """
    known = ("loss", "accuracy")
    if wanted is None:
        return
    several = isinstance(wanted, Collection) and not isinstance(wanted, str)  # an iterator is used up after one pass
    if not several or not wanted or any(name not in known for name in wanted):
        raise ValueError(f"expected quantities as some of {list(known)}, got {wanted!r}; None takes all")


def check_classification(loss_fn: LossFunction | None, outputs: Any, batches: Sequence[Batch]) -> None:
    """Checks that cross-entropy, where it is the loss, fits what the model and the loader yield.

    Args:
        loss_fn: None for cross-entropy. Losses of other kinds are not checked.
        outputs: The outputs of the model on a few samples.
        batches: All batches; the classes must be within the model's outputs.

    Raises:
        TypeError: If the outputs or the targets are of another kind.
        ValueError: If the targets name classes that the model does not have.
    """
    targets = batches[0].targets
    wanted = "pass loss_fn=..., a callable (outputs, targets) -> loss such as torch.nn.MSELoss()"
    if loss_fn is None and not isinstance(outputs, Tensor):
        raise TypeError(
            f"expected a model that returns a tensor of class scores when no loss_fn is given, "
            f"got {type(outputs).__name__}; {wanted}"
        )
    fits = _indices(targets) and classifies(outputs, targets[: len(outputs)])
    if loss_fn is None and not fits:
        kind = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
        raise TypeError(
            f"expected scores (n, classes) and class indices (n,) when no loss_fn is given, got outputs "
            f"{tuple(outputs.shape)} and targets {kind}; {wanted}"
        )
    if not fits or not (loss_fn is None or isinstance(loss_fn, (nn.CrossEntropyLoss, nn.NLLLoss))):
        return
    n_classes, ignored = outputs.shape[1], getattr(loss_fn, "ignore_index", IGNORE_INDEX)
    for batch in batches:
        classes = batch.targets.long()
        wrong = classes[((classes < 0) | (classes >= n_classes)) & (classes != ignored)]
        if len(wrong):
            raise ValueError(
                f"expected targets from 0 to {n_classes - 1} for a model with {n_classes} outputs, "
                f"got {int(wrong[0])}; {wanted}"
            )
