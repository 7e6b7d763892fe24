"""The direction of steepest ascent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lljupyter.evaluate.plain import Plain
from lljupyter.geometry.select import Selection
from lljupyter.problem.loaders import Loader
from lljupyter.problem.objective import LossFunction
from lljupyter.problem.problem import build_problem
from lljupyter.process.notices import warn


def gradient_direction(
    model: nn.Module,
    loader: Loader | None,
    *,
    loss_fn: LossFunction | None = None,
    objective: Callable[..., Any] | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    parameters: Selection | None = None,
) -> dict[str, Tensor]:
    """Return the gradient of the mean loss at the model's parameters, over the whole loader, in evaluation mode.

    Args:
        model: A module; it is copied, neither it nor its gradients are changed.
        loader: See ``loss_surface``.
        loss_fn: See ``loss_surface``.
        objective: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.
        parameters: What moves, see ``loss_surface``; the gradient has these alone.

    Returns:
        ``{name: tensor}``, uphill, not normalized; pass it through ``normalize_direction`` to compare networks.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument does not fit the model.
    """
    problem = build_problem(
        model,
        loader,
        loss_fn=loss_fn,
        objective=objective,
        quantities=["loss"],
        device=device,
        max_samples=max_samples,
        parameters=parameters,
    )
    warn(problem.warnings)
    return Plain(problem).gradient()
