"""Notices about a plane: parameters that do not move on it, and a training run that ends away from its center."""

from __future__ import annotations

from torch import Tensor

from lljupyter.compute.prepare.source import PlaneSource
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.projection import ProjectedTrajectory, away_from_center
from lljupyter.geometry.select import cannot_move
from lljupyter.problem.problem import Problem

# With these norms, a random direction is zero if the parameters are.
SCALED = ("filter", "layer", "weight")
SHOWN = 4


def plane_notices(
    source: PlaneSource, fixed: Plane | None, path: ProjectedTrajectory | None, problem: Problem
) -> list[str]:
    """Return what to warn of.

    Args:
        source: What the plane is made from.
        fixed: The plane, or None for random directions.
        path: The training run on the plane, or None.
        problem: The copy of the model.
    """
    notices = []
    if reasons := _still(source, fixed, problem):
        names = [f"{name!r} {reason}" for name, reason in reasons.items()]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        notices.append(
            f"{len(names)} {'tensor does' if len(names) == 1 else 'tensors do'} not move, of which the picture shows "
            f"nothing: {'; '.join(names[:SHOWN])}{more}"
        )
    if path is not None and (reason := away_from_center(path)):
        notices.append(reason)
    return notices


def _still(source: PlaneSource, fixed: Plane | None, problem: Problem) -> dict[str, str]:
    """Return the parameters that should move but are fixed along both directions, with the reasons."""
    theta = problem.model if source.names is None else problem.center
    if fixed is not None:
        eta = cannot_move(theta, fixed.eta)
        return {name: reason for name, reason in cannot_move(theta, fixed.delta).items() if name in eta}
    nowhere: dict[str, Tensor] = {}
    return cannot_move(theta, problem.center if source.norm in SCALED else nowhere)
