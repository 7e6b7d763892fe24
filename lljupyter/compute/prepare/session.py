"""From options to a session, in four steps, for the verbs and the widget alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from lljupyter import __version__
from lljupyter.compute.options import SurfaceOptions
from lljupyter.compute.prepare.checks import asks_for_convexity, checked_options, loss_quantities
from lljupyter.compute.prepare.grids import lay_out
from lljupyter.compute.prepare.notices import plane_notices
from lljupyter.compute.prepare.restore import restore_points
from lljupyter.compute.prepare.source import PlaneSource, fixed_plane, plane_source, random_plane_of
from lljupyter.compute.signatures import takes
from lljupyter.evaluate.callables import CallableEvaluator
from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.parameters import unwrapped
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.projection import project_trajectory
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.hessian.inspect import inspector
from lljupyter.problem.callables import callables_of
from lljupyter.problem.loaders import Loader
from lljupyter.problem.problem import Problem, build_problem
from lljupyter.process.notices import warn
from lljupyter.session.session import Session
from lljupyter.session.sources.checkpoint_losses import CheckpointLosses
from lljupyter.session.sources.subsets import Subsets

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lljupyter.compute.options import Directions, Range


class Prepared(NamedTuple):
    """A session that is ready to run.

    Attributes:
        session: Not started yet.
        seeded: Whether the directions come from a seed, so that another seed can be asked for.
        directions: ``(delta, eta)``, if they do not come from a seed.
        borrows: Whether the model draws random numbers for which it borrows generators that other threads may use.
        ranges: Ranges that were not asked for, by the name of the axis: fitted ones, and those of a resumed surface.
        no_convexity: Why the convexity that was asked for is left out, or "".
    """

    session: Session
    seeded: bool
    directions: Directions | None
    borrows: bool
    ranges: dict[str, Range]
    no_convexity: str


@takes(SurfaceOptions)
def prepare(
    model: nn.Module, loader: Loader | None, *, convexity_may_miss: bool = False, **options: Unpack[SurfaceOptions]
) -> Prepared:
    """Check everything that a surface is computed from, and build the session that computes it.

    Args:
        model: A trained module; it is copied and not changed.
        loader: See ``loss_surface``.
        convexity_may_miss: See ``build_session``.
        **options: See ``SurfaceOptions``.
    """
    model = unwrapped(model)
    chosen = checked_options(options)
    source = plane_source(model, chosen)
    problem = build_problem(
        model,
        loader,
        loss_fn=chosen["loss_fn"],
        objective=chosen["objective"],
        draws=chosen["draws"],
        quantities=loss_quantities(chosen["quantities"]),
        device=chosen["device"],
        max_samples=chosen["max_samples"],
        batchnorm=chosen["batchnorm"],
        parameters=source.names,
    )
    callables = callables_of(chosen["quantities"])
    own = CallableEvaluator(problem, callables, model) if callables else None
    return build_session(chosen, source, problem, own, convexity_may_miss)


def build_session(
    chosen: SurfaceOptions,
    source: PlaneSource,
    problem: Problem,
    own: CallableEvaluator | None = None,
    convexity_may_miss: bool = False,
) -> Prepared:
    """Put the problem, the plane, the grid and the recipe together.

    Args:
        chosen: All options.
        source: What the plane is made from.
        problem: The copy of the model, the data, and what is measured.
        own: Evaluates the quantities that are callables, or None.
        convexity_may_miss: If the Hessian can't be had, leave the convexity out with a warning, and measure the rest.

    Raises:
        ValueError: If the Hessian that is asked for can't be had.
    """
    center, states = problem.center, problem.states
    fixed, directions_recipe = fixed_plane(source, center, states)

    # Random planes are drawn by the engine, so that the constructor of a widget does not wait for them.
    def plane_for(seed: int | None) -> Plane:
        if seed is not None:
            return random_plane_of(source, center, states, seed)
        assert fixed is not None
        return fixed

    marks = {} if fixed is None else dict(fixed.marks)
    path = None if source.checkpoints is None else project_trajectory(source.checkpoints, plane_for(source.seed))
    only_convexity = chosen["quantities"] is not None and list(chosen["quantities"]) == ["convexity"]
    hessian, no_convexity = None, ""
    if asks_for_convexity(chosen["quantities"]):
        try:
            hessian = HessianEvaluator(problem, over=chosen["over"], tol=chosen["tol"])
        except ValueError as error:
            if only_convexity or not convexity_may_miss:
                raise
            no_convexity = " ".join(f"convexity is left out: {error}".split())
    notices = [*problem.warnings, *plane_notices(source, fixed, path, problem)]
    notices += [no_convexity] if no_convexity else []
    warn(notices)
    earlier = None if source.earlier is None else source.earlier.dataset
    request, ranges = lay_out(chosen, source.seed, path, list(marks.values()), earlier)
    evaluator = Evaluator(problem, precision=chosen["precision"], evaluation=chosen["evaluation"])

    def hessian_evaluator() -> HessianEvaluator:
        return hessian or HessianEvaluator(problem)

    loss_evaluator = None if only_convexity else evaluator
    first = loss_evaluator or hessian or evaluator
    losses = None
    if path is not None and source.checkpoints is not None:
        losses = CheckpointLosses(source.checkpoints, path, first.names)
    session = Session(
        first,
        plane_for,
        request,
        recipe_of(chosen, source, directions_recipe, marks, problem, hessian, own, notices),
        checkpoint_losses=losses,
        further=[evaluator for evaluator in (own, hessian) if evaluator is not None and evaluator is not first],
        tolerance=chosen["tolerance"],
        autotuner=loss_evaluator,
        preview=None if loss_evaluator is None else Subsets(loss_evaluator.plain),
        inspect=inspector(loss_evaluator, None if problem.recalibrates else hessian_evaluator),
    )
    if earlier is not None:
        restore_points(earlier, session, first, plane_for(source.seed))
    directions = None if fixed is None else (fixed.delta, fixed.eta)
    borrows = problem.draws and not problem.conditions.private
    return Prepared(session, source.seed is not None, directions, borrows, ranges, no_convexity)


def recipe_of(
    chosen: SurfaceOptions,
    source: PlaneSource,
    directions: Mapping[str, Any],
    marks: Mapping[str, tuple[float, float]],
    problem: Problem,
    hessian: HessianEvaluator | None,
    own: CallableEvaluator | None,
    notices: Sequence[str],
) -> dict[str, Any]:
    """Return how a surface is computed, as attributes of its Dataset.

    Args:
        chosen: All options.
        source: What the plane is made from.
        directions: How its directions were made, as attributes.
        marks: The points that the plane names.
        problem: The copy of the model, the data, and what is measured.
        hessian: Evaluates the eigenvalues of the Hessian, or None.
        own: Evaluates the quantities that are callables, or None.
        notices: What the person was warned of.
    """
    recipe = {"model": problem.title, "model_fingerprint": problem.fingerprint, **directions}
    if source.orthogonalize:
        recipe["orthogonalized"] = 1
    if marks:
        recipe["marks"] = json.dumps(marks)
    if problem.draws:
        recipe["draws"] = problem.conditions.n_draws
    if problem.outputs_precision:
        recipe["outputs_precision"] = problem.outputs_precision
    if notices:
        recipe["warnings"] = "\n".join(" ".join(notice.split()) for notice in notices)
    if own is not None:
        recipe["callables"] = ", ".join(own.quantities)
    recipe["batchnorm"] = chosen["batchnorm"]
    if hessian is not None:
        recipe |= {"hessian_over": hessian.over, "hessian_tol": hessian.tol, "hessian_n_samples": hessian.n_samples}
    if chosen["precision"] == "auto":
        # The first is replaced by the precision that is used; the other stays, for ``resume``.
        recipe |= {"precision": "auto", "precision_option": "auto"}
    return recipe | {
        "loss_fn": problem.loss_name,
        "loss_reduction": ", ".join(dict.fromkeys(problem.reductions.values())),
        "n_samples": problem.n_samples,
        "device": str(problem.device),
        "lljupyter_version": __version__,
        "torch_version": str(torch.__version__),  # a subclass of str that netCDF refuses
    }
