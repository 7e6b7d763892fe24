"""What the Hessian tells: maps of convexity, its eigenvectors as directions, and its part within a plane."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.compute.grids import check_seed
from lljupyter.compute.options import Surface, takes
from lljupyter.compute.prepare import prepare
from lljupyter.compute.surfaces import run_all
from lljupyter.geometry.parameters import check_direction
from lljupyter.geometry.plane import Plane
from lljupyter.hessian.evaluator import CurvatureEvaluator, Hessians, check_curvature
from lljupyter.problem.loaders import Loader
from lljupyter.problem.problem import build_problem
from lljupyter.problem.quantities import LossFunction

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

Which = Literal["top", "ends"]
Floats = NDArray[np.float64]


@takes(Surface, prepare)
def convexity_map(
    model: nn.Module,
    loader: Loader,
    *,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Surface],
) -> xarray.Dataset:
    """Computes ``abs(lambda_min / lambda_max)`` of the Hessian of the loss at every point of a plane.

    Where it is small, below about 1 %, no noticeable non-convexity is hidden in the picture (Li et al. 2018, figure 7).
    Every point takes some dozen Hessian-vector products over all samples: begin with a low ``resolution`` and with
    ``max_samples``.

    Args:
        model: See ``loss_surface``.
        loader: See ``loss_surface``. Of several loaders the first is used.
        **options: See ``Surface``; ``quantities`` that are asked for are measured, too.
        repeats: See ``loss_surface``.
        save_to: See ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimensions (beta, alpha) with ``lambda_min`` and ``lambda_max``, ``convexity``, their residuals
        ``residual_min`` and ``residual_max`` (no eigenvalue of the Hessian is needed further away than that), and
        ``hvps``, the number of products, all float64. Of a large model most of them are rough: over the samples that
        have nearly all of the curvature, in bfloat16 where the processor is made for it; values and residuals are
        those of exact products at the end. ``lambda_min`` and ``convexity`` are NaN where the smallest
        eigenvalue can't be told from zero: its absolute value is below ``residual_min`` then. A point starts from the
        eigenvectors of a neighbor, so that its values depend on the order of the points (a map that was stopped and
        goes on has another), within these residuals.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        RuntimeError: If the model fails at a point; the message names it.

    Differs from the authors' code: the mean over samples, not a sum over batches; one run gives both ends of the
    spectrum, to a residual that is stored, where theirs stop after 44 products (at the center of the network in the
    tests their smallest eigenvalue is 11 % off).

    Source:
        Li et al. 2018, section 6.
    """
    wanted = options.get("quantities")
    if wanted is None:
        options["quantities"] = ["convexity"]
    elif isinstance(wanted, Collection) and not isinstance(wanted, str):  # what else it is, is refused as everywhere
        options["quantities"] = [*(name for name in wanted if name != "convexity"), "convexity"]
    return run_all(prepare(model, loader, **options), repeats, save_to, progress, "convexity")


def hessian_directions(
    model: nn.Module,
    loader: Loader,
    *,
    which: Which = "ends",
    over: Hessians = "weights",
    tol: float = 0.01,
    loss_fn: LossFunction | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns two eigenvectors of the Hessian at the model as directions of a plane, each of length 1.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        which: "ends": of the largest and of the smallest eigenvalue, the steepest valley and the way down, if any.
            "top": of the two largest.
        over: See ``convexity_map``.
        tol: See ``convexity_map``.
        loss_fn: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.

    Returns:
        ``(delta, eta)``, two dicts over all parameters, orthogonal to each other, for ``directions=``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model.

    Example:
        >>> loss_surface(model, loader, directions=hessian_directions(model, loader))  # doctest: +SKIP
    """
    if which not in ("ends", "top"):
        raise ValueError(f"expected which as 'ends' or 'top', got {which!r}; 'ends' shows the most negative curvature")
    curvature = _curvature(model, loader, over, tol, loss_fn, device, max_samples)
    with curvature.hessian_at(None) as hessian:
        ends = curvature.ends(hessian)
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
            second = curvature.ends_of(
                lambda v: hessian.product(v) - ends.lambda_max * torch.dot(first, v) * first
            ).vector_max
            second = second - torch.dot(first, second) * first
    return curvature.split(first), curvature.split(second / second.norm())


def projected_hessian(
    model: nn.Module,
    loader: Loader,
    plane: Plane,
    point: tuple[float, float] = (0.0, 0.0),
    *,
    loss_fn: LossFunction | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> Floats:
    """Returns the exact second derivatives of the surface ``f(alpha, beta)`` at a point, with no finite differences.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        plane: A plane around the model.
        point: (alpha, beta).
        loss_fn: See ``loss_surface``.
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
    curvature = _curvature(model, loader, "all", 0.01, loss_fn, device, max_samples)
    for label, direction in (("delta", plane.delta), ("eta", plane.eta)):
        check_direction(direction, curvature.center, label)
    curvature.set_plane(plane)
    with curvature.hessian_at(alpha, beta) as hessian:
        return curvature.within(hessian)


class ProjectedCurvatures(NamedTuple):
    """How curved random planes are, beside what the eigenvalues of the Hessian predict.

    Attributes:
        measured: Shape (k, 2), float64: ``d . H d / d . d`` for the two directions of k random planes.
        predicted: Shape (k, 2), float64: as many draws of ``sum(lambda_i * x_i) / sum(x_i)`` with independent
            ``x_i`` from the chi-square distribution with one degree of freedom.
    """

    measured: Floats
    predicted: Floats


def projected_curvatures(
    model: nn.Module,
    loader: Loader,
    eigenvalues: Floats,
    *,
    n_planes: int = 100,
    seed: int = 0,
    over: Hessians = "weights",
    loss_fn: LossFunction | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> ProjectedCurvatures:
    """Draws random planes to check the paper's statement on what they show of the true curvature.

    The curvature of a surface along a Gaussian direction is an average of all principal curvatures of the loss with
    chi-square weights, so that a picture is curved as the typical eigenvalue, not as the extreme ones, is.

    Args:
        model: A module; it is copied and not changed.
        loader: See ``loss_surface``.
        eigenvalues: Shape (N,), all eigenvalues of the Hessian over the same N parameters.
        n_planes: How many planes, k.
        seed: Seed of the planes and of the prediction.
        over: See ``convexity_map``.
        loss_fn: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.

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
    curvature = _curvature(model, loader, over, 0.01, loss_fn, device, max_samples)
    size = sum(theta.numel() for theta in curvature.parameters.values())
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
    like = next(iter(curvature.parameters.values()))
    measured = np.empty((n_planes, 2))
    with curvature.hessian_at(None) as hessian:
        for place in np.ndindex(n_planes, 2):
            d = torch.randn(size, generator=generator).to(like)
            measured[place] = float(
                torch.dot(d.double(), hessian.product(d).double()) / torch.dot(d.double(), d.double())
            )
    weights = np.random.default_rng(seed).chisquare(1, (n_planes, 2, size))
    return ProjectedCurvatures(measured, (weights * spectrum).sum(-1) / weights.sum(-1))


def _curvature(
    model: nn.Module,
    loader: Loader,
    over: Hessians,
    tol: float,
    loss_fn: LossFunction | None,
    device: torch.device | str | None,
    max_samples: int | None,
) -> CurvatureEvaluator:
    check_curvature(over, tol)
    problem = build_problem(model, loader, loss_fn=loss_fn, quantities=["loss"], device=device, max_samples=max_samples)
    return CurvatureEvaluator(problem, over=over, tol=tol)
