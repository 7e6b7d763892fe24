"""Principal component analysis of the checkpoints of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.geometry.blocks import differences
from lljupyter.geometry.checkpoints import Trajectory, open_checkpoints
from lljupyter.geometry.directions import Ignore, check_norm
from lljupyter.geometry.parameters import Parameters, parameters_of
from lljupyter.geometry.select import Selection, selected

Floats = NDArray[np.float64]

# A second component with less than this share of the variance is a rounding error.
RANK_TOLERANCE = 1e-12


class PrincipalDirections(NamedTuple):
    """The two directions along which checkpoints vary most.

    Attributes:
        directions: ``(delta, eta)``, parameter dicts, orthonormal, for ``loss_surface(directions=...)``.
        explained_variance_ratio: Shape (2,), the share of the variance along each, 0 to 1.
    """

    directions: tuple[dict[str, Tensor], dict[str, Tensor]]
    explained_variance_ratio: Floats

    def __repr__(self) -> str:
        first, second = self.explained_variance_ratio
        return (
            f"<PrincipalDirections of {len(self.directions[0])} tensors, {first:.1%} and {second:.1%} of the variance>"
        )


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
    first two right singular vectors. They are computed from the n x n matrix of inner products. The checkpoints are
    read twice, block by block, so that memory does not grow with their number.

    Args:
        trajectory: The folder of a recorder or trainer, or a sequence of state dicts and paths, in the order of
            training, see ``open_checkpoints``.
        center: theta_n: the trained model, or a dict of its parameters (or of its states).
        ignore: "biasbn" leaves out tensors with at most one axis (biases, BatchNorm); None takes all.
        final_row: Whether to include theta_n as a row (of zeros, before centering). The formula of the paper does not
            include it; the authors' code does.
        parameters: Which parameters of the model to use, see ``selected``; None for all. If ``center`` is a dict, pass
            a smaller dict instead.

    Returns:
        Unit directions with the shapes, dtypes and devices of ``center``, and their ``explained_variance_ratio``. The
        signs are chosen so that the coordinates of the first checkpoint are at least the mean.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If checkpoints do not fit the center, are not finite, or span less than two dimensions.

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
    """Return the number of rows: without the last checkpoint if it is the center, which ``final_row`` adds later."""
    n = len(gram) - int(gram[-1, -1] == 0)
    if n + final_row < 3:
        raise ValueError(
            f"expected at least {3 - final_row} checkpoints besides the center to span a plane, got {n}; "
            "record more of them"
        )
    return n


def _principal(gram: Floats, final_row: bool) -> tuple[Floats, Floats]:
    """Return the weights of the rows in each unit direction, (2, n), and the explained variance ratio, (2,)."""
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
