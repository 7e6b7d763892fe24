"""Checks the arguments of a surface and builds the session that computes it, for the verbs and the widget alike."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from lljupyter import __version__
from lljupyter.compute.grids import check_seed, fitted_ranges, make_request
from lljupyter.compute.options import Measuring, Range, Resume, takes
from lljupyter.compute.planes import Directions, checked_plane, hash_directions, oriented
from lljupyter.compute.resume import earlier_surface, take_over
from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.evaluate.strategy import check_evaluation
from lljupyter.geometry.checkpoints import Trajectory, open_checkpoints
from lljupyter.geometry.directions import Ignore, Norm, check_norm
from lljupyter.geometry.parameters import check_finite, parameters_of, unwrapped
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.geometry.trajectory import PrincipalDirections, pca_directions, project_trajectory
from lljupyter.hessian.evaluator import CurvatureEvaluator, Hessians, check_curvature
from lljupyter.problem.batchnorm import BatchNorm, check_batchnorm, check_statistics
from lljupyter.problem.loaders import Loader
from lljupyter.problem.problem import build_problem
from lljupyter.process.precision import check_precision
from lljupyter.session.checkpoint_losses import Overlay
from lljupyter.session.refinement import check_tolerance
from lljupyter.session.request import Request
from lljupyter.session.session import Session
from lljupyter.session.worker import Measuring as Measured

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Prepared(NamedTuple):
    """A session that is ready to run.

    Attributes:
        session: Not started yet.
        seeded: Whether the directions come from a seed, so that another seed can be asked for.
        directions: ``(delta, eta)``, where they do not come from a seed.
        draws: Whether the model draws random numbers, for which it borrows the global generators.
        ranges: What was not asked for: fitted ranges, and those of a resumed surface, by the name of the axis.
    """

    session: Session
    seeded: bool
    directions: Directions | None
    draws: bool
    ranges: dict[str, Range]


@takes(Measuring, build_problem, Evaluator)
def prepare(
    model: nn.Module,
    loader: Loader,
    *,
    directions: Directions | PrincipalDirections | Plane | None = None,
    norm: Norm | None = "filter",
    ignore: Ignore | None = "biasbn",
    seed: int = 0,
    orthogonalize: bool = False,
    resolution: int | Sequence[int] = 51,
    alpha: Range | None = None,
    beta: Range | None = None,
    trajectory: Trajectory | None = None,
    batchnorm: BatchNorm = "eval",
    over: Hessians = "weights",
    tol: float = 0.01,
    resume: Resume | None = None,
    tolerance: float | None = None,
    **options: Unpack[Measuring],
) -> Prepared:
    """Checks all arguments of a surface and builds the session that computes it; ``Surface`` explains them."""
    model = unwrapped(model)
    check_norm(norm, ignore)
    check_batchnorm(batchnorm)
    precision, evaluation = options.get("precision", "float32"), options.get("evaluation", "fastest")
    check_precision(precision)
    check_evaluation(evaluation)
    check_tolerance(tolerance)
    earlier = None if resume is None else earlier_surface(resume, model, directions, trajectory)
    if earlier is not None:
        directions = earlier.directions
        norm, ignore, seed, orthogonalize = earlier.options()
    given = checked_plane(directions, model, batchnorm)
    checkpoints = None if trajectory is None else open_checkpoints(trajectory)
    if checkpoints is not None and batchnorm != "recalibrate":
        check_statistics(checkpoints, model)
    seeded = given is None and (checkpoints is None if earlier is None else earlier.seeded)
    if given is None:
        check_finite(parameters_of(model))
    number = check_seed(seed) if seeded else None
    # Checked before the data are read; a range that is fitted has to wait for the path.
    request = make_request(number, resolution, *((-1.0, 1.0) if limits is None else limits for limits in (alpha, beta)))
    wanted = options.get("quantities")
    curved = isinstance(wanted, Collection) and not isinstance(wanted, str) and "convexity" in wanted
    if curved:
        check_curvature(over, tol, batchnorm)
        assert wanted is not None
        options["quantities"] = [name for name in wanted if name != "convexity"] or ["loss"]
    problem = build_problem(
        model,
        loader,
        loss_fn=options.get("loss_fn"),
        quantities=options.get("quantities"),
        device=options.get("device"),
        max_samples=options.get("max_samples"),
        batchnorm=batchnorm,
    )
    evaluator = Evaluator(problem, precision=precision, evaluation=evaluation)
    curvature = CurvatureEvaluator(problem, over=over, tol=tol) if curved else None
    how: dict[str, Any] = {"norm": str(norm).lower(), "ignore": str(ignore).lower()}
    if given is not None:
        how = {"directions": "given"} if earlier is None else earlier.recipe()
        if earlier is None and isinstance(directions, PrincipalDirections):
            how = {"directions": "pca", "explained_variance_ratio": directions.explained_variance_ratio.tolist()}
    elif seeded:
        how = {"directions": "random", **how}
    else:
        assert trajectory is not None
        pca = pca_directions(trajectory, problem.center, ignore=ignore)
        given = Plane(problem.center, *pca.directions)
        ratio = [float(share) for share in pca.explained_variance_ratio]
        how = {"directions": "pca", "ignore": how["ignore"], "explained_variance_ratio": ratio}

    def plane_for(seed: int | None) -> Plane:
        if seed is not None:
            return oriented(random_plane(problem.center, seed, norm, ignore), problem, orthogonalize)
        assert plane is not None
        return plane

    # Random planes are drawn by the engine, so that the constructor of a widget does not wait for them.
    plane: Plane | None = None
    if given is not None:
        plane = oriented(given, problem, False)
        # Those that are kept with a surface are orthogonal already.
        known = None if earlier is None else earlier.dataset.attrs.get("directions_fingerprint")
        if orthogonalize and hash_directions(plane) != known:
            plane = oriented(plane, problem, True)
        how["directions_fingerprint"] = hash_directions(plane)
    elif checkpoints is not None:
        plane = plane_for(number)
    marks = dict(plane.marks) if plane else {}
    recipe: dict[str, Any] = {
        "model": problem.title,
        "model_fingerprint": problem.fingerprint,
        **how,
        **({"orthogonalized": 1} if orthogonalize else {}),
        **({"marks": json.dumps(marks)} if marks else {}),
        "batchnorm": batchnorm,
        **({"hessian_over": over, "hessian_tol": tol, "hessian_n_samples": curvature.n_samples} if curvature else {}),
        # The first is replaced by the precision that is taken; the other stays, for ``resume``.
        **({"precision": "auto", "precision_option": "auto"} if precision == "auto" else {}),
        "loss_fn": problem.loss_name,
        "n_samples": problem.n_samples,
        "device": str(problem.device),
        "lljupyter_version": __version__,
        "torch_version": str(torch.__version__),  # a subclass of str that netCDF refuses
    }
    path = project_trajectory(checkpoints, plane) if checkpoints and plane else None
    if earlier is not None:
        request = Request(number, earlier.dataset["alpha"].values.copy(), earlier.dataset["beta"].values.copy())
    elif path or marks:
        limits = zip((alpha, beta), fitted_ranges(path, list(marks.values()), resolution), strict=True)
        request = make_request(number, resolution, *(fit if asked is None else asked for asked, fit in limits))
    ranges: dict[str, Range] = {}
    if earlier is not None or (alpha is None and (path or marks)):
        ranges["alpha"] = float(request.alpha[0]), float(request.alpha[-1])
    if earlier is not None or (beta is None and (path or marks)):
        ranges["beta"] = float(request.beta[0]), float(request.beta[-1])
    alone = curvature is not None and wanted is not None and list(wanted) == ["convexity"]
    first: Measured = curvature if curvature is not None and alone else evaluator
    overlay = None if path is None or checkpoints is None else Overlay(checkpoints, path, first.names)
    further = None if alone else curvature
    session = Session(first, plane_for, request, recipe, overlay=overlay, further=further, tolerance=tolerance)
    if earlier is not None:
        take_over(earlier.dataset, session, first, plane or plane_for(number))
    fixed = None if seeded or plane is None else (plane.delta, plane.eta)
    return Prepared(session, seeded, fixed, problem.draws, ranges)
