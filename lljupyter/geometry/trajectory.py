"""Training trajectories: the plane that shows one best, and where the checkpoints fall on a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.geometry.checkpoints import Checkpoint, Trajectory, differences, flat, open_checkpoints
from lljupyter.geometry.directions import Ignore, check_norm
from lljupyter.geometry.parameters import Parameters, parameters_of
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.select import Selection, selected

Floats = NDArray[np.float64]

# A second component with less than this share of the variance is rounding, not a direction.
RANK_TOLERANCE = 1e-12


class PrincipalDirections(NamedTuple):
    """The two directions along which checkpoints vary most.

    Attributes:
        directions: ``(delta, eta)``, parameter dicts, orthonormal, for ``loss_surface(directions=...)``.
        explained_variance_ratio: Shape (2,), the share of the variance along each.
    """

    directions: tuple[dict[str, Tensor], dict[str, Tensor]]
    explained_variance_ratio: Floats

    def __repr__(self) -> str:
        first, second = self.explained_variance_ratio
        return (
            f"<PrincipalDirections of {len(self.directions[0])} tensors, {first:.1%} and {second:.1%} of the variance>"
        )


class Projection(NamedTuple):
    """A point projected onto a plane: its coordinates, and the share of its distance from the center outside it."""

    alpha: float
    beta: float
    outside: float


class ProjectedPath(NamedTuple):
    """Checkpoints projected onto a plane.

    Attributes:
        alpha: Shape (n,), coordinates along delta.
        beta: Shape (n,), coordinates along eta.
        outside: Shape (n,), 0 to 1: the distance of each from the plane, divided by that from the center; NaN, as are
            its coordinates, for a checkpoint that is not finite.
        captured: The share of the variance of the checkpoints, over all tensors, that lies in the plane.
    """

    alpha: Floats
    beta: Floats
    outside: Floats
    captured: float


def pca_directions(
    trajectory: Trajectory,
    center: nn.Module | Parameters,
    *,
    ignore: Ignore | None = "biasbn",
    final_row: bool = False,
    parameters: Selection | None = None,
) -> PrincipalDirections:
    """Find the two directions along which a training run varies most, by principal component analysis.

    The rows of ``M = [theta_0 - theta_n; ...; theta_{n-1} - theta_n]`` are mean-centered; delta and eta are the
    first two right singular vectors. They are computed through the n x n matrix of inner products, reading the
    checkpoints twice and block by block, so that memory does not grow with their number.

    Args:
        trajectory: A recorder's folder, or a sequence of state dicts and paths, in the order of training.
        center: theta_n: the trained model, or a dict of its parameters (or of its states).
        ignore: "biasbn" leaves out tensors with at most one axis (biases, BatchNorm); None takes all.
        final_row: Whether theta_n itself is a row (of zeros, before centering). The paper leaves it out, as the
            formula says; the authors' code has it in.
        parameters: Which parameters of the model concern the directions, see ``selected``; None for all. Of a dict,
            pass the part itself.

    Returns:
        Unit directions with the dtypes and devices of ``center``, so signed that the first checkpoint has
        coordinates of at least the mean's, and their ``explained_variance_ratio``.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If checkpoints do not fit the center, or span less than two dimensions.

    Source:
        Li et al. 2018, section 7.2.
    """
    check_norm(None, ignore)
    if not isinstance(center, (nn.Module, Mapping)):
        raise TypeError(
            f"expected center as a model or a dict of its parameters, got {type(center).__name__}; "
            "call it as (trajectory, model)"
        )
    theta = dict(center) if isinstance(center, Mapping) else parameters_of(center)
    if parameters is not None:
        if not isinstance(center, nn.Module):
            raise TypeError(
                f"expected center as a model to choose parameters from, got {type(center).__name__}; pass the model, "
                "or a dict of the parameters that are chosen"
            )
        theta = {name: theta[name] for name in selected(center, parameters)}
    checkpoints = open_checkpoints(trajectory)
    moving = {name: part for name, part in theta.items() if ignore is None or part.dim() > 1}
    gram = torch.zeros(len(checkpoints), len(checkpoints), dtype=torch.float64)
    for _, _, block in differences(checkpoints, moving):
        for start in range(0, len(gram), 64):  # the lower triangle is enough, and half the work
            gram[start : start + 64, : start + 64].addmm_(block[start : start + 64], block[: start + 64].T)
    gram = gram.tril() + gram.tril(-1).T
    if not bool(torch.isfinite(gram).all()):
        first = checkpoints[int((~torch.isfinite(gram.diagonal())).nonzero()[0])]
        raise ValueError(
            f"expected checkpoints with finite values, got inf or NaN in {first.label}; "
            "leave out where training diverged"
        )
    n = _n_rows(gram.numpy(), final_row)
    components, ratio = _principal(gram.numpy()[:n, :n], final_row)
    weights = torch.zeros(2, len(checkpoints), dtype=torch.float64)
    weights[:, :n] = torch.from_numpy(components)
    directions = tuple({name: torch.zeros_like(part) for name, part in theta.items()} for _ in range(2))
    for name, piece, block in differences(checkpoints, moving):
        for direction, values in zip(directions, weights @ block, strict=True):
            target = direction[name][piece]
            view = torch.view_as_real(target) if target.is_complex() else target
            view.copy_(values.reshape(view.shape))
    delta, eta = directions
    return PrincipalDirections((delta, eta), ratio)


def _n_rows(gram: Floats, final_row: bool) -> int:
    """Leaves out the last checkpoint when it is the center itself; with ``final_row`` it is added as zeros later."""
    n = len(gram) - int(gram[-1, -1] == 0)
    if n + final_row < 3:
        raise ValueError(
            f"expected at least {3 - final_row} checkpoints besides the center to span a plane, got {n}; "
            "record more of them"
        )
    return n


def _principal(gram: Floats, final_row: bool) -> tuple[Floats, Floats]:
    """Returns the weights of the rows in each unit direction, (2, n), and the explained variance ratio, (2,)."""
    n = len(gram)
    if final_row:
        gram = np.pad(gram, (0, 1))
    centered = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    values, vectors = np.linalg.eigh(centered)
    largest, u = values[:-3:-1], vectors[:, :-3:-1].T
    total = float(np.trace(centered))
    if not largest[1] > RANK_TOLERANCE * total:
        raise ValueError(
            "expected checkpoints that differ in at least two dimensions, got "
            f"{'equal ones' if total <= 0 else 'ones on a line'}; record more of them, or pass ignore=None"
        )
    u = u * np.where(u[:, :1] < 0, -1, 1)  # the first checkpoint on the positive side
    weights: Floats = (u - u.mean(1, keepdims=True))[:, :n] / np.sqrt(largest)[:, None]
    return weights, largest / total


def project(point: Parameters, plane: Plane) -> Projection:
    """Returns the coordinates of the point of a plane that lies nearest to some parameters.

    Least squares: right for directions of any length that need not be orthogonal,
    ``project(plane.at(alpha, beta), plane)`` is ``(alpha, beta, 0)``.

    Args:
        point: ``{name: tensor}`` with the names of the plane's center; more are ignored. Not changed.
        plane: The plane; a direction of zeros has the coordinate 0.

    Returns:
        ``(alpha, beta, outside)``; outside is the distance from the plane divided by that from the center, 0 to 1.

    Raises:
        TypeError: If the point is no dict.
        ValueError: If the point does not fit the plane, or delta and eta are parallel.

    Source:
        Li et al. 2018, section 7.2. Differs from the authors' code, whose inner products are right for orthonormal
        directions only.
    """
    if not isinstance(point, Mapping):
        raise TypeError(
            f"expected a point as a dict of parameter name to tensor, got {type(point).__name__}; "
            "of a model, pass model.state_dict()"
        )
    path = project_trajectory([Checkpoint(point, "point")], plane)
    return Projection(float(path.alpha[0]), float(path.beta[0]), float(path.outside[0]))


def project_trajectory(checkpoints: Sequence[Checkpoint], plane: Plane) -> ProjectedPath:
    """Projects checkpoints onto a plane by least squares, see ``project``; reads them once, block by block.

    Args:
        checkpoints: n of them, see ``open_checkpoints``.
        plane: Distances are measured over all tensors of its center, those that its directions leave alone too.

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
    return ProjectedPath(coordinates[:, 0], coordinates[:, 1], outside, captured)


def _solve(metric: Floats, inner: Floats) -> Floats:
    lengths = np.sqrt(np.diag(metric))
    unit = np.where(lengths > 0, lengths, 1.0)
    cosine = metric[0, 1] / unit.prod()
    if lengths.all() and 1 - abs(cosine) < RANK_TOLERANCE:
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
