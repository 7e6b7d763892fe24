"""The plane that a surface is asked for: what the caller gave, checked and brought to the model's device."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lljupyter.geometry.directions import orthogonalize
from lljupyter.geometry.parameters import Parameters, check_direction, hash_tensors, parameters_of, states_of
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.trajectory import PrincipalDirections
from lljupyter.problem.batchnorm import BatchNorm
from lljupyter.problem.problem import Problem

Directions = tuple[Parameters, Parameters]


def checked_plane(
    directions: Directions | PrincipalDirections | Plane | None, model: nn.Module, batchnorm: BatchNorm
) -> Plane | None:
    """Checks given directions against the model, and copies them.

    Args:
        directions: ``(delta, eta)``, what ``pca_directions`` returned, a plane around the model, or None.
        model: The model.
        batchnorm: Directions over states and "interpolate" need each other.

    Raises:
        TypeError: If the directions are neither a pair nor a plane.
        ValueError: If they do not fit the model or ``batchnorm``.
    """
    directions = directions.directions if isinstance(directions, PrincipalDirections) else directions
    plane = directions if isinstance(directions, Plane) else None
    pair = (plane.delta, plane.eta) if plane else directions
    if pair is not None and (not isinstance(pair, (tuple, list)) or len(pair) != 2):
        raise TypeError(
            f"expected directions as a pair (delta, eta) of parameter dicts, got {type(pair).__name__}; "
            "None draws them from seed"
        )
    if pair is None:
        if batchnorm == "interpolate":
            raise ValueError(
                "expected directions that move the running statistics for batchnorm='interpolate', got random ones; "
                "pass directions over states, such as between(model, other, over='states'), or use 'recalibrate'"
            )
        return None
    parameters, states = parameters_of(model), states_of(model)
    over_states = any(isinstance(d, dict) and not (d.keys() & states.keys()) <= parameters.keys() for d in pair)
    if over_states and batchnorm != "interpolate":
        raise ValueError(
            f"expected directions over parameters for batchnorm={batchnorm!r}, got some over states; "
            "pass batchnorm='interpolate' to move the running statistics along with the weights"
        )
    if batchnorm == "interpolate" and not over_states and len(states) > len(parameters):
        raise ValueError(
            "expected directions over states for batchnorm='interpolate', got some over parameters; "
            "build them with between(model, other, over='states')"
        )
    center = states if over_states else parameters
    for label, direction in zip(("delta", "eta"), pair, strict=True):
        check_direction(direction, center, label)
    if plane is not None:
        different = [
            n for n, part in plane.center.items() if n in center and not torch.equal(part.to(center[n]), center[n])
        ]
        if different:
            raise ValueError(
                f"expected a plane around this model, got one around another ({different[0]!r} differs); "
                "pass the model that the plane was made from"
            )
    # Copies: the caller may go on working with the tensors while the surface is computed.
    delta, eta = ({name: part.detach().clone() for name, part in d.items()} for d in pair)
    return Plane(center, delta, eta, plane.marks if plane else {})


def oriented(plane: Plane, problem: Problem, orthogonal: bool) -> Plane:
    """Returns a plane around the problem's own copy of the model; with ``orthogonal``, eta orthogonal to delta."""
    # In the order of the model: sums over names shall not depend on the order that a file or a dict has them in.
    center = {name: theta for name, theta in problem.states.items() if name in plane.delta}
    delta, eta = ({name: d[name].to(theta) for name, theta in center.items()} for d in (plane.delta, plane.eta))
    return replace(plane, center=center, delta=delta, eta=orthogonalize(eta, delta) if orthogonal else eta)


def hash_directions(plane: Plane) -> str:
    """Returns what tells these directions from others, for the recipe of a surface."""
    return hash_tensors(
        (f"{label}/{name}", part)
        for label, direction in (("delta", plane.delta), ("eta", plane.eta))
        for name, part in direction.items()
    )
