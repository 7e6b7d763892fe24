"""Project checkpoints onto a plane, and measure their distance from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.geometry.blocks import differences, flat
from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane

Floats = NDArray[np.float64]

# Two directions whose cosine differs less from 1 than this are parallel up to rounding.
PARALLEL_TOLERANCE = 1e-12
# A trajectory ends away from the center if its end is further from it than this share of the furthest checkpoint.
AWAY = 0.01


class Projection(NamedTuple):
    """A point projected onto a plane: its coordinates, and the share of its distance from the center outside it."""

    alpha: float
    beta: float
    outside: float


class ProjectedTrajectory(NamedTuple):
    """Checkpoints projected onto a plane.

    Attributes:
        alpha: Shape (n,), coordinates along delta.
        beta: Shape (n,), coordinates along eta.
        outside: Shape (n,), 0 to 1: distance from the plane divided by distance from the center. NaN, like the
            coordinates, for a checkpoint that is not finite.
        captured: The share of the variance of the checkpoints (over all tensors) that lies in the plane, 0 to 1.
        distance: Shape (n,), Euclidean distance of each checkpoint from the center, over all tensors.
    """

    alpha: Floats
    beta: Floats
    outside: Floats
    captured: float
    distance: Floats


def project(point: Parameters, plane: Plane) -> Projection:
    """Return the coordinates of the point of a plane that is nearest to the given parameters.

    Uses least squares, so that directions may have any length and need not be orthogonal:
    ``project(plane.at(alpha, beta), plane)`` is ``(alpha, beta, 0)``.

    Args:
        point: ``{name: tensor}`` with the names of the plane's center; others are ignored. Not changed.
        plane: The plane. The coordinate along a direction of zeros is 0.

    Returns:
        ``(alpha, beta, outside)``; outside is the distance from the plane divided by that from the center, 0 to 1.

    Raises:
        TypeError: If the point is not a dict.
        ValueError: If the point does not fit the plane, or delta and eta are parallel.

    Source:
        Li et al. 2018, section 7.2. Differs from the authors' code, whose inner products are correct for
        orthonormal directions only.
    """
    if not isinstance(point, Mapping):
        raise TypeError(
            f"expected a point as a dict of parameter name to tensor, got {type(point).__name__}; "
            "of a model, pass model.state_dict()"
        )
    path = project_trajectory([Checkpoint(point, "point")], plane)
    return Projection(float(path.alpha[0]), float(path.beta[0]), float(path.outside[0]))


def project_trajectory(checkpoints: Sequence[Checkpoint], plane: Plane) -> ProjectedTrajectory:
    """Project checkpoints onto a plane by least squares, see ``project``; reads them once, block by block.

    Args:
        checkpoints: n of them, see ``open_checkpoints``.
        plane: Distances are measured over all tensors of its center, including those in which its directions are zero.

    Raises:
        ValueError: If a checkpoint does not fit the plane, or delta and eta are parallel.
    """
    n = len(checkpoints)
    inner, metric = torch.zeros(n, 2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    squares, of_mean = torch.zeros(n, dtype=torch.float64), 0.0
    for name, piece, block in differences(checkpoints, plane.center):
        basis = torch.stack([flat(d[name], piece) for d in (plane.delta, plane.eta)])
        inner.addmm_(block, basis.T)
        metric.addmm_(basis, basis.T)
        squares += torch.linalg.vector_norm(block, dim=1) ** 2
        of_mean += float(torch.linalg.vector_norm(block.mean(0)) ** 2)
    coordinates = _solve(metric.numpy(), inner.numpy())
    with np.errstate(invalid="ignore", divide="ignore"):
        within = _squared_lengths(coordinates, metric.numpy()) / squares.numpy()
        # The center itself lies in the plane; a checkpoint that is not finite lies nowhere.
        outside = np.sqrt(np.clip(1 - np.where(squares.numpy() == 0, 1.0, within), 0, 1))
        variance = float(squares.sum()) - n * of_mean
        spread = _squared_lengths(coordinates - coordinates.mean(0), metric.numpy()).sum()
        captured = float(np.clip(spread / variance, 0, 1)) if variance > 0 else float("nan")
    return ProjectedTrajectory(coordinates[:, 0], coordinates[:, 1], outside, captured, np.sqrt(squares.numpy()))


def away_from_center(path: ProjectedTrajectory) -> str:
    """Explain why a training run may end away from the center; return "" if it ends there.

    Args:
        path: The projected run, in the order of training.
    """
    last, furthest = float(path.distance[-1]), float(np.nanmax(path.distance, initial=0.0))
    if last <= AWAY * furthest:
        return ""
    if not np.isfinite(last):
        return "the training run ends at weights that are inf or NaN, not at the model"
    share = f"the training run ends away from the model, at {last / furthest:.0%} of its largest distance from it"
    if path.distance[0] <= AWAY * furthest:
        return (
            f"{share}, and begins there: its checkpoints are in reverse order, or the model is the one before training"
        )
    return (
        f"{share}: training went on after the last checkpoint, or the model holds other weights than those trained "
        "last (an average such as EMA or SWA, the best checkpoint, or those of a schedule-free optimizer in its other "
        "mode), or the checkpoints are of another run"
    )


def _solve(metric: Floats, inner: Floats) -> Floats:
    lengths = np.sqrt(np.diag(metric))
    unit = np.where(lengths > 0, lengths, 1.0)
    cosine = metric[0, 1] / unit.prod()
    if lengths.all() and 1 - abs(cosine) < PARALLEL_TOLERANCE:
        raise ValueError(
            "expected a plane whose delta and eta point in different directions, got parallel ones; "
            "choose another direction, or orthogonalize"
        )
    x, y = (inner / unit).T
    coordinates: Floats = np.stack([x - cosine * y, y - cosine * x], axis=1) / (1 - cosine**2) / unit
    return coordinates


def _squared_lengths(coordinates: Floats, metric: Floats) -> Floats:
    lengths: Floats = np.einsum("ni,ij,nj->n", coordinates, metric, coordinates)
    return lengths
