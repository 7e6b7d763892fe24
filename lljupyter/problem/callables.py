"""Quantities of one's own: ``{"f1": f}`` with ``f(outputs, targets)`` over the whole set, or ``f(model)``."""

from __future__ import annotations

import copy
import inspect
import keyword
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Real
from typing import Any, cast

import numpy as np
from torch import Tensor

Callables = Mapping[str, Callable[..., Any]]
Quantities = Sequence[Any] | Mapping[str, Callable[..., Any]] | None

TAKEN = {"alpha", "beta", "seed", "checkpoint", "loss", "accuracy", "convexity", "evaluated", "failed", "hvps"}
TAKEN |= {"lambda_min", "lambda_max", "residual_min", "residual_max", "outside", "learning_rate"}
ENDINGS = ("_stderr", "_predicted", "_loss", "_accuracy")
PARAMETERS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def named(quantities: Quantities) -> Sequence[str] | None:
    """Return the quantities that are chosen by name; None, for all that can be measured, if only callables are."""
    if isinstance(quantities, Mapping):
        return None
    if quantities is None or isinstance(quantities, str) or not isinstance(quantities, Collection):
        return cast("Sequence[str] | None", quantities)
    names = [part for part in quantities if not isinstance(part, Mapping)]
    return names if names or not len(quantities) else None


def callables_of(quantities: Quantities) -> dict[str, Callable[..., Any]]:
    """Return the quantities that are callables, ``{name: callable}``.

    Raises:
        TypeError: If one is not callable.
        ValueError: If a name cannot be used, or it is not known what a callable takes.
    """
    parts: Collection[Any] = ()
    if isinstance(quantities, Mapping):
        parts = [quantities]
    elif isinstance(quantities, Collection) and not isinstance(quantities, str):
        parts = [part for part in quantities if isinstance(part, Mapping)]
    found: dict[str, Callable[..., Any]] = {}
    for part in parts:
        for name, function in part.items():
            _check_name(name, found)
            if not callable(function):
                raise TypeError(
                    f"expected quantities such as {{'f1': f}} with a callable f, got {name!r} as "
                    f"{type(function).__name__}; pass a function f(outputs, targets) or f(model)"
                )
            takes_model(function, name)
            found[name] = function
    return found


def _check_name(name: Any, known: Collection[str]) -> None:
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise ValueError(f"expected the name of a quantity as one word, got {name!r}; try 'f1'")
    if name in TAKEN or name in known or name.endswith(ENDINGS):
        raise ValueError(f"expected another name of a quantity, got {name!r}, which is taken; try 'my_{name}_value'")


def takes_model(function: Callable[..., Any], name: str) -> bool:
    """Return True for ``f(model)``, False for ``f(outputs, targets)``: told by the number of required parameters.

    Raises:
        ValueError: If it has another number of them, or that is not known.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    required = [p for p in parameters if p.default is p.empty and p.kind in PARAMETERS]
    others = [p for p in parameters if p.default is p.empty and p.kind not in PARAMETERS]
    is_open = any(p.kind is p.VAR_POSITIONAL for p in others)
    needs_keywords = any(p.kind is p.KEYWORD_ONLY for p in others)
    if len(required) not in (1, 2) or (is_open and len(required) == 1) or needs_keywords:
        raise ValueError(
            f"expected the quantity {name!r} as f(outputs, targets) or f(model), got a callable with "
            f"{'an open number of' if is_open else len(required)} required parameters; "
            f"wrap it: {{{name!r}: lambda outputs, targets: f(outputs, targets)}}"
        )
    return len(required) == 1


def own_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of a callable that keeps something, so that one point does not change the next; else itself."""
    try:
        return copy.deepcopy(function)
    except Exception:  # what can't be copied is called as it is; two calls at the center have to agree
        return function


def number(value: Any, name: str) -> float:
    """Return what a callable returned as a number.

    Raises:
        TypeError: If it is none.
    """
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value.detach().double())
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "biuf":
        return float(value.reshape(()))
    if isinstance(value, (Real, np.bool_)):
        return float(value)
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, (Tensor, np.ndarray)) else ""
    raise TypeError(
        f"expected the quantity {name!r} to return a real number, got {type(value).__name__}{shape}; "
        "return float(value), such as the mean"
    )


def same(a: float, b: float) -> bool:
    """Return True if two values are the same, NaN included."""
    return a == b or (math.isnan(a) and math.isnan(b))
