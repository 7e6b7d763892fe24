"""Parameter dicts: a model as ``{name: tensor}``, the form that all functions of the geometry work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import torch
from torch import Tensor, nn

from lljupyter.geometry.shared_memory import memory_owners

Parameters = Mapping[str, Tensor]


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile`` or a data-parallel wrapper, or the module itself.

    Raises:
        TypeError: If ``model`` is not a ``torch.nn.Module``.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"expected a torch.nn.Module as the model, got {type(model).__name__}; call it as (model, loader)"
        )
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrapped(model.module)
    compiled = getattr(model, "_orig_mod", None)
    return compiled if isinstance(compiled, nn.Module) else model


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of a model as detached tensors, in ``parameters()`` order.

    Integer parameters, for example of quantized layers, cannot move and are left out.

    Args:
        model: Any module. Not changed. Tied parameters appear once, under their first name, and so does memory that
            several share, see ``memory_owners``. Names have no prefix of ``torch.compile`` or of a data-parallel
            wrapper.

    Returns:
        ``{name: tensor}``; the tensors share memory with the model.

    Raises:
        ValueError: If the model has no floating-point parameters, or parameters without values, or two of them share
            a part of their memory.
    """
    model = unwrapped(model)
    found = dict(model.named_parameters())
    if not found:
        raise ValueError(
            f"expected a model with parameters, got {type(model).__name__} with none; "
            "pass the module that holds the trained weights"
        )
    for name, parameter in found.items():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"expected initialized parameters, got the lazy parameter {name!r}; "
                "call the model once on a batch before looking at its landscape"
            )
        if parameter.device.type == "meta":
            raise ValueError(
                f"expected parameters with values, got {name!r} on the meta device; load the weights first"
            )
    owners = memory_owners(model)
    moving = {name: p.detach() for name, p in found.items() if is_number(p) and name not in owners}
    if not moving:
        raise ValueError(
            f"expected a model with floating-point parameters, got {type(model).__name__} with "
            f"{sorted({str(parameter.dtype) for parameter in found.values()})}; pass the model before quantization"
        )
    return moving


def is_number(tensor: Tensor) -> bool:
    """Return True if a tensor is of a real or complex floating-point type, so that it can move continuously."""
    return tensor.is_floating_point() or tensor.is_complex()


def states_of(model: nn.Module, shared: bool = False) -> dict[str, Tensor]:
    """Return the parameters and the floating-point buffers of a model (the running statistics of BatchNorm).

    Sparse buffers, such as adjacency matrices, belong to the data and are left out.

    Args:
        model: Any module with initialized parameters; it is not changed.
        shared: Whether what lies in the memory of another parameter, and moves with it, is there under its own name as
            well, as in ``state_dict()``.

    Returns:
        ``{name: tensor}`` in the order of ``state_dict()``; the tensors share memory with the model.

    Raises:
        ValueError: See ``parameters_of``.
    """
    model = unwrapped(model)
    found = parameters_of(model)
    owners = {} if shared else memory_owners(model)
    if shared:
        found |= {name: p.detach() for name, p in model.named_parameters() if is_number(p)}
    dense = {n: b.detach() for n, b in model.named_buffers() if b.is_floating_point() and b.layout == torch.strided}
    found |= {name: buffer for name, buffer in dense.items() if name not in owners}
    return {name: found[name] for name in (*model.state_dict(), *found) if name in found}


def inner(a: Parameters, b: Parameters) -> float:
    """Return the inner product of two parameter dicts with the same names, in float64 (its real part if complex)."""
    total = 0.0
    for name, part in a.items():
        x, y = (torch.view_as_real(t) if t.is_complex() else t for t in (part.detach(), b[name].detach()))
        total += float((x.double() * y.to(x.device).double()).sum())
    return total


def check_direction(
    direction: Parameters, parameters: Parameters, label: str = "direction", *, finite: bool = True
) -> None:
    """Check that a direction fits the parameters it is to be added to.

    Args:
        direction: ``{name: tensor}`` to check.
        parameters: ``{name: tensor}`` it must fit: the same names and shapes.
        label: What to call the direction in the message.
        finite: Whether its values must be finite.

    Raises:
        TypeError: If the direction is no mapping of names to tensors.
        ValueError: If names or shapes differ, or values are not finite.
    """
    if not isinstance(direction, Mapping):
        raise TypeError(
            f"expected {label} as a dict of parameter name to tensor, got {type(direction).__name__}; "
            "build one with random_direction(parameters) or from model.named_parameters()"
        )
    missing = [name for name in parameters if name not in direction]
    unknown = [name for name in direction if name not in parameters]
    if missing or unknown:
        raise ValueError(
            f"expected {label} with the model's {len(parameters)} parameter names, got {len(direction)} names"
            f" (missing: {missing[:3] or 'none'}, unknown: {unknown[:3] or 'none'}); "
            "use zeros for parameters that are not to move, or choose those that do with parameters=..."
        )
    for name, theta in parameters.items():
        part = direction[name]
        if not isinstance(part, Tensor):
            raise TypeError(
                f"expected {label}[{name!r}] as a torch.Tensor, got {type(part).__name__}; use torch.as_tensor"
            )
        if part.shape != theta.shape:
            raise ValueError(
                f"expected {label}[{name!r}] of shape {tuple(theta.shape)}, got {tuple(part.shape)}; "
                "a direction has the shapes of the parameters"
            )
        if part.is_complex() and not theta.is_complex():
            raise ValueError(f"expected real values in {label}[{name!r}], got {part.dtype}; its parameter is real")
        if finite and not bool(torch.isfinite(part).all()):
            raise ValueError(f"expected finite values in {label}[{name!r}], got inf or NaN; recompute that direction")


def check_finite(parameters: Parameters) -> None:
    """Check that all parameters are finite, so that directions can be scaled to them.

    Raises:
        ValueError: If one has an inf or NaN.
    """
    for name, theta in parameters.items():
        if not bool(torch.isfinite(theta).all()):
            raise ValueError(
                f"expected a model with finite parameters, got inf or NaN in {name!r}; "
                "load the weights of before training diverged"
            )


def fingerprint(model: nn.Module) -> str:
    """Return a hash of all parameters and buffers of a model; models with equal weights have equal fingerprints.

    Args:
        model: Any module with initialized parameters. Not changed.

    Returns:
        32 hexadecimal digits (BLAKE2b over names, dtypes, shapes and bytes).
    """
    model = unwrapped(model)
    return hash_tensors([*model.named_parameters(), *model.named_buffers()])


def hash_tensors(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Return a hash of named tensors, in their order, as 32 hexadecimal digits."""
    digest = blake2b(digest_size=16)
    for name, tensor in tensors:
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        for part in _dense_parts(tensor.detach()):
            flat = part.cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _dense_parts(tensor: Tensor) -> list[Tensor]:
    """Return what a tensor is made of: itself, or the indices and values of a sparse one."""
    if tensor.layout == torch.strided:
        return [tensor]
    if tensor.layout == torch.sparse_coo:
        whole = tensor.coalesce()
        return [whole.indices(), whole.values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor.to_dense()]
