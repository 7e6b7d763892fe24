"""The private copy of a model, so that the person's is never touched, and of the loss as far as it uses the model."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lljupyter.problem.isolation.rebinding import rebind_attributes, rebound

T = TypeVar("T")


def copied_together(model: nn.Module, others: T, device: torch.device) -> tuple[nn.Module, T]:
    """Return a copy of a model in evaluation mode whose parameters need no gradient, and what uses it.

    Args:
        model: Not changed. Parameters that share memory share it in the copy.
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
    memo: dict[int, Any] = {id(t): t.detach().clone() for t in attributes if isinstance(t, Tensor) and not t.is_leaf}
    try:
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
    private = private.to(device).eval()
    share_memory(private, shared_memory(model))
    return private, bound


def private_copy(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy of a model, see ``copied_together``."""
    return copied_together(model, None, device)[0]


def shared_memory(model: nn.Module) -> list[list[str]]:
    """Return the groups of names of parameters that are different objects and the same memory, transposed or not.

    Raises:
        ValueError: If parameters share a part of their memory only.
    """
    groups: dict[tuple[Any, ...], list[str]] = {}
    by_storage: dict[int, list[tuple[str, Tensor]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.layout != torch.strided or not parameter.numel() or parameter.device.type == "meta":
            continue
        axes = sorted(pair for pair in zip(parameter.stride(), parameter.shape, strict=True) if pair[1] > 1)
        names = groups.setdefault((parameter.data_ptr(), parameter.dtype, *axes), [])
        names.append(name)
        if len(names) == 1:
            by_storage.setdefault(parameter.untyped_storage().data_ptr(), []).append((name, parameter))
    for several in by_storage.values():
        _check_apart(several)
    return [names for names in groups.values() if len(names) > 1]


def share_memory(model: nn.Module, groups: list[list[str]]) -> None:
    """Give parameters the same memory, see ``shared_memory``; the model is changed."""
    parameters = dict(model.named_parameters())
    for first, *others in groups:
        whole = parameters[first].data
        for name in others:
            shape, steps = parameters[name].shape, parameters[name].stride()
            parameters[name].data = whole.as_strided(shape, steps, whole.storage_offset())


def _check_apart(several: list[tuple[str, Tensor]]) -> None:
    """Check that parameters within one storage have no element in common."""
    if len(several) < 2:
        return
    taken = torch.zeros(several[0][1].untyped_storage().nbytes(), dtype=torch.bool, device="cpu")
    for name, parameter in several:
        size = parameter.element_size()
        start = parameter.storage_offset() * size
        mine = taken.as_strided(parameter.shape, [step * size for step in parameter.stride()], start)
        if bool(mine.any()):
            raise ValueError(
                f"expected parameters that share all of their memory or none, got {name!r} with a part of another; "
                "make one of them from the other in forward"
            )
        mine.fill_(True)
