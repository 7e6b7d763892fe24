"""Reads a surface or a line that was computed in part, in this process or an earlier one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from lljupyter.geometry.checkpoints import Trajectory
from lljupyter.geometry.direction_files import beside, load_directions
from lljupyter.geometry.directions import Ignore, Norm, check_norm
from lljupyter.geometry.filters import Filters
from lljupyter.geometry.parameters import Parameters, fingerprint
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.select import Selection, hash_names, selected, selection_of
from lljupyter.geometry.trajectory import PrincipalDirections
from lljupyter.surface.checks import check_attributes, check_axis, check_evaluated, check_names
from lljupyter.surface.io.load import load

if TYPE_CHECKING:
    import xarray

    from lljupyter.compute.options import Directions, Resume

# Attributes that record how the directions were made.
DIRECTION_ATTRIBUTES = (
    "directions",
    "norm",
    "ignore",
    "filters",
    "parameters",
    "parameters_fingerprint",
    "explained_variance_ratio",
    "orthogonalized",
    "marks",
)


@dataclass(frozen=True)
class EarlierSurface:
    """A surface that was computed in part.

    Attributes:
        dataset: The surface.
        directions: Its directions, unless they come from a seed or from the trajectory that is passed again.
        is_random: Whether they come from a seed.
        norm: How random directions are scaled.
        ignore: What random and principal directions leave unchanged.
        filters: Where the filters of random directions are: along axis 0 in results of before this was an option.
        seed: Seed of random directions.
        orthogonalize: Whether eta was made orthogonal to delta.
        recipe: How the directions were made, as attributes.
    """

    dataset: xarray.Dataset
    directions: Directions | PrincipalDirections | Plane | None
    is_random: bool
    norm: Norm | None
    ignore: Ignore | None
    filters: Filters
    seed: int
    orthogonalize: bool
    recipe: dict[str, Any]


def earlier_surface(
    resume: Resume,
    model: nn.Module,
    directions: Directions | PrincipalDirections | Plane | None,
    trajectory: Trajectory | None,
) -> EarlierSurface:
    """Read a surface to go on with, and check that it is one of this model.

    Args:
        resume: The Dataset, or the path of a file; see ``load``.
        model: The model.
        directions: Directions that are passed are used rather than those saved beside the file.
        trajectory: Principal directions that are not saved anywhere are computed from it again.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If it is no single surface, or one of another model, or its directions are not known.
    """
    path = Path(resume) if isinstance(resume, (str, os.PathLike)) else None
    dataset: Any = load(path) if path is not None else resume
    if "evaluated" not in getattr(dataset, "variables", {}) or set(dataset["evaluated"].dims) != {"alpha", "beta"}:
        raise ValueError(
            "expected a surface on the dimensions (beta, alpha) to resume, got "
            f"{dict(getattr(dataset, 'sizes', {})) or type(dataset).__name__}; "
            "pass what loss_surface returned, or its path"
        )
    _check_grid(dataset)
    saved_for = dataset.attrs.get("model_fingerprint")
    if saved_for is not None and str(saved_for) != fingerprint(model):
        raise ValueError(
            f"expected a result of this model to resume, got one of another model "
            f"({dataset.attrs.get('model')}) or of other weights; load the weights that it was computed with"
        )
    if dataset.attrs.get("directions") == "random":
        return _earlier(dataset, None, is_random=True)
    return _earlier(dataset, _directions_of(dataset, path, model, directions, trajectory), is_random=False)


def earlier_selection(dataset: xarray.Dataset, model: nn.Module, parameters: Selection | None) -> Selection | None:
    """Return the parameters that move in a surface to resume.

    Args:
        dataset: The surface.
        model: The model.
        parameters: A choice that is passed has to be the same; None for that of the surface.

    Raises:
        ValueError: If it is another choice, or one that the surface does not hold.
    """
    text, saved = (dataset.attrs.get(name) for name in ("parameters", "parameters_fingerprint"))
    if text is None and parameters is None:
        return None
    chosen = selection_of(str(text)) if parameters is None else parameters
    if chosen is not None and hash_names(selected(model, chosen)) == (saved or hash_names(selected(model, None))):
        return chosen
    raise ValueError(
        f"expected parameters=... as in the result to resume, where {'all' if text is None else repr(text)} moved, got "
        f"{'a choice' if chosen is not None else 'none'} of others; pass what it was computed with"
    )


def earlier_line(
    resume: Resume, model: nn.Module, direction: Parameters | None, attributes: Mapping[str, str]
) -> tuple[xarray.Dataset, Parameters | None]:
    """Read a line to go on with, as a surface with the single row beta = 0.

    Args:
        resume: The Dataset, or the path of a file.
        model: The model.
        direction: A direction that is passed is used rather than the one saved beside the file.
        attributes: Attributes that the line must have.

    Returns:
        The surface, and the direction if it does not come from a seed.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If it is no line, has other attributes, or its direction is not known.
    """
    path = resume if isinstance(resume, (str, os.PathLike)) else None
    line: Any = load(path) if path is not None else resume
    if "evaluated" not in getattr(line, "variables", {}) or line["evaluated"].dims != ("alpha",):
        raise ValueError(
            "expected a line on the dimension (alpha,) to resume, got "
            f"{dict(getattr(line, 'sizes', {})) or type(line).__name__}; "
            "pass what loss_line or interpolate returned, or its path"
        )
    _check_grid(line)
    for name, value in attributes.items():
        if str(line.attrs.get(name)) != value:
            raise ValueError(
                f"expected the line between these models to resume, got one with {name} = {line.attrs.get(name)!r}; "
                "pass both models as they were when it was computed"
            )
    if direction is None and line.attrs.get("directions") != "random":
        if path is None:
            raise ValueError(
                "expected the direction of a line to resume whose direction is not random, got none; "
                "pass direction=..., or the path of a file that was saved with it"
            )
        direction = load_directions(path, model)[0]
    return line.expand_dims(beta=[0.0]), direction


def _check_grid(dataset: xarray.Dataset) -> None:
    """Check the parts of a result that any resumed computation reads: names, attributes, axes and ``evaluated``."""
    check_attributes(dataset.attrs)
    check_names(dataset)
    for axis in dataset["evaluated"].dims:
        check_axis(dataset, str(axis))
    check_evaluated(dataset)
    seed = dataset.coords.get("seed")
    if seed is not None and (seed.ndim or seed.dtype.kind not in "iu"):
        raise ValueError(
            f"expected one whole number as the coordinate seed of a result to resume, got {seed.dtype} of shape "
            f"{seed.shape}; take one with dataset.isel(seed=0), or leave it out with dataset.drop_vars('seed')"
        )


def _directions_of(
    dataset: xarray.Dataset,
    path: Path | None,
    model: nn.Module,
    directions: Directions | PrincipalDirections | Plane | None,
    trajectory: Trajectory | None,
) -> Directions | PrincipalDirections | Plane | None:
    """Return the directions of a surface, None for those that are computed from the trajectory again."""
    if directions is not None:
        return directions
    is_principal = dataset.attrs.get("directions") == "pca"
    if path is not None and not (is_principal and not beside(path).is_file()):
        return load_directions(path, model)
    if is_principal and trajectory is not None:
        return None
    again = "the trajectory again with trajectory=..., " if is_principal else ""
    raise ValueError(
        "expected the directions of a surface to resume whose directions are not random, got none; "
        f"pass {again}directions=..., or the path of a file that was saved with them"
    )


def _earlier(
    dataset: xarray.Dataset, directions: Directions | PrincipalDirections | Plane | None, is_random: bool
) -> EarlierSurface:
    attributes: dict[Any, Any] = {
        name: None if str(value) == "none" else value for name, value in dataset.attrs.items()
    }
    if is_random:
        check_norm(attributes.get("norm"), attributes.get("ignore"))
    return EarlierSurface(
        dataset=dataset,
        directions=directions,
        is_random=is_random,
        norm=attributes.get("norm"),
        ignore=attributes.get("ignore"),
        filters=attributes.get("filters", "axis0"),
        seed=int(attributes.get("seed", dataset.coords.get("seed", 0))),  # one of a stack has it as a coordinate
        orthogonalize="orthogonalized" in attributes,
        recipe={name: dataset.attrs[name] for name in DIRECTION_ATTRIBUTES if name in dataset.attrs},
    )
