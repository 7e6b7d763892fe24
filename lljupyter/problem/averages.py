"""Means over samples, and their standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Measured = list[tuple[Tensor, Tensor]]  # of one quantity at one point, a pair a batch


def means_of_sums(sums: NDArray[np.float64], n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns means and standard errors, each of shape (k,), float64, of n samples of weight 1.

    Args:
        sums: Shape (2, k), the sums over the samples and those of their squares.
        n: How many samples there are.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        means = sums[0] / n
        spread = np.maximum(sums[1] - sums[0] * means, 0)
        return means, np.sqrt(spread * n / (n - 1)) / n if n > 1 else np.full_like(means, math.nan)


def means_of(measured: dict[str, list[Measured]]) -> dict[str, NDArray[np.float64]]:
    """Returns the means of quantities at k points.

    Args:
        measured: ``{quantity: k lists of (totals, weights)}``, one pair a batch.

    Returns:
        ``{quantity: values}`` with values of shape (k,), each quantity followed by ``<quantity>_stderr``.
    """
    values = {}
    for name, points in measured.items():
        pairs = [mean_and_stderr(*(_gathered(column) for column in zip(*p, strict=True))) for p in points]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        values[name], values[f"{name}_stderr"] = table[:, 0], table[:, 1]
    return values


def _gathered(tensors: Iterable[Tensor]) -> NDArray[np.float64]:
    gathered: NDArray[np.float64] = torch.cat([t.detach().reshape(-1) for t in tensors]).cpu().double().numpy()
    return gathered


def means_and_stderrs(totals: Tensor, weights: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns what ``mean_and_stderr`` does, for k points at once.

    Args:
        totals: Shape (k, n).
        weights: Shape (k, n), or one that broadcasts to it.

    Returns:
        Means and standard errors, each of shape (k,), float64.
    """
    mean, stderr = means_and_stderrs_there(totals, weights)
    return mean.cpu().numpy(), stderr.cpu().numpy()


def means_and_stderrs_there(totals: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the same on the device where they are."""
    totals, weights = totals.double(), weights.double()
    n, weight = totals.shape[1], weights.sum(1)
    mean = totals.sum(1) / weight
    spread = (totals - mean[:, None] * weights).square_().sum(1)
    stderr = (spread * n / (n - 1)).sqrt() / weight if n > 1 else torch.full_like(mean, math.nan)
    return mean, stderr


def mean_and_stderr(totals: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Returns ``sum(totals) / sum(weights)`` and its standard error (that of a ratio estimator).

    Args:
        totals: Shape (k,), float64.
        weights: Shape (k,), float64. With weights of 1 the standard error is ``std / sqrt(k)``. Where k counts batches,
            because the loss is known as their mean only, it is a rough estimate below about ten of them.

    Returns:
        The mean and its standard error, NaN when ``k < 2``.
    """
    k, weight = len(totals), float(weights.sum())
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = float(np.sum(totals) / weight) if weight else math.nan
        residuals = totals - mean * weights
        spread = float(np.sqrt((residuals**2).sum() * k / (k - 1))) / weight if k > 1 and weight else math.nan
    return mean, spread
