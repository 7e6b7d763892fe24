"""A result as an ``xarray.Dataset``: one variable a quantity on the dimensions (beta, alpha)."""

from __future__ import annotations

from collections.abc import Mapping
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
