"""A plane through parameter space: ``theta + alpha * delta + beta * eta``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lljupyter.geometry.directions import Ignore, Norm, normalize_direction, random_direction
from lljupyter.geometry.parameters import Parameters, check_direction


@dataclass(frozen=True)
class Plane:
    """The plane ``theta(alpha, beta) = center + alpha * delta + beta * eta`` (Li et al. 2018, section 3).

    Attributes:
        center: ``{name: tensor}``, theta*.
        delta: ``{name: tensor}``, the direction of alpha.
        eta: ``{name: tensor}``, the direction of beta.
    """

    center: Parameters
    delta: Parameters
    eta: Parameters

    def __post_init__(self) -> None:
        check_direction(self.delta, self.center, "delta")
        check_direction(self.eta, self.center, "eta")

    def at(self, alpha: float, beta: float) -> dict[str, Tensor]:
        """Returns the parameters at a point of the plane, as new tensors.

        Args:
            alpha: Coordinate along ``delta``, a multiple of it.
            beta: Coordinate along ``eta``, a multiple of it.
        """
        return {name: theta + (alpha * self.delta[name] + beta * self.eta[name]) for name, theta in self.center.items()}


def random_plane(
    parameters: Parameters, seed: int, norm: Norm | None = "filter", ignore: Ignore | None = "biasbn"
) -> Plane:
    """Draws the plane of a seed: delta, then eta, both Gaussian and normalized; not orthogonalized.

    Args:
        parameters: ``{name: tensor}``, the center. Not changed.
        seed: Seed of the private generator both directions are drawn from.
        norm: See ``normalize_direction``.
        ignore: See ``normalize_direction``.

    Source:
        Li et al. 2018, section 4; order of the draws as in the authors' code.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    delta, eta = (
        normalize_direction(random_direction(parameters, generator), parameters, norm, ignore) for _ in range(2)
    )
    return Plane(parameters, delta, eta)
