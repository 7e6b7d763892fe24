"""Goes on with a surface or a line that was computed in part, in this process or an earlier one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lljupyter.compute.planes import Directions
from lljupyter.geometry.checkpoints import Trajectory
from lljupyter.geometry.direction_files import beside, load_directions
from lljupyter.geometry.directions import Ignore, Norm
from lljupyter.geometry.parameters import Parameters, fingerprint
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.trajectory import PrincipalDirections
from lljupyter.hessian.evaluator import CurvatureEvaluator
from lljupyter.session.session import Session
from lljupyter.session.worker import Measuring
from lljupyter.surface.checks import check_attributes
from lljupyter.surface.io.netcdf import load

if TYPE_CHECKING:
    import xarray

    from lljupyter.compute.options import Resume

# What says how the directions were made.
HOW = ("directions", "norm", "ignore", "explained_variance_ratio", "orthogonalized", "marks")

# How far a known point may be off when it is measured again: a loss in reduced precision, relative, and an accuracy.
REDUCED, ACCURACY = 0.05, 0.01


class Earlier(NamedTuple):
    """A surface that was computed in part.

    Attributes:
        dataset: The surface.
        directions: Its directions where they come neither from a seed nor from the trajectory that is passed again.
        seeded: Whether they come from a seed.
    """

    dataset: xarray.Dataset
    directions: Directions | PrincipalDirections | Plane | None
    seeded: bool = False

    def options(self) -> tuple[Norm | None, Ignore | None, int, bool]:
        """Returns norm, ignore, seed (which only random directions depend on) and orthogonalize."""
        told: dict[Any, Any] = {
            name: None if str(value) == "none" else value for name, value in self.dataset.attrs.items()
        }
        seed = told.get("seed", self.dataset.coords.get("seed", 0))  # one of a stack has it as a coordinate
        return told.get("norm"), told.get("ignore"), int(seed), "orthogonalized" in told

    def recipe(self) -> dict[str, Any]:
        """Returns how its directions were made, as attributes."""
        return {name: self.dataset.attrs[name] for name in HOW if name in self.dataset.attrs}


def earlier_surface(
    resume: Resume,
    model: nn.Module,
    directions: Directions | PrincipalDirections | Plane | None,
    trajectory: Trajectory | None,
) -> Earlier:
    """Reads a surface to go on with, and checks that it is one of this model.

    Args:
        resume: The Dataset, or the path of a file; see ``load``.
        model: The model.
        directions: Given ones take precedence over those kept beside the file.
        trajectory: Principal directions that are not kept anywhere are computed from it again.

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
    check_attributes(dataset.attrs)
    known = dataset.attrs.get("model_fingerprint")
    if known not in (None, fingerprint(model)):
        raise ValueError(
            f"expected a result of this model to resume, got one of another model "
            f"({dataset.attrs.get('model')}) or of other weights; load the weights that it was computed with"
        )
    if dataset.attrs.get("directions") == "random":
        return Earlier(dataset, None, seeded=True)
    principal = dataset.attrs.get("directions") == "pca"
    if directions is None and (path is None or (principal and not beside(Path(path)).is_file())):
        if principal and trajectory is not None:
            return Earlier(dataset, None)
        again = "the trajectory again with trajectory=..., " if principal else ""
        raise ValueError(
            "expected the directions of a surface to resume whose directions are not random, got none; "
            f"pass {again}directions=..., or the path of a file that was saved with them"
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


def take_over(dataset: xarray.Dataset, session: Session, measuring: Measuring, plane: Plane) -> None:
    """Gives a session the points of an earlier surface, after one of them was measured again.

    Args:
        dataset: The surface.
        session: Where its points go.
        measuring: Measures the points of the session; left without a plane.
        plane: The plane of the surface.

    Raises:
        ValueError: If it was computed in other directions, with another loss, other data, another treatment of
            BatchNorm or another precision.
        RuntimeError: If the model fails at the point.
    """
    # Attributes name the precision that was taken; it is the option that has to be the same.
    told, ours = ({**recipe, "precision": _precision_option(recipe)} for recipe in (dataset.attrs, session.recipe))
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
    known = {name: values[name] for name in measured}
    _measure_again(surface, known, measuring, plane, reduced=told["precision"] == "auto")
    session.restore(known, surface["evaluated"].values)
    session.carry(dataset)
    # How those points were evaluated, until others are.
    session.note({k: v for k, v in dataset.attrs.items() if k.startswith(("evaluation", "precision"))})
    if session.further:
        found = {name: values[name] for name in session.further}
        session.restore(found, np.isfinite(found["hvps"]), stage=1)


def _precision_option(recipe: Mapping[Any, Any]) -> str:
    """Returns the option ``precision`` of a result: "auto" may have taken the model's own, which may be bfloat16."""
    reduced = recipe.get("precision") == "auto" or "precision_error" in recipe
    return str(recipe.get("precision_option", "auto" if reduced else "float32"))


def _measure_again(
    surface: xarray.Dataset, known: Mapping[str, NDArray[np.float64]], measuring: Measuring, plane: Plane, reduced: bool
) -> None:
    """Checks that a known point has the same values now: no recipe tells one callable, or one data set, from another.

    The point nearest to half way from the center to a corner: away from both axes it depends on both directions, and
    farther out rounding grows.

    Raises:
        ValueError: If it has not, as far as rounding allows.
    """
    curvature = measuring if isinstance(measuring, CurvatureEvaluator) else None
    ends = "loss" if curvature is None else ("lambda_min", "lambda_max")
    losses = [name for name in measuring.quantities if name.endswith(ends)]
    names = losses or list(measuring.quantities)
    usable = surface["evaluated"].values & np.all([np.isfinite(known[name]) for name in names], axis=0)
    if not usable.any():
        return
    beta, alpha = np.meshgrid(surface["beta"].values, surface["alpha"].values, indexing="ij")
    away = sum(np.abs(np.abs(axis) / max(np.abs(axis).max(), 1e-300) - 0.5) for axis in (alpha, beta))
    at = np.unravel_index(int(np.argmin(np.where(usable, away, np.inf))), usable.shape)
    before = {name: float(known[name][at]) for name in names}
    try:
        measuring.set_plane(plane)
        found = measuring.evaluate(np.array([[alpha[at], beta[at]]]), lambda: None)
    finally:
        measuring.leave_plane()
    eps = max(torch.finfo(part.dtype).eps for part in plane.center.values())
    # A few roundings, amplified by a deep network; eigenvalues are known to a share of the largest one.
    share = max(eps**0.5, REDUCED if reduced else 0.0, 4 * curvature.tol if curvature else 0.0)
    largest = max(map(abs, before.values()))
    for name, value in before.items():
        now = float(found[name][0])
        allowed = share * (largest if curvature else abs(value)) + 32 * eps if losses else ACCURACY
        if not abs(now - value) <= allowed:
            raise ValueError(
                f"expected a result of this model, data and loss to resume, got one with {name} = {value:.6g} at "
                f"(alpha, beta) = ({alpha[at]:g}, {beta[at]:g}), where it is {now:.6g} now; "
                "pass the loader, loss_fn and options that it was computed with, or compute it anew"
            )
