"""A copy of the model to compute with, and how a batch is measured on it so that every point sees the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from lljupyter.problem.batches import Batch
from lljupyter.problem.isolation.reachable import generators_of
from lljupyter.problem.isolation.state import State, state_of
from lljupyter.problem.messages import Where, calling
from lljupyter.problem.model import tensors_by_name
from lljupyter.problem.nested import copied, mapped
from lljupyter.process.private_draws import PrivateDraws
from lljupyter.process.randomness import batch_seed, fixed_randomness

Forward = Callable[[nn.Module, Batch], Any]
# A measure maps (outputs, targets, n samples) to (totals, weights), both of shape (k,): k = n, or k = 1 for a batch
# whose samples can't be told apart. The quantity is sum(totals) / sum(weights).
Measure = Callable[[Any, Any, int], tuple[Tensor, Tensor]]
Measures = Mapping[str, Mapping[str, Measure]]  # {prefix of the loader: {kind: measure}}
Gradients = Literal["none", "inputs", "parameters"]


class Conditions(NamedTuple):
    """What it takes for a batch to have the same value whenever it is measured.

    Attributes:
        draws: Whether model or loss draw random numbers. They then draw the same ones at every point, others for every
            batch, and all generators are put back after each batch.
        private: Whether they draw from torch's shared generator of the CPU alone, for which a private one can stand in:
            no generator that other threads use is touched then.
        n_draws: How often each batch is measured with other random numbers.
        keeps: The names of what model or loss keep between calls; it is put back before each batch.
        changes_inputs: Whether the model changes its inputs in place; it gets copies then.
        gradients: What the objective differentiates by inside.
    """

    draws: bool = False
    private: bool = False
    n_draws: int = 1
    keeps: frozenset[str] = frozenset()
    changes_inputs: bool = False
    gradients: Gradients = "none"


class WorkingCopy:
    """A model to compute with, and what is measured on it.

    Args:
        model: In evaluation mode; changed by whoever moves its parameters.
        forward: Maps the model and a batch to outputs.
        measures: What is measured with each loader.
        conditions: See ``Conditions``.
        names: Of parameters and buffers that are to be moved.
        where: What ``forward`` calls.

    Attributes:
        model: As given.
        measures: As given.
        states: What is to be moved, ``{name: tensor}``; the tensors share memory with the model.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        measures: Measures,
        conditions: Conditions,
        names: Iterable[str] = (),
        where: Where = "model",
    ) -> None:
        self.model, self.measures, self._forward, self._conditions = model, measures, forward, conditions
        self._where: Where = where
        self.states = tensors_by_name(model, names)
        self._roots = (model, forward, *(measure for kinds in measures.values() for measure in kinds.values()))
        self._generators = generators_of(*self._roots) if conditions.draws else []
        self._state = state_of(*self._roots) if conditions.keeps else None
        self._whole = self._state  # where nothing is kept, it is found before the first call
        self._is_narrow = False
        for parameter in model.parameters():
            parameter.requires_grad_(conditions.gradients == "parameters" and parameter.is_floating_point())

    def outputs(self, batch: Batch) -> Any:
        """Return a copy of the outputs of the model for a batch; raise a ``Failure`` if it raises."""
        with self.evaluation(batch) as there:
            return copied(self._called(there))  # what the model keeps is put back, and may be its output

    def measure(self, prefix: str, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Measure a batch of a loader: ``{kind: (totals, weights)}``, without gradients.

        Raises:
            Failure: If model or loss raise; call ``put_back`` then.
        """
        draws = [self._measured(prefix, batch, draw) for draw in range(self._conditions.n_draws)]
        if len(draws) == 1:
            return draws[0]
        stacked = {kind: zip(*(draw[kind] for draw in draws), strict=True) for kind in draws[0]}
        return {kind: _means(pairs) for kind, pairs in stacked.items()}

    def loss(self, prefix: str, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return totals and weights of the loss of a batch, with gradients if these are enabled.

        Raises:
            Failure: If model or loss raise; call ``put_back`` then.
        """
        with self.evaluation(batch) as there:
            outputs = self._called(there)
            with calling("loss", (outputs, there.targets)):
                return self.measures[prefix]["loss"](outputs, there.targets, there.n)

    def put_back(self) -> None:
        """Set all but the parameters to what it was at first, after model or loss have raised in the middle."""
        if self._whole is not None:
            self._whole.changed().put_back()

    def _called(self, batch: Batch) -> Any:
        if self._whole is None:
            self._whole = state_of(*self._roots)
        with calling(self._where, batch.inputs):
            return self._forward(self.model, batch)

    def _measured(self, prefix: str, batch: Batch, draw: int) -> dict[str, tuple[Tensor, Tensor]]:
        with self.evaluation(batch, draw) as there:
            outputs = self._called(there)
            with calling("loss", (outputs, there.targets)):
                measures = self.measures[prefix].items()
                pairs = {kind: measure(outputs, there.targets, there.n) for kind, measure in measures}
        return {kind: (totals.detach(), weights.detach()) for kind, (totals, weights) in pairs.items()}

    @contextmanager
    def evaluation(self, batch: Batch, draw: int = 0) -> Iterator[Batch]:
        """Lend a batch as the model is to be called with it, with random numbers and state fixed meanwhile."""
        conditions = self._conditions
        if conditions.changes_inputs:
            batch = batch._replace(inputs=copied(batch.inputs))
        with ExitStack() as stack:
            if self._state is not None:
                # As it is now: checkpoints bring buffers of their own.
                stack.push(partial(self._put_back, self._state.renewed()))
            if conditions.draws:
                seed = batch.seed if draw == 0 else batch_seed(batch.seed, draw)
                private = conditions.private
                stack.enter_context(PrivateDraws(seed) if private else fixed_randomness(self._generators, seed))
            if conditions.gradients != "none":
                stack.enter_context(torch.enable_grad())
                batch = batch._replace(inputs=mapped(batch.inputs, lambda t: t.detach()))  # it may require gradients
            yield batch

    def _put_back(self, state: State, kind: type[BaseException] | None, *_: Any) -> None:
        changed = state.changed()
        changed.put_back()
        # Every call starts from the same state, so that the same changes, unless it ends in the middle.
        if not self._is_narrow and kind is None and changed.names():
            self._state, self._is_narrow = changed, True


def _means(pairs: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
    totals, weights = (torch.stack([t.double() for t in column]).mean(0) for column in pairs)
    return totals, weights
