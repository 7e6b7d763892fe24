"""The trial: a few samples run through model and loss, so that what does not fit is refused before the first point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch, copied, resized, take, to_device, versions
from lljupyter.problem.model import call, plain_evaluation, private_copy
from lljupyter.problem.quantities import LossFunction, Measure, check_classification, classifies
from lljupyter.process.precision import exact_products
from lljupyter.process.randomness import fixed_randomness


@dataclass(frozen=True)
class Trial:
    """What a few samples of each loader showed.

    Attributes:
        kinds: What can be measured and is wanted, "loss" and "accuracy", by the prefix of the loader.
        draws: Whether the model draws random numbers in evaluation mode.
        per_sample: Whether the loss is known sample by sample, so that batches may be split and joined. It is not if
            the loss of a sample depends on the others of its batch.
        changes_inputs: Whether the model changes its inputs in place.
        warnings: What to tell the person about the results.
    """

    kinds: Mapping[str, tuple[str, ...]]
    draws: bool
    per_sample: bool
    changes_inputs: bool
    warnings: tuple[str, ...] = ()


def run_trial(
    model: nn.Module,
    batches: Mapping[str, Sequence[Batch]],
    loss_fn: LossFunction | None,
    loss: Measure,
    wanted: Sequence[str] | None,
    device: torch.device,
) -> Trial:
    """Run a few samples of each loader through a model and a loss.

    Further checks of the person's model, loss and data are called from here; what they find is part of the ``Trial``.

    Args:
        model: In evaluation mode, on ``device``; not changed, the samples run through a copy.
        batches: The batches of each loader, ``{prefix: batches}``.
        loss_fn: As the caller passed it.
        loss: How it is measured.
        wanted: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate.

    Raises:
        TypeError: If outputs or targets are of another kind.
        ValueError: If something does not fit.
    """
    with plain_evaluation(device):
        model = private_copy(model, device)
    trials = {prefix: _try_loader(model, part, loss_fn, loss, wanted, device) for prefix, part in batches.items()}
    return Trial(
        kinds={prefix: trial.kinds for prefix, trial in trials.items()},
        draws=any(trial.draws for trial in trials.values()),
        per_sample=all(trial.per_sample for trial in trials.values()),
        changes_inputs=any(trial.changes_inputs for trial in trials.values()),
    )


class _LoaderTrial(NamedTuple):
    """What a few samples of one loader showed, see ``Trial``."""

    kinds: tuple[str, ...]
    draws: bool
    per_sample: bool
    changes_inputs: bool


def _try_loader(
    model: nn.Module,
    batches: Sequence[Batch],
    loss_fn: LossFunction | None,
    loss: Measure,
    wanted: Sequence[str] | None,
    device: torch.device,
) -> _LoaderTrial:
    per_sample = True
    losses = []
    with fixed_randomness(), plain_evaluation(device), exact_products():
        seeded = torch.default_generator.get_state()
        for n in (3, 2):  # two sizes: a loss of a fixed length fits one of them only
            batch, outputs, changes_inputs = _first_outputs(model, batches[0], n, device)
            check_classification(loss_fn, outputs, batches)
            totals = _try_loss(loss, outputs, batch)
            per_sample = per_sample and len(totals) == batch.n > 1
            losses.append(totals)
        draws = not torch.equal(seeded, torch.default_generator.get_state())
        if batches[0].n == 1 and len(batches) > 1 and not draws:
            per_sample = _are_alike(model, batches[:3], loss, device)
        else:
            per_sample = per_sample and _agree(losses[0], losses[1], model)
    kinds = ["loss", "accuracy"] if classifies(outputs, batch.targets) else ["loss"]
    if wanted is not None and "accuracy" in wanted and "accuracy" not in kinds:
        raise ValueError(
            "expected class scores (n, classes) and class indices (n,) to measure accuracy, got other outputs or "
            "targets; pass quantities=['loss']"
        )
    kinds = [kind for kind in kinds if wanted is None or kind in wanted]
    return _LoaderTrial(tuple(kinds), draws, per_sample, changes_inputs)


def _are_alike(model: nn.Module, batches: Sequence[Batch], loss: Measure, device: torch.device) -> bool:
    """Return True if samples that come one by one have the same losses in one batch; False if that fails."""
    try:
        (whole,) = resized(batches, sum(batch.n for batch in batches))  # of several shapes, there is no whole
        there = [to_device(batch, device) for batch in (whole, *batches)]
        together, *apart = [loss(call(model, copied(b.inputs)), b.targets, b.n)[0] for b in there]
        return len(together) == whole.n and _agree(together, torch.cat(apart), model)
    except Exception:
        return False


def _agree(first: Tensor, second: Tensor, model: nn.Module) -> bool:
    """Return True if samples have the same losses among others; False with statistics of the batch, for example."""
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    close = math.sqrt(max((torch.finfo(kind).eps for kind in kinds), default=1e-7))
    n = min(len(first), len(second))
    a, b = first[:n].double(), second[:n].double()
    return torch.allclose(a, b, rtol=close, atol=close, equal_nan=True)


def _first_outputs(model: nn.Module, whole: Batch, n: int, device: torch.device) -> tuple[Batch, Any, bool]:
    for batch in (take(whole, min(n, whole.n)), whole):  # a model may insist on the full batch size
        try:
            batch = to_device(batch, device)
            batch = batch._replace(inputs=copied(batch.inputs))
            before = versions(batch.inputs)
            outputs = call(model, batch.inputs)
            return batch, outputs, versions(batch.inputs) != before
        except Exception as error:
            failure = error
    raise ValueError(
        f"expected a model that takes the loader's inputs, got {type(failure).__name__}: {failure}; "
        "try model(inputs) on one batch of the loader, and check shapes and dtypes"
    ) from failure


def _try_loss(loss: Measure, outputs: Any, batch: Batch) -> Tensor:
    try:
        return loss(outputs, batch.targets, batch.n)[0]
    except Exception as error:
        if str(error).startswith("expected a loss"):
            raise
        raise ValueError(
            f"expected a loss_fn that takes the model's outputs and the loader's targets, got "
            f"{type(error).__name__}: {error}; try loss_fn(model(inputs), targets) on one batch of the loader"
        ) from error
