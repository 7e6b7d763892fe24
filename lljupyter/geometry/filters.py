"""Filters: which entries of a weight belong to one output of its layer (Li et al. 2018, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from lljupyter.geometry.parameters import parameters_of, unwrapped

Filters = Literal["output", "axis0"]

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class FilterAxis(NamedTuple):
    """The position of the filters in one tensor.

    Attributes:
        axis: A filter is one slice along this axis.
        groups: Axis 0 consists of this many blocks, each with separate filters. The outputs of a transposed convolution
            with groups are numbered first by the block, then along axis 1.
        fixed: Index along axis 0 of a slice that training never changes and that belongs to no filter, or None.
    """

    axis: int = 0
    groups: int = 1
    fixed: int | None = None


FilterAxes = Mapping[str, FilterAxis]


def check_filters(filters: object) -> None:
    """Check the option for the axis of the filters.

    Raises:
        ValueError: If it is neither "output" nor "axis0".
    """
    if not isinstance(filters, str) or filters not in get_args(Filters):
        raise ValueError(
            f"expected filters as 'output' or 'axis0', got {filters!r}; 'output' gives every output of a layer a "
            "filter, 'axis0' is the rule of the authors' code"
        )


def filter_axes(model: nn.Module) -> dict[str, FilterAxis]:
    """Return the axis of the filters of each weight: the axis of the outputs of its layer.

    The outputs lie along

    - axis 1 for transposed convolutions, whose weights have the shape (in, out / groups, ...), for the ``Conv1D`` of
      transformers, (in, out), and for ``Embedding`` and ``EmbeddingBag``, (entries, out), whose row ``padding_idx``
      does not move;
    - the axis of the gains of a weight norm, whichever layer has it;
    - axis 0 for everything else: linear and bilinear layers, convolutions, recurrent layers (a filter is a row of one
      gate) and parameters of other modules. In ``MultiheadAttention`` and the like a filter is a row of a projection,
      not a head. Of the two factors of low-rank adapters, which peft makes of linear layers whatever they adapt, a
      filter of ``lora_A``, (rank, in), is one of the components, and one of ``lora_B``, (out, rank), is an output.

    A weight that several layers share and see differently, such as an embedding tied to the last linear layer, has its
    filters along axis 0.

    With these filters, two networks that compute the same function and differ only in the scale of the outputs of their
    layers (one factor before a ReLU, or one per output before a BatchNorm) have the same filter-normalized surface.

    Args:
        model: Any module with initialized parameters. Not changed.

    Returns:
        ``{name: FilterAxis}`` for all parameters with more than one axis.

    Raises:
        ValueError: If the model has no parameters with values.

    Source:
        Li et al. 2018, section 4. Differs from the authors' code, which takes axis 0 of every tensor.
    """
    model = unwrapped(model)
    seen: dict[int, set[FilterAxis]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            seen.setdefault(id(parameter), set()).add(_filter_axis(model, path, module, name))
    axes = {}
    for name, theta in parameters_of(model).items():
        if theta.dim() > 1:
            found = seen[id(model.get_parameter(name))]
            axes[name] = found.pop() if len(found) == 1 else FilterAxis()
    return axes


def _filter_axis(model: nn.Module, path: str, module: nn.Module, name: str) -> FilterAxis:
    """Return the position of the filters of the parameter ``name`` of the module at ``path``."""
    if isinstance(module, ParametrizationList):
        gains, parts = getattr(module, "original0", None), getattr(module, "original1", None)
        if isinstance(gains, Tensor) and isinstance(parts, Tensor) and gains.dim() == parts.dim():
            return _along_gains(gains)
        path, _, name = f".{path}".rpartition(".parametrizations.")
        module = model.get_submodule(path[1:])
    elif name.endswith(("_g", "_v")):
        gains = getattr(module, f"{name[:-2]}_g", None)
        if isinstance(gains, Tensor) and hasattr(module, f"{name[:-2]}_v"):
            return _along_gains(gains)
    if name not in ("weight", "weight_orig"):  # "weight_orig": pruned and spectrally normalized
        return FilterAxis()
    if isinstance(module, TRANSPOSED):
        return FilterAxis(1, module.groups)
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return FilterAxis(1, fixed=module.padding_idx)
    return FilterAxis(1) if _is_conv1d_of_transformers(module) else FilterAxis()


def _along_gains(gains: Tensor) -> FilterAxis:
    """Return the axis along which weight norm has several gains: one for every slice."""
    return FilterAxis(next((axis for axis, size in enumerate(gains.shape) if size > 1), 0))


def _is_conv1d_of_transformers(module: nn.Module) -> bool:
    kinds = type(module).__mro__
    return any(kind.__name__ == "Conv1D" and kind.__module__.split(".")[0] == "transformers" for kind in kinds)


def without_fixed(tensor: Tensor, where: FilterAxis) -> Tensor:
    """Return the tensor with its fixed slice, if there is one, set to zero."""
    if where.fixed is None:
        return tensor
    return tensor.index_fill(0, torch.tensor([where.fixed], device=tensor.device), 0)


def filter_norms(tensor: Tensor, where: FilterAxis) -> Tensor:
    """Return the Frobenius norm of every filter, in a shape that broadcasts against the tensor.

    Args:
        tensor: At least two axes.
        where: The position of its filters.
    """
    if where.groups == 1:
        others = tuple(axis for axis in range(tensor.dim()) if axis != where.axis)
        norms: Tensor = torch.linalg.vector_norm(tensor, dim=others, keepdim=True)
        return norms
    n_in = tensor.shape[0] // where.groups
    blocks = tensor.reshape(where.groups, n_in, *tensor.shape[1:])
    others = tuple(axis for axis in range(1, blocks.dim()) if axis != where.axis + 1)
    norms = torch.linalg.vector_norm(blocks, dim=others, keepdim=True)
    return norms.squeeze(1).repeat_interleave(n_in, dim=0)
