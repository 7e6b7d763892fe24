"""The trial: a few batches run through model and loss, so that what does not fit is refused before the first point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch, Labeled, take, to_device
from lljupyter.problem.isolation.copying import copied_together
from lljupyter.problem.messages import Failure
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.nested import tensors_of
from lljupyter.problem.objective import INDEXED, Objective, measure_of, sum_of
from lljupyter.problem.quantities import accuracy, check_classification, classifies
from lljupyter.problem.trial.combination import Array, Close, Weight, closeness, spread
from lljupyter.problem.trial.copy_check import check_copy
from lljupyter.problem.trial.losses import TriedLoss, along, try_loss
from lljupyter.problem.trial.rehearsal import Rehearsal, Run
from lljupyter.problem.trial.scores import are_scores
from lljupyter.problem.working_copy import Conditions, Measure
from lljupyter.process.precision import exact_products

# So many batches of a loader are tried: samples that come one by one are joined.
N_TRIED = 3
# A first batch with nothing that counts has no value; so many are looked at for one that has.
N_SEARCHED = 10
# Means over random numbers are taken to be the same within so many standard errors.
SIGMAS = 6.0
HALF = (torch.bfloat16, torch.float16)
REDUCTIONS = {
    "values": "mean over samples",
    "samples": "mean over samples",
    "sum": "sum over samples",
    "pair": "sum over the weights that the loss returns",
    "batches": "mean over batches, weighted by their numbers of samples",
}


@dataclass(frozen=True)
class Trial:
    """What a few batches of each loader showed.

    Attributes:
        batches: The batches, with the axis of their samples.
        measures: How each kind of quantity is measured, ``{prefix of the loader: {kind: measure}}``.
        reductions: What the loss of each loader is the mean of, in words, by prefix.
        axes: The axis along which the batches of a loader may be cut and joined, by prefix; None if they must not be.
        conditions: What it takes for a batch to have the same value again.
        per_sample: Whether the loss is known sample by sample, so that batches may be split and joined. It is not if
            the loss of a sample depends on the others of its batch.
        outputs_precision: The type of the outputs if it is of half precision, such as "bfloat16"; or "".
        warnings: What to tell the person about the results.
    """

    batches: Mapping[str, tuple[Batch, ...]]
    measures: Mapping[str, Mapping[str, Measure]]
    reductions: Mapping[str, str]
    axes: Mapping[str, int | None]
    conditions: Conditions
    per_sample: bool
    outputs_precision: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def every(self) -> list[Batch]:
        """The batches of all loaders."""
        return [batch for part in self.batches.values() for batch in part]


def run_trial(
    person: nn.Module,
    theirs: Objective,
    private: nn.Module,
    objective: Objective,
    center: Mapping[str, Tensor],
    batches: Mapping[str, Sequence[Batch]],
    wanted: Sequence[str] | None,
    device: torch.device,
) -> Trial:
    """Run a few batches of each loader through a copy of the model and the loss.

    Args:
        person: The model as it was passed in; called at most once, in evaluation mode, and not changed.
        theirs: The objective as the person wrote it.
        private: The private copy; not changed, and not called.
        objective: The same as ``theirs``, but uses ``private`` where that uses the model.
        center: The parameters that can move, ``{name: tensor}``.
        batches: The batches of each loader, ``{prefix: batches}``.
        wanted: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate.

    Raises:
        TypeError: If outputs or targets are of another kind.
        ValueError: If something does not fit.
    """
    with plain_evaluation(device), exact_products():
        model, bound = copied_together(private, objective, device)
        rehearsal = Rehearsal(model, bound, dict(center))
        tried, dtypes, halves = {}, [t.dtype for t in center.values()], set[str]()
        for prefix, part in batches.items():
            tried[prefix], run = _first_few(rehearsal, part, device)
            dtypes.append(run.dtype)
            halves |= {str(t.dtype).removeprefix("torch.") for t in tensors_of(run.outputs) if t.dtype in HALF}
            check_classification(bound, run.outputs, [tried[prefix][0], *part])
        close = closeness(dtypes)
        losses, measures, labeled = {}, {}, {}
        for prefix, few in tried.items():
            within = partial(_within, close, rehearsal.noise(few[0]))
            losses[prefix] = loss = try_loss(rehearsal, few, batches[prefix], within)
            labeled[prefix] = tuple(along(loss.axis, batches[prefix]))
            measures[prefix] = _measures(rehearsal, objective, loss, along(loss.axis, few), labeled[prefix], wanted)
        prefix, loss = next(iter(losses.items()))
        first = along(loss.axis, tried[prefix])[0]
        warnings = check_copy(
            person, theirs, rehearsal, spread(first) if loss.combination.divisible else first, center, close
        )
        if kept := rehearsal.affected_by(first):
            warnings.append(f"model or loss keep something between calls, which is put back before each batch: {kept}")
        wholes = [labeled[prefix] for prefix, loss in losses.items() if loss.combination.kind == "batches"]
        if any(map(_count_unknown, wholes)):
            warnings.append(
                "all batches count the same, as the numbers of their samples are not known: return a pair "
                "(sum, weight) if they differ"
            )
        rehearsal.draw_privately([batch for few in tried.values() for batch in few])
    return Trial(
        batches=labeled,
        measures=measures,
        reductions={prefix: _reduction(objective, loss, labeled[prefix]) for prefix, loss in losses.items()},
        axes={prefix: loss.axis if loss.combination.divisible else None for prefix, loss in losses.items()},
        conditions=rehearsal.conditions,
        per_sample=all(
            loss.combination.kind == "values" and loss.combination.divisible and loss.axis == 0
            for loss in losses.values()
        ),
        outputs_precision=", ".join(sorted(halves)),
        warnings=tuple(warnings),
    )


def _within(close: Close, noise: float, a: Array, b: Array) -> bool:
    """Compare values that are means over random numbers."""
    return close(a, b) or (noise > 0 and a.shape == b.shape and bool(np.all(np.abs(a - b) <= SIGMAS * noise)))


def _count_unknown(batches: Sequence[Batch]) -> bool:
    """Return True if there are several batches, of several forms, without a number of samples."""
    if len(batches) < 2 or any(batch.axis is not None or batch.n > 1 for batch in batches):
        return False
    return len({tuple(t.shape for t in tensors_of((b.inputs, b.targets))) or id(b) for b in batches}) > 1


def _first_few(rehearsal: Rehearsal, batches: Sequence[Batch], device: torch.device) -> tuple[list[Batch], Run]:
    """Return the batches that are tried, and what the first of them gave: one that has a value, if there is one."""
    first, run = _discovered(rehearsal, to_device(batches[0], device))
    start = 0
    while not np.isfinite(run.value).all() and start + 1 < min(len(batches), N_SEARCHED):
        start += 1
        first, run = _discovered(rehearsal, to_device(batches[start], device))
    others = [batch for k, batch in enumerate(batches) if k != start]
    return [first, *(to_device(batch, device) for batch in others[: N_TRIED - 1])], run


def _discovered(rehearsal: Rehearsal, first: Batch) -> tuple[Batch, Run]:
    """Return the first batch, or as much of it as there is memory for, and what it gave."""
    try:
        return first, rehearsal.discover(first)
    except Failure as failure:
        error = failure.__cause__
        assert error is not None
        if failure.of_memory and first.n > 1 and first.axis is not None:
            return _discovered(rehearsal, take(first, first.n // 2))
        if failure.where == "loss" and str(error).startswith("expected"):
            raise error from error.__cause__
        text = str(failure)
        if failure.where == "model" and rehearsal.objective.kind == "own":
            raise ValueError(
                f"expected a model that takes the keywords of the batch, and labels for its own loss, got {text}; "
                "pass loss_fn=..., which is called with the outputs and batch['labels'], or objective=f(model, batch)"
            ) from error
        if failure.where == "model" and isinstance(first.inputs, Labeled):
            raise ValueError(
                f"expected a model that takes the keywords of the batch, {list(first.inputs)}, got {text}; "
                "pass objective=f(model, batch), which takes the batch as it is"
            ) from error
        if failure.where == "model":
            raise ValueError(
                f"expected a model that takes the loader's inputs, got {text}; "
                "try model(inputs) on one batch of the loader, and check shapes and dtypes"
            ) from error
        if failure.where == "objective":
            raise ValueError(
                f"expected an objective that takes a model and a batch of the loader, got {text}; "
                "try objective(model, batch) on one batch"
            ) from error
        raise ValueError(
            f"expected a loss_fn that takes the model's outputs and the loader's targets, got {text}; "
            "try loss_fn(model(inputs), targets) on one batch of the loader"
        ) from error


def _measures(
    rehearsal: Rehearsal,
    objective: Objective,
    loss: TriedLoss,
    few: Sequence[Batch],
    batches: Sequence[Batch],
    wanted: Sequence[str] | None,
) -> dict[str, Measure]:
    """Return what is measured with a loader, ``{kind: measure}``."""
    n_total = sum(batch.n for batch in batches)
    measures: dict[str, Measure] = {}
    if loss.form is None:
        measures["loss"] = measure_of(objective.loss, loss.combination, n_total)
    else:
        form = objective.forms[loss.form]
        measures["loss"] = sum_of(form.measure, n_total) if form.is_sum else form.measure
    first, outputs = few[0], rehearsal.run(few[0]).outputs
    asked = wanted is not None and "accuracy" in wanted
    fits = classifies(outputs, first.targets)
    if asked and not fits:
        raise ValueError(
            "expected class scores (n, classes) and class indices (n,) to measure accuracy, got other outputs or "
            "targets; pass quantities=['loss']"
        )
    if fits and (asked or (wanted is None and are_scores(rehearsal, objective, outputs, first))):
        ignored = objective.ignored | loss.combination.weight.ignored
        measures["accuracy"] = partial(accuracy, ignored=ignored)
    return {kind: measure for kind, measure in measures.items() if wanted is None or kind in wanted}


def _reduction(objective: Objective, loss: TriedLoss, batches: Sequence[Batch]) -> str:
    """Return what the loss of a set is, in words."""
    kind, weight = loss.combination.kind, loss.combination.weight
    if kind == "batches" and all(batch.axis is None and batch.n == 1 for batch in batches):
        return "mean over batches"
    if loss.form is not None:
        if objective.forms[loss.form].is_sum:
            return REDUCTIONS["sum"]
        if isinstance(objective.module, INDEXED):
            weight = Weight("targets", objective.ignored)
            targets = [batch.targets for batch in batches if not batch.targets.is_floating_point()]
            if any(t.dim() > 1 or not bool(weight.counted(t).all()) for t in targets):
                kind = "targets"
    if kind == "targets":
        others = f" other than {sorted(weight.ignored)}" if weight.ignored else ""
        return f"mean over targets{others}" + (", without the first of each sample" if weight.shift else "")
    return REDUCTIONS[kind]
