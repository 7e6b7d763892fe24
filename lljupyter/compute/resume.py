"""Goes on with a surface or a line that was computed in part, in this process or an earlier one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import nn

from lljupyter.compute.planes import Directions
from lljupyter.engine.session import Session
from lljupyter.geometry.direction_files import load_directions
from lljupyter.geometry.directions import Ignore, Norm
from lljupyter.geometry.parameters import Parameters, fingerprint
from lljupyter.geometry.plane import Plane
from lljupyter.surface.files import load

if TYPE_CHECKING:
    import xarray

    from lljupyter.compute.options import Resume

# What says how the directions were made.
HOW = ("directions", "norm", "ignore", "explained_variance_ratio", "orthogonalized", "marks")


class Earlier(NamedTuple):
    """A surface that was computed in part.

    Attributes:
        dataset: The surface.
        directions: Its directions where they do not come from a seed.
    """

    dataset: xarray.Dataset
    directions: Directions | Plane | None

    def options(self) -> tuple[Norm | None, Ignore | None, int, bool]:
        """Returns norm, ignore, seed (which only random directions depend on) and orthogonalize."""
        told: dict[Any, Any] = {name: None if value == "none" else value for name, value in self.dataset.attrs.items()}
        seed = told.get("seed", self.dataset.coords.get("seed", 0))  # one of a stack has it as a coordinate
        return told.get("norm"), told.get("ignore"), int(seed), "orthogonalized" in told

    def recipe(self) -> dict[str, Any]:
        """Returns how its directions were made, as attributes."""
        return {name: self.dataset.attrs[name] for name in HOW if name in self.dataset.attrs}


def earlier_surface(resume: Resume, model: nn.Module, directions: Directions | Plane | None) -> Earlier:
    """Reads a surface to go on with, and checks that it is one of this model.

    Args:
        resume: The Dataset, or the path of a file; see ``load``.
        model: The model.
        directions: Given ones take precedence over those kept beside the file.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If it is no single surface, or one of another model, or its directions are not known.
    """
    path = resume if isinstance(resume, (str, os.PathLike)) else None
    dataset: Any = load(path) if path is not None else resume
    if "evaluated" not in getattr(dataset, "variables", {}) or set(dataset["evaluated"].dims) != {"alpha", "beta"}:
        raise ValueError(
            "expected a surface on the dimensions (beta, alpha) to resume, got "
            f"{dict(getattr(dataset, 'sizes', {})) or type(dataset).__name__}; "
            "pass what loss_surface returned, or its path"
        )
    known = dataset.attrs.get("model_fingerprint")
    if known not in (None, fingerprint(model)):
        raise ValueError(
            f"expected a result of this model to resume, got one of another model "
            f"({dataset.attrs.get('model')}) or of other weights; load the weights that it was computed with"
        )
    if dataset.attrs.get("directions") == "random":
        return Earlier(dataset, None)
    if directions is None and path is None:
        raise ValueError(
            "expected the directions of a surface to resume whose directions are not random, got none; "
            "pass directions=..., or the path of a file that was saved with them"
        )
    return Earlier(dataset, directions if directions is not None else load_directions(path or "", model))


def earlier_line(
    resume: Resume, model: nn.Module, direction: Parameters | None, known: Mapping[str, str]
) -> tuple[xarray.Dataset, Parameters | None]:
    """Reads a line to go on with, and makes a surface with the single row beta = 0 of it.

    Args:
        resume: The Dataset, or the path of a file.
        model: The model.
        direction: A given one takes precedence over that kept beside the file.
        known: Attributes that the line must have.

    Returns:
        The surface, and the direction where it does not come from a seed.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If it is no line, was made in another way than ``known`` says, or its direction is not known.
    """
    path = resume if isinstance(resume, (str, os.PathLike)) else None
    line: Any = load(path) if path is not None else resume
    if "evaluated" not in getattr(line, "variables", {}) or line["evaluated"].dims != ("alpha",):
        raise ValueError(
            "expected a line on the dimension (alpha,) to resume, got "
            f"{dict(getattr(line, 'sizes', {})) or type(line).__name__}; "
            "pass what loss_line or interpolate returned, or its path"
        )
    for name, value in known.items():
        if line.attrs.get(name) != value:
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


def take_over(dataset: xarray.Dataset, session: Session) -> None:
    """Gives a session the points of an earlier surface.

    Raises:
        ValueError: If it was computed in other directions, with another loss, other data, another treatment of
            BatchNorm or another precision.
    """
    told, ours = ({"precision": "float32", **recipe} for recipe in (dataset.attrs, session.recipe))
    names = ("directions_fingerprint", "loss_fn", "n_samples", "batchnorm", "precision")
    for name in (*names, "hessian_over", "hessian_n_samples"):
        before, now = told.get(name), ours.get(name)
        if before is not None and now is not None and before != now:
            raise ValueError(
                f"expected a result with {name} = {now!r} to resume, got one with {before!r}; "
                "pass the loader, directions and options that it was computed with"
            )
    missing = [
        name
        for name in session.names
        if name not in dataset and not name.endswith("_stderr") and name not in session.further
    ]
    if missing:
        raise ValueError(
            f"expected a result with {missing[0]!r} to resume, got {list(dataset.data_vars)}; "
            "pass the loaders and quantities that it was computed with"
        )
    surface = dataset.transpose("beta", "alpha", ...)
    nothing = np.full(surface["evaluated"].shape, np.nan)  # the authors' files have no standard errors
    values = {name: surface[name].values if name in surface else nothing for name in session.names}
    measured = [name for name in session.names if name not in session.further]
    session.restore({name: values[name] for name in measured}, surface["evaluated"].values)
    # How those points were evaluated, until others are.
    session.note({name: told[name] for name in told if name.startswith("evaluation") or name == "precision_error"})
    if session.further:
        found = {name: values[name] for name in session.further}
        session.restore(found, np.isfinite(found["hvps"]), stage=1)
