"""All that is known of one request at one moment; everything shown or returned is a function of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.session.request import Request
from lljupyter.session.sources.checkpoint_losses import TrajectoryLosses
from lljupyter.session.sources.preview import PreviewMeans
from lljupyter.surface.dataset import (
    add_failures,
    add_trajectory,
    surface_dataset,
    with_precision_of,
    with_trajectory_of,
)
from lljupyter.surface.frame import Status
from lljupyter.surface.notices import noted, notices_of_values

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of a session, taken under one lock, so that all of it belongs to the same request.

    Its arrays are read-only copies.

    Attributes:
        request: The surface that is computed.
        quantities: The names of what is evaluated, without standard errors.
        values: ``{name: array}``, each of shape (n_beta, n_alpha), NaN where not evaluated.
        evaluated: Shape (n_beta, n_alpha), bool.
        failed: Shape (n_beta, n_alpha), bool: at which points model or loss raised, in any stage.
        failure: The first error of these, "" if there is none.
        predicted: With a tolerance, ``{quantity: array}`` of shape (n_beta, n_alpha), predicted between the points.
        preview: Estimates of points from some of the samples, or None.
        trajectory: The checkpoints on this plane, or None.
        center: The values at (0, 0) by name, or None if they are not known yet.
        attributes: The recipe of the Dataset, with facts found on the way.
        status: What the session is doing.
        error: What ended the computation, or None.
        n_done: How many points are known; with a second stage, of both stages together.
        n_points: How many points there are.
        elapsed: Seconds of computing, without pauses.
        remaining: Seconds left, or None before the first point.
        at_most: Whether the computation may take less than ``remaining``, because a tolerance may be met before.
        inherited: The Dataset that this surface was resumed from, or None.
    """

    request: Request
    quantities: tuple[str, ...]
    values: Mapping[str, Floats]
    evaluated: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    failure: str
    predicted: Mapping[str, Floats]
    preview: PreviewMeans | None
    trajectory: TrajectoryLosses | None
    center: Mapping[str, float] | None
    attributes: Mapping[str, Any]
    status: Status
    error: BaseException | None
    n_done: int
    n_points: int
    elapsed: float
    remaining: float | None
    at_most: bool
    inherited: xarray.Dataset | None


def frozen(arrays: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Return a read-only mapping of read-only copies of arrays."""
    return MappingProxyType({name: read_only(array) for name, array in arrays.items()})


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of an array that cannot be written to."""
    copy: NDArray[Any] = array.copy()
    copy.setflags(write=False)
    return copy


def notices_of_snapshot(snapshot: Snapshot) -> list[str]:
    """Return what the person should be warned of; what the values show once the computation has ended."""
    lines = noted(snapshot.attributes)
    if snapshot.status not in ("running", "paused"):
        known = {name: array[snapshot.evaluated] for name, array in snapshot.values.items()}
        lines += notices_of_values(known, snapshot.attributes)
    return list(dict.fromkeys(lines))


def dataset_of(snapshot: Snapshot) -> xarray.Dataset:
    """Return the surface as far as it is known, as a Dataset with the whole recipe; predictions are kept apart."""
    request = snapshot.request
    values = {**snapshot.values, **{f"{name}_predicted": array for name, array in snapshot.predicted.items()}}
    notices = {"warnings": "\n".join(lines)} if (lines := notices_of_snapshot(snapshot)) else {}
    attributes = {**snapshot.attributes, **notices}
    dataset = surface_dataset(request.alpha, request.beta, values, snapshot.evaluated, attributes)
    if snapshot.failed.any():
        dataset = add_failures(dataset, snapshot.failed, snapshot.failure)
    if snapshot.inherited is not None:
        dataset = with_precision_of(dataset, snapshot.inherited)
        if snapshot.trajectory is None:
            return with_trajectory_of(dataset, snapshot.inherited)
    return dataset if snapshot.trajectory is None else add_trajectory(dataset, *snapshot.trajectory)
