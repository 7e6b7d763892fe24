"""Make functions that use a model use its copy instead, in their closures, globals, defaults and attributes.

``copy.deepcopy`` returns functions as they are: a copy of a model whose ``forward`` is a lambda still calls the model,
and a loss that reads the weights of the model still reads those.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lljupyter.problem.isolation.reachable import HOOKS, LONGEST, MODULES_OWN, is_installed, is_own, names_in

Twins = Mapping[int, Any]  # {id of an original: its copy}, the memo of ``copy.deepcopy``
COMPILED = "_torchdynamo_orig_callable"  # where torch.compile keeps what it was given


def rebound(value: Any, twins: Twins) -> Any:
    """Return a value that uses copies instead of originals; the value itself if it uses none of them.

    Args:
        value: A callable, or a container or object that holds some; not changed.
        twins: The copies.
    """
    return _Rebinding(twins).of(value)


def rebind_attributes(model: nn.Module, twins: Twins) -> None:
    """Let the functions that a copied model keeps as attributes and hooks use the copies.

    Args:
        model: A copy; changed.
        twins: The copies, those of the modules of ``model`` among them.
    """
    rebinding = _Rebinding(twins)
    for module in model.modules():
        attributes = vars(module)
        held = [attributes, *(attributes[key] for key in HOOKS if attributes.get(key))]
        for holder in held:
            for key, value in list(holder.items()):
                if holder is attributes and key in MODULES_OWN:
                    continue
                if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
                    holder[key] = rebinding.of(value)


class _Rebinding:
    """Rebinds values one after the other; a function that is met twice gets one twin."""

    def __init__(self, twins: Twins) -> None:
        self._twins = twins
        self._functions: dict[int, types.FunctionType] = {}
        self._uses: dict[int, bool] = {}
        self._alive: list[Any] = []

    def of(self, value: Any) -> Any:
        if id(value) in self._twins:
            return self._twins[id(value)]
        if not self._uses_originals(value):
            return value
        if isinstance(value, types.FunctionType):
            if (original := getattr(value, COMPILED, None)) is not None:
                return self.of(original)
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {key: self.of(part) for key, part in value.keywords.items()}
            return functools.partial(self.of(value.func), *map(self.of, value.args), **keywords)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self.of, value))
        if isinstance(value, (list, tuple, set, frozenset)):
            return type(value)(map(self.of, value))
        if isinstance(value, dict):
            return type(value)((key, self.of(part)) for key, part in value.items())
        if isinstance(value, nn.Module):  # a loss that has the model as an attribute
            twin = copy.deepcopy(value, dict(self._twins))
            rebind_attributes(twin, self._twins)
            return twin
        twin = copy.copy(value)
        vars(twin).update({key: self.of(part) for key, part in vars(value).items()})
        return twin

    def _uses_originals(self, value: Any) -> bool:
        """Return True if a value is an original, or holds or calls one, however indirectly."""
        if id(value) in self._uses:
            return self._uses[id(value)]
        seen: dict[int, Any] = {}
        left = [value]
        while left:
            one = left.pop()
            if id(one) in self._twins or self._uses.get(id(one)):
                self._uses[id(value)] = True
                self._alive.append(value)  # so that its number is not given away
                return True
            if id(one) not in seen and id(one) not in self._uses and (parts := _parts(one)) is not None:
                seen[id(one)] = one
                left.extend(parts)
        self._uses.update(dict.fromkeys(seen, False))
        self._alive.extend(seen.values())
        return False

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        if id(function) in self._functions:
            return self._functions[id(function)]
        namespace = function.__globals__
        if _has_own_globals(function):
            namespace = dict(namespace)
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        twin = types.FunctionType(function.__code__, namespace, function.__name__, None, cells or None)
        twin.__qualname__, twin.__module__, twin.__doc__ = function.__qualname__, function.__module__, function.__doc__
        self._functions[id(function)] = twin  # before what it uses, which may be itself
        self._alive.append(function)
        twin.__defaults__ = self.of(function.__defaults__)
        twin.__kwdefaults__ = self.of(function.__kwdefaults__)
        vars(twin).update({key: self.of(part) for key, part in vars(function).items()})
        for cell, original in zip(cells, function.__closure__ or (), strict=True):
            if _is_bound(original):
                cell.cell_contents = self.of(original.cell_contents)
        if namespace is not function.__globals__:
            for name in names_in(function.__code__) & namespace.keys():
                namespace[name] = self.of(namespace[name])
        return twin


def _parts(value: Any) -> list[Any] | None:
    """Return what a value holds or calls; None if it is followed no further."""
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_bound(cell)]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*cells, *defaults, *vars(value).values(), *_globals_of(value).values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value) if len(value) <= LONGEST else None
    if isinstance(value, dict):
        return list(value.values()) if len(value) <= LONGEST else None
    if isinstance(value, nn.Module):
        attributes = [part for module in value.modules() for part in vars(module).items()]
        return [*value.modules(), *value.parameters(), *value.buffers()] + [
            v for k, v in attributes if k not in MODULES_OWN
        ]
    if isinstance(value, (Tensor, type, types.ModuleType)) or not hasattr(value, "__dict__"):
        return None
    return list(vars(value).values()) if is_own(type(value).__module__) else None


def _globals_of(function: types.FunctionType) -> dict[str, Any]:
    """Return the globals that a function uses, if they belong to the user."""
    if not _has_own_globals(function):
        return {}
    return {name: function.__globals__[name] for name in names_in(function.__code__) & function.__globals__.keys()}


def _has_own_globals(function: types.FunctionType) -> bool:
    module = function.__globals__.get("__name__")
    return is_own(module) and not is_installed(module)


def _is_bound(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
