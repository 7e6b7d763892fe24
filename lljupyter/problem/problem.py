"""The problem: a trained model, the data, and what is measured on them, as one frozen record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lljupyter.geometry.parameters import fingerprint, states_of, unwrapped
from lljupyter.geometry.select import Selection, selected
from lljupyter.geometry.shared_memory import WAY_OUT
from lljupyter.problem.batches import Batch, Labeled, n_bytes, of_several_sizes, pinned, take, to_device
from lljupyter.problem.batchnorm import BatchNorm, check_batchnorm, running_norms
from lljupyter.problem.isolation.copying import aliases_of, copied_together
from lljupyter.problem.loaders import Loader, Read, read_loaders
from lljupyter.problem.model import available_device, device_of, plain_evaluation
from lljupyter.problem.nested import copied
from lljupyter.problem.objective import About, LossFunction, Objective, called, check_objective, objective_for
from lljupyter.problem.quantities import check_quantities, is_plain
from lljupyter.problem.trial.cutting import trial_of
from lljupyter.problem.trial.trial import Trial, run_trial
from lljupyter.problem.working_copy import Conditions, Measure, WorkingCopy
from lljupyter.process.memory import data_budget


@dataclass(frozen=True, eq=False)
class Problem:
    """A private copy of a model, the data, and what is measured; nothing writes into it.

    Strategies and Hessians read from it and compute with copies of their own, see ``working_copy``.

    Attributes:
        model: The private copy, in evaluation mode, at the center; it is never called.
        states: Its parameters and floating-point buffers, ``{name: tensor}``; they share memory with ``model``.
        parameters: The names of the parameters that can move: all of them, or those that were chosen.
        batches: The batches of each loader, ``{prefix: batches}``. A prefix is what the names of a loader's quantities
            begin with: "train_", or "" for a loader without a name.
        objective: How a batch is measured; it uses ``model`` if the person's loss uses the model.
        measures: How each kind of quantity is measured, ``{prefix: {"loss": measure, "accuracy": measure}}``.
        reductions: What the loss of each loader is the mean of, in words, ``{prefix: words}``.
        device: Where to evaluate.
        resident: Whether the batches are on the device. If not, they are brought there once per chunk of points.
        batchnorm: How the running statistics of BatchNorm are treated away from the center.
        conditions: What it takes for a batch to have the same value whenever it is measured.
        loss_uses_model: Whether the loss reads the model beside its outputs.
        aliases: The names of tensors that lie in the memory of a parameter without being one: they move with it, but
            derivatives by it are not known, see ``check_derivatives``.
        per_sample: Whether the loss is known sample by sample, so that batches may be split and joined.
        classifies_plainly: Whether the loss is cross-entropy on class indices, without weights, smoothing or
            ignored targets.
        outputs_precision: The type of the model's outputs if it is of half precision, such as "bfloat16"; or "".
        warnings: What to tell the person about the results.
        title: The name of the model's class.
        loss_name: The name of the loss.
        fingerprint: A hash of all parameters and buffers.
    """

    model: nn.Module
    states: Mapping[str, Tensor]
    parameters: tuple[str, ...]
    batches: Mapping[str, tuple[Batch, ...]]
    objective: Objective
    measures: Mapping[str, Mapping[str, Measure]]
    reductions: Mapping[str, str]
    device: torch.device
    resident: bool
    batchnorm: BatchNorm
    conditions: Conditions
    loss_uses_model: bool
    aliases: tuple[str, ...]
    per_sample: bool
    classifies_plainly: bool
    outputs_precision: str
    warnings: tuple[str, ...]
    title: str
    loss_name: str
    fingerprint: str

    @property
    def center(self) -> dict[str, Tensor]:
        """The parameters at the center, ``{name: tensor}``."""
        return {name: self.states[name] for name in self.parameters}

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """What is measured with each loader, ``{prefix: kinds}``."""
        return {prefix: tuple(kinds) for prefix, kinds in self.measures.items()}

    @property
    def draws(self) -> bool:
        """Whether model or loss draw random numbers although they are in evaluation mode."""
        return self.conditions.draws

    @property
    def obstacle(self) -> str:
        """Why only the plain loop can evaluate it, or ""."""
        conditions = self.conditions
        reasons = {
            "the model draws random numbers": conditions.draws,
            "the model keeps something between calls": bool(conditions.keeps),
            "the model changes its inputs in place": conditions.changes_inputs,
            "the loss uses the model": self.loss_uses_model,
            "its parameters share memory with other tensors": bool(self.aliases),
            "the loss is computed with the model, not from its outputs": self.objective.kind != "loss",
            "its running statistics are recomputed at every point": self.recalibrates,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    @property
    def quantities(self) -> list[str]:
        """The names of what is measured, such as "loss", or "train_loss" for a loader with a name."""
        return [prefix + kind for prefix, kinds in self.kinds.items() for kind in kinds]

    @property
    def names(self) -> list[str]:
        """The names of the values of a point: every quantity, followed by its standard error."""
        return [name for quantity in self.quantities for name in (quantity, f"{quantity}_stderr")]

    @property
    def all_batches(self) -> list[Batch]:
        """The batches of all loaders."""
        return [batch for batches in self.batches.values() for batch in batches]

    @property
    def first_batches(self) -> tuple[Batch, ...]:
        """The batches of the first loader."""
        return next(iter(self.batches.values()))

    @property
    def n_samples(self) -> int:
        """The number of samples of all loaders."""
        return sum(batch.n for batch in self.all_batches)

    @property
    def recalibrates(self) -> bool:
        """Whether the running statistics of BatchNorm are recomputed at every point."""
        return self.batchnorm == "recalibrate" and bool(running_norms(self.model))

    def dtype(self) -> torch.dtype:
        """Return the floating-point type that all states share.

        Raises:
            ValueError: If they are of several types, or complex.
        """
        dtypes = {tensor.dtype for tensor in self.states.values()}
        if len(dtypes) > 1 or not next(iter(dtypes)).is_floating_point:
            raise ValueError(f"its parameters are of the types {sorted(map(str, dtypes))}")
        return dtypes.pop()

    def example(self) -> Any:
        """Return a copy of the inputs of one or two samples, on the device."""
        batch = self.first_batches[0]
        few = batch if batch.axis is None else take(batch, min(batch.n, 2))
        return copied(to_device(few, self.device).inputs)

    def check_derivatives(self) -> None:
        """Check that derivatives by the parameters are those of everything that moves with them.

        Raises:
            ValueError: If some tensor lies in the memory of a parameter.
        """
        if self.aliases:
            raise ValueError(
                f"expected parameters with memory of their own to differentiate by, got {self.aliases[0]!r} in the "
                f"memory of another; {WAY_OUT}"
            )

    def working_copy(self) -> WorkingCopy:
        """Return a copy of the model to compute with; its states are moved in place."""
        with plain_evaluation(self.device):
            bound = self.objective.forward, self.measures
            model, (forward, measures) = copied_together(self.model, bound, self.device)
        return WorkingCopy(model, forward, measures, self.conditions, self.states, called(self.objective))


def build_problem(
    model: nn.Module,
    loader: Loader | None,
    *,
    loss_fn: LossFunction | None = None,
    quantities: Sequence[str] | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    batchnorm: BatchNorm = "eval",
    parameters: Selection | None = None,
    objective: Callable[..., Any] | None = None,
    draws: int = 1,
) -> Problem:
    """Read a model and its data once, try a few samples, and return what was found as a frozen record.

    The model that is passed in is never touched: not its parameters, buffers, mode or gradients.

    Args:
        model: A trained module, all on one device.
        loader: See ``read_batches``; or a dict of several by name, such as ``{"train": ..., "test": ...}``, which
            gives the quantities names such as "train_loss"; or None for an objective without data.
        loss_fn: See ``objective_for``.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate; None for the model's device.
        max_samples: Use only the first samples of each loader; None for all.
        batchnorm: "recalibrate" recomputes the running statistics on the first loader at every point.
        parameters: What can move, see ``selected``; None for all parameters.
        objective: ``objective(model, batch)``, the whole of what is measured, or ``objective(model)`` without data.
        draws: How often a batch is measured with other random numbers, if model or loss draw some.

    Raises:
        TypeError: If model, loader or loss_fn is of another kind.
        ValueError: If something does not fit together; only the outputs of a few samples were computed by then.
    """
    check_batchnorm(batchnorm)
    check_quantities(quantities)
    model = unwrapped(model)
    names = selected(model, parameters)
    home = device_of(model)
    there = home if device is None else available_device(device)
    check_objective(loss_fn, objective, draws, loader is not None)
    read = {"": Read([Batch(None, None, 1, None)])}
    if loader is not None:
        read = read_loaders(loader, there, max_samples, objective is not None)
    with plain_evaluation(there):
        private, (bound_loss, bound_whole) = copied_together(model, (loss_fn, objective), there)
    uses_model = bound_loss is not loss_fn
    if isinstance(bound_loss, nn.Module):
        bound_loss = (bound_loss if uses_model else copy.deepcopy(bound_loss)).to(there).eval()
    every = [batch for part in read.values() for batch in part.batches]
    about = About(isinstance(every[0].inputs, Labeled), of_several_sizes(every), loader is not None)
    ours = objective_for(bound_loss, bound_whole, about)
    theirs = ours if not uses_model and bound_whole is objective else objective_for(loss_fn, objective, about)
    resident = n_bytes(every, there) <= data_budget(there)
    place = partial(to_device, device=there) if resident else pinned
    states = states_of(private)
    center = {name: states[name] for name in names}

    def run(batches: Mapping[str, Sequence[Batch]]) -> Trial:
        placed = {prefix: [place(batch) for batch in part] for prefix, part in batches.items()}
        return run_trial(model, theirs, private, ours, center, placed, quantities, there)

    trial = trial_of(read, max_samples, run)
    return Problem(
        model=private,
        states=states,
        parameters=names,
        batches=trial.batches,
        objective=ours,
        measures=trial.measures,
        reductions=trial.reductions,
        device=there,
        resident=resident,
        batchnorm=batchnorm,
        conditions=trial.conditions._replace(n_draws=draws if trial.conditions.draws else 1),
        loss_uses_model=uses_model,
        aliases=tuple(aliases_of(private, ours.forward, ours.loss)),
        per_sample=trial.per_sample,
        classifies_plainly=ours.kind == "loss" and is_plain(loss_fn, trial.every),
        outputs_precision=trial.outputs_precision,
        warnings=trial.warnings,
        title=type(model).__name__,
        loss_name=theirs.name,
        fingerprint=fingerprint(model),
    )
