"""Surfaces, and the direction of steepest ascent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lljupyter.compute.options import Surface, takes
from lljupyter.compute.prepare import Prepared, prepare
from lljupyter.evaluate.plain import Plain
from lljupyter.problem.loaders import Loader
from lljupyter.problem.problem import build_problem
from lljupyter.problem.quantities import LossFunction
from lljupyter.process.atomic import checked_path
from lljupyter.session.snapshot import Snapshot, dataset_of
from lljupyter.surface.io.netcdf import save

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

# How often a surface that is kept on disk is written while it is computed.
SAVE_SECONDS = 30.0


@takes(Surface, prepare)
def loss_surface(
    model: nn.Module,
    loader: Loader,
    *,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Surface],
) -> xarray.Dataset:
    """Computes the loss surface ``f(alpha, beta) = L(theta* + alpha * delta + beta * eta)`` around a model.

    The model is copied first and not changed in any way. The loader is read once.

    Args:
        model: A trained module; its parameters are theta*, the center.
        loader: Yields ``(inputs, targets)`` batches, such as a DataLoader or a list. ``inputs`` may be a tuple or
            dict of tensors for models with several inputs. A dict of several, ``{"train": ..., "test": ...}``, gives
            "train_loss", "test_loss" and so on.
        **options: See ``Surface``.
        repeats: Number of surfaces, of the seeds ``seed, seed + 1, ...``, stacked on a dimension ``seed``: they show
            how far the picture depends on its directions.
        save_to: A ``.nc`` path where the surface is kept while it is computed, and when it ends for whatever reason;
            for ``resume`` later on.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimensions (beta, alpha) with ``loss``, ``loss_stderr``, where it can be measured
        ``accuracy`` (0 to 1) and ``accuracy_stderr``, all float64, and ``evaluated``, bool. Attributes hold the
        recipe. A loss that is inf or NaN is a result like any other. With ``trajectory``, on the dimension
        ``checkpoint``: ``trajectory_alpha``, ``trajectory_beta``, ``trajectory_outside`` (the share of its distance
        from the center that lies outside the plane), ``trajectory_loss`` and so on (the real ones); the attribute
        ``trajectory_captured`` is the share of the run's variation that the plane captures.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        FileNotFoundError: If there is no file to resume.
        RuntimeError: If the model fails at a point; the message names it.

    Example:
        >>> surface = loss_surface(model, loader, resolution=25)  # doctest: +SKIP
        >>> surface.loss.sel(alpha=0, beta=0)  # doctest: +SKIP

    Source:
        Li et al. 2018, sections 3 and 4.
    """
    return run_all(prepare(model, loader, **options), repeats, save_to, progress, "loss surface")


def run_all(
    prepared: Prepared,
    repeats: int,
    save_to: str | os.PathLike[str] | None,
    progress: bool,
    title: str,
    cut: Callable[[xarray.Dataset], xarray.Dataset] = lambda surface: surface,
) -> xarray.Dataset:
    """Runs a session in the calling thread, once for every seed, with a progress bar.

    Args:
        prepared: The session.
        repeats: How many seeds.
        save_to: Where the result is kept while it is computed, or None.
        progress: Whether there is a progress bar.
        title: Its heading.
        cut: Returns what of the surface is kept and returned.
    """
    import xarray

    session, request = prepared.session, prepared.session.snapshot().request
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"expected repeats as a whole number of at least 1, got {repeats!r}; 1 is one picture")
    if repeats > 1 and (not prepared.seeded or save_to is not None):
        raise ValueError(
            f"expected repeats=1 with given directions or save_to, got {repeats}; repeats draws one plane after another"
        )
    if save_to is not None and checked_path(save_to).suffix != ".nc":
        raise ValueError(
            f"expected save_to as a path that ends in .nc, which resume can go on with, got {save_to}; "
            "save(result, path) writes other formats"
        )
    found: list[xarray.Dataset] = []
    saved = time.monotonic()
    with tqdm(
        total=request.alpha.size * request.beta.size * repeats, unit="point", disable=not progress, desc=title
    ) as bar:

        def on_update(snapshot: Snapshot) -> None:
            nonlocal saved
            bar.update(len(found) * request.alpha.size * request.beta.size + snapshot.n_done - bar.n)
            if save_to is not None and time.monotonic() - saved > SAVE_SECONDS:
                save(cut(dataset_of(snapshot)), save_to)
                saved = time.monotonic()

        session.on_update = on_update
        try:
            if save_to is not None:
                save(cut(dataset_of(session.snapshot())), save_to, directions=prepared.directions)
            for index in range(repeats):
                if index:
                    assert request.seed is not None
                    session.request(request._replace(seed=request.seed + index))
                session.run()
                session.wait()
                found.append(cut(dataset_of(session.snapshot())))
            bar.total = bar.n if bar.n else bar.total  # with a tolerance, not every point is measured
            bar.refresh()
        finally:
            if save_to is not None:
                save(cut(dataset_of(session.snapshot())), save_to)
    if repeats == 1:
        return found[0]
    seeds = xarray.Variable("seed", [part.attrs.pop("seed") for part in found], {"long_name": "seed of the directions"})
    stacked: xarray.Dataset = xarray.concat(found, dim="seed", combine_attrs="override").assign_coords(seed=seeds)
    return stacked


def gradient_direction(
    model: nn.Module,
    loader: Loader,
    *,
    loss_fn: LossFunction | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> dict[str, Tensor]:
    """Returns the gradient of the mean loss at the model's parameters, over the whole loader, in evaluation mode.

    Args:
        model: A module; it is copied, neither it nor its gradients are changed.
        loader: See ``loss_surface``.
        loss_fn: See ``loss_surface``.
        device: See ``loss_surface``.
        max_samples: See ``loss_surface``.

    Returns:
        ``{name: tensor}``, uphill, not normalized; pass it through ``normalize_direction`` to compare networks.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument does not fit the model.
    """
    problem = build_problem(model, loader, loss_fn=loss_fn, quantities=["loss"], device=device, max_samples=max_samples)
    return Plain(problem).gradient()
