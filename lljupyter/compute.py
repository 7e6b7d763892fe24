"""The verbs: what a person calls. The widget prepares its session here too, so both compute the same."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from tqdm.auto import tqdm

from lljupyter import __version__
from lljupyter.engine.evaluator import Evaluator
from lljupyter.engine.model import unwrapped
from lljupyter.engine.points import Request
from lljupyter.engine.quantities import LossFunction
from lljupyter.engine.session import Session
from lljupyter.geometry.directions import Ignore, Norm, check_norm
from lljupyter.geometry.grid import axis, resolution_pair
from lljupyter.geometry.parameters import Parameters, check_direction, parameters_of
from lljupyter.geometry.plane import Plane, random_plane

if TYPE_CHECKING:
    import xarray

Range = tuple[float, float]
Directions = tuple[Parameters, Parameters]


def loss_surface(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    loss_fn: LossFunction | None = None,
    quantities: Sequence[str] | None = None,
    directions: Directions | None = None,
    norm: Norm | None = "filter",
    ignore: Ignore | None = "biasbn",
    seed: int = 0,
    resolution: int | Sequence[int] = 51,
    alpha: Range = (-1, 1),
    beta: Range = (-1, 1),
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Computes the loss surface ``f(alpha, beta) = L(theta* + alpha * delta + beta * eta)`` around a model.

    The model is copied first and not changed in any way. The loader is read once.

    Args:
        model: A trained module; its parameters are theta*, the center.
        loader: Yields ``(inputs, targets)`` batches, such as a DataLoader or a list. ``inputs`` may be a tuple or
            dict of tensors for models with several inputs.
        loss_fn: A torch loss module or any callable ``(outputs, targets) -> loss``, the mean over the batch or one
            value a sample. None: cross-entropy, for targets that are class indices.
        quantities: Some of "loss" and "accuracy"; None for all that can be measured.
        directions: ``(delta, eta)``, two dicts of parameter name to tensor, used as they are; ``norm``, ``ignore``
            and ``seed`` do not apply then. None draws Gaussian directions from ``seed``.
        norm: How random directions are scaled, see ``normalize_direction``. The paper's is "filter".
        ignore: "biasbn" leaves biases and BatchNorm parameters where they are, as in the paper's figures.
        seed: Seed of the random directions.
        resolution: Points along both axes, or ``(n_alpha, n_beta)``. An odd number has the center on the grid.
        alpha: Range along delta, ends included; ``(x, x)`` with resolution 1 is that one point.
        beta: Range along eta.
        device: Where to evaluate; None for the model's device. Data are brought there.
        max_samples: Use only the first samples of the loader.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimensions (beta, alpha) with ``loss``, ``loss_stderr``, where it can be measured
        ``accuracy`` (0 to 1) and ``accuracy_stderr``, all float64, and ``evaluated``, bool. Attributes hold the
        recipe. A loss that is inf or NaN is a result like any other.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.
        RuntimeError: If the model fails at a point; the message names it.

    Example:
        >>> surface = loss_surface(model, loader, resolution=25)  # doctest: +SKIP
        >>> surface.loss.sel(alpha=0, beta=0)  # doctest: +SKIP

    Source:
        Li et al. 2018, sections 3 and 4.
    """
    session = prepare(
        model,
        loader,
        loss_fn=loss_fn,
        quantities=quantities,
        directions=directions,
        norm=norm,
        ignore=ignore,
        seed=seed,
        resolution=resolution,
        alpha=alpha,
        beta=beta,
        device=device,
        max_samples=max_samples,
    ).session
    with tqdm(total=session.progress().n_points, unit="point", disable=not progress, desc="loss surface") as bar:

        def on_update(session: Session) -> None:
            bar.update(session.progress().n_done - bar.n)

        session.on_update = on_update
        session.run()
    session.wait()
    return session.dataset()


class Prepared(NamedTuple):
    """A session that is ready to run.

    Attributes:
        session: Not started yet.
        seeded: Whether the directions come from a seed, so that another seed can be asked for.
        draws: Whether the model draws random numbers, for which it borrows the global generators.
    """

    session: Session
    seeded: bool
    draws: bool


def prepare(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    loss_fn: LossFunction | None = None,
    quantities: Sequence[str] | None = None,
    directions: Directions | None = None,
    norm: Norm | None = "filter",
    ignore: Ignore | None = "biasbn",
    seed: int = 0,
    resolution: int | Sequence[int] = 51,
    alpha: Range = (-1, 1),
    beta: Range = (-1, 1),
    device: torch.device | str | None = None,
    max_samples: int | None = None,
) -> Prepared:
    """Checks all arguments of a surface and builds the session that computes it; see ``loss_surface``."""
    unwrapped(model)
    check_norm(norm, ignore)
    given = _checked_directions(directions, model)
    request = make_request(check_seed(seed) if given is None else None, resolution, alpha, beta)
    evaluator = Evaluator(model, loader, loss_fn=loss_fn, quantities=quantities, device=device, max_samples=max_samples)
    center = evaluator.center

    def plane_for(seed: int | None) -> Plane:
        if seed is None:
            assert given is not None
            return Plane(center, *({name: part.to(center[name]) for name, part in d.items()} for d in given))
        return random_plane(center, seed, norm, ignore)

    recipe: dict[str, Any] = {
        "model": evaluator.title,
        "model_fingerprint": evaluator.fingerprint,
        "directions": "random" if given is None else "given",
        **({"norm": str(norm).lower(), "ignore": str(ignore).lower()} if given is None else {}),
        "loss_fn": evaluator.loss_name,
        "n_samples": evaluator.n_samples,
        "device": str(evaluator.device),
        "lljupyter_version": __version__,
        "torch_version": str(torch.__version__),  # a subclass of str that netCDF refuses
    }
    session = Session(evaluator, plane_for, request, recipe)
    return Prepared(session, given is None, evaluator.draws)


def make_request(seed: int | None, resolution: int | Sequence[int], alpha: Range, beta: Range) -> Request:
    """Checks resolution and ranges and lays out the grid; see ``axis`` for what is refused."""
    n_alpha, n_beta = resolution_pair(resolution)
    return Request(seed, axis(alpha, n_alpha, "alpha"), axis(beta, n_beta, "beta"))


def check_seed(seed: int) -> int:
    """Checks the seed of random directions.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is negative or above 2**53, the largest that a browser can hold exactly.
    """
    try:
        value = operator.index(seed)
    except TypeError:
        value = None
    if value is None or isinstance(seed, bool):
        raise TypeError(f"expected seed as a whole number, got {seed!r}; try seed=0")
    if not 0 <= value <= 2**53:
        raise ValueError(f"expected a seed from 0 to 2**53, got {value}; try seed=0")
    return value


def _checked_directions(directions: Directions | None, model: nn.Module) -> Directions | None:
    if directions is None:
        return None
    if not isinstance(directions, (tuple, list)) or len(directions) != 2:
        raise TypeError(
            f"expected directions as a pair (delta, eta) of parameter dicts, got {type(directions).__name__}; "
            "None draws them from seed"
        )
    parameters = parameters_of(unwrapped(model))
    for label, direction in zip(("delta", "eta"), directions, strict=True):
        check_direction(direction, parameters, label)
    # Copies: the caller may go on working with the tensors while the surface is computed.
    delta, eta = ({name: part.detach().clone() for name, part in d.items()} for d in directions)
    return delta, eta
