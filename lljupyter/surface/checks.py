"""Check the attributes of a surface before it is drawn or saved, because a file may come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

# Squares of coordinates, and of steps between them, are computed.
LARGEST = 1e100
# What a drawn trajectory needs at least.
TRAJECTORY_PARTS = ("alpha", "beta", "outside")


def check_attributes(attributes: Mapping[Any, Any], path: Path | None = None) -> None:
    """Check the attributes that pictures are made from; all others are only listed.

    Args:
        attributes: Those of a Dataset.
        path: The file that they were read from.

    Raises:
        ValueError: If one is of another kind.
    """
    for name, value in attributes.items():
        try:
            str(value)
        except Exception as error:
            raise ValueError(
                f"expected attributes that can be written as texts, got {name!r} as an object of the type "
                f"{type(value).__name__} that cannot; leave it out with del surface.attrs[{name!r}]"
            ) from error
    for name, (is_right, kind) in KNOWN.items():
        if name in attributes and not is_right(attributes[name]):
            first = "" if path is None else f"surface = xarray.load_dataset({str(path)!r}) reads the file as it is: "
            raise ValueError(
                f"expected the attribute {name!r} of {path or 'the surface'} as {kind}, got "
                f"{short(attributes[name])}; {first}correct it, or leave it out with del surface.attrs[{name!r}]"
            )


def check_names(dataset: xarray.Dataset) -> None:
    """Check that all variables have texts as names.

    Raises:
        ValueError: If one has another name.
    """
    for name in dataset.variables:
        if not isinstance(name, str):
            raise ValueError(
                f"expected variables with texts as names, got {short(name)}; "
                f"leave it out with surface.drop_vars({short(name)})"
            )


def check_trajectory(dataset: xarray.Dataset) -> None:
    """Check that a training run, if there is one, has all that it is drawn from.

    Raises:
        ValueError: If something of it is missing or of another kind.
    """
    if "trajectory_captured" not in dataset.attrs and "trajectory_alpha" not in dataset:
        return
    there = [str(name) for name in dataset.data_vars if str(name).startswith("trajectory_")]
    needed = [f"trajectory_{part}" for part in TRAJECTORY_PARTS]
    wrong = [
        name
        for name in dict.fromkeys([*needed, *there])
        if name not in there or dataset[name].dims != ("checkpoint",) or dataset[name].dtype.kind not in "biuf"
    ]
    if wrong:
        got = f"{dataset[wrong[0]].dtype} on {dataset[wrong[0]].dims}" if wrong[0] in there else f"only {there}"
        raise ValueError(
            f"expected numbers {wrong[0]!r} of the trajectory on the dimension (checkpoint,), got {got}; take the "
            "trajectory out with surface.drop_dims('checkpoint') and del surface.attrs['trajectory_captured']"
        )


def check_axis(dataset: xarray.Dataset, axis: str) -> None:
    """Check that the coordinates along an axis are finite numbers.

    Raises:
        ValueError: If there are none, or other ones.
    """
    values = dataset.coords[axis].values if axis in dataset.coords else None
    if values is None or values.dtype.kind not in "iuf" or values.ndim != 1 or not values.size:
        got = "none" if values is None else f"{values.dtype} of shape {values.shape}"
        raise ValueError(
            f"expected numbers as coordinates along {axis}, got {got}; set them with surface.assign_coords({axis}=...)"
        )
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
        raise ValueError(
            f"expected finite coordinates along {axis}, got {short(values)}; set them with "
            f"surface.assign_coords({axis}=...)"
        )


def check_evaluated(dataset: xarray.Dataset) -> None:
    """Check that ``evaluated`` is True or False at every point, and ``failed``, if it is there, too.

    Raises:
        ValueError: If one is something else.
    """
    if "failed" in dataset:
        failed = dataset["failed"]
        same = set(failed.dims) == set(dataset["evaluated"].dims) and failed.dtype.kind in "biuf"
        if not same or not np.isin(failed.values, (0, 1)).all():
            raise ValueError(
                f"expected 'failed' as True or False at every point, got {short(failed.values)}; leave it out with "
                "surface.drop_vars('failed')"
            )
    values = dataset["evaluated"].values
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"expected 'evaluated' as True or False at every point, got {short(values)}; set it with "
            "surface.assign(evaluated=surface.loss.notnull())"
        )


def check_values(name: Any, values: np.ndarray) -> None:
    """Check that files can hold the values of a variable.

    Raises:
        TypeError: If the name is no text, or the values are neither numbers, dates nor texts, or complex.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"expected variables with texts as names to save, got {name!r}; rename it with surface.rename({{{name!r}: "
            f"'{name}'}})"
        )
    holds_texts = values.dtype.kind in "OU" and all(is_text(value) for value in values.flat)
    if not (values.dtype.kind in "biufM" or holds_texts):
        raise TypeError(
            f"expected numbers, dates or texts to save, got {values.dtype} in {name!r}; convert it, of complex numbers "
            f"to abs(surface[{name!r}]) or to two variables, or leave it out with surface.drop_vars({name!r})"
        )


def check_directions(directions: Any) -> None:
    """Check that directions are two parameter dicts.

    Raises:
        TypeError: If they are something else.
    """
    is_pair = isinstance(directions, (tuple, list)) and len(directions) == 2
    if not is_pair or not all(
        isinstance(direction, Mapping) and all(hasattr(part, "detach") for part in direction.values())
        for direction in directions
    ):
        raise TypeError(
            "expected directions as (delta, eta), two dicts of parameter name to tensor, got "
            f"{short(type(directions).__name__)}; pass those that the surface was computed with, or None"
        )


def marks_of(recipe: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the points that a plane names, such as the three models it goes through: ``{name: (alpha, beta)}``."""
    marks: dict[str, tuple[float, float]] = json.loads(recipe.get("marks", "{}"))
    return marks


def is_text(value: Any) -> bool:
    """Return True for texts that files can hold: HDF5 ends them at a null, and stores UTF-8."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_marks(value: Any) -> bool:
    try:
        points = list(json.loads(value).values())
        return all(
            len(point) == 2 and all(is_number(part) and math.isfinite(part) for part in point) for point in points
        )
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError):  # no JSON, no object, no pairs, ...
        return False


def is_number(value: Any) -> bool:
    """Return True for real numbers of Python and NumPy that are no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return is_number(value) and abs(value) <= 2**64 and value == int(value)


def _is_shares(value: Any) -> bool:
    shares = np.atleast_1d(np.asarray(value, dtype=object))
    return shares.ndim == 1 and all(map(is_number, shares))


def short(value: Any) -> str:
    """Return how a value is written, in one line of at most 81 characters, for messages."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an object whose own repr fails
        text = f"an object of the type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


KNOWN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "directions": (lambda value: isinstance(value, str), "a text such as 'random'"),
    "norm": (lambda value: isinstance(value, str), "a text such as 'filter'"),
    "ignore": (lambda value: isinstance(value, str), "a text such as 'biasbn'"),
    "seed": (_is_count, "a whole number"),
    "n_samples": (_is_count, "a whole number"),
    "explained_variance_ratio": (_is_shares, "a list of numbers such as [0.7, 0.2]"),
    "trajectory_captured": (is_number, "a number from 0 to 1"),
    "marks": (_is_marks, """a text in JSON such as '{"a": [0, 0], "b": [1, 0]}'"""),
}
