"""The options that the verbs and the widget share: each is named, typed and explained here, once.

A verb says ``**options: Unpack[Surface]`` and is decorated with ``takes(Surface, prepare)``; callers, type checkers,
``help`` and completion then see every option by name. A new option is a line in one of the classes, its explanation
in ``Surface``, and a keyword with its default and its check where it is used, in ``build_problem``, ``Evaluator`` or
``prepare``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from inspect import Parameter, cleandoc, signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypedDict, TypeVar

import torch

from lljupyter.compute.planes import Directions
from lljupyter.evaluate.strategy import Evaluation
from lljupyter.geometry.checkpoints import Trajectory
from lljupyter.geometry.directions import Ignore, Norm
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.trajectory import PrincipalDirections
from lljupyter.hessian.evaluator import Hessians
from lljupyter.problem.batchnorm import BatchNorm
from lljupyter.problem.quantities import LossFunction
from lljupyter.process.precision import Precision

if TYPE_CHECKING:
    import xarray

Range = tuple[float, float]
Resume: TypeAlias = "xarray.Dataset | str | os.PathLike[str]"
P = ParamSpec("P")
R = TypeVar("R")


class Measuring(TypedDict, total=False):
    """What is measured at a point, and how; explained in ``Surface``."""

    loss_fn: LossFunction | None
    quantities: Sequence[str] | None
    device: torch.device | str | None
    max_samples: int | None
    precision: Precision
    evaluation: Evaluation


class Drawn(Measuring, total=False):
    """Where to look when directions are random: what lines and surfaces share, explained in ``Surface``."""

    norm: Norm | None
    ignore: Ignore | None
    seed: int
    batchnorm: BatchNorm
    resume: Resume | None


class Surface(Drawn, total=False):
    """All options of a surface, those of ``prepare``.

    Attributes:
        loss_fn: A torch loss module or any callable ``(outputs, targets) -> loss``, the mean over the batch or one
            value a sample. None: cross-entropy, for targets that are class indices.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured. A surface may have "convexity",
            too, see ``convexity_map``: the extreme eigenvalues of the Hessian, computed once the rest is complete.
        device: Where to evaluate; None for the model's device. Data are brought there.
        max_samples: Use only the first samples of each loader.
        precision: "float32" computes exactly, in the model's own precision, TF32 off. "auto" computes in bfloat16 where
            it is faster and where the loss at a few points of the plane is off by at most 1 %; by how much is the
            attribute ``precision_error`` then. The attribute ``precision`` names what was taken.
        evaluation: How points are evaluated; all ways give the same values up to rounding. "fastest" times those that
            fit the model in the first seconds and takes the fastest: the attribute ``evaluation`` names it. "plain"
            runs the model as it is; "folded" runs it as a graph, with BatchNorm folded into the convolutions, in
            batches of a better size; "stacked" computes many points at once, for models of linear layers;
            "graphs" replays a folded point as one CUDA graph. One that does not fit the model leaves it at "plain": the
            attribute ``evaluation_seconds`` holds the seconds a point by each that was tried, or what was in its way.
        norm: How random directions are scaled, see ``normalize_direction``. The paper's is "filter".
        ignore: "biasbn" leaves biases and BatchNorm parameters where they are, as in the paper's figures.
        seed: Seed of the random directions.
        batchnorm: How the running statistics of BatchNorm are treated away from the center. "eval" keeps those
            of the model, as the paper does: right near a minimum. "recalibrate" recomputes them on the first loader
            at every point (two passes over the data instead of one): right where the weights are far from those
            the statistics were made for, as between two minima. "interpolate" moves them along directions over
            states: the authors' way between two models; cheap, but far outside of [0, 1] a variance may turn
            negative and the loss NaN.
        resume: A result that was computed in part, or the path of one: its directions and grid are taken over and
            what is missing is computed, bitwise as without the interruption where both parts are evaluated the same
            way, such as "plain" (else up to rounding). ``norm``, ``ignore``, ``seed``, ``orthogonalize``,
            ``resolution``, ``alpha`` and ``beta`` are its own then; model, loader, what is measured and a trajectory
            (also for directions that were made of it and not kept) are passed again.
        over: The parameters that the Hessian is over: "weights", those with more than one axis, as in the paper's
            figures, or "all".
        tol: Residual of an eigenvalue, as a share of it, below which it is known well enough.
        directions: ``(delta, eta)``, two dicts of parameter name to tensor, what ``pca_directions`` returned, or a
            ``Plane``; used as they are, ``norm``, ``ignore`` and ``seed`` do not apply then. None draws Gaussian
            directions from ``seed``, or takes the principal directions of ``trajectory``.
        orthogonalize: Whether to take from eta its part along delta.
        resolution: Points along both axes, or ``(n_alpha, n_beta)``. An odd number has the center on the grid.
        alpha: Range along delta, ends included; ``(x, x)`` with resolution 1 is that one point. None: (-1, 1), or
            what holds the trajectory and the models that the plane goes through.
        beta: Range along eta.
        trajectory: Checkpoints of the training run, in its order: the folder of a ``TrajectoryRecorder``, or a list
            of state dicts or paths. Each is projected onto the plane and measured where it really is.
        tolerance: None evaluates every point. A share such as 0.01 evaluates points where the others can't be predicted
            from them to within it, until nine of ten that were held back are: most surfaces then take a sixth of the
            points. ``loss_predicted`` and so on hold the whole surface then, ``evaluated`` says what was measured, and
            the attributes ``n_evaluated``, ``predicted_error_median`` and ``predicted_error_p95`` how many points
            were and how far off the points held back were predicted, as shares of the loss. A surface of less
            than some 250 points has too few to hold back, and is measured whole.
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


def takes(options: type, *users: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes the options behind ``**options`` explicit in the signature and the docstring, and refuses any other.

    Args:
        options: One of the classes above.
        users: What the options are passed on to; their defaults are taken from the signatures.
    """

    def decorate(verb: Callable[P, R]) -> Callable[P, R]:
        own = signature(verb)
        named = [p for p in own.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
        places = [p for p in named if p.kind is not Parameter.KEYWORD_ONLY]
        defaults = {name: p for user in reversed(users) for name, p in signature(user).parameters.items()}
        shared = [defaults[name] for name in options.__annotations__]
        whole = own.replace(parameters=[*places, *shared, *named[len(places) :]])

        @functools.wraps(verb)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_names(kwargs, list(whole.parameters), verb.__name__)
            return verb(*args, **kwargs)

        checked.__signature__ = whole  # type: ignore[attr-defined]
        checked.__doc__ = explained(verb.__doc__ or "", options)
        return checked

    return decorate


def check_names(given: Iterable[str], known: Sequence[str], verb: str) -> None:
    """Checks that options have known names.

    Raises:
        TypeError: If one has not.
    """
    if unknown := [name for name in given if name not in known]:
        raise TypeError(f"expected options among {list(known)}, got {unknown[0]!r}; help({verb}) explains them")


def explained(docstring: str, options: type) -> str:
    """Returns a docstring with the explanations of the options in the place of its line ``**options: ...``."""
    entry = r"^    {}: (.*\n?(?:^     .*\n?)*)"
    about = dict(re.findall(entry.format(r"(\w+)"), cleandoc(Surface.__doc__ or ""), re.MULTILINE))
    lines = [f"    {name}: {about.get(name, '').strip()}\n" for name in options.__annotations__]
    return re.sub(entry.format(r"\*\*options"), lambda _: "".join(lines), cleandoc(docstring), flags=re.MULTILINE)
