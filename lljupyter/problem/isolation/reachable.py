"""Find what a model and a loss can reach: attributes, closures, globals that their code names, and containers."""

from __future__ import annotations

import argparse
import functools
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from lljupyter.process.randomness import GENERATORS, Generator

# So many steps away from a model or a loss, such as closure -> list -> object -> attribute.
STEPS = 4
# Longer containers hold data.
LONGEST = 1000
# Code of these packages keeps no state of the user.
LIBRARIES = frozenset({"torch", "numpy", "lljupyter", *sys.stdlib_module_names}) - {"__main__"}
# Attributes of a module that hold what is walked by itself, or nothing of the user.
MODULES_OWN = frozenset(vars(nn.Module())) - {"training"}
# Classes of Python that hold what the user puts into them.
NAMESPACES = (types.SimpleNamespace, argparse.Namespace)
# What a class has that is code.
CODE = (types.FunctionType, property, functools.cached_property, functools.partialmethod)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")


class Slots(NamedTuple):
    """An object whose attributes are slots."""

    owner: Any


class Place(NamedTuple):
    """Where something is kept that a call may use or change.

    Attributes:
        name: What to call it in a message, such as "encoder.hidden".
        holder: A dict, list or deque that is indexed with ``key``; a cell of a closure, a class, or an object with
            slots, that has ``key`` as an attribute; None for what can't be set.
        key: The key, the index, or the name of the attribute.
        value: What is there.
    """

    name: str
    holder: Any
    key: Any
    value: Any

    def now(self) -> Any:
        """Return what is there now, or None if there is nothing."""
        if self.holder is None:
            return self.value
        if isinstance(self.holder, Slots):
            return getattr(self.holder.owner, self.key, None)
        if isinstance(self.holder, (types.CellType, type)):
            return getattr(self.holder, self.key, None)
        try:
            return self.holder[self.key]
        except (KeyError, IndexError):
            return None

    def put(self, value: Any) -> None:
        """Set it to something else."""
        if isinstance(self.holder, Slots):
            setattr(self.holder.owner, self.key, value)
        elif isinstance(self.holder, (types.CellType, type)):
            setattr(self.holder, self.key, value)
        elif self.holder is not None:
            self.holder[self.key] = value


def places(*roots: Any) -> Iterator[Place]:
    """Yield what some models, losses and other callables can reach, each place once.

    Args:
        *roots: Modules or callables. Attributes are followed, closures, defaults, the globals that the code of a
            function names, and the methods of classes that do not belong to a library, ``STEPS`` deep.
    """
    seen: dict[int, Any] = {}  # keeps what was seen alive, so that no number is given away twice
    left = deque((Place(_name(root), None, None, root), 0) for root in roots if root is not None)
    while left:
        place, depth = left.popleft()
        value = place.value
        if depth:
            yield place
        if id(value) in seen or depth > STEPS:
            continue
        if (inside := _inside(value)) is not None:
            seen[id(value)] = value
            left.extend((_named(place, depth, part), depth + 1) for part in inside)


def generators_of(*roots: Any) -> list[Generator]:
    """Return the generators of random numbers that some models, losses and other callables can reach."""
    return list({id(p.value): p.value for p in places(*roots) if isinstance(p.value, GENERATORS)}.values())


def _inside(value: Any) -> Iterator[Place] | None:
    """Return what a value holds, or None if it is followed no further."""
    if isinstance(value, nn.Module):
        return _of_module(value)
    if isinstance(value, types.FunctionType):
        return _of_function(value)
    if isinstance(value, types.MethodType):
        return iter([Place("", None, None, value.__self__), Place("", None, None, value.__func__)])
    if isinstance(value, types.BuiltinMethodType):  # such as rng.normal
        return iter([Place("", None, None, value.__self__)])
    if isinstance(value, types.GeneratorType):
        return _of_frame(value)
    if isinstance(value, (property, functools.cached_property)):
        return iter([Place("", None, None, value.fget if isinstance(value, property) else value.func)])
    if isinstance(value, type(functools.lru_cache(len))):
        return iter([Place("", None, None, value.__wrapped__)])
    if isinstance(value, (functools.partial, functools.partialmethod)):
        return iter([Place("", None, None, part) for part in (value.func, value.args, value.keywords)])
    if isinstance(value, (list, tuple, deque, set, frozenset)):
        holder = value if isinstance(value, (list, deque)) else None
        return (Place(f"[{k}]", holder, k, part) for k, part in enumerate(value)) if len(value) <= LONGEST else None
    if isinstance(value, Mapping):
        held = value if isinstance(value, MutableMapping) else None
        if len(value) > LONGEST:
            return None
        return (Place(f"[{key!r}]", held, key, part) for key, part in list(value.items()))
    if isinstance(value, (Tensor, type, types.ModuleType)):
        return None
    return _of_object(value)


def _of_module(module: nn.Module) -> Iterator[Place]:
    for name, part in module.named_modules():
        prefix, attributes = f".{name}" if name else "", vars(part)
        for key, value in list(attributes.items()):
            if key not in MODULES_OWN:
                yield Place(f"{prefix}.{key}", attributes, key, value)
        for key in ("_parameters", "_buffers"):
            for inner, tensor in list(attributes[key].items()):
                yield Place(f"{prefix}.{inner}", attributes[key], inner, tensor)
        for key in HOOKS:
            for hook in list(attributes.get(key, {}).values()):
                yield Place(f"{prefix} (a hook)", None, None, hook)
        yield from _methods(type(part))


def _of_object(value: Any) -> Iterator[Place]:
    kind = type(value)
    if not is_own(kind.__module__) and kind not in NAMESPACES:
        return
    attributes = getattr(value, "__dict__", {})
    for key, part in list(attributes.items()):
        yield Place(f".{key}", attributes, key, part)
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for key in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, key):
                yield Place(f".{key}", Slots(value), key, getattr(value, key))
    yield from _methods(kind)


def _of_frame(running: types.GeneratorType[Any, Any, Any]) -> Iterator[Place]:
    """Return the variables of a function that yields; its loop state cannot be set."""
    held = running.gi_frame.f_locals if running.gi_frame is not None else {}
    for key, part in list(held.items()):
        yield Place(f" {key}", None, None, part)


def _methods(kind: type) -> Iterator[Place]:
    for base in kind.__mro__:
        if not is_own(base.__module__) or is_installed(base.__module__):
            continue
        for key, part in vars(base).items():
            part = part.__func__ if isinstance(part, (staticmethod, classmethod)) else part
            if isinstance(part, CODE):
                yield Place(f".{key}", None, None, part)
            elif not key.startswith("__") and not isinstance(part, types.MemberDescriptorType):
                yield Place(f".{key} (of the class)", base, key, part)


def _of_function(function: types.FunctionType) -> Iterator[Place]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield Place(f" {name}", cell, "cell_contents", cell.cell_contents)
        except ValueError:  # not bound yet
            continue
    for k, default in enumerate(function.__defaults__ or ()):
        yield Place(f" (default {k})", None, None, default)
    for key, default in (function.__kwdefaults__ or {}).items():
        yield Place(f" {key}", function.__kwdefaults__, key, default)
    for key, part in list(vars(function).items()):
        yield Place(f".{key}", vars(function), key, part)
    if not is_own(function.__module__) or is_installed(function.__module__):
        return  # its closure may hold something of the user, its globals do not
    names = names_in(function.__code__)
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            found = ((key, getattr(value, key, None)) for key in names)
            yield from (Place(f" {name}.{key}", None, None, v) for key, v in found if isinstance(v, GENERATORS))
        else:
            yield Place(f" {name}", function.__globals__, name, value)


def names_in(code: types.CodeType) -> set[str]:
    """Return the names of globals and attributes that code uses, that of inner functions included."""
    return set(code.co_names).union(*(names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def is_own(module: str | None) -> bool:
    """Return True for code that is not of Python, torch, NumPy or this package."""
    return (module or "").partition(".")[0] not in LIBRARIES


@functools.lru_cache(maxsize=1000)
def is_installed(module: str | None) -> bool:
    """Return True for what a package manager installed: its classes are many, and keep no generators of the user."""
    found = getattr(sys.modules.get((module or "").partition(".")[0]), "__file__", None) or ""
    return "site-packages" in found or "dist-packages" in found


def _name(root: Any) -> str:
    return getattr(root, "__name__", None) or type(root).__name__


def _named(outer: Place, depth: int, part: Place) -> Place:
    """Return a place with its full name: what belongs to the model or the loss itself goes by its own."""
    name = part.name.lstrip(". ") if depth == 0 else f"{outer.name}{part.name}"
    return part._replace(name=name)
