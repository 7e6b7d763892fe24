"""The loop anyone would write: the model as it is, point after point, batch after batch.

This is the definition of every value. All other strategies are held to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.failures import Failures, naming
from lljupyter.evaluate.strategy import BatchesByLoader, Moving, Tick, Values
from lljupyter.geometry.parameters import Parameters
from lljupyter.problem.averages import Measured, means_of
from lljupyter.problem.batches import Batch, brought, split, to_device
from lljupyter.problem.batchnorm import recalibrate, running_norms
from lljupyter.problem.messages import Failure
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.problem import Problem
from lljupyter.process.memory import keep_freed_memory
from lljupyter.process.precision import exact_products
from lljupyter.process.threads import using_threads

# When the data are not on the device, a batch that was brought over serves this many points.
STREAMED_GROUP = 32


class Place(NamedTuple):
    """Where to evaluate.

    Attributes:
        go: Moves the model there.
        label: What to call it if something fails.
        may_fail: Whether model and loss may raise there; at the center they must not.
    """

    go: Callable[[], None]
    label: str
    may_fail: bool = True


class Plain:
    """Evaluates points one by one on a working copy of the model.

    Evaluation is in evaluation mode, without gradients and autocast, in the model's own precision. The parameters of a
    point, ``theta + alpha * delta + beta * eta``, are set in place: beside the person's model there are four copies of
    the parameters (theta, delta, eta, and the working copy). Hooks of the model run as in any call.

    Args:
        problem: What is evaluated.
        n_threads: How many threads torch may use; None for all. A thread pool beside that of the main thread makes
            OpenMP put its threads to sleep between operations, which costs small models more than a second core
            gains (measured: 65 ms against 37 ms per point for a ResNet-8 on two cores).

    Attributes:
        problem: As given.
        model: The working copy.
        batches: The batches of each loader; smaller than those of the problem after ``halve_batches``.
    """

    reduced = False

    def __init__(self, problem: Problem, n_threads: int | None = None) -> None:
        keep_freed_memory()
        self.problem = problem
        self._copy = problem.working_copy()
        self.model, self._live = self._copy.model, self._copy.states
        self.batches: BatchesByLoader = problem.batches
        self.group = 1 if problem.resident else STREAMED_GROUP
        self.label = "plain" if n_threads is None else f"plain, {n_threads} thread"
        self._n_threads = n_threads
        self._norms = running_norms(self.model) if problem.recalibrates else []
        self._moving: Moving = {}

    def set_plane(self, moving: Moving) -> None:
        """Choose the plane that the next points belong to; ``{}`` leaves the plane and frees its directions."""
        self._moving = moving
        self._load(self.problem.states)

    def evaluate(self, points: NDArray[np.float64], tick: Tick = lambda: None) -> Values:
        """Measure every quantity at some points of the plane, see ``Strategy.evaluate``.

        Raises:
            PointsFailed: If the model or the loss raises at some points; has the values of the others.
            RuntimeError: If they raise at the center, or something else fails.

        Both name the point and have the error as their cause.
        """
        with using_threads(self._n_threads):
            return self._evaluate(self._places(points), tick)

    def measure(
        self, points: NDArray[np.float64], tick: Tick, batches: BatchesByLoader | None = None
    ) -> dict[str, list[Measured]]:
        """Measure points on some batches of each loader, None for all; ``means_of`` makes values of the result.

        Returns:
            ``{quantity: k lists of (totals, weights)}``, one pair per batch.

        Raises:
            RuntimeError: If the model or the loss raises.
        """
        with using_threads(self._n_threads):
            places = [place._replace(may_fail=False) for place in self._places(points)]
            return self._measure(places, tick, self.batches if batches is None else batches)[0]

    def evaluate_states(self, states: Parameters, label: str = "a checkpoint", tick: Tick = lambda: None) -> Values:
        """Measure every quantity for given parameters (and buffers), off the plane.

        Args:
            states: ``{name: tensor}``; what is missing is that of the center.
            label: What to call them in a message.
            tick: See ``Strategy.evaluate``.

        Returns:
            As ``Strategy.evaluate``, each of shape (1,).

        Raises:
            PointsFailed: If the model or the loss raises.
            RuntimeError: If something else fails.
        """
        center = self.problem.states
        try:
            with exact_products():
                return self._evaluate([Place(partial(self._load, {**center, **states}), label)], tick)
        finally:
            self._load(center)

    def go(self, alpha: float, beta: float, tick: Tick = lambda: None) -> None:
        """Move the model to a point of the plane.

        Raises:
            RuntimeError: If the model raises while its statistics are recomputed.
        """
        (place,) = self._places(np.array([[alpha, beta]]))
        with plain_evaluation(self.problem.device):
            place.go()
            self._recalibrate(place._replace(may_fail=False), tick)

    def outputs(self, alpha: float, beta: float, tick: Tick = lambda: None) -> dict[str, list[Batch]]:
        """Return the batches of each loader at a point of the plane, with the outputs in the place of the inputs.

        Raises:
            Failure: If the model raises; it is put back to the center then.
        """
        found: dict[str, list[Batch]] = {}
        with plain_evaluation(self.problem.device):
            try:
                self.go(alpha, beta, tick)
                for prefix, part in self.batches.items():
                    found[prefix] = []
                    for batch in part:
                        tick()
                        there = to_device(batch, self.problem.device)
                        found[prefix].append(there._replace(inputs=self._copy.outputs(there)))
            except Failure:
                self._start_over()
                raise
        return found

    def gradient(self) -> dict[str, Tensor]:
        """Return the gradient of the mean loss at the center, over all samples of the first loader.

        Raises:
            ValueError: If it is not known, see ``Problem.check_derivatives``.
            RuntimeError: If the model or the loss raises.
        """
        problem = self.problem
        problem.check_derivatives()
        self._load(problem.states)
        parameters = dict(self.model.named_parameters())
        leaves = [parameters[name].requires_grad_() for name in problem.parameters]
        total = [torch.zeros_like(theta) for theta in problem.center.values()]
        weight, prefix = 0.0, next(iter(self.batches))
        with (
            naming("the gradient at the center"),
            plain_evaluation(problem.device),
            exact_products(),
            torch.enable_grad(),
        ):
            for batch in self._first_batches():
                there = to_device(batch, problem.device)
                totals, weights = self._copy.loss(prefix, there)
                gradients = torch.autograd.grad(totals.sum(), leaves, allow_unused=True)
                weight += float(weights.sum())
                for target, part in zip(total, gradients, strict=True):
                    if part is not None:
                        target.add_(part)
        for leaf in leaves:
            leaf.requires_grad_(False)
        return {name: target / weight for name, target in zip(problem.parameters, total, strict=True)}

    def halve_batches(self) -> bool:
        """Split all batches in two, so that a forward pass takes half the memory; return False if that can't be."""
        largest = max(batch.n for batches in self.batches.values() for batch in batches)
        if not self.problem.per_sample or largest == 1:
            return False
        self.batches = {prefix: split(batches, largest // 2) for prefix, batches in self.batches.items()}
        return True

    def _places(self, points: NDArray[np.float64]) -> list[Place]:
        return [
            Place(
                partial(self._move, alpha, beta),
                f"the point (alpha, beta) = ({alpha:g}, {beta:g})",
                may_fail=not alpha == beta == 0,
            )
            for alpha, beta in points.tolist()
        ]

    def _evaluate(self, places: Sequence[Place], tick: Tick) -> Values:
        measured, failures = self._measure(places, tick, self.batches)
        good = [i for i in range(len(places)) if i not in failures.reasons]
        values = means_of({name: [points[i] for i in good] for name, points in measured.items()})
        failures.raise_with(len(places), values)
        return values

    def _measure(
        self, places: Sequence[Place], tick: Tick, batches: BatchesByLoader
    ) -> tuple[dict[str, list[Measured]], Failures]:
        """Return what was measured, and where model or loss raised; of those places some batches only."""
        problem, failures = self.problem, Failures()
        measured: dict[str, list[Measured]] = {name: [[] for _ in places] for name in problem.quantities}
        current = -1
        with plain_evaluation(problem.device):
            for i, prefix, batch in self._in_order(len(places), batches):
                if i in failures.reasons:
                    continue
                tick()
                try:
                    if i != current:
                        with naming(places[i].label):
                            places[i].go()
                        self._recalibrate(places[i], tick)
                        current = i
                    with naming(places[i].label, passes=places[i].may_fail):
                        pairs = self._copy.measure(prefix, batch)
                except Failure as failure:
                    failures.add(i, places[i].label, failure)
                    self._start_over()
                    current = -1
                    continue
                for kind, pair in pairs.items():
                    measured[prefix + kind][i].append(pair)
        return measured, failures

    def _start_over(self) -> None:
        """Put the model back to the center, after it was left in the middle of a call."""
        self._copy.put_back()
        self._load(self.problem.states)

    def _in_order(self, n_places: int, batches: BatchesByLoader) -> Iterator[tuple[int, str, Batch]]:
        """Yield ``(index of the place, prefix, batch on the device)``.

        Places inside batches if a batch has to be brought to the device, else batches inside places. Statistics that
        are recalibrated belong to one place, so that every batch is brought over for each then.
        """
        pairs = [(prefix, batch) for prefix, part in batches.items() for batch in part]
        if self.problem.resident:
            yield from ((i, prefix, batch) for i in range(n_places) for prefix, batch in pairs)
        elif self._norms:
            order = [(i, prefix, batch) for i in range(n_places) for prefix, batch in pairs]
            there = brought([batch for _, _, batch in order], self.problem.device)
            yield from ((i, prefix, batch) for (i, prefix, _), batch in zip(order, there, strict=True))
        else:
            there = brought([batch for _, batch in pairs], self.problem.device)
            for (prefix, _), batch in zip(pairs, there, strict=True):
                yield from ((i, prefix, batch) for i in range(n_places))

    def _recalibrate(self, place: Place, tick: Tick) -> None:
        def forward(batch: Batch) -> None:
            tick()  # what it raises passes through as it is
            with naming(place.label, passes=place.may_fail):
                self._copy.outputs(to_device(batch, self.problem.device))

        if self._norms:
            recalibrate(self._norms, self._first_batches(), forward)

    def _first_batches(self) -> Sequence[Batch]:
        return next(iter(self.batches.values()))

    def _move(self, alpha: float, beta: float) -> None:
        for name, (theta, delta, eta) in self._moving.items():
            tensor = self._live[name]
            # The deviation first, then theta, as the authors round it.
            torch.mul(delta, alpha, out=tensor)
            tensor.add_(eta, alpha=beta).add_(theta)

    def _load(self, states: Parameters) -> None:
        with plain_evaluation(self.problem.device):
            for name, tensor in self._live.items():
                tensor.copy_(states[name])
