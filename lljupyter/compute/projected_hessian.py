"""The exact second derivatives of a surface at a point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lljupyter.compute.prepare.hessian import build_hessian_evaluator
from lljupyter.geometry.parameters import check_direction, parameters_of
from lljupyter.geometry.plane import Plane
from lljupyter.problem.loaders import Loader
from lljupyter.problem.objective import LossFunction


def projected_hessian(
    model: nn.Module,
    loader: Loader | None,
    plane: Plane,
    point: tuple[float, float] = (0.0, 0.0),
    *,
    loss_fn: LossFunction | None = None,
    objective: Callable[..., Any] | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> NDArray[np.float64]:
    """Return the exact second derivatives of the surface ``f(alpha, beta)`` at a point, with no finite differences.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        plane: A plane around the model.
        point: (alpha, beta).
        loss_fn: See ``loss_surface``.
        objective: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.

    Returns:
        Shape (2, 2), float64: ``[[f_aa, f_ab], [f_ab, f_bb]]``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If the plane does not fit the model, or the point is not finite.
    """
    if not (hasattr(plane, "delta") and hasattr(plane, "eta")):
        raise TypeError(f"expected a Plane, got {type(plane).__name__}; make it with Plane(center, delta, eta)")
    try:
        alpha, beta = map(float, point)
    except (TypeError, ValueError):
        raise TypeError(f"expected point as two numbers, got {point!r}; try point=(0, 0)") from None
    if not (math.isfinite(alpha) and math.isfinite(beta)):
        raise ValueError(f"expected a finite point, got {point!r}; try point=(0, 0)")
    is_part = plane.delta.keys() < parameters_of(model).keys()
    parameters = list(plane.delta) if is_part else None
    evaluator = build_hessian_evaluator(model, loader, "all", 0.01, loss_fn, device, max_samples, parameters, objective)
    for label, direction in (("delta", plane.delta), ("eta", plane.eta)):
        check_direction(direction, evaluator.center, label)
    evaluator.set_plane(plane)
    with evaluator.hessian_at(alpha, beta) as hessian:
        return evaluator.within(hessian)
