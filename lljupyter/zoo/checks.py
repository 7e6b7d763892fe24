"""Refuses arguments of the wrong kind or out of range."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import nn


def whole_number(name: str, value: Any, *, least: int, advice: str) -> int:
    """Return a whole number (also NumPy's) as an int.

    Raises:
        ValueError: If it is none, or below ``least``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ValueError(f"expected {name} as a whole number of at least {least}, got {value!r}; {advice}")
    return number


def number(name: str, value: Any, *, positive: bool, advice: str) -> float:
    """Return a finite number that is positive, or at least 0, as a float.

    Raises:
        ValueError: If it is none.
    """
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result) or result < 0 or (positive and not result):
        raise ValueError(
            f"expected {name} as a finite number {'above' if positive else 'of at least'} 0, got {value!r}; {advice}"
        )
    return result


def switch(name: str, value: Any, *, advice: str) -> bool:
    """Return True or False; anything else would silently be taken for one of them.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"expected {name} as True or False, got {value!r}; {advice}")
    return value


def first_parameter(model: Any) -> nn.Parameter:
    """Return the first parameter of a model, whose device and precision stand for all.

    Raises:
        TypeError: If it is no module.
        ValueError: If it has no parameters.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}; try zoo.resnet(20)")
    parameter = next(model.parameters(), None)
    if parameter is None:
        raise ValueError(f"expected a model with parameters, got none in {type(model).__name__}; try zoo.resnet(20)")
    return parameter


def available(device: torch.device | str) -> torch.device:
    """Return a device as its tensors name it ("cuda" becomes "cuda:0").

    Raises:
        ValueError: If there is none of that name, or it holds no values.
    """
    try:
        chosen = torch.empty(0, device=torch.device(device)).device
        if chosen.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"expected an available device, got {device!r} ({error}); try device='cpu'") from error
    return chosen
