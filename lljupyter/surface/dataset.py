"""A result as an ``xarray.Dataset``: one variable a quantity on the dimensions (beta, alpha)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.surface import notices
from lljupyter.surface.checks import check_attributes, check_names, check_trajectory

if TYPE_CHECKING:
    import xarray

# What became of each point; no quantities.
STATES = ("evaluated", "failed")
LONG_NAMES = {
    "loss": "mean loss",
    "loss_stderr": "standard error of the mean loss",
    "accuracy": "share of correct predictions, 0 to 1",
    "accuracy_stderr": "standard error of the accuracy",
    "lambda_min": "smallest eigenvalue of the Hessian; NaN where it can't be told from zero",
    "lambda_max": "largest eigenvalue of the Hessian",
    "convexity": "abs(lambda_min / lambda_max)",
    "hvps": "Hessian-vector products that were computed; NaN where none yet",
    "residual_min": "bound of the error of lambda_min",
    "residual_max": "bound of the error of lambda_max",
    "evaluated": "whether the point was evaluated",
    "failed": "whether model or loss raised at the point; the attribute failure has the first error",
    "loss_predicted": "mean loss, predicted where it was not evaluated",
    "accuracy_predicted": "share of correct predictions, predicted where it was not evaluated",
}
TRAJECTORY_NAMES = {
    "alpha": "coordinate of the checkpoint along delta",
    "beta": "coordinate of the checkpoint along eta",
    "outside": "distance of the checkpoint from the plane, as a share of that from the center",
    "learning_rate": "learning rate at the checkpoint",
    "failed": "whether model or loss raised at the checkpoint; the attribute trajectory_failure has the first error",
}


def surface_dataset(
    alpha: NDArray[np.float64],
    beta: NDArray[np.float64],
    values: Mapping[str, NDArray[np.float64]],
    evaluated: NDArray[np.bool_],
    attributes: Mapping[str, Any],
) -> xarray.Dataset:
    """Build the Dataset of a surface; the arrays are copied.

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


def add_failures(dataset: xarray.Dataset, failed: NDArray[np.bool_], failure: str) -> xarray.Dataset:
    """Return a surface with the points at which model or loss raised, ``failed``, and the first error, ``failure``.

    Args:
        dataset: A surface; not changed.
        failed: Shape (n_beta, n_alpha).
        failure: The error, in at most 500 characters.
    """
    variable = ("beta", "alpha"), failed.copy(), {"long_name": LONG_NAMES["failed"]}
    whole: xarray.Dataset = dataset.assign(failed=variable).assign_attrs(failure=failure)
    return whole


def stacked(results: Sequence[xarray.Dataset], seeds: Sequence[int]) -> xarray.Dataset:
    """Return results of several seeds on a dimension ``seed``; if points of one failed, all have ``failed``."""
    import xarray

    warnings = notices.of_seeds(
        {seed: notices.noted(result.attrs) for seed, result in zip(seeds, results, strict=True)}
    )
    failures = [result.attrs["failure"] for result in results if "failed" in result]
    if failures:
        whole = xarray.zeros_like(next(result["failed"] for result in results if "failed" in result))
        results = [result if "failed" in result else result.assign(failed=whole) for result in results]
    coordinate = xarray.Variable("seed", list(seeds), {"long_name": "seed of the directions"})
    several: xarray.Dataset = xarray.concat(list(results), "seed", combine_attrs="override").assign_coords(
        seed=coordinate
    )
    several.attrs.pop("warnings", None)
    several.attrs |= {"warnings": "\n".join(warnings)} if warnings else {}
    several.attrs |= {"failure": failures[0]} if failures else {}
    return several


def add_trajectory(
    dataset: xarray.Dataset,
    labels: Sequence[str],
    values: Mapping[str, NDArray[np.float64]],
    captured: float,
    failed: NDArray[np.bool_] | None = None,
    failure: str = "",
) -> xarray.Dataset:
    """Return a Dataset with a training run on a separate dimension, ``checkpoint``.

    Args:
        dataset: A surface; not changed.
        labels: n of them.
        values: ``{name: array}``, each of shape (n,), stored as ``trajectory_<name>``: the coordinates ``alpha`` and
            ``beta``, the share ``outside`` of the distance from the center, and the quantities where it really is.
        captured: The share of the variation of the run that lies in the plane, stored as an attribute.
        failed: Shape (n,), the checkpoints at which model or loss raised, stored like ``values`` if there are any.
        failure: The first error of these, stored as the attribute ``trajectory_failure``.
    """
    holes = {} if failed is None or not failed.any() else {"failed": failed}
    variables = {
        f"trajectory_{name}": (
            "checkpoint",
            array,
            {"long_name": TRAJECTORY_NAMES.get(name, f"{name} of the checkpoint")},
        )
        for name, array in {**values, **holes}.items()
    }
    coordinates = {"checkpoint": ("checkpoint", np.array(labels, dtype=object))}
    whole: xarray.Dataset = dataset.assign(variables).assign_coords(coordinates)
    whole.attrs |= {"trajectory_captured": captured, **({"trajectory_failure": failure} if holes else {})}
    return whole


def with_trajectory_of(dataset: xarray.Dataset, earlier: xarray.Dataset) -> xarray.Dataset:
    """Return a surface with the trajectory that an earlier Dataset of it has; without one, as it is."""
    kept = [name for name, variable in earlier.data_vars.items() if variable.dims == ("checkpoint",)]
    whole: xarray.Dataset = dataset.assign({name: earlier[name] for name in kept})
    told = ("trajectory_captured", "trajectory_failure")
    whole.attrs |= {name: earlier.attrs[name] for name in told if kept and name in earlier.attrs}
    return whole


def with_precision_of(dataset: xarray.Dataset, earlier: xarray.Dataset) -> xarray.Dataset:
    """Return a surface that also records the reduced precision of points taken over from an earlier Dataset of it."""
    if "precision_error" not in earlier.attrs:
        return dataset
    both = earlier.attrs, dataset.attrs
    kinds = sorted({kind for told in both if "precision" in told for kind in str(told["precision"]).split(", ")})
    error = max(float(told.get("precision_error", 0.0)) for told in both)
    telling: xarray.Dataset = dataset.assign_attrs(precision=", ".join(kinds), precision_error=error)
    return telling


def on_grid(dataset: Any, *, seeds: bool = False) -> tuple[Any, list[str]]:
    """Check that a Dataset can be drawn; a line gets the axis that it lacks.

    Args:
        dataset: With a quantity such as ``loss`` on the dimensions ``alpha`` and ``beta``, both evenly spaced and
            ascending; one of the dimensions may be missing, for a line. Not changed.
        seeds: Whether a dimension ``seed``, as from ``repeats``, is also allowed.

    Returns:
        The Dataset with both dimensions (and ``seed``), and the names of what can be drawn, ``loss`` first, else
        ``convexity``.

    Raises:
        TypeError: If it is not a Dataset.
        ValueError: If it has no such dimensions or nothing to draw, or an attribute is not what it has to be.
    """
    if not hasattr(dataset, "data_vars"):
        raise TypeError(
            f"expected an xarray.Dataset, got {type(dataset).__name__}; loss_surface(model, loader) returns one"
        )
    if "seed" in dataset.dims and not (seeds and dataset.sizes["seed"]):
        raise ValueError(f"expected one seed, got {dataset.sizes['seed']} of them; take one with dataset.isel(seed=0)")
    check_attributes(dataset.attrs)
    check_names(dataset)
    _check_axes(dataset)
    dataset = with_both_axes(dataset)
    check_trajectory(dataset)
    _check_layers(dataset)
    names = [
        str(name)
        for name, values in dataset.data_vars.items()
        if name not in STATES
        and not str(name).endswith("_predicted")  # drawn along with what was evaluated
        and _is_layer(values)
    ]
    if not names:
        raise ValueError(
            f"expected a Dataset with a quantity on (beta, alpha), got {list(dataset.data_vars)} on "
            f"{dict(dataset.sizes)}; loss_surface(model, loader) returns one"
        )
    return dataset, sorted(names, key=lambda name: {"loss": 0, "convexity": 1}.get(name, 2))


def by_seed(surface: Any) -> list[tuple[Any, str]]:
    """Return one surface per seed, with a heading; lines of several seeds stay together."""
    dims = set(getattr(surface, "dims", ()))
    if not {"seed", "alpha", "beta"} <= dims or 1 in (surface.sizes["alpha"], surface.sizes["beta"]):
        return [(surface, "")]
    _check_coordinates(surface, "seed")
    model = surface.attrs.get("model", "Loss landscape")
    return [(of_seed(surface, seed), f"{model}, seed {seed}") for seed in surface["seed"].values.tolist()]


def of_seed(surface: xarray.Dataset, seed: int | None = None) -> xarray.Dataset:
    """Return one of several surfaces that are stacked on a dimension ``seed``, the first one if none is named.

    Raises:
        ValueError: If there is none of that seed.
    """
    stacked = "seed" in getattr(surface, "dims", ()) and "seed" in surface.coords
    seeds = surface["seed"].values.tolist() if stacked else []
    if seed is None and not seeds:
        return surface
    if seed is not None and seed not in seeds:
        raise ValueError(
            f"expected seed as one of {seeds}, got {seed!r}; try seed={seeds[0]}"
            if seeds
            else f"expected no seed for what has no dimension of that name, got {seed!r}; leave seed out"
        )
    index = 0 if seed is None else seeds.index(seed)
    one: xarray.Dataset = surface.isel(seed=index).drop_vars("seed").assign_attrs(seed=seeds[index])
    if "warnings" in one.attrs:
        one.attrs["warnings"] = notices.of_seed(one.attrs, seeds, seeds[index])
    return one


def _check_axes(dataset: Any) -> None:
    """Check the coordinates along alpha and beta."""
    known = [axis for axis in ("alpha", "beta") if axis in dataset.dims]
    if not known:
        raise ValueError(
            f"expected a Dataset on the dimensions (beta, alpha), got {tuple(dataset.dims)}; "
            "loss_surface(model, loader) returns one"
        )
    for axis in (*known, *(("seed",) if "seed" in dataset.dims else ())):
        _check_coordinates(dataset, axis)
    for axis in known:
        values = np.asarray(dataset[axis].values, dtype=np.float64)
        if not len(values):
            raise ValueError(f"expected points along {axis}, got none; choose fewer with dataset.sel")
        if not _is_even(values):
            raise ValueError(
                f"expected {axis} ascending in even steps, got {values[:4]}...; sort it with dataset.sortby({axis!r})"
            )


def _check_coordinates(dataset: Any, axis: str) -> None:
    kinds, name = ("iu", "whole numbers") if axis == "seed" else ("biuf", "numbers")
    if axis not in dataset.coords or dataset[axis].dtype.kind not in kinds:
        raise ValueError(
            f"expected {name} as coordinates along {axis}, got "
            f"{dataset[axis].dtype if axis in dataset.coords else 'none'}; set them with "
            f"dataset.assign_coords({axis}=...)"
        )


def _is_layer(values: Any) -> bool:
    return set(values.dims) - {"seed"} == {"alpha", "beta"} and values.dtype.kind in "biuf"


def _check_layers(dataset: Any) -> None:
    """Check what belongs to the quantities: where they were evaluated, and what is predicted between."""
    predicted = [name for name in dataset.data_vars if str(name).endswith("_predicted")]
    for name in (*STATES, "hvps", *predicted):
        if name in dataset and not _is_layer(dataset[name]):
            raise ValueError(
                f"expected numbers {name!r} on the dimensions (beta, alpha), got {dataset[name].dtype} on "
                f"{dataset[name].dims}; leave it out with dataset.drop_vars({name!r})"
            )


def with_both_axes(line: Any) -> Any:
    """Return a line with the axis that it lacks, as a single row or column; a surface as it is."""
    for axis in ("alpha", "beta"):
        if axis not in line.dims:
            line = _with_axis(line.drop_vars(axis, errors="ignore"), axis)
    return line


def _with_axis(line: Any, axis: str) -> Any:
    """A line as a surface with a single row or column; a trajectory has no place on it."""
    kept = [name for name, values in line.data_vars.items() if {"alpha", "beta"} & set(values.dims)]
    dataset = line[kept].expand_dims({axis: [0.0]})
    dataset.attrs = {name: value for name, value in line.attrs.items() if not str(name).startswith("trajectory_")}
    return dataset


def _is_even(values: NDArray[np.float64]) -> bool:
    """Whether values ascend in even steps, as far as a picture shows it."""
    steps = np.diff(values)
    if not len(steps):
        return bool(np.isfinite(values).all())
    return bool(np.isfinite(values).all() and steps.min() > 0 and np.ptp(steps) <= 1e-4 * steps.max())
