"""The loss on a plane through parameter space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torch import nn

from lljupyter.compute.options import SurfaceOptions
from lljupyter.compute.prepare import prepare
from lljupyter.compute.run import run_all
from lljupyter.compute.signatures import takes
from lljupyter.problem.loaders import Loader

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack


@takes(SurfaceOptions)
def loss_surface(
    model: nn.Module,
    loader: Loader | None,
    *,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[SurfaceOptions],
) -> xarray.Dataset:
    """Compute the loss surface ``f(alpha, beta) = L(theta* + alpha * delta + beta * eta)`` around a model.

    The model is copied first and not changed in any way. The loader is read once.

    Args:
        model: A trained module; its parameters are theta*, the center.
        loader: Yields ``(inputs, targets)`` batches, such as a DataLoader or a list. ``inputs`` may be a tuple or
            dict of tensors for models with several inputs. A dict of several, ``{"train": ..., "test": ...}``, gives
            "train_loss", "test_loss" and so on.
        **options: See ``SurfaceOptions``.
        repeats: Number of surfaces, of the seeds ``seed, seed + 1, ...``, stacked on a dimension ``seed``: they show
            how much the picture depends on its directions.
        save_to: A ``.nc`` path where the surface is saved while it is computed, and when the computation ends for
            whatever reason; pass it to ``resume`` later.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimensions (beta, alpha) with ``loss``, ``loss_stderr``, for classifiers also ``accuracy``
        (0 to 1) and ``accuracy_stderr``, all float64, and ``evaluated``, bool. Attributes hold the recipe. A loss that
        is inf or NaN is a result like any other. Where the model or the loss raises, though it does not at the center,
        all are NaN and ``failed``, bool, which is there if there is such a point, is True; the attribute ``failure`` is
        the first error. With ``trajectory``, on the dimension ``checkpoint``:
        ``trajectory_alpha``, ``trajectory_beta``, ``trajectory_outside`` (the fraction of its distance from the center
        that lies outside the plane), ``trajectory_loss`` and so on (at the checkpoint itself); the attribute
        ``trajectory_captured`` is the fraction of the run's variation that the plane captures, and
        ``trajectory_failed`` and ``trajectory_failure`` are as for points.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        FileNotFoundError: If there is no file to resume.
        RuntimeError: If the model or the loss fails at the center, or at most points of the coarsest pass.

    Example:
        >>> surface = loss_surface(model, loader, resolution=25)  # doctest: +SKIP
        >>> surface.loss.sel(alpha=0, beta=0)  # doctest: +SKIP

    Source:
        Li et al. 2018, sections 3 and 4.
    """
    return run_all(prepare(model, loader, **options), repeats, save_to, progress, "loss surface")
