"""Eigenvectors of the Hessian as directions of a plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lljupyter.compute.prepare.hessian import build_hessian_evaluator
from lljupyter.geometry.select import Selection
from lljupyter.hessian.evaluator import Hessians
from lljupyter.problem.loaders import Loader
from lljupyter.problem.objective import LossFunction

Which = Literal["top", "ends"]


def hessian_directions(
    model: nn.Module,
    loader: Loader | None,
    *,
    which: Which = "ends",
    over: Hessians = "weights",
    tol: float = 0.01,
    loss_fn: LossFunction | None = None,
    objective: Callable[..., Any] | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    parameters: Selection | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return two eigenvectors of the Hessian at the model as directions of a plane, each of length 1.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        which: "ends": of the largest and of the smallest eigenvalue, the steepest valley and the way down, if any.
            "top": of the two largest.
        over: See ``convexity_map``.
        tol: See ``convexity_map``.
        loss_fn: See ``loss_surface``.
        objective: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.
        parameters: What moves, see ``loss_surface``.

    Returns:
        ``(delta, eta)``, two dicts over all parameters that move, orthogonal to each other, for ``directions=``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model.

    Example:
        >>> loss_surface(model, loader, directions=hessian_directions(model, loader))  # doctest: +SKIP
    """
    if which not in ("ends", "top"):
        raise ValueError(f"expected which as 'ends' or 'top', got {which!r}; 'ends' shows the most negative curvature")
    evaluator = build_hessian_evaluator(model, loader, over, tol, loss_fn, device, max_samples, parameters, objective)
    with evaluator.hessian_at(None) as hessian:
        ends = evaluator.ends(hessian)
        if ends is None:
            raise ValueError("expected finite gradients at the model, got some that are not; check its weights")
        if len(ends.vector_max) < 2 or not (ends.lambda_max or ends.lambda_min):
            raise ValueError(
                f"expected a Hessian with two directions to show, got one over {len(ends.vector_max):,} parameters "
                f"whose largest eigenvalue is {ends.lambda_max:g}; pass over='all', or look along random directions"
            )
        first, second = ends.vector_max, ends.vector_min
        if which == "top":
            # Without the largest eigenvalue, the second is the largest.
            second = evaluator.ends_of(
                lambda v: hessian.product(v) - ends.lambda_max * torch.dot(first, v) * first
            ).vector_max
            second = second - torch.dot(first, second) * first
    return evaluator.split(first), evaluator.split(second / second.norm())
