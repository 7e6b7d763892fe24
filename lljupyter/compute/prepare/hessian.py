"""The Hessian at a model, for the verbs that need no surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lljupyter.geometry.select import Selection
from lljupyter.hessian.evaluator import HessianEvaluator, Hessians, check_hessian_options
from lljupyter.problem.loaders import Loader
from lljupyter.problem.objective import LossFunction
from lljupyter.problem.problem import build_problem
from lljupyter.process.notices import warn


def build_hessian_evaluator(
    model: nn.Module,
    loader: Loader | None,
    over: Hessians,
    tol: float,
    loss_fn: LossFunction | None,
    device: torch.device | str | None,
    max_samples: int | None,
    parameters: Selection | None = None,
    objective: Callable[..., Any] | None = None,
) -> HessianEvaluator:
    """Check the options, copy the model, read the loader, and return what evaluates its Hessian.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        over: See ``convexity_map``.
        tol: See ``convexity_map``.
        loss_fn: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.
        parameters: What moves, see ``loss_surface``.
        objective: See ``loss_surface``.
    """
    check_hessian_options(over, tol)
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
    return HessianEvaluator(problem, over=over, tol=tol)
