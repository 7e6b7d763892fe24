"""Parameters and buffers that lie in the memory of another parameter, such as ``b.weight.data = a.weight.data``.

They are one set of numbers under several names: it moves once, under the name of its owner.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

WAY_OUT = "make one of them from the other in forward, or give it memory of its own: b.data = b.data.clone()"


def address_of(tensor: Tensor) -> int:
    """Return where the memory of a tensor begins; 0 if it has none of its own, as a sparse or lazy one."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError, ValueError):
        return 0


def same_elements(tensor: Tensor) -> tuple[Any, ...]:
    """Return what two tensors have in common if they are the same numbers, transposed or not."""
    axes = sorted(pair for pair in zip(tensor.stride(), tensor.shape, strict=True) if pair[1] > 1)
    return tensor.data_ptr(), tensor.dtype, *axes


def memory_owners(model: nn.Module) -> dict[str, str]:
    """Return the names of what lies in the memory of a parameter, each with the name of that parameter.

    Args:
        model: Any module. Not changed.

    Returns:
        ``{name: owner}``. A parameter that lies within a larger one belongs to it, and one of several with the same
        memory, transposed or not, to the first. A buffer belongs to the first of the parameters that it is made of.

    Raises:
        ValueError: If two of them share a part of their memory only, or the entries of one are a single number.
    """
    parameters = [(name, p) for name, p in model.named_parameters() if _has_memory(p)]
    for name, parameter in parameters:
        if any(step == 0 and size > 1 for step, size in zip(parameter.stride(), parameter.shape, strict=True)):
            raise ValueError(
                f"expected parameters whose entries have memory of their own, got {name!r} of shape "
                f"{tuple(parameter.shape)}, expanded from fewer numbers; make the smaller tensor the parameter, and "
                "expand it in forward"
            )
    buffers = [(name, b) for name, b in model.named_buffers() if _has_memory(b)]
    by_place: dict[tuple[torch.device, int], list[tuple[str, Tensor]]] = {}
    for name, tensor in (*parameters, *buffers):
        by_place.setdefault((tensor.device, address_of(tensor)), []).append((name, tensor))
    n_parameters = {id(parameter) for _, parameter in parameters}
    owners: dict[str, str] = {}
    for sharing in by_place.values():
        if len(sharing) > 1 and id(sharing[0][1]) in n_parameters:
            owners |= _owners(sharing)
    return owners


def _has_memory(tensor: Tensor) -> bool:
    if nn.parameter.is_lazy(tensor) or tensor.device.type == "meta":
        return False
    return tensor.layout == torch.strided and bool(address_of(tensor)) and tensor.numel() > 0


def _owners(sharing: list[tuple[str, Tensor]]) -> dict[str, str]:
    """Return the owners among tensors of one storage, parameters first."""
    owners: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    different: list[tuple[str, Tensor]] = []
    for name, tensor in sharing:
        owner = first.setdefault(same_elements(tensor), name)
        if owner != name and isinstance(tensor, nn.Parameter):
            owners[name] = owner
        else:
            different.append((name, tensor))
    if _are_apart(different):
        return owners
    # Larger ones come first, of which smaller ones may be a part.
    parameters = [pair for pair in different if isinstance(pair[1], nn.Parameter)]
    parameters.sort(key=lambda pair: -pair[1].numel() * pair[1].element_size())
    taken = torch.zeros(sharing[0][1].untyped_storage().nbytes(), dtype=torch.int16, device="cpu")
    kept: list[str] = []
    for name, tensor in (*parameters, *(pair for pair in different if not isinstance(pair[1], nn.Parameter))):
        mine = _bytes_of(tensor, taken)
        others = torch.unique(mine).tolist()
        if others == [0]:
            if isinstance(tensor, nn.Parameter):
                kept.append(name)
                mine.fill_(len(kept))
        elif 0 in others or (len(others) > 1 and isinstance(tensor, nn.Parameter)):
            other = kept[max(others) - 1]
            raise ValueError(
                f"expected parameters that share all of their memory or none, got {name!r} with a part of {other!r}; "
                f"{WAY_OUT}"
            )
        else:
            owners[name] = kept[others[0] - 1]
    return {name: owners.get(owner, owner) for name, owner in owners.items()}


def _are_apart(tensors: list[tuple[str, Tensor]]) -> bool:
    """Return True if no tensor begins before another ends."""
    spans = []
    for _, tensor in tensors:
        last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
        spans.append((tensor.storage_offset() * tensor.element_size(), (last + 1) * tensor.element_size()))
    spans.sort()
    return all(start + length <= following for (start, length), (following, _) in itertools.pairwise(spans))


def _bytes_of(tensor: Tensor, whole: Tensor) -> Tensor:
    """Return the part of a table with an entry for each byte of a storage that belongs to a tensor."""
    size = tensor.element_size()
    steps = [step * size for step in tensor.stride()]
    return whole.as_strided((*tensor.shape, size), (*steps, 1), tensor.storage_offset() * size)
