"""How the loss of a loader is measured: tried on a whole batch, its parts, two batches joined, and at a moved point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lljupyter.problem.batches import Batch, together
from lljupyter.problem.nested import size_along
from lljupyter.problem.objective import check_length
from lljupyter.problem.trial.combination import (
    SAMPLES,
    Array,
    Close,
    Combination,
    Observation,
    Weight,
    combination_of,
    counts_for_nothing,
    cut,
    distinct_targets,
    proportional,
    spread,
    unevenly_masked,
)
from lljupyter.problem.trial.rehearsal import Rehearsal, Run
from lljupyter.process.memory import out_of_memory

# By what share of their spread parameters are moved; less if that fails.
SHARES = (0.1, 0.01, 0.001)
# So many samples of each of two batches are joined.
N_JOINED = 3
# A loss module that is not torch's is also tried with the targets of so many other batches.
N_OTHER_TARGETS = 200
LANGUAGE_MODELS_IGNORE = -100


class TriedLoss(NamedTuple):
    """How the loss of a loader is measured.

    Attributes:
        combination: How batches are combined.
        form: Which of the objective's forms stands for the loss; None for the loss as the person wrote it.
        axis: The axis of the samples; None if they can't be told apart.
    """

    combination: Combination
    form: int | None
    axis: int | None


class Tried(NamedTuple):
    """What some samples gave together, and in parts."""

    parts: Sequence[Batch]
    whole: Run
    values: Sequence[Run]

    def observed(self, of: Callable[[Run], Array]) -> Observation:
        """Return one thing that they gave."""
        return Observation(self.parts, of(self.whole), [of(run) for run in self.values])


def along(axis: int | None, batches: Sequence[Batch]) -> list[Batch]:
    """Return batches whose samples lie along an axis; none if one has no such axis."""
    if axis is None:
        return [batch if batch.axis is None else batch._replace(axis=None) for batch in batches]
    sizes = [size_along((batch.inputs, batch.targets), axis) for batch in batches]
    if not all(sizes):
        return []
    # The same batch where nothing changes, as what it gave is known.
    pairs = zip(batches, sizes, strict=True)
    return [b if (b.axis, b.n) == (axis, n) else b._replace(axis=axis, n=n) for b, n in pairs]


def try_loss(rehearsal: Rehearsal, batches: Sequence[Batch], n_all: Sequence[Batch], close: Close) -> TriedLoss:
    """Return how the loss of a loader is measured.

    Args:
        rehearsal: At the center.
        batches: The first few batches, on the device.
        n_all: All batches.
        close: Compares two values.

    Raises:
        ValueError: If the loss returns several values, and not one per sample.
    """
    alone = _try_outputs(rehearsal, batches, n_all, close) if rehearsal.conditions.draws else None
    if alone is not None:
        return alone
    found: list[TriedLoss] = []
    for axis in (0, 1):
        labeled = along(axis, batches)
        if not labeled or not along(axis, n_all):
            continue
        tried = _try_along(rehearsal, labeled, along(axis, n_all), close)
        if tried is not None:
            found.append(tried)
            if tried.combination.divisible:
                return tried
    if not found or found[0].combination.kind == "batches":
        alone = _try_outputs(rehearsal, batches, n_all, close)
    if alone is not None:
        return alone
    if found:
        return found[0]
    run = rehearsal.run(batches[0])
    if run.shape == "values":
        check_length(Tensor(run.value), batches[0].n)
    return TriedLoss(combination_of(run.shape, [], [], close), None, None)


def _try_outputs(
    rehearsal: Rehearsal, batches: Sequence[Batch], every: Sequence[Batch], close: Close
) -> TriedLoss | None:
    """Return how the loss is measured if batches can't be cut, but outputs and targets can; None if that is not known.

    The inputs may be a graph, or the outputs of a sample depend on the others or on random numbers. The outputs are
    tried as if they were the inputs: the loss by itself may be a mean or a sum all the same.
    """
    if rehearsal.objective.kind != "loss":
        return None
    outputs = [batch._replace(inputs=rehearsal.once(batch).outputs) for batch in batches]
    targets = [batch._replace(inputs=None) for batch in every]
    for axis in (0, 1):
        few, all_ = along(axis, outputs), along(axis, targets)
        if not few or not all_:
            continue
        known = bool(along(axis, every))
        if not known and [b.n for b in (*few, *all_)] != [b.n for b in (*batches, *every)]:
            continue
        loss = rehearsal.of_outputs()
        loss.discover(few[0])
        tried = _try_along(loss, few, all_, close)
        if tried is not None and tried.combination.kind != "batches":
            return TriedLoss(tried.combination._replace(divisible=False), tried.form, axis if known else None)
    return None


def _try_along(
    rehearsal: Rehearsal, batches: Sequence[Batch], every: Sequence[Batch], close: Close
) -> TriedLoss | None:
    """Return how the loss is measured if samples lie along an axis; None if it can't be that one."""
    first, draws = batches[0], rehearsal.conditions.draws
    run = rehearsal.run(first)
    few = spread(first)
    tried, complete = _gathered(rehearsal, batches, few, whole=not draws)
    n_here = len(tried)
    if (there := _move(rehearsal, few)) is not None:
        elsewhere, complete_there = _gathered(rehearsal, batches, few, known=there)
        tried, complete = tried + elsewhere, complete and complete_there
    rehearsal.move(0)
    runs = [run, *(r for t in tried for r in (t.whole, *t.values))]
    form = _form_of(rehearsal, runs, first, every, close)
    if form is None and run.shape == "values" and run.value.shape != (first.n,):
        return None
    if form is not None or run.shape != "scalar":
        shape = "values" if form is not None else run.shape
        observed = [t.observed(partial(_totals_and_weights, form=form)) for t in tried]
        complete = complete and not draws
        return TriedLoss(combination_of(shape, observed if complete else [], [], close), form, first.axis)
    observed = [t.observed(lambda r: r.value) for t in tried]
    if first.n == 1 and len(batches) > 1:
        with suppress(ValueError, RuntimeError):  # of several shapes
            few = together(batches[:N_JOINED])
    weights, ignored = _weights(rehearsal, few, every, close)
    if ignored and tried and few.n > 1:
        uneven = unevenly_masked(few, ignored[0])
        try:
            parts = cut(uneven)
            values = [rehearsal.run(part).value for part in parts]
            observed.insert(n_here, Observation(parts, rehearsal.run(uneven).value, values))
        except Exception:  # a loss that can't do with so few targets
            complete = False
    combination = combination_of("scalar", observed, weights, close)
    divisible = combination.divisible and complete and not draws
    return TriedLoss(combination._replace(divisible=divisible), None, first.axis)


def _totals_and_weights(run: Run, form: int | None) -> Array:
    found = run.value if form is None else run.forms[form]
    assert found is not None  # a form that stands for the loss applied to every run
    return found


def _gathered(
    rehearsal: Rehearsal, batches: Sequence[Batch], few: Batch, known: Run | None = None, whole: bool = False
) -> tuple[list[Tried], bool]:
    """Return the values of samples together and in parts at the current point, and whether all were computed.

    Args:
        rehearsal: Runs them.
        batches: Those of a loader.
        few: Some samples of the first batch.
        known: What these gave where the model is; None if they were not run there.
        whole: Whether the first batch as a whole is cut as well.
    """
    first, tried, complete = batches[0], [], True
    divided: list[tuple[Batch, Sequence[Batch]]] = []
    if first.n > 1:
        divided += [(few, cut(few))]
        divided += [(first, cut(first))] if whole and few is not first else []
    others = [spread(batch, N_JOINED) for batch in batches[: N_JOINED if first.n == 1 else 2]]
    if len(others) > 1:
        with suppress(ValueError, RuntimeError):  # of several shapes: they are never joined
            divided.append((together(others), others))
    for samples, parts in divided:
        try:
            run = known if known is not None and samples is few else rehearsal.run(samples)
            tried.append(Tried(parts, run, [rehearsal.run(part) for part in parts]))
        except Exception as error:  # a model may insist on a size; too little memory for some says nothing of it
            complete = complete and out_of_memory(error)
    return tried, complete and bool(tried)


def _move(rehearsal: Rehearsal, few: Batch) -> Run | None:
    """Move to where a few samples can be evaluated, and return what they give; None if there is no such place."""
    for share in SHARES:
        rehearsal.move(share)
        try:
            return rehearsal.run(few)
        except Exception:  # a scale that became negative
            continue
    return None


def _form_of(
    rehearsal: Rehearsal, runs: Sequence[Run], first: Batch, every: Sequence[Batch], close: Close
) -> int | None:
    """Return which form has the value of the loss in all runs, and with the targets of other batches."""
    objective = rehearsal.objective
    if objective.foreign:  # its mean may be over what the first batches do not tell apart
        runs = [*runs, *_with_other_targets(rehearsal, runs[0], first, every)]
    for k in range(len(objective.forms)):
        values = [run.form_values[k] for run in runs]
        if all(value is not None for value in values) and not objective.reduces:
            return k
        if all(v is not None and close(v, run.value) for v, run in zip(values, runs, strict=True)):
            return k
    return None


def _with_other_targets(rehearsal: Rehearsal, run: Run, first: Batch, every: Sequence[Batch]) -> list[Run]:
    """Return what the loss makes of the first outputs with the targets of other batches; of some shapes only."""
    outputs, runs = run.outputs, []
    if not isinstance(outputs, Tensor) or not isinstance(first.targets, Tensor) or first.axis != 0:
        return []
    for batch in every[: N_OTHER_TARGETS + 1]:
        targets = batch.targets
        if isinstance(targets, Tensor) and targets.shape[1:] == first.targets.shape[1:]:
            for part in torch.split(targets.to(first.targets.device), first.n):
                there = batch._replace(inputs=None, targets=part, n=len(part))
                runs.append(rehearsal.loss_of(outputs[: len(part)], there))
    return runs


def _commonest(targets: Sequence[Tensor], known: Sequence[int]) -> list[int]:
    """Return the two commonest targets that may be classes, or any two if there are none."""
    whole = torch.cat([t.detach().reshape(-1).long().cpu() for t in targets]) if known else torch.empty(0)
    values, counts = torch.unique(whole, return_counts=True)
    common: list[int] = values[counts.argsort(descending=True)].tolist()
    return [value for value in common if value >= 0 and value != 255][:2] or common[:2]


def _weights(rehearsal: Rehearsal, few: Batch, every: Sequence[Batch], close: Close) -> tuple[list[Weight], list[int]]:
    """Return what a mean may be over, the likeliest first, and the targets that count for nothing."""
    targets = [batch.targets for batch in every]
    if not all(isinstance(t, Tensor) and t.dim() for t in targets):
        return [SAMPLES], []
    known = distinct_targets(targets)
    own = rehearsal.objective.kind == "own"
    if own and known and LANGUAGE_MODELS_IGNORE not in known:
        known = [LANGUAGE_MODELS_IGNORE, *known]

    def value(batch: Batch) -> Array:
        return rehearsal.run(batch).value

    commonest = _commonest(targets, known)
    ignored = [
        t
        for t in known
        if few.n > 1 and any(counts_for_nothing(value, few, t, other, close) for other in commonest if other != t)
    ]
    shifts = (0, 1) if own and targets[0].dim() > 1 else (0,)
    weights = [Weight("targets", frozenset(ignored), shift) for shift in shifts]
    return ([SAMPLES, *weights] if proportional([*weights, SAMPLES], every) else [*weights, SAMPLES]), ignored
