"""Random directions and their normalization (Li et al. 2018, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lljupyter.geometry.filters import (
    FilterAxes,
    FilterAxis,
    Filters,
    check_filters,
    filter_axes,
    filter_norms,
    without_fixed,
)
from lljupyter.geometry.parameters import Parameters, check_direction, inner, parameters_of, states_of
from lljupyter.geometry.select import Selection, selected

Norm = Literal["filter", "layer", "weight", "dfilter", "dlayer"]
Ignore = Literal["biasbn"]
Over = Literal["parameters", "states"]

# The authors add this to a norm before dividing by it (their net_plotter.py).
EPSILON = 1e-10


def check_norm(norm: str | None, ignore: str | None) -> None:
    """Check the two options for the normalization of a random direction.

    Raises:
        ValueError: If ``norm`` or ``ignore`` is unknown.
    """
    if norm is not None and norm not in get_args(Norm):
        raise ValueError(f"expected norm as one of {[*get_args(Norm), None]}, got {norm!r}; the paper uses 'filter'")
    if ignore is not None and ignore not in get_args(Ignore):
        raise ValueError(f"expected ignore as 'biasbn' or None, got {ignore!r}; the paper uses 'biasbn'")


def random_direction(parameters: Parameters, generator: torch.Generator | int) -> dict[str, Tensor]:
    """Draw a Gaussian direction: every entry independent, mean 0, variance 1.

    The numbers are drawn on the CPU in float32 from a separate generator. They depend on the seed and the shapes only,
    not on the device or dtype of the parameters, and the global generator is not used. With the same seed, the
    authors' code draws the same numbers.

    Args:
        parameters: ``{name: tensor}``; gives names, shapes, dtypes and devices. Not changed.
        generator: A CPU generator, which is advanced, or a seed for a fresh one.

    Returns:
        ``{name: tensor}`` like ``parameters``.

    Source:
        Li et al. 2018, section 4.
    """
    if not isinstance(generator, torch.Generator):
        generator = torch.Generator("cpu").manual_seed(int(generator))
    return {name: _drawn(theta, generator) for name, theta in parameters.items()}


def _drawn(theta: Tensor, generator: torch.Generator) -> Tensor:
    kind = torch.complex64 if theta.is_complex() else torch.float32
    noise = torch.randn(theta.shape, generator=generator, dtype=kind, device="cpu")
    return noise.to(theta.device, theta.dtype)


def normalize_direction(
    direction: Parameters,
    parameters: Parameters | nn.Module,
    norm: Norm | None = "filter",
    ignore: Ignore | None = "biasbn",
    filters: Filters | FilterAxes = "output",
) -> dict[str, Tensor]:
    """Scale a direction to the parameters, so that landscapes of different networks can be compared.

    With ``norm="filter"``, ``d_ij <- d_ij / ||d_ij|| * ||theta_ij||`` with the Frobenius norm. ``d_ij`` is the j-th
    filter of layer i: all weights that compute one output of the layer (a feature map, or a neuron).

    Args:
        direction: ``{name: tensor}``, not changed.
        parameters: The model (the direction may be over some of its parameters only), or ``{name: tensor}`` with the
            names and shapes of the direction. Not changed. The axis of the outputs is known from the layers of a
            model only: with a dict, filters are slices along axis 0 unless ``filters`` is given, which is wrong for
            transposed convolutions, embeddings and the ``Conv1D`` of transformers.
        norm: ``"filter"`` (the paper's), ``"layer"`` (the same with one norm per tensor), ``"weight"``
            (``d * theta``), ``"dfilter"`` and ``"dlayer"`` (unit filters, unit tensors), or None for none.
        ignore: ``"biasbn"`` sets tensors with at most one axis (biases, BatchNorm) to zero; None sets ``d = theta``
            for them, as the authors do.
        filters: ``"output"`` finds the axis of the outputs from the layers of the model, see ``filter_axes``;
            ``"axis0"`` uses axis 0 of every tensor, as the authors do; or a result of ``filter_axes``.

    Returns:
        A new ``{name: tensor}`` with the shapes and dtypes of ``parameters``.

    Raises:
        ValueError: If an option is unknown, or names or shapes differ.

    Source:
        Li et al. 2018, section 4; the variants and the rule for one axis are those of the authors' code.
    """
    check_norm(norm, ignore)
    axes: FilterAxes = filters if isinstance(filters, Mapping) else {}
    if not isinstance(filters, Mapping):
        check_filters(filters)
        if filters == "output" and isinstance(parameters, nn.Module):
            axes = filter_axes(parameters)
    center = parameters
    if isinstance(center, nn.Module):
        center = {name: theta for name, theta in parameters_of(center).items() if name in direction}
    check_direction(direction, center)
    normalized = {}
    for name, theta in center.items():
        d = _normalize(_wide(direction[name]), _wide(theta), norm, ignore, axes.get(name, FilterAxis()))
        normalized[name] = d.to(theta.dtype)
    return normalized


def _wide(tensor: Tensor) -> Tensor:
    """Return half precision as float32, because norms overflow and EPSILON vanishes in it."""
    tensor = tensor.detach()
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def between(
    model_a: nn.Module, model_b: nn.Module, over: Over = "parameters", parameters: Selection | None = None
) -> dict[str, Tensor]:
    """Return the direction ``theta_b - theta_a`` from one model to another: a is at alpha = 0, b at alpha = 1.

    Args:
        model_a: The center. Not changed.
        model_b: A model with the same names and shapes. Not changed.
        over: "parameters", or "states" to include the floating-point buffers: the running statistics of BatchNorm
            then move with the weights, as ``batchnorm="interpolate"`` needs.
        parameters: Which parameters move, see ``selected``; the rest of ``model_b`` is not used. None for all.

    Returns:
        ``{name: tensor}`` with the shapes, dtypes and devices of ``model_a``; not normalized.

    Raises:
        ValueError: If ``over`` is unknown, the models do not fit each other, or ``parameters`` are chosen from states.

    Source:
        Li et al. 2018, section 3; parameters and states are the authors' "weights" and "states".
    """
    if over not in get_args(Over):
        raise ValueError(f"expected over as 'parameters' or 'states', got {over!r}; 'states' includes BatchNorm's")
    for model in (model_a, model_b):
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"expected two models as torch.nn.Modules, got {type(model).__name__}; "
                "load a state dict into a copy of the model: copy.deepcopy(model).load_state_dict(states)"
            )
    a, b = (parameters_of(m) if over == "parameters" else states_of(m) for m in (model_a, model_b))
    if parameters is not None:
        if over == "states":
            raise ValueError(
                "expected over='parameters' when parameters are chosen, got 'states'; running statistics belong to all "
                "of the weights, so leave out over or parameters"
            )
        a, b = ({name: theta[name] for name in selected(model_a, parameters) if name in theta} for theta in (a, b))
    unlike = sorted(name for name in {*a, *b} if name not in a or name not in b or a[name].shape != b[name].shape)
    if unlike:
        shapes = [tuple(m[unlike[0]].shape) if unlike[0] in m else "none" for m in (a, b)]
        raise ValueError(
            f"expected models with the same names and shapes, got {shapes[0]} and {shapes[1]} for {unlike[0]!r}; "
            "pass two models of one architecture"
        )
    # Equal entries do not move, even if they are infinite, as in the masks of some attention layers.
    pairs = ((name, theta, b[name].to(theta)) for name, theta in a.items())
    return {name: torch.where(theta == other, torch.zeros_like(theta), other - theta) for name, theta, other in pairs}


def orthogonalize(direction: Parameters, against: Parameters) -> dict[str, Tensor]:
    """Return a direction without its part along another: ``eta - <eta, delta> / <delta, delta> * delta``.

    Args:
        direction: eta, ``{name: tensor}``. Not changed.
        against: delta, with the same names and shapes. Not changed.

    Returns:
        ``{name: tensor}`` with the dtypes of ``direction``; not rescaled.

    Raises:
        ValueError: If names or shapes differ, ``against`` is zero, or nothing is left.
    """
    check_direction(against, direction, "against")
    length = inner(against, against)
    if length == 0:
        raise ValueError("expected a direction to orthogonalize against, got zeros; choose another one")
    # Twice, because after one pass rounding leaves a part along delta if the two are nearly parallel.
    left = {name: _wide(part) for name, part in direction.items()}
    for _ in range(2):
        share = inner(left, against) / length
        left = {name: part - share * _wide(against[name]) for name, part in left.items()}
    # A remainder of the size of the rounding of the inputs is no direction.
    rounding = max((torch.finfo(d[name].dtype).eps for name in left for d in (direction, against)), default=0.0)
    if inner(left, left) <= max(1e-12, rounding**2) * inner(direction, direction):
        raise ValueError("expected two directions that are not parallel, got parallel ones; choose another one")
    return {name: part.to(direction[name].dtype) for name, part in left.items()}


def _normalize(d: Tensor, theta: Tensor, norm: Norm | None, ignore: Ignore | None, where: FilterAxis) -> Tensor:
    if theta.dim() <= 1:
        return torch.zeros_like(d) if ignore == "biasbn" else theta.clone()
    if norm is None:
        return d.clone()
    if norm == "weight":
        return d * theta
    if norm in ("filter", "dfilter"):
        d, theta = without_fixed(d, where), without_fixed(theta, where)
        found, wanted = filter_norms(d, where), filter_norms(theta, where)
    else:
        axes = tuple(range(theta.dim()))
        found, wanted = (torch.linalg.vector_norm(part, dim=axes, keepdim=True) for part in (d, theta))
    length: Tensor = found + EPSILON
    return d * (wanted / length) if norm in ("filter", "layer") else d / length
