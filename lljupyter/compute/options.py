"""The table of options: every option of the verbs and of the widget has its type, default and explanation here.

A verb has ``**options: Unpack[SurfaceOptions]`` and is decorated with ``takes(SurfaceOptions)`` (``signatures.py``):
type checkers, ``help``, ``inspect.signature`` and completion then show every option. A new option is a type and an
explanation in one of the classes, its default in ``DEFAULTS``, a check in ``prepare/checks.py``, and its use.

Importing this module loads neither torch nor xarray: ``%load_ext lljupyter`` shows the table too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import torch
    import xarray

    from lljupyter.evaluate.strategy import Evaluation
    from lljupyter.geometry.checkpoints import Trajectory
    from lljupyter.geometry.directions import Ignore, Norm
    from lljupyter.geometry.filters import Filters
    from lljupyter.geometry.parameters import Parameters
    from lljupyter.geometry.plane import Plane
    from lljupyter.geometry.select import Selection
    from lljupyter.geometry.trajectory import PrincipalDirections
    from lljupyter.hessian.evaluator import Hessians
    from lljupyter.problem.batchnorm import BatchNorm
    from lljupyter.problem.callables import Quantities
    from lljupyter.problem.objective import LossFunction
    from lljupyter.process.precision import Precision

    Directions: TypeAlias = tuple[Parameters, Parameters]
    Range: TypeAlias = tuple[float, float]
    Resume: TypeAlias = xarray.Dataset | str | os.PathLike[str]


class EvaluationOptions(TypedDict, total=False):
    """What is evaluated at a point, and how.

    Attributes:
        loss_fn: A torch loss module or any callable ``(outputs, targets) -> loss`` that returns the mean over the batch
            or one value per sample; called on whole batches. None: cross-entropy, for targets that are class indices,
            or the model's own loss for batches that are dicts with labels, as in transformers. How the values of
            batches are combined is found by trial: the attribute ``loss_reduction`` states it.
        objective: ``objective(model, batch)``, the whole of what is measured, for a loss that needs the model or the
            batch: physics-informed networks, policies, detection, graphs, weight decay, contrastive losses. It uses the
            model that it is given, takes any batch that the loader yields, and returns the mean over the batch, one
            value per sample, or a pair ``(sum, weight)``. ``objective(model)`` if ``loader`` is None.
        draws: How often each batch is measured with other random numbers, if model or loss draw some in evaluation
            mode; the mean of them is the value. The same numbers are drawn at every point.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured. A surface can also have
            "convexity", see ``convexity_map``: the extreme eigenvalues of the Hessian, computed after the rest. A dict
            adds quantities of your own, also within a list: ``{"f1": f}`` with ``f(outputs, targets)``, which gets
            those of all samples of a loader, or ``f(model)``, which gets a copy of the model in evaluation mode that
            it may change. Both return a number, the same for the same weights; they are computed after the loss, with
            the model as it is. Where one raises, it has no value, and the attribute ``failure`` says why.
        device: Where to evaluate; None for the model's device. The data are moved there.
        max_samples: Use only the first samples of each loader; whole batches, if cutting one would change its value.
        precision: "float32" computes in the model's own precision with TF32 turned off. "auto" computes in bfloat16
            if that is faster and changes the loss at a few points of the plane by at most 1 %; the attribute
            ``precision_error`` then holds the difference. The attribute ``precision`` names the precision used.
        evaluation: How points are evaluated; all ways give the same values up to rounding. "fastest" times those that
            fit the model during the first seconds and uses the fastest; the attribute ``evaluation`` names it. "plain"
            runs the model as it is; "folded" runs it as a graph, with BatchNorm folded into the convolutions, in
            batches of a better size; "stacked" computes many points at once, for models of linear layers. If the
            requested way does not fit the model, "plain" is used. The attribute ``evaluation_seconds`` records the
            time per point of every way tried, or why it was rejected.
        parameters: What moves: a pattern of names such as "layer4.*" or a list of them, "trainable" for parameters that
            require a gradient, "lora" for low-rank adapters, a function ``(name, parameter) -> bool``, or a module of
            the model. Directions, the Hessian and the trajectory then concern these alone, and everything else stays
            that of the model. None: all parameters.
    """

    loss_fn: LossFunction | None
    objective: Callable[..., Any] | None
    draws: int
    quantities: Quantities
    device: torch.device | str | None
    max_samples: int | None
    precision: Precision
    evaluation: Evaluation
    parameters: Selection | None


class LineOptions(EvaluationOptions, total=False):
    """The options that lines and surfaces share.

    Attributes:
        norm: How random directions are scaled, see ``normalize_direction``. The paper uses "filter".
        ignore: "biasbn" leaves biases and BatchNorm parameters unchanged, as in the paper's figures.
        filters: Which entries of a weight ``norm="filter"`` scales together: "output" takes those of one output of
            their layer, see ``filter_axes``; "axis0" a slice along the first axis of every tensor, as the authors'
            code does. They differ for transposed convolutions, embeddings and the ``Conv1D`` of transformers.
        seed: Seed of the random directions.
        batchnorm: How the running statistics of BatchNorm are treated away from the center. "eval" keeps those
            of the model, as the paper does; this is right near a minimum. "recalibrate" recomputes them on the first
            loader at every point (two passes over the data instead of one); this is right if the weights are far from
            those the statistics were computed for, as between two minima. "interpolate" moves them along directions
            over states: the authors' way between two models; cheap, but far outside of [0, 1] a variance may become
            negative and the loss NaN.
        resume: A result that was computed in part, or the path of one: its directions and grid are used and the missing
            points are computed, bitwise as without the interruption if both parts are evaluated the same way, such as
            "plain" (otherwise up to rounding). ``norm``, ``ignore``, ``filters``, ``parameters``, ``seed``,
            ``orthogonalize``, ``resolution``, ``alpha`` and ``beta`` are then taken from the result; pass the model,
            the loader, what is evaluated and a trajectory (also for directions that were computed from it and not
            saved) again. Points at which the model or the loss raised are not tried again, unless they are marked as
            not evaluated: ``resume=result.assign(evaluated=result.evaluated & ~result.failed)``.
    """

    norm: Norm | None
    ignore: Ignore | None
    filters: Filters
    seed: int
    batchnorm: BatchNorm
    resume: Resume | None


class SurfaceOptions(LineOptions, total=False):
    """All options of a surface.

    Attributes:
        over: The parameters that the Hessian is taken over: "weights", those with more than one axis, as in the paper's
            figures, or "all".
        tol: Relative residual at which an eigenvalue counts as converged.
        directions: ``(delta, eta)``, two dicts of parameter name to tensor, what ``pca_directions`` returned, or a
            ``Plane``; used as they are, ``norm``, ``ignore`` and ``seed`` then do not apply. None draws Gaussian
            directions from ``seed``, or uses the principal directions of ``trajectory``.
        orthogonalize: Whether to remove from eta its component along delta.
        resolution: Points along both axes, or ``(n_alpha, n_beta)``. An odd number puts the center on the grid.
        alpha: Range along delta, ends included; ``(x, x)`` with resolution 1 is that one point. None: (-1, 1), or a
            range that holds the trajectory and the models that the plane goes through.
        beta: Range along eta, see ``alpha``.
        trajectory: Checkpoints of the training run, in order: the folder of a ``TrajectoryRecorder``, or a list
            of state dicts or paths. Each is projected onto the plane and evaluated at its own parameters.
        tolerance: None evaluates every point. A fraction such as 0.01 adds points until 90 % of held-out points are
            predicted to within this relative error; most surfaces then need a sixth of the points.
            ``loss_predicted`` and so on then hold the whole surface, ``evaluated`` marks the points that were
            evaluated, and the attributes ``n_evaluated``, ``predicted_error_median`` and ``predicted_error_p95`` hold
            their number and the relative errors at the held-out points. A surface of less than about 250 points has
            too few to hold out, and all of it is evaluated.
    """

    over: Hessians
    tol: float
    directions: Directions | PrincipalDirections | Plane | None
    orthogonalize: bool
    resolution: int | Sequence[int]
    alpha: Range | None
    beta: Range | None
    trajectory: Trajectory | None
    tolerance: float | None


TABLES: tuple[type, ...] = (EvaluationOptions, LineOptions, SurfaceOptions)

DEFAULTS: SurfaceOptions = {
    "loss_fn": None,
    "objective": None,
    "draws": 1,
    "quantities": None,
    "device": None,
    "max_samples": None,
    "precision": "float32",
    "evaluation": "fastest",
    "parameters": None,
    "norm": "filter",
    "ignore": "biasbn",
    "filters": "output",
    "seed": 0,
    "batchnorm": "eval",
    "resume": None,
    "over": "weights",
    "tol": 0.01,
    "directions": None,
    "orthogonalize": False,
    "resolution": 51,
    "alpha": None,
    "beta": None,
    "trajectory": None,
    "tolerance": None,
}
