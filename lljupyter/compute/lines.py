"""The loss along one direction."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lljupyter.compute.options import LineOptions
from lljupyter.compute.prepare import prepare
from lljupyter.compute.prepare.resume import earlier_line
from lljupyter.compute.run import run_all
from lljupyter.compute.signatures import takes
from lljupyter.geometry.parameters import Parameters, states_of
from lljupyter.problem.loaders import Loader

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

    from lljupyter.compute.options import Range, Resume


@takes(LineOptions)
def loss_line(
    model: nn.Module,
    loader: Loader | None,
    *,
    direction: Parameters | None = None,
    resolution: int = 51,
    alpha: Range | None = None,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[LineOptions],
) -> xarray.Dataset:
    """Compute the loss along a line, ``f(alpha) = L(theta* + alpha * delta)``.

    A random line is the cut through the surface of the same seed at beta = 0.

    Args:
        model: A trained module; its parameters are theta*, the center.
        loader: See ``loss_surface``; a dict of several for training and test loss on the same line.
        **options: See ``LineOptions``.
        direction: delta, a dict of parameter name to tensor, used as it is; None draws a Gaussian one from ``seed``.
        resolution: Number of points.
        alpha: Range along delta, ends included; None for (-1, 1).
        repeats: Number of lines, of the seeds ``seed, seed + 1, ...``, stacked on a dimension ``seed``.
        save_to: A path where the line is saved while it is computed, see ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension (alpha,), otherwise as that of ``loss_surface``.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        RuntimeError: If the model or the loss fails at the center, or at most points of the coarsest pass.

    Source:
        Li et al. 2018, section 3.
    """
    ends = (-1.0, 1.0) if alpha is None else alpha
    return compute_line(
        model, loader, direction, resolution, ends, repeats=repeats, save_to=save_to, progress=progress, **options
    )


def compute_line(
    model: nn.Module,
    loader: Loader | None,
    direction: Parameters | None,
    resolution: int,
    alpha: Range,
    *,
    attributes: Mapping[str, str] | None = None,
    resume: Resume | None = None,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None,
    progress: bool,
    **options: Any,
) -> xarray.Dataset:
    """Compute a line as a surface with the single row beta = 0.

    Args:
        model: At alpha = 0.
        loader: See ``loss_surface``.
        direction: delta, or None for a random one.
        resolution: Number of points.
        alpha: Range along delta.
        attributes: Further attributes of the result; a line to resume must have the same.
        resume: A line to go on with.
        repeats: Number of lines.
        save_to: A path, or None.
        progress: Whether to show a progress bar.
        **options: Those of ``prepare``.
    """
    if direction is not None and not isinstance(direction, dict):
        raise TypeError(
            f"expected direction as a dict of parameter name to tensor, got {type(direction).__name__}; "
            "None draws it from seed"
        )
    if resume is not None:
        resume, direction = earlier_line(resume, model, direction, attributes or {})
    if direction is not None:
        zeros = {name: torch.zeros_like(theta) for name, theta in states_of(model).items() if name in direction}
        options["directions"] = direction, zeros
    prepared = prepare(
        model, loader, resolution=(resolution, 1), alpha=alpha, beta=(0.0, 0.0), resume=resume, **options
    )

    def row(surface: xarray.Dataset) -> xarray.Dataset:
        line: xarray.Dataset = surface.isel(beta=0, drop=True).assign_attrs(attributes or {})
        return line

    return run_all(prepared, repeats, save_to, progress, "loss line", row)
