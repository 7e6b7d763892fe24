"""Step 2: where to look, that is, what the plane is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from lljupyter.compute.options import SurfaceOptions
from lljupyter.compute.prepare.grids import check_seed
from lljupyter.compute.prepare.planes import given_plane, hash_directions, placed
from lljupyter.compute.prepare.resume import EarlierSurface, earlier_selection, earlier_surface
from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.geometry.checkpoints import Trajectory, open_checkpoints
from lljupyter.geometry.directions import Ignore, Norm
from lljupyter.geometry.filters import FilterAxes, check_filters, filter_axes
from lljupyter.geometry.parameters import Parameters, check_finite, parameters_of
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.geometry.select import hash_names, selected, selection_text
from lljupyter.geometry.trajectory import PrincipalDirections, pca_directions
from lljupyter.problem.batchnorm import check_statistics


@dataclass(frozen=True)
class PlaneSource:
    """What a plane is made from, checked against the model; the directions come from one of the first three.

    Attributes:
        given: Directions that were passed, or that were saved with the result to resume.
        seed: Seed of random directions.
        principal: The trajectory whose principal directions are used.
        norm: How random directions are scaled.
        ignore: What random and principal directions leave unchanged.
        filters: Where the filters of random directions are, see ``filter_axes``.
        names: The parameters that were chosen to move, or None for all.
        orthogonalize: Whether to remove from eta its component along delta.
        checkpoints: Those of the trajectory that is drawn over the plane, or None.
        earlier: The surface to resume, or None.
        recipe: How the directions were made, as attributes of the result.
    """

    given: Plane | None
    seed: int | None
    principal: Trajectory | None
    norm: Norm | None
    ignore: Ignore | None
    filters: FilterAxes
    names: tuple[str, ...] | None
    orthogonalize: bool
    checkpoints: Sequence[Checkpoint] | None
    earlier: EarlierSurface | None
    recipe: dict[str, Any]


def plane_source(model: nn.Module, chosen: SurfaceOptions) -> PlaneSource:
    """Find what the plane is made from: a surface to resume, given directions, a trajectory or a seed, in this order.

    Args:
        model: The model; only read.
        chosen: All options.

    Raises:
        TypeError: If the directions or the seed are of another kind than expected.
        ValueError: If something does not fit the model.
        FileNotFoundError: If a file is missing.
    """
    directions, trajectory = chosen["directions"], chosen["trajectory"]
    norm, ignore, filters = chosen["norm"], chosen["ignore"], chosen["filters"]
    seed, orthogonalize = chosen["seed"], chosen["orthogonalize"]
    earlier, parameters = None, chosen["parameters"]
    if chosen["resume"] is not None:
        earlier = earlier_surface(chosen["resume"], model, directions, trajectory)
        parameters = earlier_selection(earlier.dataset, model, parameters)
        directions = earlier.directions
        norm, ignore, filters = earlier.norm, earlier.ignore, earlier.filters
        seed, orthogonalize = earlier.seed, earlier.orthogonalize
        check_filters(filters)
    names = None if parameters is None else selected(model, parameters)
    given = given_plane(directions, model, chosen["batchnorm"], names)
    checkpoints = None if trajectory is None else open_checkpoints(trajectory, names)
    if checkpoints is not None and chosen["batchnorm"] != "recalibrate" and names is None:
        check_statistics(checkpoints, model)
    random = given is None and (earlier.is_random if earlier is not None else trajectory is None)
    if given is None:
        check_finite({name: theta for name, theta in parameters_of(model).items() if names is None or name in names})
    if given is not None:
        recipe = _recipe_of_given(directions) if earlier is None else earlier.recipe
    elif random:
        recipe = {"directions": "random", "norm": str(norm).lower(), "ignore": str(ignore).lower(), "filters": filters}
    else:
        recipe = {"directions": "pca", "ignore": str(ignore).lower()}
    if names is not None and parameters is not None:
        text = selection_text(model, parameters, names)
        recipe = {**recipe, "parameters": text, "parameters_fingerprint": hash_names(names)}
    return PlaneSource(
        given=given,
        seed=check_seed(seed) if random else None,
        principal=trajectory if given is None and not random else None,
        norm=norm,
        ignore=ignore,
        filters=filter_axes(model) if random and filters == "output" else {},
        names=names,
        orthogonalize=orthogonalize,
        checkpoints=checkpoints,
        earlier=earlier,
        recipe=recipe,
    )


def fixed_plane(source: PlaneSource, center: Parameters, states: Parameters) -> tuple[Plane | None, dict[str, Any]]:
    """Return the plane on the device of the evaluation, and how its directions were made.

    Args:
        source: What the plane is made from.
        center: The parameters of the copy of the model that is evaluated.
        states: Its parameters and buffers.

    Returns:
        The plane, None for random directions, which are drawn for each seed; and attributes of the result.

    Raises:
        ValueError: If the trajectory spans no plane.
    """
    recipe = dict(source.recipe)
    if source.seed is not None:
        return None, recipe
    given = source.given
    if given is None:
        assert source.principal is not None
        principal = pca_directions(source.principal, center, ignore=source.ignore)
        given = Plane(center, *principal.directions)
        recipe["explained_variance_ratio"] = principal.explained_variance_ratio.tolist()
    plane = placed(given, states, False)
    # Directions that are saved with a surface are orthogonal already.
    saved = None if source.earlier is None else source.earlier.dataset.attrs.get("directions_fingerprint")
    if source.orthogonalize and hash_directions(plane) != saved:
        plane = placed(plane, states, True)
    recipe["directions_fingerprint"] = hash_directions(plane)
    return plane, recipe


def random_plane_of(source: PlaneSource, center: Parameters, states: Parameters, seed: int) -> Plane:
    """Return the plane of random directions of a seed, on the device of the evaluation."""
    return placed(random_plane(center, seed, source.norm, source.ignore, source.filters), states, source.orthogonalize)


def _recipe_of_given(directions: object) -> dict[str, Any]:
    if isinstance(directions, PrincipalDirections):
        return {"directions": "pca", "explained_variance_ratio": directions.explained_variance_ratio.tolist()}
    return {"directions": "given"}
