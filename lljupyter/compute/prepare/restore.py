"""Takes over the points of an earlier surface, after evaluating one of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.plane import Plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.session.ledger import EarlierPoints
from lljupyter.session.session import Session

if TYPE_CHECKING:
    import xarray

# Attributes that have to be the same: those of the whole result, and those of its eigenvalues.
SAME = ("directions_fingerprint", "loss_fn", "n_samples", "batchnorm", "precision", "hessian_over", "hessian_n_samples")

# How far a known point may be off when it is evaluated again: a loss in reduced precision, relative, and an accuracy.
REDUCED, ACCURACY = 0.05, 0.01


def restore_points(
    dataset: xarray.Dataset, session: Session, evaluator: Evaluator | HessianEvaluator, plane: Plane
) -> None:
    """Give a session the points of an earlier surface.

    Args:
        dataset: The surface.
        session: Where its points go.
        evaluator: Evaluates the points of the session; left without a plane.
        plane: The plane of the surface.

    Raises:
        ValueError: If it was computed in other directions, with another loss, other data, another treatment of
            BatchNorm or another precision, or has quantities that were callables and were not passed again.
        RuntimeError: If the model fails at the point.
    """
    _check_recipe(dataset.attrs, session.recipe)
    later = {name for names in session.further for name in names}
    unasked = [name for name in str(dataset.attrs.get("callables", "")).split(", ") if name and name not in later]
    if unasked:
        raise ValueError(
            f"expected the quantity {unasked[0]!r} to resume this result, got none; pass it again, as in "
            f"quantities={{{unasked[0]!r}: f}}, or drop it from the result: result.drop_vars({unasked[0]!r}), without "
            "the attribute 'callables'"
        )
    missing = [
        name for name in session.names if name not in dataset and not name.endswith("_stderr") and name not in later
    ]
    if missing:
        raise ValueError(
            f"expected a result with {missing[0]!r} to resume, got {list(dataset.data_vars)}; "
            "pass the loaders and quantities that it was computed with"
        )
    surface = dataset.transpose("beta", "alpha", ...)
    evaluated = surface["evaluated"].values.astype(bool)
    unknown = np.full(evaluated.shape, np.nan)  # the authors' files have no standard errors
    for name in session.names:
        if name in surface and (surface[name].dims != ("beta", "alpha") or surface[name].dtype.kind not in "biuf"):
            raise ValueError(
                f"expected numbers {name!r} on the dimensions (beta, alpha) to resume, got {surface[name].dtype} on "
                f"{surface[name].dims}; pass the result as it was computed"
            )
    values = {name: surface[name].values if name in surface else unknown for name in session.names}
    first_stage = {name: values[name] for name in session.names if name not in later}
    _check_values(surface, first_stage, evaluator, plane, reduced=_precision_option(dataset.attrs) == "auto")
    failed, reason = _failures(surface)
    # Where a point of a stage raised, none of its values is there: only the number of products is, which is 0.
    empty = np.all([np.isnan(array) | (name == "hvps") for name, array in first_stage.items()], axis=0)
    stages = [EarlierPoints(first_stage, evaluated, failed & evaluated & empty, reason)]
    for names in session.further:
        part = {name: values[name] for name in names}
        if "hvps" in part:
            known = np.isfinite(part["hvps"]) & (evaluated | ~failed)
            holes = failed & known & (part["hvps"] == 0)
        else:
            complete = np.all([np.isfinite(array) for array in part.values()], axis=0)
            holes = failed & evaluated & ~complete & all(name in surface for name in names)
            known = complete | holes
        stages.append(EarlierPoints(part, known, holes, reason))
    attributes = {k: v for k, v in dataset.attrs.items() if str(k).startswith(("evaluation", "precision"))}
    session.inherit_from(dataset, stages, attributes)


def _failures(surface: xarray.Dataset) -> tuple[NDArray[np.bool_], str]:
    """Return at which points model or loss raised, shape (n_beta, n_alpha), and the first error."""
    shape = surface["evaluated"].shape
    if "failed" not in surface:
        return np.zeros(shape, dtype=bool), ""
    return surface["failed"].values.astype(bool), str(surface.attrs.get("failure", "unknown error"))


def _check_recipe(earlier: Mapping[Any, Any], recipe: Mapping[str, Any]) -> None:
    """Check that a result was computed as the session computes."""
    # The attribute names the precision that was used; it is the option that has to be the same.
    earlier, recipe = ({**attributes, "precision": _precision_option(attributes)} for attributes in (earlier, recipe))
    for name in SAME:
        before, now = earlier.get(name), recipe.get(name)
        if before is not None and now is not None and _differ(before, now):
            raise ValueError(
                f"expected a result with {name} = {now!r} to resume, got one with {before!r}; "
                "pass the loader, directions and options that it was computed with"
            )


def _differ(before: Any, now: Any) -> bool:
    """Return True if two attributes differ; those of other origin may be arrays, which have no one answer."""
    try:
        return bool(before != now)
    except ValueError:
        return True


def _precision_option(recipe: Mapping[Any, Any]) -> str:
    """Return the option ``precision`` of a result: "auto" may have used the model's own, which may be bfloat16."""
    reduced = str(recipe.get("precision")) == "auto" or "precision_error" in recipe
    return str(recipe.get("precision_option", "auto" if reduced else "float32"))


def _check_values(
    surface: xarray.Dataset,
    known: Mapping[str, NDArray[np.float64]],
    evaluator: Evaluator | HessianEvaluator,
    plane: Plane,
    reduced: bool,
) -> None:
    """Check that a known point has the same values now: no recipe tells one callable, or one data set, from another.

    Raises:
        ValueError: If it has not, as far as rounding allows.
    """
    hessians = evaluator if isinstance(evaluator, HessianEvaluator) else None
    ends = "loss" if hessians is None else ("lambda_min", "lambda_max")
    losses = [name for name in evaluator.quantities if name.endswith(ends)]
    names = losses or list(evaluator.quantities)
    usable = surface["evaluated"].values.astype(bool) & np.all([np.isfinite(known[name]) for name in names], axis=0)
    if not usable.any():
        return
    row, column = _half_way(surface, usable)
    alpha, beta = float(surface["alpha"].values[column]), float(surface["beta"].values[row])
    try:
        evaluator.set_plane(plane)
        values_now = evaluator.evaluate(np.array([[alpha, beta]]), lambda: None)
    finally:
        evaluator.leave_plane()
    eps = max(torch.finfo(part.dtype).eps for part in plane.center.values())
    # A few roundings, amplified by a deep network; eigenvalues are known to a fraction of the largest one.
    relative = max(eps**0.5, REDUCED if reduced else 0.0, 4 * hessians.tol if hessians else 0.0)
    before = {name: float(known[name][row, column]) for name in names}
    largest = max(map(abs, before.values()))
    for name, value in before.items():
        now = float(values_now[name][0])
        allowed = relative * (largest if hessians else abs(value)) + 32 * eps if losses else ACCURACY
        if not abs(now - value) <= allowed:
            raise ValueError(
                f"expected a result of this model, data and loss to resume, got one with {name} = {value:.6g} at "
                f"(alpha, beta) = ({alpha:g}, {beta:g}), where it is {now:.6g} now; "
                "pass the loader, loss_fn and options that it was computed with, or compute it anew"
            )


def _half_way(surface: xarray.Dataset, usable: NDArray[np.bool_]) -> tuple[int, int]:
    """Return row and column of the usable point nearest to half way from the center to a corner.

    Away from both axes it depends on both directions, and farther out rounding grows.
    """
    beta, alpha = np.meshgrid(surface["beta"].values, surface["alpha"].values, indexing="ij")
    away = sum(np.abs(np.abs(axis) / max(np.abs(axis).max(), 1e-300) - 0.5) for axis in (alpha, beta))
    row, column = np.unravel_index(int(np.argmin(np.where(usable, away, np.inf))), usable.shape)
    return int(row), int(column)
