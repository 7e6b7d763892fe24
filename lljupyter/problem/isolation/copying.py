"""Copies the model, and the parts of the loss that use it, so that the user's own are never changed."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lljupyter.geometry.shared_memory import address_of, memory_owners
from lljupyter.problem.isolation.reachable import places
from lljupyter.problem.isolation.rebinding import rebind_attributes, rebound

T = TypeVar("T")
# The memory that a parameter lies in is copied as a whole unless it is so many times larger than what lies in it.
LARGEST_SHARE = 2


def copied_together(model: nn.Module, others: T, device: torch.device) -> tuple[nn.Module, T]:
    """Return a copy of a model in evaluation mode whose parameters need no gradient, and what uses it.

    Args:
        model: Not changed. What shares memory with a parameter shares it in the copy; parameters that are the same
            numbers become one.
        others: A loss or other callables, or a container of them. What in them uses the model uses the copy afterwards.
        device: Where the copy lives.

    Raises:
        ValueError: If it can't be copied.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("expected an eager module, got one compiled by torch.jit; pass the module it was made from")
    # Weights that an old-style weight_norm or pruning computed are no leaves, which deepcopy refuses; their hooks
    # compute them again at every call.
    attributes = [value for module in model.modules() for value in vars(module).values()]
    try:
        memo = _copied_memory(model)
        for tensor in attributes:
            if isinstance(tensor, Tensor) and not tensor.is_leaf:
                memo[id(tensor)] = copy.deepcopy(tensor.detach(), memo)
        private = copy.deepcopy(model, memo)
    except Exception as error:
        raise ValueError(
            f"expected a model that copy.deepcopy can copy, got {type(error).__name__}: {error}; remove tensors kept "
            "as attributes from earlier forward passes, or load the weights into a fresh instance"
        ) from error
    rebind_attributes(private, memo)
    bound = rebound(others, memo)
    for parameter in private.parameters():
        parameter.requires_grad_(False)
    return _moved(private, device).eval(), bound


def private_copy(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy of a model, see ``copied_together``."""
    return copied_together(model, None, device)[0]


def _copied_memory(model: nn.Module) -> dict[int, Any]:
    """Return a memo for ``copy.deepcopy`` with copies of the parameters in which shared memory is still shared.

    By itself, deepcopy gives every parameter memory of its own. Those that are the same numbers in the same order
    become one parameter, so that derivatives are those of all its uses.
    """
    memo: dict[int, Any] = {}
    registered = [t for t in (*model.parameters(), *model.buffers()) if address_of(t) and t.layout == torch.strided]
    sizes: dict[int, int] = {}
    for tensor in registered:
        place = address_of(tensor)
        sizes[place] = sizes.get(place, 0) + tensor.numel() * tensor.element_size()
    # Sparse tensors of some layouts have no memory that deepcopy knows of.
    memo |= {id(t): t.detach().clone() for t in model.buffers() if t.layout not in (torch.strided, torch.sparse_coo)}
    twins: dict[tuple[Any, ...], nn.Parameter] = {}
    for parameter in model.parameters():
        if type(parameter.data) is not Tensor or not sizes.get(address_of(parameter)):
            continue
        storage = parameter.untyped_storage()
        if storage.nbytes() > LARGEST_SHARE * sizes[address_of(parameter)]:
            continue  # a small part of something large that is not the model's
        key = (parameter.data_ptr(), parameter.dtype, parameter.shape, parameter.stride())
        if key not in twins:
            whole = torch.empty(0, dtype=parameter.dtype, device=parameter.device)
            whole.set_(copy.deepcopy(storage, memo), parameter.storage_offset(), parameter.shape, parameter.stride())
            twins[key] = type(parameter)(whole, parameter.requires_grad)
        memo[id(parameter)] = twins[key]
    return memo


def _moved(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a model on a device, where what shares memory still does."""
    owners = memory_owners(model)
    tensors = dict((*model.named_parameters(), *model.named_buffers()))
    views = {name: tensors[name].detach() for name in (*owners, *owners.values())}
    model = model.to(device)
    tensors = dict((*model.named_parameters(), *model.named_buffers()))
    there: dict[int, Tensor] = {}
    for name, view in views.items():
        if view.device != tensors[name].device:
            place = address_of(view)
            if place not in there:
                there[place] = torch.empty(0, dtype=torch.uint8, device=view.device).set_(view.untyped_storage())
                there[place] = there[place].to(device)
            whole = there[place].view(view.dtype)
            tensors[name].data = whole.as_strided(view.shape, view.stride(), view.storage_offset())
    return model


def aliases_of(model: nn.Module, *roots: Any) -> list[str]:
    """Return the names of tensors that lie in the memory of a parameter of a copied model without being one.

    What is computed from them is known, but not its derivative by the parameter.

    Args:
        model: The copy.
        *roots: What else may hold some, see ``places``.
    """
    parameters = list(model.parameters())
    places_of_theirs = {address_of(parameter) for parameter in parameters} - {0}
    known = {id(parameter) for parameter in parameters}
    owned = memory_owners(model)
    found = [
        place.name
        for place in places(model, *roots)
        if isinstance(place.value, Tensor) and id(place.value) not in known
        if address_of(place.value) in places_of_theirs
    ]
    return list(dict.fromkeys([*owned, *found]))
