"""Choose the parameters that move, and find those among them that cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import blake2b

from torch import Tensor, nn

from lljupyter.geometry.parameters import Parameters, is_number, parameters_of, unwrapped
from lljupyter.geometry.shared_memory import memory_owners

Selection = str | Collection[str] | Callable[[str, nn.Parameter], bool] | nn.Module

# Replaces a list of names that is too long to store: HDF5 allows at most 64 kB per attribute.
UNNAMED, LONGEST_TEXT = "a long list of names", 30_000

HINT = (
    "pass a pattern of names such as 'layer4.*', a list of names, 'trainable', 'lora', a function "
    "(name, parameter) -> bool, or a module of the model"
)


def selected(model: nn.Module, parameters: Selection | None) -> tuple[str, ...]:
    """Return the names of the parameters that are to move.

    Args:
        model: The model. Not changed.
        parameters: A pattern of names with ``*`` as a wildcard, such as ``"*.weight"``, or the name of a parameter or
            module; a list of these; ``"trainable"`` for those that require a gradient; ``"lora"`` for
            those of low-rank adapters; a function ``(name, parameter) -> bool``; a module of the model; None for all.

    Returns:
        Names as in ``parameters_of``, in its order. A tied parameter has several names and is chosen by any of them.

    Raises:
        TypeError: If ``parameters`` is something else.
        ValueError: If nothing is chosen, a name in a list matches nothing, or what is chosen is a part of a parameter
            that is not.

    Example:
        >>> selected(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "1.*")
        ('1.weight', '1.bias')
    """
    model = unwrapped(model)
    all_names = tuple(parameters_of(model))
    if parameters is None:
        return all_names
    chosen = _with_owners(model, _chosen(model, parameters))
    names = tuple(name for name in all_names if id(model.get_parameter(name)) in chosen)
    if chosen and not names:
        kinds = sorted({str(parameter.dtype) for parameter in model.parameters() if id(parameter) in chosen})
        raise ValueError(
            f"expected floating-point parameters to move, got only {', '.join(kinds)} ones for "
            f"parameters={_shown(parameters)}; choose others, or pass the model before quantization"
        )
    if not names:
        raise ValueError(_nothing(parameters, model))
    return names


def _with_owners(model: nn.Module, chosen: set[int]) -> set[int]:
    """Return the identities of what is chosen, with that of the owner for a parameter in the memory of another."""
    tensors = dict(model.named_parameters())
    owned = {name: tensors[owner] for name, owner in memory_owners(model).items() if name in tensors}
    found = set(chosen)
    for name, owner in owned.items():
        if id(tensors[name]) not in chosen or id(owner) in chosen:
            continue
        if tensors[name].numel() < owner.numel():
            first = next(n for n, tensor in tensors.items() if tensor is owner)
            raise ValueError(
                f"expected parameters that can move by themselves, got {name!r}, which is a part of {first!r}; choose "
                "both of them"
            )
        found.add(id(owner))
    return found


def _chosen(model: nn.Module, parameters: Selection) -> set[int]:
    """Return the ids of the chosen parameters."""
    named = list(model.named_parameters(remove_duplicate=False))
    if isinstance(parameters, nn.Module):
        inner = unwrapped(parameters)
        names = [name for name, _ in model.named_modules()]
        if not any(module is inner for module in model.modules()):
            raise ValueError(
                f"expected parameters as a module of the model, got a {type(parameters).__name__} that is not part of "
                f"it; pass one such as model.get_submodule({names[-1]!r}), or its name"
            )
        return {id(parameter) for parameter in inner.parameters()}
    if isinstance(parameters, str):
        if parameters == "trainable":
            return {id(parameter) for _, parameter in named if parameter.requires_grad}
        pattern = "*lora_*" if parameters == "lora" else parameters
        return {id(parameter) for name, parameter in named if _matches(name, pattern)}
    if callable(parameters):
        return {id(parameter) for name, parameter in named if _holds(parameters, name, parameter)}
    if not isinstance(parameters, Collection) or isinstance(parameters, (Mapping, bytes)):
        raise TypeError(f"expected parameters as a choice of what moves, got {type(parameters).__name__}; {HINT}")
    chosen: set[int] = set()
    for pattern in parameters:
        if not isinstance(pattern, str):
            raise TypeError(
                f"expected a list of parameter names, got one with a {type(pattern).__name__}; use the names of "
                "model.named_parameters()"
            )
        found = {id(parameter) for name, parameter in named if _matches(name, pattern)}
        if not found:
            raise ValueError(_nothing(pattern, model))
        chosen |= found
    return chosen


def _matches(name: str, pattern: str) -> bool:
    """Return True if a pattern matches a parameter or a module that contains it."""
    return name == pattern or fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _holds(predicate: Callable[[str, nn.Parameter], bool], name: str, parameter: nn.Parameter) -> bool:
    try:
        return bool(predicate(name, parameter))
    except Exception as error:
        raise ValueError(
            "expected a function (name, parameter) -> bool to choose what moves, got one that raises "
            f"{type(error).__name__}: {error} for {name!r}; try lambda name, parameter: 'head' in name"
        ) from error


def _nothing(parameters: Selection, model: nn.Module) -> str:
    """Return the message for a choice without parameters."""
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    if parameters == "trainable":
        reason, advice = "every parameter has requires_grad=False", "call requires_grad_() on what is to move"
    elif parameters == "lora":
        reason, advice = "no name has 'lora_' in it", f"the model has {_listed(names)}"
    elif isinstance(parameters, str):
        known = [*names, *(name for name, _ in model.named_modules())]
        close = get_close_matches(parameters.strip("*."), known, n=3, cutoff=0.4)
        advice = f"the closest names are {_listed(close)}" if close else f"the model has {_listed(names)}"
        reason = "no name matches"
    else:
        reason, advice = "nothing", f"the model has {_listed(names)}"
    return f"expected parameters that move, got none for parameters={_shown(parameters)}: {reason}; {advice}"


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(map(repr, shown[:4])) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def _shown(parameters: Selection) -> str:
    if isinstance(parameters, nn.Module):
        return f"a {type(parameters).__name__}"
    text = "a function" if callable(parameters) else repr(parameters)
    return text if len(text) < 80 else f"{text[:77]}..."


def selection_text(model: nn.Module, parameters: Selection, names: Sequence[str]) -> str:
    """Return a choice as a text that ``selection_of`` reads: a pattern, or a list of names in JSON.

    Args:
        model: The model.
        parameters: The choice.
        names: The chosen names, see ``selected``.

    Returns:
        The text; ``UNNAMED`` if the list is too long for an attribute of a file.
    """
    if isinstance(parameters, str):
        return parameters
    if isinstance(parameters, nn.Module):
        inner = unwrapped(parameters)
        return next(name for name, module in unwrapped(model).named_modules() if module is inner) or "*"
    text = json.dumps(list(names))
    return text if len(text) <= LONGEST_TEXT else UNNAMED


def selection_of(text: str) -> Selection | None:
    """Return the choice that ``selection_text`` wrote, or None if the list was too long to write."""
    if text == UNNAMED:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        return text
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else text


def hash_names(names: Iterable[str]) -> str:
    """Return a hash of names, in their order, as 32 hexadecimal digits."""
    return blake2b("\n".join(names).encode(), digest_size=16).hexdigest()


def cannot_move(theta: Parameters | nn.Module, direction: Parameters) -> dict[str, str]:
    """Return the parameters that were chosen to move but cannot, with the reasons.

    A direction that is scaled to its parameters is zero if these are, as in the ``lora_B`` of fresh adapters and in
    heads that are initialized with zeros: the surface does not depend on them. Tensors with at most one axis, which
    ``ignore="biasbn"`` keeps fixed on purpose, are not reported, nor are parameters that are not zero.

    Args:
        theta: ``{name: tensor}``, the parameters to move; or a model, to report its quantized layers also. Not changed.
        direction: ``{name: tensor}``; names that are missing do not move. Not changed.

    Returns:
        ``{name: reason}``, empty if everything moves. A quantized layer is reported under its own name.
    """
    reasons = {}
    if isinstance(theta, nn.Module):
        model = unwrapped(theta)
        theta = dict(model.named_parameters())
        quantized = (name for name, module in model.named_modules() if hasattr(module, "_packed_params"))
        reasons = {name: "is quantized" for name in quantized if not name.endswith("_packed_params")}
    for name, part in theta.items():
        if not is_number(part):
            reasons[name] = f"holds {str(part.dtype).removeprefix('torch.')} values, which can't move by a little"
        elif part.dim() > 1 and part.numel() and _is_zero(part) and name in direction and _is_zero(direction[name]):
            reasons[name] = "is all zero, and so is a direction that is scaled to it"
    return reasons


def _is_zero(tensor: Tensor) -> bool:
    return not bool(tensor.any())
