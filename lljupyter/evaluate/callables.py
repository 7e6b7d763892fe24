"""Evaluates quantities that the user wrote: callables of the outputs and targets of the whole set, or of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lljupyter.evaluate.failures import PointsFailed
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import Tick, Values, moving_on
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane
from lljupyter.problem.batches import Batch, together
from lljupyter.problem.callables import Callables, number, own_copy, same, takes_model
from lljupyter.problem.isolation.copying import private_copy
from lljupyter.problem.isolation.reachable import generators_of
from lljupyter.problem.isolation.storages import StorageWatch
from lljupyter.problem.messages import LONGEST, Failure, shortened
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.nested import copied, size_along
from lljupyter.problem.problem import Problem
from lljupyter.process.precision import exact_products
from lljupyter.process.randomness import watched_randomness


class CallableEvaluator:
    """Evaluates callables point by point, on a copy of the model and with the model as it is.

    Args:
        problem: Holds the model and the data.
        callables: ``{name: f}`` with ``f(outputs, targets)``, which gets those of all samples of a loader, or
            ``f(model)``, which gets a copy of the model that it may change. Each call gets a copy of ``f``.
        person: The model that was passed, which no callable may read; it is not called.

    Attributes:
        quantities: What is measured, one for each loader: "f1", or "train_f1" and "test_f1". ``f(model)`` has one.
        names: The same: nothing here has a standard error.
        states: The parameters and floating-point buffers of the center.
        group: One point is measured at a time.

    Raises:
        TypeError: If a callable returns no real number.
        ValueError: If a callable raises at the center, has another value the second time, draws random numbers that
            others draw, or reads the model that was passed; or if batches can't be joined for it.
    """

    group = 1

    def __init__(self, problem: Problem, callables: Callables, person: nn.Module) -> None:
        self._problem, self._plain = problem, Plain(problem)
        self._of_model = {name: f for name, f in callables.items() if takes_model(f, name)}
        self._of_outputs = {name: f for name, f in callables.items() if name not in self._of_model}
        prefixes = list(problem.batches)
        self.quantities = tuple(
            [prefix + name for name in self._of_outputs for prefix in prefixes] + list(self._of_model)
        )
        self.names = self.quantities
        self.states = problem.states
        if self._of_outputs:
            self._check_outputs()
        self._try(person)

    def leave_plane(self) -> None:
        """Free the directions."""
        self._plain.set_plane({})

    def set_plane(self, plane: Plane) -> None:
        """Choose the plane that the next points belong to; its center is that of the problem."""
        self._plain.set_plane(moving_on(plane, self._problem))

    def evaluate(self, points: NDArray[np.float64], tick: Tick = lambda: None) -> Values:
        """Return ``{quantity: values}`` of points, shape (k, 2), each of shape (k,), float64.

        Raises:
            PointsFailed: If the model or a callable raises at some points; has the other values, also at these points.
        """
        values = {name: np.full(len(points), np.nan) for name in self.quantities}
        reasons: dict[int, str] = {}
        for index, (alpha, beta) in enumerate(points.tolist()):
            for name, value in self._measured(alpha, beta, tick):
                if isinstance(value, str):
                    reasons.setdefault(index, value)
                else:
                    values[name][index] = value
        if reasons:
            alpha, beta = points[next(iter(reasons))].tolist()
            text = f"evaluating the point (alpha, beta) = ({alpha:g}, {beta:g}) failed: {next(iter(reasons.values()))}"
            raise PointsFailed(text, values, reasons)
        return values

    def evaluate_states(self, states: Parameters, label: str, tick: Tick = lambda: None) -> Values:
        """Callables are not evaluated at checkpoints."""
        raise NotImplementedError("quantities of one's own are evaluated on the plane only")

    def _measured(self, alpha: float, beta: float, tick: Tick) -> Iterator[tuple[str, float | str]]:
        """Yield the values of a point by name; the error as text instead of one that raises."""
        with plain_evaluation(self._problem.device), exact_products():
            try:
                for name, call in self._calls(alpha, beta, tick):
                    try:
                        yield name, call()
                    except Exception as error:
                        head = f"quantity {name!r}: "
                        yield name, head + shortened(error, LONGEST - len(head))
            except Failure as failure:
                if failure.of_memory:
                    raise
                yield "", str(failure)

    def _calls(self, alpha: float, beta: float, tick: Tick) -> Iterator[tuple[str, Callable[[], float]]]:
        if self._of_outputs:
            for prefix, batches in self._plain.outputs(alpha, beta, tick).items():
                whole = _joined(batches)
                for name, f in self._of_outputs.items():
                    yield prefix + name, lambda f=f, name=name, whole=whole: _of_outputs(f, name, whole)  # type: ignore[misc]
        else:
            self._plain.go(alpha, beta, tick)
        for name, f in self._of_model.items():
            yield name, lambda f=f, name=name: _of_model(f, name, self._plain.model, self._problem)  # type: ignore[misc]

    def _check_outputs(self) -> None:
        problem, name = self._problem, next(iter(self._of_outputs))
        advice = f"pass {{{name!r}: f}} with f(model), which evaluates the data itself"
        if problem.objective.kind == "whole":
            raise ValueError(
                f"expected a loss of outputs and targets for the quantity {name!r} of them, got objective=...; {advice}"
            )
        if problem.conditions.n_draws > 1:
            raise ValueError(f"expected draws=1 for the quantity {name!r}, got more; {advice}")
        for batches in problem.batches.values():
            if len(batches) > 1 and any(batch.axis is None for batch in batches):
                raise ValueError(
                    f"expected batches that can be joined for the quantity {name!r} of all outputs, got some whose "
                    f"samples are not known; {advice}"
                )

    def _try(self, person: nn.Module) -> None:
        """Evaluate the center twice, and check what the callables do."""
        with plain_evaluation(self._problem.device), exact_products():
            for name, call in self._calls(0.0, 0.0, lambda: None):
                f = self._of_model.get(name) or next(g for n, g in self._of_outputs.items() if name.endswith(n))
                try:
                    with watched_randomness(generators_of(f), 1) as drawn, StorageWatch(person) as watch:
                        first, draws = call(), drawn()
                    with watched_randomness(generators_of(f), 2):
                        again = call()
                except TypeError as error:
                    if str(error).startswith(f"expected the quantity {name!r}"):
                        raise
                    raise _refusal(name, error) from error
                except Exception as error:
                    raise _refusal(name, error) from error
                if watch.read:
                    raise ValueError(
                        f"expected the quantity {name!r} to use what it is given, got one that reads "
                        f"{min(watch.read)!r} of the model that was passed; write f(model) with that model as argument"
                    )
                if draws:
                    raise ValueError(
                        f"expected the quantity {name!r} to draw no random numbers that others draw, got {draws}; "
                        "make a generator in it: torch.Generator().manual_seed(0)"
                    )
                if not same(first, again):
                    raise ValueError(
                        f"expected the quantity {name!r} to have the same value twice, got {first:.6g} and {again:.6g} "
                        "at the center; remove what it keeps between calls"
                    )


def _refusal(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"expected the quantity {name!r} to have a value at the model, got {shortened(error)}; try it on the outputs "
        "and targets of one batch, or on a copy of the model"
    )


def _joined(batches: list[Batch]) -> Batch:
    """Return outputs and targets of all batches as one; outputs are in the place of the inputs."""
    if len(batches) == 1:
        return batches[0]
    axis = batches[0].axis
    assert axis is not None
    try:
        if any(size_along((batch.inputs, batch.targets), axis) != batch.n for batch in batches):
            raise ValueError("some have no entry for each sample")
        return together(batches)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"expected outputs and targets of all batches that can be joined, got others: {shortened(error)}; "
            "pass f(model), which evaluates the data itself"
        ) from error


def _of_outputs(f: Callable[..., object], name: str, whole: Batch) -> float:
    return number(own_copy(f)(copied(whole.inputs), copied(whole.targets)), name)


def _of_model(f: Callable[..., object], name: str, model: nn.Module, problem: Problem) -> float:
    return number(own_copy(f)(private_copy(model, problem.device)), name)
