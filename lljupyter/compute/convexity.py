"""The convexity of the loss at every point of a plane."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
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
def convexity_map(
    model: nn.Module,
    loader: Loader | None,
    *,
    repeats: int = 1,
    save_to: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[SurfaceOptions],
) -> xarray.Dataset:
    """Compute ``abs(lambda_min / lambda_max)`` of the Hessian of the loss at every point of a plane.

    Where it is small, below about 1 %, the picture hides no noticeable non-convexity (Li et al. 2018, figure 7).
    Every point takes a few dozen Hessian-vector products over all samples: begin with a low ``resolution`` and with
    ``max_samples``.

    Args:
        model: See ``loss_surface``.
        loader: See ``loss_surface``. Of several loaders the first is used.
        **options: See ``SurfaceOptions``; other ``quantities`` that are asked for are also measured.
        repeats: See ``loss_surface``.
        save_to: See ``loss_surface``.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimensions (beta, alpha) with ``lambda_min`` and ``lambda_max``, ``convexity``, their residuals
        ``residual_min`` and ``residual_max`` (the smallest eigenvalue is at most that much below ``lambda_min``, the
        largest at most that much above ``lambda_max``: bounds for random start vectors, too small for less than 1 % of
        them at the first point, 3 % at the others, and in fact hardly ever), and ``hvps``,
        the number of products, all float64. For a large model most products are approximate: over the samples that
        have nearly all of the curvature, in bfloat16 if the processor supports it; values and residuals come from
        exact products at the end. ``lambda_min`` and ``convexity`` are NaN if the smallest eigenvalue cannot be told
        from zero. A point starts from the eigenvectors of a
        neighbor, so that its values depend on the order of the points (which differs for a map that was stopped and
        resumed), within these residuals.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        RuntimeError: If the model or the loss fails at the center, or at most points of the coarsest pass.

    Differs from the authors' code: the mean over samples, not a sum over batches; one run gives both ends of the
    spectrum, to a residual that is stored, while theirs stops after 44 products (at the center of the network in the
    tests their smallest eigenvalue is 11 % off).

    Source:
        Li et al. 2018, section 6.
    """
    quantities = options.get("quantities")
    if quantities is None:
        options["quantities"] = ["convexity"]
    elif isinstance(quantities, Mapping):
        options["quantities"] = [quantities, "convexity"]
    elif isinstance(quantities, Collection) and not isinstance(quantities, str):  # anything else is refused later
        options["quantities"] = [*(name for name in quantities if name != "convexity"), "convexity"]
    return run_all(prepare(model, loader, **options), repeats, save_to, progress, "convexity")
