"""The slow, obvious oracle that every faster path is held to, and the small models and loaders the tests share."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lljupyter.geometry.grid import axis
from lljupyter.session.request import Request
from lljupyter.session.session import Session

TESTS = Path(__file__).parents[1]
SHARED = TESTS.parents[1] / "shared"
PATIENCE = 30.0  # seconds after which something that should have happened counts as hanging
NIGHTLY = "LLJUPYTER_NIGHTLY" in os.environ  # whether tests take their long form, see .ci/nightly


def slow_mean(
    model: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    directions: tuple[dict[str, Tensor], dict[str, Tensor]],
    points: Iterable[Sequence[float]],
    value: Callable[[Any, Any], Any],
    weight: Callable[[Any], Any] = len,
) -> np.ndarray:
    """Returns the weighted mean of ``value(outputs, targets)`` over the batches, at every point, in plain loops.

    Every point gets a fresh copy of the model, loaded with ``theta + alpha * delta + beta * eta``.
    """
    delta, eta = directions
    means = []
    for alpha, beta in points:
        state = copy.deepcopy(model.state_dict())
        for name in delta:
            state[name] = state[name] + alpha * delta[name] + beta * eta[name]
        fresh = copy.deepcopy(model).eval()
        fresh.load_state_dict(state)
        total = weights = 0.0
        for inputs, targets in batches:
            with torch.no_grad():
                w = float(weight(targets))
                total += float(value(fresh(inputs), targets)) * w
                weights += w
        means.append(total / weights)
    return np.array(means)


def mean_cross_entropy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Returns the cross-entropy of a model as it is, averaged over all samples."""
    batches = list(batches)
    with torch.no_grad():
        totals = [functional.cross_entropy(model(x), y, reduction="sum") for x, y in batches]
    return float(sum(totals)) / sum(len(y) for _, y in batches)


def grid_points(alpha: Iterable[float], beta: Iterable[float]) -> np.ndarray:
    """Returns all points of a grid, shape (n_beta * n_alpha, 2), alpha fastest."""
    return np.array([(a, b) for b in beta for a in alpha], dtype=np.float64)


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    """A small convolutional network with everything that behaves differently in training mode."""
    generator = torch.Generator().manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(27, 4),
    )
    with torch.no_grad():
        for tensor in (*model.parameters(), model[1].running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5)
        model[1].running_var.copy_(torch.rand(3, generator=generator) + 0.5)
    return model.to(dtype)


def samples(n: int = 23, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 5, 5) and classes 0..3 for ``network``."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, 1, 5, 5, generator=generator, dtype=torch.float64).to(dtype)
    return images, torch.randint(0, 4, (n,), generator=generator)


def batches_of(size: int, n: int = 23, dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    """The samples in batches; 23 in batches of 8 leaves an uneven last one."""
    images, classes = samples(n, dtype)
    return list(zip(images.split(size), classes.split(size), strict=True))


def linear(n_in: int = 3, n_out: int = 2) -> nn.Linear:
    """A linear layer in float64 whose weights are the same in every test."""
    layer = nn.Linear(n_in, n_out).double()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, n_in * n_out).reshape(n_out, n_in))
        layer.bias.copy_(torch.linspace(0.5, -0.5, n_out))
    return layer


def run(n: int = 7, n_rows: int = 5) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """A random walk of n + 1 checkpoints whose last one is the center."""
    generator = torch.Generator().manual_seed(n)
    shapes = {"w": (n_rows, 4), "b": (n_rows,), "s": ()}
    states = [{name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}]
    for _ in range(n):
        states.append(
            {k: v + torch.randn(v.shape, generator=generator, dtype=torch.float64) for k, v in states[-1].items()}
        )
    return states[-1], states


class FakeEvaluator:
    """Stands in for an Evaluator: the value of a point is ``function(seed, alpha, beta)``.

    The default is the same at the center of every plane, as theta* belongs to all of them, and tells rows from columns.

    ``before(alpha, beta)`` is called when a point is about to be measured, so that a test can wait or raise there.
    """

    def __init__(
        self,
        function: Callable[[Any, float, float], float] = lambda seed, a, b: (1 + seed) * (a + 10 * b),
        before: Callable[[float, float], None] = lambda a, b: None,
        quantities: Sequence[str] = ("loss",),
    ) -> None:
        self.quantities = list(quantities)
        self.group = 1
        self.states: dict[str, Tensor] = {}
        self.names = [name for quantity in quantities for name in (quantity, f"{quantity}_stderr")]
        self.measured: list[tuple[Any, float, float]] = []
        self.seed: Any = None
        self._function, self._before = function, before

    def leave_plane(self) -> None:
        self.seed = None

    def set_plane(self, plane: Any) -> None:
        self.seed = plane  # ``fake_session`` uses the seed as the plane

    def evaluate(self, points: np.ndarray, tick: Callable[[], None]) -> dict[str, np.ndarray]:
        values = []
        for a, b in points.tolist():
            tick()
            self._before(a, b)
            self.measured.append((self.seed, a, b))
            values.append(self._function(self.seed, a, b))
        loss = np.array(values, dtype=np.float64)
        columns: dict[str, np.ndarray] = {}
        for k, name in enumerate(self.quantities):
            columns[name], columns[f"{name}_stderr"] = loss / 4**k, loss / 8 / 4**k
        return columns


RECIPE = {"model": "Net", "loss_fn": "cross-entropy", "n_samples": 1200, "norm": "filter"}


def make_request(seed: int | None = 0, n_alpha: int = 5, n_beta: int = 5, alpha=(-1, 1), beta=(-1, 1)) -> Request:
    """A request on a grid."""
    return Request(seed, axis(alpha, n_alpha), axis(beta, n_beta))


def fake_session(
    evaluator: FakeEvaluator | None = None,
    request: Request | None = None,
    recipe: Mapping[str, Any] | None = None,
    **options: Any,
) -> Session:
    """A session over a fake evaluator; its planes are the seeds themselves."""
    return Session(
        evaluator or FakeEvaluator(),  # type: ignore[arg-type]
        lambda seed: seed,  # type: ignore[arg-type, return-value]
        make_request() if request is None else request,
        dict(RECIPE if recipe is None else recipe),
        **options,
    )
