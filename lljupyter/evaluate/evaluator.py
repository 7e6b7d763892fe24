"""Evaluates points of a plane, one after the other, on a private copy of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.evaluate.autotune import Choice, check_evaluation
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import Evaluation, Moving, Parts, Path, Tick, Values, Wanted
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane
from lljupyter.problem.averages import Measured, means_of
from lljupyter.problem.batches import Batch, brought, copied, split, take, to_device
from lljupyter.problem.batchnorm import BatchNorm, recalibrate, running_norms
from lljupyter.problem.loaders import Loader
from lljupyter.problem.model import call, plain_evaluation
from lljupyter.problem.problem import build_problem
from lljupyter.problem.quantities import LossFunction
from lljupyter.process.memory import out_of_memory
from lljupyter.process.precision import Precision, check_precision, exact_products
from lljupyter.process.randomness import fixed_randomness


class Evaluator:
    """A private copy of a model, the data, and what is measured.

    The model that is passed in is read once and never touched again: not its parameters, buffers, mode or gradients.
    Evaluation is in evaluation mode, without gradients and autocast, in the model's own precision. The parameters
    of a point, ``theta + alpha * delta + beta * eta``, are set in place: four copies of the parameters
    beside yours (theta*, delta, eta, and the one that is evaluated). Hooks of the model run as in any call.

    Attributes:
        center: The parameters, ``{name: tensor}``.
        states: The parameters and the floating-point buffers.
        quantities: The names of what is measured.
        path: How points are evaluated; "plain" until another one is set, which has to know the plane.
        kinds: What is measured with each loader, by its prefix.
        per_sample: Whether the loss is known sample by sample, so that batches may be split and joined.
        changes_inputs: Whether the model changes its inputs in place; it gets copies then.
        classifies_plainly: Whether the loss is cross-entropy with nothing special about it.
        moving: What moves on the plane at hand.
        fallback: Which path failed and why, if one did; the plain one is used since.
        n_halved: How often there was too little memory, so that half as much was computed at once from then on.
        draws: Whether the model draws random numbers although it is in evaluation mode. It then draws the same ones
            at every point, and the global generators are put back after each batch.

    Args:
        model: A trained module, all on one device.
        loader: See ``read_batches``; or a dict of several by name, such as ``{"train": ..., "test": ...}``, which
            gives the quantities names such as "train_loss".
        loss_fn: See ``measures_for``.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate; None for the model's device.
        max_samples: Use only the first samples of each loader; None for all.
        batchnorm: "recalibrate" recomputes the running statistics on the first loader at every point.
        precision: "float32" computes in the model's own precision, "auto" in a lower one where it pays.
        evaluation: "fastest", or the way to evaluate that a ``Choice`` is to take.

    Raises:
        TypeError: If model, loader or loss_fn is of another kind.
        ValueError: If something does not fit together; nothing was computed then but the outputs of a few samples.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Loader,
        *,
        loss_fn: LossFunction | None = None,
        quantities: Sequence[str] | None = None,
        device: torch.device | str | None = None,
        max_samples: int | None = None,
        batchnorm: BatchNorm = "eval",
        precision: Precision = "float32",
        evaluation: Evaluation = "fastest",
    ) -> None:
        check_precision(precision)
        check_evaluation(evaluation)
        self.precision, self.evaluation = precision, evaluation
        self.problem = problem = build_problem(
            model,
            loader,
            loss_fn=loss_fn,
            quantities=quantities,
            device=device,
            max_samples=max_samples,
            batchnorm=batchnorm,
        )
        self.device, self.measures, self.kinds = problem.device, problem.measures, problem.kinds
        self.quantities, self.states, self.center = problem.quantities, dict(problem.states), problem.center
        self.batches, self.resident, self.n_samples = problem.all_batches, problem.resident, problem.n_samples
        self._prefixes = [prefix for prefix, batches in problem.batches.items() for _ in batches]
        self.title, self.loss_name, self.fingerprint = problem.title, problem.loss_name, problem.fingerprint
        self.draws, self.per_sample = problem.draws, problem.per_sample
        self.changes_inputs, self.classifies_plainly = problem.changes_inputs, problem.classifies_plainly
        self.model, self._live = problem.working_copy()
        self._norms = running_norms(self.model) if batchnorm == "recalibrate" else []
        self.moving: Moving = {}
        self.path: Path = Plain(self)
        self.fallback = ""
        self.n_halved = 0

    @property
    def names(self) -> list[str]:
        """The values of a point: every quantity, followed by its standard error."""
        return [name for quantity in self.quantities for name in (quantity, f"{quantity}_stderr")]

    def leave_plane(self) -> None:
        """Frees the directions, so that those of the next plane find room."""
        self.moving = {}
        self.path.set_plane({})

    def set_plane(self, plane: Plane) -> None:
        """Chooses the plane that the next points belong to; its center is that of this evaluator."""
        self.leave_plane()
        self._load(self.states)
        moving = {}
        with plain_evaluation(self.device):
            for name, delta in plane.delta.items():
                theta, eta = self.states[name], plane.eta[name]
                if bool(delta.any()) or bool(eta.any()):
                    moving[name] = theta, delta.to(theta), eta.to(theta)
        self.moving = moving
        self.path.set_plane(moving)

    def dtype(self) -> torch.dtype:
        """Returns the one floating-point type of all states.

        Raises:
            ValueError: If there are several, or it is complex.
        """
        found = {tensor.dtype for tensor in self.states.values()}
        if len(found) > 1 or not next(iter(found)).is_floating_point:
            raise ValueError(f"its parameters are of the types {sorted(map(str, found))}")
        return found.pop()

    def example(self) -> Any:
        """Returns the inputs of a few samples."""
        return copied(to_device(take(self.batches[0], min(self.batches[0].n, 2)), self.device).inputs)

    def parts(self) -> dict[str, list[Batch]]:
        """Returns the batches of every loader, ``{prefix: batches}``."""
        return {prefix: self._batches_of(prefix) for prefix in dict.fromkeys(self._prefixes)}

    def choice(self) -> Choice:
        """Returns what finds the fastest path between the first points."""
        return Choice(self)

    @property
    def recalibrates(self) -> bool:
        """Whether the running statistics are recomputed at every point."""
        return bool(self._norms)

    def evaluate(self, points: NDArray[np.float64], tick: Tick = lambda: None) -> Values:
        """Measures every quantity at some points of the plane.

        Args:
            points: Shape (k, 2), float64, columns alpha and beta.
            tick: Called before every batch; may wait, or raise to give the points up.

        Returns:
            ``{quantity: values}`` with values of shape (k,), float64; each quantity is followed by its standard
            error under ``<quantity>_stderr``. What is not finite is returned as such.

        Raises:
            RuntimeError: If the model or the loss raises; names the point, and has the error as its cause.
        """
        wanted = Wanted(tick)
        if not isinstance(self.path, Plain):
            try:
                return self._by_path(self.path, points, wanted)
            except Exception as error:
                if wanted.given_up:
                    raise
                # The plain path has the last word: it tells what is wrong with the model, and where.
                self.fallback = f"{self.path.label}: {type(error).__name__}: {error}"[:300]
                self.path = Plain(self)
        return self._by_path(self.path, points, wanted)

    def evaluate_plainly(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measures points as ``evaluate`` does, one by one on the model as it is."""
        return means_of(self.measure_plainly(points, tick, self.parts()))

    def measure_plainly(self, points: NDArray[np.float64], tick: Tick, parts: Parts) -> dict[str, list[Measured]]:
        """Measures points on some batches of each loader, on the model as it is; see ``means_of``."""
        places = [(float(alpha), float(beta)) for alpha, beta in points]
        moves = [partial(self._move, alpha, beta) for alpha, beta in places]
        return self._measure(moves, [f"the point (alpha, beta) = ({a:g}, {b:g})" for a, b in places], tick, parts)

    def evaluate_states(self, states: Parameters, label: str = "a checkpoint", tick: Tick = lambda: None) -> Values:
        """Measures every quantity for parameters (and buffers) of their own, off the plane.

        Args:
            states: ``{name: tensor}``; what is missing is that of the center.
            label: What to call them in a message.
            tick: See ``evaluate``.

        Returns:
            As ``evaluate``, each of shape (1,).

        Raises:
            RuntimeError: If the model or the loss raises.
        """
        try:
            with exact_products():
                moves = [partial(self._load, {**self.states, **states})]
                return means_of(self._measure(moves, [label], tick, self.parts()))
        finally:
            self._load(self.states)

    def gradient(self) -> dict[str, Tensor]:
        """Returns the gradient of the mean loss at the center, over all samples of the first loader."""
        self._load(self.states)
        parameters = dict(self.model.named_parameters())
        leaves = [parameters[name].requires_grad_() for name in self.center]
        total = [torch.zeros_like(theta) for theta in self.center.values()]
        weight = 0.0
        with plain_evaluation(self.device), exact_products(), torch.enable_grad():
            for batch in self.first_batches():
                there = to_device(batch, self.device)
                totals, weights = self.measures["loss"](self._outputs(there), there.targets, there.n)
                parts = torch.autograd.grad(totals.sum(), leaves, allow_unused=True)
                weight += float(weights.sum())
                for target, part in zip(total, parts, strict=True):
                    if part is not None:
                        target.add_(part)
        for leaf in leaves:
            leaf.requires_grad_(False)
        return {name: target / weight for name, target in zip(self.center, total, strict=True)}

    def _by_path(self, path: Path, points: NDArray[np.float64], tick: Tick) -> Values:
        with nullcontext() if path.reduced else exact_products():
            while True:
                try:
                    return path.evaluate(points, tick)
                except RuntimeError as error:
                    if not out_of_memory(error) or not path.halve():
                        raise
                    self.n_halved += 1

    def halve(self) -> bool:
        """Splits all batches in two, so that a forward pass takes half the memory."""
        largest = max(batch.n for batch in self.batches)
        if not self.per_sample or largest == 1:
            return False
        halves = {prefix: split(batches, largest // 2) for prefix, batches in self.parts().items()}
        self.batches = [batch for batches in halves.values() for batch in batches]
        self._prefixes = [prefix for prefix, batches in halves.items() for _ in batches]
        return True

    def _measure(
        self, moves: Sequence[Callable[[], None]], places: Sequence[str], tick: Tick, parts: Parts
    ) -> dict[str, list[Measured]]:
        found: dict[str, list[Measured]] = {name: [[] for _ in moves] for name in self.quantities}
        # Points inside batches when a batch has to be brought to the device, else batches inside points. Statistics
        # that are recalibrated belong to one point, so that every batch is brought over for each then.
        each = range(len(moves))
        prefixes = [prefix for prefix, part in parts.items() for _ in part]
        batches = [batch for part in parts.values() for batch in part]
        if self.resident or self._norms:
            numbers = [(i, prefix) for i in each for prefix in prefixes]
            again = batches * len(moves)
            there = again if self.resident else brought(again, self.device)
            order = ((i, prefix, batch) for (i, prefix), batch in zip(numbers, there, strict=True))
        else:
            pairs = zip(prefixes, brought(batches, self.device), strict=True)
            order = ((i, prefix, batch) for prefix, batch in pairs for i in each)
        at = -1
        with plain_evaluation(self.device):
            for i, prefix, batch in order:
                tick()
                if i != at:
                    with naming(places[i]):
                        moves[i]()
                    self._recalibrate(places[i], tick)
                    at = i
                with naming(places[i]):
                    outputs = self._outputs(batch)
                    for kind in self.kinds[prefix]:
                        found[prefix + kind][i].append(self.measures[kind](outputs, batch.targets, batch.n))
        return found

    def _outputs(self, batch: Batch) -> Any:
        # A model that draws random numbers all the same draws the same ones at every point.
        with fixed_randomness() if self.draws else nullcontext():
            return call(self.model, copied(batch.inputs) if self.changes_inputs else batch.inputs)

    def _recalibrate(self, place: str, tick: Tick) -> None:
        def forward(batch: Batch) -> None:
            tick()
            with naming(place):
                self._outputs(to_device(batch, self.device))

        if self._norms:
            recalibrate(self._norms, self.first_batches(), forward)

    def first_batches(self) -> list[Batch]:
        """Returns the batches of the first loader."""
        return self._batches_of(self._prefixes[0])

    def _batches_of(self, prefix: str) -> list[Batch]:
        return [batch for batch, p in zip(self.batches, self._prefixes, strict=True) if p == prefix]

    def _move(self, alpha: float, beta: float) -> None:
        for name, (theta, delta, eta) in self.moving.items():
            tensor = self._live[name]
            # The deviation first, then theta*, as the authors round it.
            torch.mul(delta, alpha, out=tensor)
            tensor.add_(eta, alpha=beta).add_(theta)

    def _load(self, states: Parameters) -> None:
        with plain_evaluation(self.device):
            for name, tensor in self._live.items():
                tensor.copy_(states[name])


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Tells what was evaluated when something fails."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(f"evaluating {place} failed: {type(error).__name__}: {error}") from error
