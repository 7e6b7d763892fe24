"""What a surface tells about itself, checked before it is drawn or kept: a file may come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

PATH = ("alpha", "beta", "outside")


def check_attributes(attributes: Mapping[Any, Any], path: Path | None = None) -> None:
    """Checks the attributes that pictures are made from; all others are only told.

    Args:
        attributes: Those of a Dataset.
        path: The file that they were read from.

    Raises:
        ValueError: If one is not what it has to be.
    """
    for name, (is_right, kind) in KNOWN.items():
        if name in attributes and not is_right(attributes[name]):
            first = "" if path is None else f"surface = xarray.load_dataset({str(path)!r}) reads the file as it is: "
            raise ValueError(
                f"expected the attribute {name!r} of {path or 'the surface'} as {kind}, got "
                f"{_short(attributes[name])}; {first}correct it, or leave it out with del surface.attrs[{name!r}]"
            )


def check_path(dataset: xarray.Dataset) -> None:
    """Checks that a training run, where there is one, has all that it is drawn from.

    Raises:
        ValueError: If something of it is missing or of another kind.
    """
    if "trajectory_captured" not in dataset.attrs and "trajectory_alpha" not in dataset:
        return
    there = [str(name) for name in dataset.data_vars if str(name).startswith("trajectory_")]
    needed = [f"trajectory_{part}" for part in PATH]
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


def check_storable(attributes: Mapping[Any, Any]) -> None:
    """Checks that netCDF can hold attributes.

    Raises:
        ValueError: If it can't hold one.
    """
    for name, value in attributes.items():
        kind = np.asarray(value).dtype.kind if isinstance(value, (list, tuple, np.ndarray)) else ""
        if not (isinstance(value, str) or _is_storable_number(value) or kind in tuple("iufU")):
            raise ValueError(
                f"expected texts, numbers and lists of numbers as attributes, which netCDF can hold, got {name!r} as "
                f"{_short(value)}; leave it out with del surface.attrs[{name!r}]"
            )


def check_values(name: str, values: np.ndarray) -> None:
    """Checks that files can hold the values of a variable.

    Raises:
        TypeError: If they are neither numbers, dates nor texts, or complex.
    """
    texts = values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat)
    if not (values.dtype.kind in "biufUM" or texts):
        raise TypeError(
            f"expected numbers, dates or texts to save, got {values.dtype} in {name!r}; convert it, of complex numbers "
            f"to abs(surface[{name!r}]) or to two variables, or leave it out with surface.drop_vars({name!r})"
        )


def marks_of(recipe: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Returns the points that a plane names, such as the three models it goes through: ``{name: (alpha, beta)}``."""
    marks: dict[str, tuple[float, float]] = json.loads(recipe.get("marks", "{}"))
    return marks


def _is_marks(value: Any) -> bool:
    try:
        points = list(json.loads(value).values())
        return all(
            len(point) == 2 and all(_is_number(part) and math.isfinite(part) for part in point) for point in points
        )
    except (TypeError, ValueError, AttributeError):  # not a text, no JSON, no object, no pairs
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_storable_number(value: Any) -> bool:
    return _is_number(value) and not (isinstance(value, int) and not -(2**63) <= value < 2**64)


def _is_count(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value == int(value)


def _is_shares(value: Any) -> bool:
    shares = np.atleast_1d(np.asarray(value, dtype=object))
    return shares.ndim == 1 and all(map(_is_number, shares))


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:80]}…"


KNOWN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "directions": (lambda value: isinstance(value, str), "a text such as 'random'"),
    "norm": (lambda value: isinstance(value, str), "a text such as 'filter'"),
    "seed": (_is_count, "a whole number"),
    "n_samples": (_is_count, "a whole number"),
    "explained_variance_ratio": (_is_shares, "a list of numbers such as [0.7, 0.2]"),
    "trajectory_captured": (_is_number, "a number from 0 to 1"),
    "marks": (_is_marks, """a text in JSON such as '{"a": [0, 0], "b": [1, 0]}'"""),
}
