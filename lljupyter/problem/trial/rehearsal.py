"""Runs a few samples through a copy of the model and the loss, and keeps what they gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch, versions
from lljupyter.problem.isolation.reachable import generators_of
from lljupyter.problem.isolation.state import State, state_of
from lljupyter.problem.messages import Failure, calling
from lljupyter.problem.nested import copied
from lljupyter.problem.objective import Objective, called, read
from lljupyter.problem.trial.combination import Array, Shape
from lljupyter.problem.working_copy import Conditions, WorkingCopy
from lljupyter.process.private_draws import is_private
from lljupyter.process.randomness import batch_seed, watched_randomness

# A model that draws random numbers is tried with so many seeds: their mean is known to a quarter of their spread.
N_SEEDS = 16
# What torch says when something is differentiated without gradients.
NO_GRADIENT = ("does not require grad", "does not have a grad_fn", "One of the differentiated Tensors")


class Run(NamedTuple):
    """What a batch gave.

    Attributes:
        shape: That of what the loss returned, see ``read``.
        value: The same as an array.
        forms: Totals and weights of every form that may stand for the loss, shape (2, n); None if it does not apply.
        form_values: The value that the loss has if a form stands for it, shape (1,).
        outputs: The outputs of the model.
        dtype: In which the loss was computed; may be coarser than the parameters.
    """

    shape: Shape
    value: Array
    forms: list[Array | None]
    form_values: list[Array | None]
    outputs: Any
    dtype: torch.dtype


class Rehearsal:
    """A copy of the model on which batches are tried.

    Args:
        model: In evaluation mode, on the device of the batches; moved by ``move`` only.
        objective: Bound to ``model``.
        center: What moves, ``{name: tensor}``, at the center.

    Attributes:
        conditions: What was found to be needed so far.
        state: What model and loss keep between calls, as it was at first.
    """

    def __init__(self, model: nn.Module, objective: Objective, center: dict[str, Tensor]) -> None:
        self.model, self.objective, self._center = model, objective, center
        self.conditions = Conditions()
        self.roots = (model, objective.forward, objective.loss)
        self.state: State = state_of(*self.roots)
        self._generators = generators_of(*self.roots)
        self._copy = self._working_copy(self.conditions)
        self._known: dict[int, tuple[Batch, Run]] = {}  # at the center
        self._is_away = False

    def of_outputs(self) -> Rehearsal:
        """Return a rehearsal of the loss alone: the inputs of its batches are outputs of the model."""
        objective = self.objective._replace(forward=_inputs_themselves)
        return Rehearsal(self.model, objective, self._center)

    def discover(self, batch: Batch) -> Run:
        """Run a batch for the first time, and find the conditions under which it has the same value again.

        Raises:
            ValueError: If model or loss fail.
        """
        for gradients in ("none", "inputs", "parameters"):
            self._use(self.conditions._replace(gradients=gradients))
            there = batch._replace(inputs=copied(batch.inputs))
            before = versions(there.inputs)
            try:
                with watched_randomness(self._generators, batch.seed) as drawn, self._copy.evaluation(there) as given:
                    run = self._run(given)
                    draws = bool(drawn())
            except Failure as failure:
                self.state.changed().put_back()
                if gradients != "parameters" and any(words in str(failure.__cause__) for words in NO_GRADIENT):
                    continue
                raise
            break
        keeps = self.conditions.keeps | set(self.state.changed().names())
        changes = self.conditions.changes_inputs or versions(there.inputs) != before
        self.state.changed().put_back()
        found = self.conditions._replace(
            draws=self.conditions.draws or draws, keeps=frozenset(keeps), changes_inputs=changes
        )
        if found != self.conditions:
            self._use(found)
            self._known.clear()
        if not (draws or keeps):
            self._known[id(batch)] = batch, run
        return run

    def once(self, batch: Batch) -> Run:
        """Run a batch at the current place."""
        with self._copy.evaluation(batch) as there:
            return self._run(there)

    def run(self, batch: Batch) -> Run:
        """Run a batch at the current place; a model that draws random numbers several times, with other ones."""
        if id(batch) in self._known and not self._is_away:
            return self._known[id(batch)][1]
        if not self.conditions.draws:
            return self.once(batch)
        runs = self._with_other_seeds(batch)
        columns = zip(*(run.form_values for run in runs), strict=True)
        form_values = [None if any(v is None for v in column) else np.mean(column, axis=0) for column in columns]
        return runs[0]._replace(value=np.mean([run.value for run in runs], axis=0), form_values=form_values)

    def loss_of(self, outputs: Any, batch: Batch) -> Run:
        """Return what the loss makes of some outputs and the targets of a batch."""
        with self._copy.evaluation(batch):
            return self._measured(outputs, batch)

    def affected_by(self, batch: Batch) -> str:
        """Return the names of what is kept between calls, if that changes the value of a batch; "" if not."""
        keeps = self.conditions.keeps | set(self.state.changed().names())
        if keeps != self.conditions.keeps:
            self._use(self.conditions._replace(keeps=frozenset(keeps)))
        if not keeps:
            return ""
        self.state.changed().put_back()
        loose = self.conditions._replace(keeps=frozenset())
        copy = self._working_copy(loose)
        values = []
        for _ in range(2):
            with copy.evaluation(batch) as there:
                values.append(self._run(there).value)
        self.state.changed().put_back()
        return "" if np.array_equal(values[0], values[1], equal_nan=True) else ", ".join(sorted(keeps)[:5])

    def draw_privately(self, batches: Sequence[Batch]) -> None:
        """Draw from a private generator from now on, if batches have the same values then and no other is touched."""
        if not self.conditions.draws:
            return
        copy = self._working_copy(self.conditions._replace(private=True))
        try:
            for batch in batches:
                wanted = self.once(batch).value
                with is_private(self._generators, batch.seed) as untouched, copy.evaluation(batch) as there:
                    value = self._run(there).value
                    if not (untouched() and np.array_equal(value, wanted, equal_nan=True)):
                        return
        except Exception:  # such as an operation of a GPU, which takes no generator of the CPU
            return
        finally:
            self.state.changed().put_back()
        self._use(self.conditions._replace(private=True))

    def noise(self, batch: Batch) -> float:
        """Return the standard error of ``run`` with other random numbers; 0 if there are none."""
        if not self.conditions.draws:
            return 0.0
        values = [float(run.value.mean()) for run in self._with_other_seeds(batch)]
        return float(np.std(values, ddof=1)) / math.sqrt(N_SEEDS)

    def _with_other_seeds(self, batch: Batch) -> list[Run]:
        return [self.once(batch._replace(seed=batch_seed(batch.seed, k))) for k in range(N_SEEDS)]

    def move(self, share: float) -> None:
        """Move all parameters by this share of their spread, in a direction that is always the same; 0 for back."""
        self._is_away = share != 0
        generator = torch.Generator("cpu").manual_seed(1)
        tensors = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        for name, theta in self._center.items():
            if not share:
                tensors[name].detach().copy_(theta)
                continue
            noise = torch.randn(theta.shape, generator=generator, dtype=torch.float32, device="cpu").to(theta)
            spread = theta.abs().double().square().mean().sqrt() if theta.numel() else 0.0
            tensors[name].detach().copy_(theta + noise * float(spread or 1.0) * share)

    def _use(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self._copy = self._working_copy(conditions)

    def _working_copy(self, conditions: Conditions) -> WorkingCopy:
        loss = self.objective.loss

        def measure(outputs: Any, targets: Any, n: int) -> tuple[Tensor, Tensor]:
            values = read(loss(outputs, targets)).values
            return values, torch.ones_like(values)

        return WorkingCopy(self.model, self.objective.forward, {"": {"loss": measure}}, conditions)

    def _run(self, batch: Batch) -> Run:
        with calling(called(self.objective), batch.inputs):
            outputs = self.objective.forward(self.model, batch)
        return self._measured(outputs, batch)

    def _measured(self, outputs: Any, batch: Batch) -> Run:
        with calling("loss", (outputs, batch.targets)):
            shape, value = read(self.objective.loss(outputs, batch.targets))
        forms: list[Array | None] = []
        form_values: list[Array | None] = []
        for form in self.objective.forms:
            try:
                totals, weights = (t.detach().double().cpu() for t in form.measure(outputs, batch.targets, batch.n))
            except Exception:  # it does not apply
                forms.append(None)
                form_values.append(None)
                continue
            forms.append(torch.stack([totals, weights]).numpy())
            form_values.append((totals.sum() if form.is_sum else totals.sum() / weights.sum()).reshape(1).numpy())
        return Run(shape, value.detach().double().cpu().numpy(), forms, form_values, outputs, value.dtype)


def _inputs_themselves(model: nn.Module, batch: Batch) -> Any:
    return batch.inputs
