"""The curvature of random planes against the eigenvalues of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lljupyter.compute.prepare.grids import check_seed
from lljupyter.compute.prepare.hessian import build_hessian_evaluator
from lljupyter.geometry.select import Selection
from lljupyter.hessian.evaluator import Hessians
from lljupyter.problem.loaders import Loader
from lljupyter.problem.objective import LossFunction

Floats = NDArray[np.float64]


class ProjectedCurvatures(NamedTuple):
    """The curvature of random planes, and the curvature that the eigenvalues of the Hessian predict.

    Attributes:
        measured: Shape (k, 2), float64: ``d . H d / d . d`` for the two directions of k random planes.
        predicted: Shape (k, 2), float64: as many draws of ``sum(lambda_i * x_i) / sum(x_i)`` with independent
            ``x_i`` from the chi-square distribution with one degree of freedom.
    """

    measured: Floats
    predicted: Floats


def projected_curvatures(
    model: nn.Module,
    loader: Loader | None,
    eigenvalues: Floats,
    *,
    n_planes: int = 100,
    seed: int = 0,
    over: Hessians = "weights",
    loss_fn: LossFunction | None = None,
    objective: Callable[..., Any] | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    parameters: Selection | None = None,
) -> ProjectedCurvatures:
    """Draw random planes, to check the paper's statement on how they show the true curvature.

    The curvature of a surface along a Gaussian direction is an average of all principal curvatures of the loss with
    chi-square weights, so that a picture shows the typical eigenvalue, not the extreme ones.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        eigenvalues: Shape (N,), all eigenvalues of the Hessian over the same N parameters.
        n_planes: How many planes, k.
        seed: Seed of the planes and of the prediction.
        over: See ``convexity_map``.
        loss_fn: See ``loss_surface``.
        objective: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.
        parameters: What moves, see ``loss_surface``.

    Returns:
        ``measured`` and ``predicted``, both of shape (k, 2): two samples of one distribution, if the statement holds.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model.

    Source:
        Li et al. 2018, section 6.
    """
    if isinstance(n_planes, bool) or not isinstance(n_planes, int) or n_planes < 1:
        raise ValueError(f"expected n_planes as a whole number of at least 1, got {n_planes!r}; try n_planes=100")
    evaluator = build_hessian_evaluator(model, loader, over, 0.01, loss_fn, device, max_samples, parameters, objective)
    size = sum(theta.numel() for theta in evaluator.parameters.values())
    spectrum = np.asarray(eigenvalues, dtype=np.float64)
    if spectrum.shape != (size,):
        raise ValueError(
            f"expected the eigenvalues of a Hessian over {size:,} parameters, shape ({size},), got {spectrum.shape}; "
            f"compute all of them for over={over!r}"
        )
    if not np.isfinite(spectrum).all():
        n_bad = int((~np.isfinite(spectrum)).sum())
        raise ValueError(f"expected finite eigenvalues, got {n_bad} that are not; check the weights of the model")
    generator = torch.Generator("cpu").manual_seed(check_seed(seed))
    like = next(iter(evaluator.parameters.values()))
    measured = np.empty((n_planes, 2))
    with evaluator.hessian_at(None) as hessian:
        for place in np.ndindex(n_planes, 2):
            d = torch.randn(size, generator=generator).to(like)
            measured[place] = float(
                torch.dot(d.double(), hessian.product(d).double()) / torch.dot(d.double(), d.double())
            )
    weights = np.random.default_rng(seed).chisquare(1, (n_planes, 2, size))
    return ProjectedCurvatures(measured, (weights * spectrum).sum(-1) / weights.sum(-1))
