"""A result as an ``xarray.Dataset``: one variable a quantity on the dimensions (beta, alpha)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray

LONG_NAMES = {
    "loss": "mean loss",
    "loss_stderr": "standard error of the mean loss",
    "accuracy": "share of correct predictions, 0 to 1",
    "accuracy_stderr": "standard error of the accuracy",
    "evaluated": "whether the point was evaluated",
}
TRAJECTORY_NAMES = {
    "alpha": "coordinate of the checkpoint along delta",
    "beta": "coordinate of the checkpoint along eta",
    "outside": "distance of the checkpoint from the plane, as a share of that from the center",
    "learning_rate": "learning rate at the checkpoint",
}


def surface_dataset(
    alpha: NDArray[np.float64],
    beta: NDArray[np.float64],
    values: Mapping[str, NDArray[np.float64]],
    evaluated: NDArray[np.bool_],
    attributes: Mapping[str, Any],
) -> xarray.Dataset:
    """Builds the Dataset of a surface; the arrays are copied.

    Args:
        alpha: Shape (n_alpha,), coordinates in multiples of the direction delta.
        beta: Shape (n_beta,), coordinates in multiples of the direction eta.
        values: ``{quantity: array}``, each of shape (n_beta, n_alpha), NaN where not evaluated.
        evaluated: Shape (n_beta, n_alpha). NaN with False is "not yet"; inf and NaN with True are results.
        attributes: The recipe: strings and numbers, so that the Dataset can be written as netCDF.

    Returns:
        A Dataset with the variables of ``values`` and ``evaluated``.
    """
    import xarray  # a third of a second, and needed only when a result is asked for

    variables = {**values, "evaluated": evaluated}
    return xarray.Dataset(
        {
            name: (("beta", "alpha"), array.copy(), {"long_name": LONG_NAMES.get(name, name)})
            for name, array in variables.items()
        },
        coords={
            "beta": ("beta", beta.copy(), {"long_name": "multiple of eta"}),
            "alpha": ("alpha", alpha.copy(), {"long_name": "multiple of delta"}),
        },
        attrs=dict(attributes),
    )


def add_trajectory(
    dataset: xarray.Dataset, labels: Sequence[str], values: Mapping[str, NDArray[np.float64]], captured: float
) -> xarray.Dataset:
    """Returns a Dataset with a training run on a dimension of its own, ``checkpoint``.

    Args:
        dataset: A surface; not changed.
        labels: n of them.
        values: ``{name: array}``, each of shape (n,), stored as ``trajectory_<name>``: the coordinates ``alpha`` and
            ``beta``, the share ``outside`` of the distance from the center, and the quantities where it really is.
        captured: The share of the variation of the run that lies in the plane, stored as an attribute.
    """
    variables = {
        f"trajectory_{name}": (
            "checkpoint",
            array,
            {"long_name": TRAJECTORY_NAMES.get(name, f"{name} of the checkpoint")},
        )
        for name, array in values.items()
    }
    coordinates = {"checkpoint": ("checkpoint", np.array(labels, dtype=object))}
    whole: xarray.Dataset = dataset.assign(variables).assign_coords(coordinates)
    whole.attrs["trajectory_captured"] = captured
    return whole
