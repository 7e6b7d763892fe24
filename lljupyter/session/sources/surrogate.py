"""Prediction of a surface between known points, and its error at each of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# With more known points than this, every prediction is made from the nearest ones only.
ALL_TOGETHER = 1200
NEAREST = 64


class Prediction(NamedTuple):
    """A surface that is known in part.

    Attributes:
        values: Shape (n_beta, n_alpha); known values are as given, those next to a value that is not finite are NaN.
        errors: Shape (n_beta, n_alpha): at known points, the relative error of the prediction without that point; NaN
            elsewhere.
    """

    values: Floats
    errors: Floats


def predict(values: Floats, known: NDArray[np.bool_], alpha: Floats, beta: Floats) -> Prediction:
    """Predict unknown values with cubic radial basis functions and a plane.

    Losses that are positive throughout span orders of magnitude, so their logarithm is predicted. The error without
    a point follows from the same matrix, ``weight_i / inverse_ii``.

    Args:
        values: Shape (n_beta, n_alpha); entries that are not known are ignored. Not changed.
        known: Shape (n_beta, n_alpha), bool.
        alpha: Shape (n_alpha,), coordinates of the columns.
        beta: Shape (n_beta,), coordinates of the rows.

    Source:
        Rippa 1999, *An algorithm for selecting a good value for the parameter c in radial basis function
        interpolation*, section 2, for the error without a point.
    """
    places = _places(alpha, beta)
    flat, usable = values.ravel(), known.ravel() & np.isfinite(values.ravel())
    predicted, errors = np.full(flat.shape, np.nan), np.full(flat.shape, np.nan)
    index = np.flatnonzero(usable)
    if len(index) > 3:
        logarithmic = bool((flat[index] > 0).all())
        heights = np.log(flat[index]) if logarithmic else flat[index]
        if len(index) <= ALL_TOGETHER:
            guesses, missed = _interpolated(places[index], heights, places)
        else:
            guesses, missed = _from_nearest(places[index], heights, places)
        predicted = np.exp(guesses) if logarithmic else guesses
        scale = 1.0 if logarithmic else np.maximum(np.abs(heights), 1e-3 * np.abs(heights).max())
        errors[index] = np.abs(missed) / scale
        holes = known.ravel() & ~usable
        if holes.any():  # nothing smooth is to be expected around what is not finite
            nearest = _nearest(places[known.ravel()], places, 1)[:, 0]
            predicted[holes[np.flatnonzero(known.ravel())][nearest]] = np.nan
    predicted[known.ravel()] = flat[known.ravel()]
    return Prediction(predicted.reshape(values.shape), errors.reshape(values.shape))


def relative_errors(predicted: Floats, measured: Floats) -> Floats:
    """Return the errors of predictions, relative to the measured values; inf if only one of the two is finite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.abs(predicted - measured) / np.abs(measured)
    both: NDArray[np.bool_] = ~np.isfinite(predicted) & ~np.isfinite(measured)
    return np.where(both | (predicted == measured), 0.0, np.nan_to_num(errors, nan=np.inf, posinf=np.inf))


def _places(alpha: Floats, beta: Floats) -> Floats:
    """Coordinates of all points of the grid, shape (n_beta * n_alpha, 2), each axis scaled to [0, 1]."""
    x, y = ((axis - axis[0]) / max(axis[-1] - axis[0], 1e-300) for axis in (alpha, beta))
    columns, rows = np.meshgrid(x, y)
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


def _distances(a: Floats, b: Floats) -> Floats:
    distances: Floats = np.sqrt(((a[..., :, None, :] - b[..., None, :, :]) ** 2).sum(-1))
    return distances


def _nearest(known: Floats, places: Floats, n: int) -> NDArray[np.int64]:
    found = np.empty((len(places), min(n, len(known))), dtype=np.int64)
    for start in range(0, len(places), 512):
        distances = _distances(places[start : start + 512], known)
        found[start : start + 512] = np.argpartition(distances, found.shape[1] - 1, axis=1)[:, : found.shape[1]]
    return found


def _planes(places: Floats) -> Floats:
    return np.concatenate([np.ones_like(places[..., :1]), places], axis=-1)


def _system(known: Floats) -> Floats:
    """Matrices of interpolation problems, shape (..., n + 3, n + 3)."""
    n = known.shape[-2]
    matrix = np.zeros((*known.shape[:-2], n + 3, n + 3))
    matrix[..., :n, :n] = _distances(known, known) ** 3
    matrix[..., :n, n:] = _planes(known)
    matrix[..., n:, :n] = np.swapaxes(_planes(known), -1, -2)
    return matrix


def _interpolated(known: Floats, heights: Floats, places: Floats) -> tuple[Floats, Floats]:
    n = len(known)
    inverse = np.linalg.pinv(_system(known), rcond=1e-14, hermitian=True) if n < 16 else np.linalg.inv(_system(known))
    weights = inverse[:, :n] @ heights
    guesses = np.concatenate(
        [
            _distances(part, known) ** 3 @ weights[:n] + _planes(part) @ weights[n:]
            for part in np.array_split(places, -(-len(places) // 4096))
        ]
    )
    diagonal = np.diag(inverse)[:n]
    return guesses, weights[:n] / np.where(diagonal == 0, np.inf, diagonal)


def _from_nearest(known: Floats, heights: Floats, places: Floats) -> tuple[Floats, Floats]:
    guesses, missed = np.empty(len(places)), np.empty(len(known))
    for targets, found, skip in ((places, guesses, 0), (known, missed, 1)):
        near = _nearest(known, targets, NEAREST + skip)
        for start in range(0, len(targets), 512):
            part, at = near[start : start + 512], targets[start : start + 512]
            if skip:  # all but the point itself
                own = np.arange(start, start + len(part))[:, None]
                order = np.argsort(part == own, axis=1, kind="stable")[:, :NEAREST]
                part = np.take_along_axis(part, order, axis=1)
            sides = np.zeros((len(part), NEAREST + 3, 1))
            sides[:, :NEAREST, 0] = heights[part]
            weights = np.linalg.solve(_system(known[part]), sides)[..., 0]
            reach = _distances(at[:, None], known[part])[:, 0] ** 3
            rows = np.concatenate([reach, _planes(at)], axis=1)
            found[start : start + 512] = (rows * weights).sum(1)
    return guesses, heights - missed
