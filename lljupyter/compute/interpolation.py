"""The loss between two models."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from torch import nn

from lljupyter.compute.lines import compute_line
from lljupyter.compute.options import EvaluationOptions
from lljupyter.compute.signatures import takes
from lljupyter.geometry.directions import between
from lljupyter.geometry.parameters import fingerprint, unwrapped
from lljupyter.problem.batchnorm import BatchNorm
from lljupyter.problem.loaders import Loader

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

    from lljupyter.compute.options import Range, Resume

# From a half before the one model to a half behind the other (Li et al. 2018, figure 2).
BETWEEN = (-0.5, 1.5)


@takes(EvaluationOptions)
def interpolate(
    model_a: nn.Module,
    model_b: nn.Module,
    loader: Loader | None,
    *,
    resolution: int = 41,
    alpha: Range | None = None,
    batchnorm: BatchNorm = "interpolate",
    resume: Resume | None = None,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[EvaluationOptions],
) -> xarray.Dataset:
    """Compute the loss on the line through two models, ``f(alpha) = L((1 - alpha) * theta_a + alpha * theta_b)``.

    The line is not normalized: the model with the smaller weights looks sharper on it than it is (Li et al. 2018,
    section 3).

    Args:
        model_a: At alpha = 0. Not changed.
        model_b: At alpha = 1; the same names and shapes. Not changed.
        loader: See ``loss_surface``; a dict of several for training and test loss on the same line.
        **options: See ``EvaluationOptions``.
        resolution: Number of points; 41 puts both models, and the middle, on the grid.
        alpha: Range, ends included; None for (-0.5, 1.5), which holds both models.
        batchnorm: "interpolate" moves the running statistics of BatchNorm along with the weights, so that both
            ends are the models as they are; "recalibrate" recomputes them at every point, which shows the barrier
            between the minima without what stale statistics add to it; "eval" keeps those of model_a, so that
            alpha = 1 is not model_b as it is (the authors' "weights").
        resume: A line between the same models that was computed in part, or the path of one: the missing points are
            computed. ``resolution`` and ``alpha`` are then those of the line.
        save_to: A path where the line is saved while it is computed, see ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension (alpha,), otherwise as that of ``loss_surface``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range, or the models do not fit each other; nothing was computed then.
        RuntimeError: If the model or the loss fails at the center, or at most points of the coarsest pass.

    Source:
        Li et al. 2018, section 3, after Goodfellow et al. 2015.
    """
    if not isinstance(model_b, nn.Module):
        raise TypeError(
            f"expected model_b as a torch.nn.Module, got {type(model_b).__name__}; "
            "call it as (model_a, model_b, loader)"
        )
    a, b = unwrapped(model_a), unwrapped(model_b)
    parameters = options.get("parameters")
    over_states = batchnorm == "interpolate" and parameters is None
    direction = between(a, b, "states" if over_states else "parameters", parameters)
    marks = json.dumps({"a": (0.0, 0.0), "b": (1.0, 0.0)})
    return compute_line(
        a,
        loader,
        direction,
        resolution,
        BETWEEN if alpha is None else alpha,
        attributes={"directions": "between", "model_b_fingerprint": fingerprint(b), "marks": marks},
        resume=resume,
        save_to=save_to,
        progress=progress,
        batchnorm=batchnorm,
        **options,
    )
