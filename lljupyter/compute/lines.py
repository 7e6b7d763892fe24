"""Lines: the loss along one direction, and between two models."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lljupyter.compute.options import Drawn, Measuring, Range, Resume, takes
from lljupyter.compute.prepare import prepare
from lljupyter.compute.resume import earlier_line
from lljupyter.compute.surfaces import run_all
from lljupyter.geometry.directions import between
from lljupyter.geometry.parameters import Parameters, fingerprint, states_of, unwrapped
from lljupyter.problem.batchnorm import BatchNorm
from lljupyter.problem.loaders import Loader

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

# From a half before the one model to a half behind the other (Li et al. 2018, figure 2).
BETWEEN = (-0.5, 1.5)


@takes(Drawn, prepare)
def loss_line(
    model: nn.Module,
    loader: Loader,
    *,
    direction: Parameters | None = None,
    resolution: int = 51,
    alpha: Range | None = None,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Drawn],
) -> xarray.Dataset:
    """Computes the loss along a line, ``f(alpha) = L(theta* + alpha * delta)``.

    A random line is the cut through the surface of the same seed at beta = 0.

    Args:
        model: A trained module; its parameters are theta*, the center.
        loader: See ``loss_surface``; a dict of several for training and test loss on the same line.
        **options: See ``Surface``.
        direction: delta, a dict of parameter name to tensor, used as it is; None draws a Gaussian one from ``seed``.
        resolution: Number of points.
        alpha: Range along delta, ends included; None for (-1, 1).
        repeats: Number of lines, of the seeds ``seed, seed + 1, ...``, stacked on a dimension ``seed``.
        save_to: A path where the line is kept while it is computed, see ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension (alpha,), else as that of ``loss_surface``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        RuntimeError: If the model fails at a point; the message names it.

    Source:
        Li et al. 2018, section 3.
    """
    line = partial(_line, repeats=repeats, save_to=save_to, progress=progress)
    return line(model, loader, direction, resolution=resolution, alpha=(-1, 1) if alpha is None else alpha, **options)


@takes(Measuring, prepare)
def interpolate(
    model_a: nn.Module,
    model_b: nn.Module,
    loader: Loader,
    *,
    resolution: int = 41,
    alpha: Range | None = None,
    batchnorm: BatchNorm = "interpolate",
    resume: Resume | None = None,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Measuring],
) -> xarray.Dataset:
    """Computes the loss on the line through two models, ``f(alpha) = L((1 - alpha) * theta_a + alpha * theta_b)``.

    The line is not normalized: the model with the smaller weights looks sharper on it than it is (Li et al. 2018,
    section 3).

    Args:
        model_a: At alpha = 0. Not changed.
        model_b: At alpha = 1; the same names and shapes. Not changed.
        loader: See ``loss_surface``; a dict of several for training and test loss on the same line.
        **options: See ``Surface``.
        resolution: Number of points; 41 has both models, and the middle, on the grid.
        alpha: Range, ends included; None for (-0.5, 1.5), which holds both models.
        batchnorm: "interpolate" moves the running statistics of BatchNorm along with the weights, so that both
            ends are the models as they are; "recalibrate" recomputes them at every point, which shows the barrier
            between the minima without what stale statistics add to it; "eval" keeps those of model_a, so that
            alpha = 1 is not model_b as it is (the authors' "weights").
        resume: A line between the same models that was computed in part, or the path of one: what is missing of it is
            computed. ``resolution`` and ``alpha`` are its own then.
        save_to: A path where the line is kept while it is computed, see ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension (alpha,), else as that of ``loss_surface``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range, or the models do not fit each other; nothing was computed then.
        RuntimeError: If the model fails at a point; the message names it.

    Source:
        Li et al. 2018, section 3, after Goodfellow et al. 2015.
    """
    if not isinstance(model_b, nn.Module):
        raise TypeError(
            f"expected model_b as a torch.nn.Module, got {type(model_b).__name__}; "
            "call it as (model_a, model_b, loader)"
        )
    a, b = unwrapped(model_a), unwrapped(model_b)
    direction = between(a, b, over="states" if batchnorm == "interpolate" else "parameters")
    marks = json.dumps({"a": (0.0, 0.0), "b": (1.0, 0.0)})
    known = {"directions": "between", "model_b_fingerprint": fingerprint(b), "marks": marks}
    line = partial(_line, known=known, save_to=save_to, progress=progress, resume=resume)
    reach = BETWEEN if alpha is None else alpha
    return line(a, loader, direction, resolution=resolution, alpha=reach, batchnorm=batchnorm, **options)


def _line(
    model: nn.Module,
    loader: Loader,
    direction: Parameters | None,
    *,
    resolution: int,
    known: Mapping[str, str] | None = None,
    resume: Resume | None = None,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None,
    progress: bool,
    **options: Any,
) -> xarray.Dataset:
    """A line is a surface with the single row beta = 0; ``known`` are attributes that tell how it was made."""
    if direction is not None and not isinstance(direction, dict):
        raise TypeError(
            f"expected direction as a dict of parameter name to tensor, got {type(direction).__name__}; "
            "None draws it from seed"
        )
    if resume is not None:
        resume, direction = earlier_line(resume, model, direction, known or {})
    if direction is not None:
        zeros = {name: torch.zeros_like(theta) for name, theta in states_of(model).items() if name in direction}
        options["directions"] = direction, zeros
    prepared = prepare(model, loader, resolution=(resolution, 1), beta=(0, 0), resume=resume, **options)

    def row(surface: xarray.Dataset) -> xarray.Dataset:
        line: xarray.Dataset = surface.isel(beta=0, drop=True).assign_attrs(known or {})
        return line

    return run_all(prepared, repeats, save_to, progress, "loss line", row)
