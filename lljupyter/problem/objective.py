"""The person's own objective: how it is called on a batch, what it returns, and the measure that this makes.

``loss_fn(model(x), y)``, called as given on a whole batch as the loader gives it, is the truth. A form with one value
per sample stands for it only after it was shown to be equal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch
from lljupyter.problem.messages import Where
from lljupyter.problem.model import call
from lljupyter.problem.trial.combination import Combination, Shape
from lljupyter.problem.working_copy import Forward, Measure

LossFunction = Callable[[Any, Any], Any]
INDEXED = (nn.CrossEntropyLoss, nn.NLLLoss)  # their targets may be indices of classes
IGNORE_INDEX = -100  # torch's: targets that cross-entropy leaves out
WHAT_IT_RETURNS = "the mean over the batch, one value per sample, or a pair (sum, weight)"


class Form(NamedTuple):
    """A measure with one value per sample.

    Attributes:
        measure: Returns totals and weights, each of shape (n,).
        is_sum: Whether the loss is the sum of the totals instead of their mean.
    """

    measure: Measure
    is_sum: bool


class Objective(NamedTuple):
    """What is called on a batch.

    Attributes:
        forward: Maps a model and a batch to outputs.
        loss: Maps outputs and targets to the loss, as the person wrote it.
        forms: Measures with one value per sample that may stand for ``loss``, if their mean is shown to be its value,
            the likeliest first.
        reduces: Whether ``loss`` returns one value for a batch, which ``forms`` can be compared with.
        module: The loss, if it is a module with a ``reduction``.
        default: Whether the person passed no loss.
        name: What the loss is called in a result.
        kind: "loss": a loss of outputs and targets. "own": the model returns its loss. "whole": a function of the
            model and the batch.
    """

    forward: Forward
    loss: LossFunction
    forms: tuple[Form, ...]
    reduces: bool
    module: nn.Module | None
    default: bool
    name: str
    kind: Literal["loss", "own", "whole"]

    @property
    def foreign(self) -> bool:
        """Whether the loss is a module that is not torch's."""
        return self.module is not None and not type(self.module).__module__.startswith("torch.nn.")

    @property
    def ignored(self) -> frozenset[int]:
        """The targets that the loss leaves out, as far as it says so."""
        return frozenset({getattr(self.module, "ignore_index", IGNORE_INDEX)})


class Reading(NamedTuple):
    """What a loss returned.

    Attributes:
        shape: "scalar", "values" with one per sample, or "pair", a sum and its weight.
        values: Shape (1,), (n,) or (2,).
    """

    shape: Shape
    values: Tensor


class About(NamedTuple):
    """What is known of the data.

    Attributes:
        labeled: Whether batches are dicts, with which a model returns its own loss unless there is a ``loss_fn``.
        varied: Whether samples have several sizes.
        exists: Whether there are data.
    """

    labeled: bool = False
    varied: bool = False
    exists: bool = True


def check_objective(loss_fn: LossFunction | None, whole: Callable[..., Any] | None, draws: int, has_data: bool) -> None:
    """Check that a loss or an objective can be called.

    Raises:
        TypeError: If not.
        ValueError: If both are given, or there are neither data nor an objective, or ``draws`` is below 1.
    """
    if whole is not None and loss_fn is not None:
        raise ValueError("expected objective or loss_fn, got both; objective(model, batch) is the whole of it")
    if whole is None and not has_data:
        raise ValueError("expected a loader, got None; pass objective=f(model) for a problem without data")
    if isinstance(whole, type) or not (whole is None or callable(whole)):
        raise TypeError(f"expected objective as a callable (model, batch) -> loss, got {whole!r}; pass a function")
    if isinstance(loss_fn, type) or not (loss_fn is None or callable(loss_fn)):
        raise TypeError(
            f"expected loss_fn as a callable (outputs, targets) -> loss, got {loss_fn!r}; "
            "pass an instance such as torch.nn.CrossEntropyLoss()"
        )
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ValueError(f"expected draws as a whole number of at least 1, got {draws!r}; 1 draws once per batch")


def objective_for(loss_fn: LossFunction | None, whole: Callable[..., Any] | None, about: About) -> Objective:
    """Return how a batch is measured.

    Args:
        loss_fn: ``loss_fn(outputs, targets)``; None for cross-entropy on class indices.
        whole: ``objective(model, batch)``, the whole of it; or None.
        about: The data.
    """
    if whole is not None:
        call_it = partial(_forward_whole if about.exists else _forward_without_data, whole)
        return Objective(call_it, _outputs_themselves, (), True, None, False, _name(whole), "whole")
    if loss_fn is None and about.labeled:
        return Objective(_forward_with_labels, _own_loss, (), True, None, False, "the model's own", "own")
    function: LossFunction = nn.CrossEntropyLoss() if loss_fn is None else loss_fn
    name = "cross-entropy" if loss_fn is None else _name(loss_fn)
    if isinstance(function, nn.Module) and isinstance(getattr(function, "reduction", None), str):
        reduces, forms = function.reduction != "none", unreduced(function, about.varied)
        loss = partial(_indexed, function) if isinstance(function, INDEXED) else function
        return Objective(_forward, loss, forms, reduces, function, loss_fn is None, name, "loss")
    return Objective(_forward, function, (), True, None, False, name, "loss")


def called(objective: Objective) -> Where:
    """Return what is called in the place of the model."""
    return "objective" if objective.kind == "whole" else "model"


def read(raw: Any) -> Reading:
    """Return what a loss returned as numbers.

    Raises:
        TypeError: If it is of another kind.
    """
    if isinstance(raw, (tuple, list)) and len(raw) == 2 and all(_is_number(part) for part in raw):
        return Reading("pair", torch.cat([_tensor(part).reshape(1).double() for part in raw]))
    if isinstance(raw, Tensor) and raw.dim() >= 1 and raw.numel() > 1 and not raw.is_complex():
        return Reading("values", raw)
    if not _is_number(raw):
        raise TypeError(
            f"expected a loss as a real tensor or number, got {getattr(raw, 'dtype', type(raw).__name__)}; "
            f"return {WHAT_IT_RETURNS}"
        )
    return Reading("scalar", wide(_tensor(raw)).reshape(1))


def sum_of(form: Measure, n_total: int) -> Measure:
    """Return the measure of a loss that is a sum: whose value over N samples is N times their mean.

    Args:
        form: One value per sample.
        n_total: The number of samples of all batches.
    """
    return partial(_summed, form, n_total)


def measure_of(loss: LossFunction, combination: Combination, n_total: int) -> Measure:
    """Return the measure that combines the values of batches.

    Args:
        loss: As the person wrote it.
        combination: How.
        n_total: The number of samples of all batches.
    """
    return partial(_combined, loss, combination, n_total)


def check_length(values: Tensor, n: int) -> None:
    """Check that there is one value per sample.

    Raises:
        ValueError: If not.
    """
    if values.dim() > 1:
        raise ValueError(
            f"expected a loss with one value per sample, shape ({n},), or the mean over the batch, "
            f"got shape {tuple(values.shape)}; average over the other axes"
        )
    if len(values) != n:
        raise ValueError(
            f"expected a loss with one value per sample, shape ({n},), or the mean over the batch, "
            f"got shape {tuple(values.shape)}; return a scalar or a vector of length {n}"
        )


def wide(values: Tensor) -> Tensor:
    """Return values whose sums do not overflow, as those of half precision do."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _forward(model: nn.Module, batch: Batch) -> Any:
    return call(model, batch.inputs)


def _forward_with_labels(model: nn.Module, batch: Batch) -> Any:
    return call(model, dict(batch.inputs) if batch.targets is None else {**batch.inputs, "labels": batch.targets})


def _own_loss(outputs: Any, targets: Any) -> Any:
    loss = outputs.get("loss") if isinstance(outputs, dict) else getattr(outputs, "loss", None)
    if loss is None:
        raise TypeError(
            f"expected outputs with a loss of their own for batches that are dicts, got {type(outputs).__name__}; "
            "pass loss_fn=..., which is called with the outputs and batch['labels'], or objective=f(model, batch)"
        )
    return loss


def _outputs_themselves(outputs: Any, targets: Any) -> Any:
    return outputs


def _forward_whole(whole: Callable[..., Any], model: nn.Module, batch: Batch) -> Any:
    return whole(model, batch.inputs)


def _forward_without_data(whole: Callable[..., Any], model: nn.Module, batch: Batch) -> Any:
    return whole(model)


# Partials of functions, not closures: a problem is written to a file.


def _summed(form: Measure, n_total: int, outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
    totals, weights = form(outputs, targets, n)
    return totals * n_total, weights


def _combined(
    loss: LossFunction, combination: Combination, n_total: int, outputs: Any, targets: Any, n: int
) -> tuple[Tensor, Tensor]:
    kind, weight = combination.kind, combination.weight
    shape, values = read(loss(outputs, targets))
    if shape == "pair":
        return values[:1], values[1:]
    if shape == "values":
        check_length(values, n)
        return values, torch.ones_like(values)
    if kind == "sum":
        # The sum over N samples is N times their mean, which a part of them estimates.
        return values * n_total, torch.full_like(values, n)
    counts = float(weight.counted(targets).sum()) if kind == "targets" else float(n)
    # The mean over nothing may be NaN.
    return values * counts if counts else torch.zeros_like(values), torch.full_like(values, counts)


def _indexed(loss: nn.Module, outputs: Any, targets: Any) -> Any:
    """Call a loss whose targets, if they are indices of classes, may be of a small integer type."""
    return loss(outputs, targets if targets.is_floating_point() else targets.long())


def unreduced(loss: nn.Module, varied: bool) -> tuple[Form, ...]:
    """Return the measures that a loss module may be the mean or the sum of, made of its values without reduction.

    Args:
        loss: Has ``reduction``, and is not changed.
        varied: Whether samples have several sizes, so that a mean over all elements is none over samples.
    """
    private = copy.copy(loss)  # a shallow one: if the loss uses the model, so does this
    private.reduction = "none"  # type: ignore[assignment]
    elements = partial(_mean_of_elements, private, varied)
    mean = Form(partial(_mean_by_class, private, varied) if isinstance(loss, INDEXED) else elements, False)
    by_sample, total = (Form(partial(_sum_of_elements, private), is_sum) for is_sum in (False, True))
    orders = {"batchmean": (by_sample, mean, total), "sum": (total, mean, by_sample)}
    return orders.get(str(loss.reduction), (mean, by_sample, total))


def _values(loss: nn.Module, outputs: Any, targets: Any, n: int) -> Tensor:
    found: Tensor = _indexed(loss, outputs, targets) if isinstance(loss, INDEXED) else loss(outputs, targets)
    if len(found) != n:
        raise ValueError("it has no value for each sample")
    return wide(found)


def _mean_of_elements(loss: nn.Module, varied: bool, outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
    rows = _values(loss, outputs, targets, n).reshape(n, -1)
    if varied:
        return rows.sum(1), torch.full_like(rows[:, 0], rows.shape[1])
    return rows.mean(1), torch.ones_like(rows[:, 0])


def _sum_of_elements(loss: nn.Module, outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
    rows = _values(loss, outputs, targets, n).reshape(n, -1)
    return rows.sum(1), torch.ones_like(rows[:, 0])


def _mean_by_class(loss: nn.Module, varied: bool, outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
    if targets.is_floating_point():
        return _mean_of_elements(loss, varied, outputs, targets, n)
    # torch divides a class-weighted mean by the weights of the targets, not by their number.
    found, indices, by_class = _values(loss, outputs, targets, n), targets.long(), loss.weight
    counted = indices != loss.ignore_index
    weight = by_class[indices.where(counted, 0)] if isinstance(by_class, Tensor) else torch.ones_like(found)
    weight = wide(weight) * counted
    return found.reshape(n, -1).sum(1), weight.reshape(n, -1).sum(1)


def _tensor(number: Any) -> Tensor:
    return number if isinstance(number, Tensor) else torch.tensor(float(number), dtype=torch.float64, device="cpu")


def _is_number(raw: Any) -> bool:
    if isinstance(raw, Tensor):
        return raw.numel() == 1 and not raw.is_complex()
    return isinstance(raw, (float, int, np.number)) and not isinstance(raw, bool)


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
