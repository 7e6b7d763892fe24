"""Planes around the model: directions that are given, checked, and planes brought to the device of the evaluation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from lljupyter.geometry.directions import orthogonalize
from lljupyter.geometry.parameters import Parameters, check_direction, hash_tensors, parameters_of, states_of
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.trajectory import PrincipalDirections
from lljupyter.problem.batchnorm import BatchNorm

if TYPE_CHECKING:
    from lljupyter.compute.options import Directions


def given_plane(
    directions: Directions | PrincipalDirections | Plane | None,
    model: nn.Module,
    batchnorm: BatchNorm,
    names: Collection[str] | None = None,
) -> Plane | None:
    """Check directions against the model, and copy them.

    Args:
        directions: ``(delta, eta)``, what ``pca_directions`` returned, a plane around the model, or None.
        model: The model.
        batchnorm: Directions over states and "interpolate" need each other.
        names: The parameters that were chosen to move, to which the directions are reduced; None for all.

    Returns:
        A plane around the model; None if the directions are None.

    Raises:
        TypeError: If the directions are neither a pair nor a plane.
        ValueError: If they do not fit the model or ``batchnorm``.
    """
    pair, plane = _pair_of(directions)
    if pair is None:
        if batchnorm == "interpolate":
            raise ValueError(
                "expected directions that move the running statistics for batchnorm='interpolate', got random ones; "
                "pass directions over states, such as between(model, other, over='states'), or use 'recalibrate'"
            )
        return None
    center = _center_for(pair, model, batchnorm, names is not None)
    if names is not None:
        pair = _part_of(pair, plane, center, names)
        center = {name: center[name] for name in names}
    for label, direction in zip(("delta", "eta"), pair, strict=True):
        check_direction(direction, center, label)
    if plane is not None:
        _check_center(plane, center)
    # Copies: the caller may go on working with the tensors while the surface is computed.
    delta, eta = ({name: part.detach().clone() for name, part in d.items()} for d in pair)
    return Plane(center, delta, eta, plane.marks if plane else {})


def _pair_of(directions: Directions | PrincipalDirections | Plane | None) -> tuple[Directions | None, Plane | None]:
    """Return the two directions, and the plane if they came as one."""
    if isinstance(directions, Plane):
        return (directions.delta, directions.eta), directions
    pair = directions.directions if isinstance(directions, PrincipalDirections) else directions
    if pair is not None and (not isinstance(pair, (tuple, list)) or len(pair) != 2):
        raise TypeError(
            f"expected directions as a pair (delta, eta) of parameter dicts, got {type(pair).__name__}; "
            "None draws them from seed"
        )
    return pair, None


def _part_of(pair: Directions, plane: Plane | None, center: Parameters, names: Collection[str]) -> Directions:
    """Return the parts of two directions that move the chosen parameters."""
    left_out = center.keys() - set(names)
    if plane is not None and plane.marks and any(bool(d[name].any()) for d in pair for name in left_out & d.keys()):
        raise ValueError(
            "expected a plane over the chosen parameters, got one that reaches its named points by moving others as "
            "well; pass parameters=... to plane_through"
        )
    delta, eta = (
        {name: part for name, part in d.items() if name not in left_out} if isinstance(d, Mapping) else d for d in pair
    )
    return delta, eta


def _center_for(pair: Directions, model: nn.Module, batchnorm: BatchNorm, is_chosen: bool) -> Parameters:
    """Return the model's parameters, or its states if the directions are over states."""
    parameters, states = parameters_of(model), states_of(model)
    if is_chosen and batchnorm == "interpolate" and len(states) > len(parameters):
        raise ValueError(
            "expected batchnorm='eval' or 'recalibrate' for chosen parameters, got 'interpolate'; running statistics "
            "belong to all weights before them, so that a part of them cannot be interpolated"
        )
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
    return states if over_states else parameters


def _check_center(plane: Plane, center: Parameters) -> None:
    for name, theta in plane.center.items():
        if name in center and not torch.equal(theta.to(center[name]), center[name]):
            raise ValueError(
                f"expected a plane around this model, got one around another ({name!r} differs); "
                "pass the model that the plane was made from"
            )


def placed(plane: Plane, states: Parameters, orthogonal: bool) -> Plane:
    """Return a plane around the copy of the model that is evaluated; with ``orthogonal``, eta orthogonal to delta.

    Args:
        plane: A plane around the model.
        states: Parameters and buffers of the copy, on its device.
        orthogonal: Whether to remove from eta its component along delta.
    """
    # In the order of the model: sums over names must not depend on the order that a file or a dict has them in.
    center = {name: theta for name, theta in states.items() if name in plane.delta}
    delta, eta = ({name: d[name].to(theta) for name, theta in center.items()} for d in (plane.delta, plane.eta))
    return replace(plane, center=center, delta=delta, eta=orthogonalize(eta, delta) if orthogonal else eta)


def hash_directions(plane: Plane) -> str:
    """Return a hash of directions, for the recipe of a surface."""
    return hash_tensors(
        (f"{label}/{name}", part)
        for label, direction in (("delta", plane.delta), ("eta", plane.eta))
        for name, part in direction.items()
    )
