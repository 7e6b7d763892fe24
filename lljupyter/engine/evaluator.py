"""Evaluates points of a plane, one after the other, on a private copy of the model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.engine.batches import Batch, n_bytes, read_batches, take, to_device
from lljupyter.engine.quantities import (
    LossFunction,
    check_classification,
    classifies,
    mean_and_stderr,
    measures_for,
)
from lljupyter.geometry.parameters import fingerprint, parameters_of
from lljupyter.geometry.plane import Plane

# Data stay on an accelerator while they take less than this share of its free memory.
DATA_BUDGET = 0.5
QUANTITIES = ("loss", "accuracy")


class Evaluator:
    """A private copy of a model, the data, and what is measured.

    The model that is passed in is read once and never touched again: not its parameters, buffers, mode or gradients.
    Evaluation is in evaluation mode, without gradients and autocast, in the model's own precision. The parameters
    of a point, ``theta + alpha * delta + beta * eta``, are set in place: four copies of the parameters in all.

    Args:
        model: A trained module, all on one device.
        loader: See ``read_batches``.
        loss_fn: See ``measures_for``.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured.
        device: Where to evaluate; None for the model's device.
        max_samples: Use only the first samples of the loader; None for all.

    Raises:
        TypeError: If model, loader or loss_fn is of another kind.
        ValueError: If something does not fit together; nothing was computed then but the outputs of two samples.
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
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"expected a torch.nn.Module as the model, got {type(model).__name__}; call it as (model, loader)"
            )
        model = getattr(model, "_orig_mod", model)  # torch.compile wraps the module
        parameters = parameters_of(model)
        home = _single_device(model)
        self.device = home if device is None else _device(device)
        self.measures = measures_for(loss_fn, self.device)
        batches = read_batches(loader, self.device, max_samples)
        self.n_samples = sum(batch.n for batch in batches)
        self.title = type(model).__name__
        self.loss_name = "cross-entropy" if loss_fn is None else getattr(loss_fn, "__name__", type(loss_fn).__name__)
        self.fingerprint = fingerprint(model)
        self.model = _private_copy(model, self.device)
        self.center = {name: self.model.get_parameter(name).clone() for name in parameters}
        # Batches that do not fit the budget stay where they are and are brought over once a chunk of points.
        self.resident = n_bytes(batches) <= _budget(self.device)
        self.batches = [to_device(batch, self.device) for batch in batches] if self.resident else batches
        self.quantities = self._probe(loss_fn, quantities)
        self._moving: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def set_plane(self, plane: Plane) -> None:
        """Chooses the plane that the next points belong to; its center is that of this evaluator."""
        with torch.no_grad():
            for name, theta in self.center.items():
                self.model.get_parameter(name).copy_(theta)
        self._moving = [
            (self.model.get_parameter(name), theta, delta, eta)
            for name, theta in self.center.items()
            for delta, eta in [(plane.delta[name].to(theta), plane.eta[name].to(theta))]
            if bool(delta.any()) or bool(eta.any())
        ]

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
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            for i, batch in order:
                tick()
                alpha, beta = (float(value) for value in points[i])
                try:
                    if i != at:
                        self._move(alpha, beta)
                        at = i
                    outputs = _call(self.model, batch.inputs)
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
        """Runs two samples through model and loss, so that what does not fit is said before anything is computed."""
        unknown = [name for name in wanted or [] if name not in QUANTITIES]
        if isinstance(wanted, str) or unknown or (wanted is not None and not wanted):
            raise ValueError(f"expected quantities as some of {list(QUANTITIES)}, got {wanted!r}; None takes all")
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            batch, outputs = self._first_outputs()
            if loss_fn is None:
                check_classification(outputs, self.batches)
            self.measures["loss"](outputs, batch.targets, batch.n)
        found = ["loss", "accuracy"] if classifies(outputs, batch.targets) else ["loss"]
        if wanted is not None and "accuracy" in wanted and "accuracy" not in found:
            raise ValueError(
                "expected class scores (n, classes) and class indices (n,) to measure accuracy, got other outputs or "
                "targets; pass quantities=['loss']"
            )
        return [name for name in found if wanted is None or name in wanted]

    def _first_outputs(self) -> tuple[Batch, Any]:
        whole = self.batches[0]
        for batch in (take(whole, min(2, whole.n)), whole):  # a model may insist on the full batch size
            try:
                batch = to_device(batch, self.device)
                return batch, _call(self.model, batch.inputs)
            except Exception as error:
                failure = error
        raise ValueError(
            f"expected a model that takes the loader's inputs, got {type(failure).__name__}: {failure}; "
            "try model(inputs) on one batch of the loader, and check shapes and dtypes"
        ) from failure


def _call(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (list, tuple)) else model(inputs)


def _gathered(tensors: Iterable[Tensor]) -> NDArray[np.float64]:
    gathered: NDArray[np.float64] = torch.cat([t.detach().reshape(-1) for t in tensors]).cpu().double().numpy()
    return gathered


def _private_copy(model: nn.Module, device: torch.device) -> nn.Module:
    try:
        private = copy.deepcopy(model)
    except Exception as error:
        raise ValueError(
            f"expected a model that copy.deepcopy can copy, got {type(error).__name__}: {error}; remove tensors kept "
            "as attributes from earlier forward passes, or load the weights into a fresh instance"
        ) from error
    for parameter in private.parameters():
        parameter.requires_grad_(False)
    return private.to(device).eval()


def _single_device(model: nn.Module) -> torch.device:
    devices = sorted({str(t.device) for t in (*model.parameters(), *model.buffers())})
    if len(devices) != 1:
        raise ValueError(
            f"expected a model on one device, got parameters and buffers on {devices}; move it with model.to(device)"
        )
    return torch.device(devices[0])


def _device(device: torch.device | str) -> torch.device:
    try:
        chosen = torch.device(device)
        return torch.empty(0, device=chosen).device  # "cuda" becomes "cuda:0"; a missing device raises here
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"expected an available device, got {device!r} ({error}); try device='cpu'") from error


def _budget(device: torch.device) -> float:
    if device.type != "cuda":
        return math.inf
    return DATA_BUDGET * torch.cuda.mem_get_info(device)[0]
