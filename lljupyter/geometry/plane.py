"""A plane through parameter space: ``theta + alpha * delta + beta * eta``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lljupyter.geometry.directions import (
    Ignore,
    Norm,
    Over,
    between,
    normalize_direction,
    orthogonalize,
    random_direction,
)
from lljupyter.geometry.filters import FilterAxes
from lljupyter.geometry.parameters import Parameters, check_direction, inner, parameters_of, states_of
from lljupyter.geometry.select import Selection


@dataclass(frozen=True)
class Plane:
    """The plane ``theta(alpha, beta) = center + alpha * delta + beta * eta`` (Li et al. 2018, section 3).

    Attributes:
        center: ``{name: tensor}``, theta*.
        delta: ``{name: tensor}``, the direction of alpha.
        eta: ``{name: tensor}``, the direction of beta.
        marks: ``{name: (alpha, beta)}``, points of interest, such as the models on the plane.
    """

    center: Parameters
    delta: Parameters
    eta: Parameters
    marks: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_direction(self.delta, self.center, "delta")
        check_direction(self.eta, self.center, "eta")

    def __repr__(self) -> str:
        n_entries = sum(theta.numel() for theta in self.center.values())
        return f"<Plane of {len(self.center)} tensors, {n_entries:,} entries, marks {dict(self.marks)}>"

    def at(self, alpha: float, beta: float) -> dict[str, Tensor]:
        """Return the parameters at a point of the plane, as new tensors.

        Args:
            alpha: Coordinate along ``delta``, a multiple of it.
            beta: Coordinate along ``eta``, a multiple of it.

        Returns:
            ``{name: tensor}`` with the shapes and devices of ``center``.
        """
        return {name: theta + (alpha * self.delta[name] + beta * self.eta[name]) for name, theta in self.center.items()}


def random_plane(
    parameters: Parameters,
    seed: int,
    norm: Norm | None = "filter",
    ignore: Ignore | None = "biasbn",
    filters: FilterAxes | None = None,
) -> Plane:
    """Draw the plane of a seed: delta, then eta, both Gaussian and normalized; not orthogonalized.

    Args:
        parameters: ``{name: tensor}``, the center. Not changed.
        seed: Seed of the separate generator that draws both directions.
        norm: See ``normalize_direction``.
        ignore: See ``normalize_direction``.
        filters: The position of the filters, see ``filter_axes``; None for axis 0 of every tensor.

    Source:
        Li et al. 2018, section 4; order of the draws as in the authors' code.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    delta, eta = (
        normalize_direction(random_direction(parameters, generator), parameters, norm, ignore, filters or {})
        for _ in range(2)
    )
    return Plane(parameters, delta, eta)


def plane_through(
    model_a: nn.Module,
    model_b: nn.Module,
    model_c: nn.Module,
    over: Over = "parameters",
    parameters: Selection | None = None,
) -> Plane:
    """Return the plane through three models, with orthonormal directions: coordinates are distances.

    delta points from a to b; eta is orthogonal to it, towards c. With BatchNorm, a plane over parameters uses the
    running statistics of a everywhere, so its points b and c differ from the models b and c. To include the statistics,
    pass ``over="states"`` and compute the surface with ``batchnorm="interpolate"``.

    Args:
        model_a: The center, at (0, 0): the model that ``loss_surface`` is called with. Not changed.
        model_b: At (distance from a to b, 0). Not changed.
        model_c: Above the line through a and b. Not changed.
        over: "parameters" or "states", see ``between``.
        parameters: Which parameters move, see ``between``; only these are read from b and c. None for all.

    Returns:
        A plane whose ``marks`` name the three models "a", "b" and "c".

    Raises:
        ValueError: If the models do not fit each other, or lie on a line.
    """
    center = parameters_of(model_a) if over == "parameters" else states_of(model_a)
    to_b, to_c = (between(model_a, model, over, parameters) for model in (model_b, model_c))
    center = {name: theta for name, theta in center.items() if name in to_b}
    if not any(bool(part.any()) for part in to_b.values()):
        raise ValueError(
            "expected three different models, got the same weights in model_a and model_b; pass another one"
        )
    upwards = orthogonalize(to_c, to_b)
    x, y = inner(to_b, to_b) ** 0.5, inner(upwards, upwards) ** 0.5
    delta, eta = ({n: part / length for n, part in d.items()} for d, length in ((to_b, x), (upwards, y)))
    marks = {"a": (0.0, 0.0), "b": (x, 0.0), "c": (inner(to_c, delta), inner(to_c, eta))}
    return Plane(center, delta, eta, marks)
