"""Evaluates points of a plane, one after the other, on a private copy of the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.engine.batches import Batch, n_bytes, read_batches, take, to_device
from lljupyter.engine.model import available_device, call, device_of, plain_evaluation, private_copy, unwrapped
from lljupyter.engine.quantities import (
    LossFunction,
    check_classification,
    check_quantities,
    classifies,
    mean_and_stderr,
    measures_for,
)
from lljupyter.engine.randomness import fixed_randomness
from lljupyter.geometry.parameters import fingerprint, parameters_of
from lljupyter.geometry.plane import Plane

# Data stay on an accelerator while they take less than this share of its free memory.
DATA_BUDGET = 0.5


class Evaluator:
    """A private copy of a model, the data, and what is measured.

    The model that is passed in is read once and never touched again: not its parameters, buffers, mode or gradients.
    Evaluation is in evaluation mode, without gradients and autocast, in the model's own precision. The parameters
    of a point, ``theta + alpha * delta + beta * eta``, are set in place: four copies of the parameters
    beside yours (theta*, delta, eta, and the one that is evaluated). Hooks of the model run as in any call.

    Attributes:
        draws: Whether the model draws random numbers although it is in evaluation mode. It then draws the same ones
            at every point, and the global generators are put back after each batch.

    Args:
        model: A trained module, all on one device.
        loader: See ``read_batches``.
        loss_fn: See ``measures_for``.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate; None for the model's device.
        max_samples: Use only the first samples of the loader; None for all.

    Raises:
        TypeError: If model, loader or loss_fn is of another kind.
        ValueError: If something does not fit together; nothing was computed then but the outputs of a few samples.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        *,
        loss_fn: LossFunction | None = None,
        quantities: Sequence[str] | None = None,
        device: torch.device | str | None = None,
        max_samples: int | None = None,
    ) -> None:
        check_quantities(quantities)
        model = unwrapped(model)
        parameters = parameters_of(model)
        home = device_of(model)
        self.device = home if device is None else available_device(device)
        self.measures = measures_for(loss_fn, self.device)
        batches = read_batches(loader, self.device, max_samples)
        self.n_samples = sum(batch.n for batch in batches)
        self.title = type(model).__name__
        self.loss_name = "cross-entropy" if loss_fn is None else getattr(loss_fn, "__name__", type(loss_fn).__name__)
        self.fingerprint = fingerprint(model)
        with plain_evaluation(self.device):
            self.model = private_copy(model, self.device)
            self.center = {name: self.model.get_parameter(name).clone() for name in parameters}
        # Batches that do not fit the budget stay where they are and are brought over once a chunk of points.
        self.resident = n_bytes(batches, self.device) <= _budget(self.device)
        self.batches = [to_device(batch, self.device) for batch in batches] if self.resident else batches
        self.quantities = self._probe(loss_fn, quantities)
        self._moving: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def leave_plane(self) -> None:
        """Frees the directions, so that those of the next plane find room."""
        self._moving = []

    def set_plane(self, plane: Plane) -> None:
        """Chooses the plane that the next points belong to; its center is that of this evaluator."""
        self.leave_plane()
        with plain_evaluation(self.device):
            for name, theta in self.center.items():
                parameter, delta, eta = self.model.get_parameter(name), plane.delta[name], plane.eta[name]
                parameter.copy_(theta)
                if bool(delta.any()) or bool(eta.any()):
                    self._moving.append((parameter, theta, delta.to(theta), eta.to(theta)))

    def evaluate(
        self, points: NDArray[np.float64], tick: Callable[[], None] = lambda: None
    ) -> dict[str, NDArray[np.float64]]:
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
        parts: dict[str, list[list[tuple[Tensor, Tensor]]]] = {name: [[] for _ in points] for name in self.quantities}
        # Points inside batches when a batch has to be brought to the device, else batches inside points.
        each = range(len(points))
        brought = (to_device(batch, self.device) for batch in self.batches)
        order = (
            ((i, batch) for i in each for batch in self.batches)
            if self.resident
            else ((i, batch) for batch in brought for i in each)
        )
        at = -1
        with plain_evaluation(self.device):
            for i, batch in order:
                tick()
                alpha, beta = (float(value) for value in points[i])
                try:
                    if i != at:
                        self._move(alpha, beta)
                        at = i
                    # A model that draws random numbers all the same draws the same ones at every point.
                    with fixed_randomness() if self.draws else nullcontext():
                        outputs = call(self.model, batch.inputs)
                    for name in self.quantities:
                        parts[name][i].append(self.measures[name](outputs, batch.targets, batch.n))
                except Exception as error:
                    raise RuntimeError(
                        f"evaluating the point (alpha, beta) = ({alpha:g}, {beta:g}) failed: "
                        f"{type(error).__name__}: {error}"
                    ) from error
        values = {}
        for name, measured in parts.items():
            pairs = [mean_and_stderr(*(_gathered(column) for column in zip(*p, strict=True))) for p in measured]
            table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
            values[name], values[f"{name}_stderr"] = table[:, 0], table[:, 1]
        return values

    def _move(self, alpha: float, beta: float) -> None:
        for parameter, theta, delta, eta in self._moving:
            # The deviation first, then theta*, as the authors round it.
            torch.mul(delta, alpha, out=parameter)
            parameter.add_(eta, alpha=beta).add_(theta)

    def _probe(self, loss_fn: LossFunction | None, wanted: Sequence[str] | None) -> list[str]:
        """Runs a few samples through model and loss, so that what does not fit is said before anything is computed."""
        with fixed_randomness(), plain_evaluation(self.device):
            seeded = torch.default_generator.get_state()
            for n in (3, 2):  # two sizes: a loss of a fixed length fits one of them only
                batch, outputs = self._first_outputs(n)
                check_classification(loss_fn, outputs, self.batches)
                self._try_loss(outputs, batch)
            self.draws = not torch.equal(seeded, torch.default_generator.get_state())
        found = ["loss", "accuracy"] if classifies(outputs, batch.targets) else ["loss"]
        if wanted is not None and "accuracy" in wanted and "accuracy" not in found:
            raise ValueError(
                "expected class scores (n, classes) and class indices (n,) to measure accuracy, got other outputs or "
                "targets; pass quantities=['loss']"
            )
        return [name for name in found if wanted is None or name in wanted]

    def _first_outputs(self, n: int) -> tuple[Batch, Any]:
        whole = self.batches[0]
        for batch in (take(whole, min(n, whole.n)), whole):  # a model may insist on the full batch size
            try:
                batch = to_device(batch, self.device)
                return batch, call(self.model, batch.inputs)
            except Exception as error:
                failure = error
        raise ValueError(
            f"expected a model that takes the loader's inputs, got {type(failure).__name__}: {failure}; "
            "try model(inputs) on one batch of the loader, and check shapes and dtypes"
        ) from failure

    def _try_loss(self, outputs: Any, batch: Batch) -> None:
        try:
            self.measures["loss"](outputs, batch.targets, batch.n)
        except Exception as error:
            if str(error).startswith("expected a loss"):
                raise
            raise ValueError(
                f"expected a loss_fn that takes the model's outputs and the loader's targets, got "
                f"{type(error).__name__}: {error}; try loss_fn(model(inputs), targets) on one batch of the loader"
            ) from error


def _gathered(tensors: Iterable[Tensor]) -> NDArray[np.float64]:
    gathered: NDArray[np.float64] = torch.cat([t.detach().reshape(-1) for t in tensors]).cpu().double().numpy()
    return gathered


def _budget(device: torch.device) -> float:
    if device.type != "cuda":
        return math.inf
    return DATA_BUDGET * torch.cuda.mem_get_info(device)[0]
