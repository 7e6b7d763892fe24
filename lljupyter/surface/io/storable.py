"""Attributes as netCDF holds them and gives them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lljupyter.surface.checks import is_number, is_text, short


def storable(attributes: Mapping[Any, Any], owner: str) -> dict[str, Any]:
    """Return attributes as netCDF holds them: texts, numbers, and lists of either.

    Args:
        attributes: Not changed.
        owner: What they belong to, in messages.

    Raises:
        ValueError: If netCDF cannot hold one.
    """
    stored = {}
    for name, value in attributes.items():
        if not is_text(name) or not name:
            raise ValueError(
                f"expected attributes of {owner} with texts as names, got {short(name)}; "
                f"leave it out with del surface.attrs[{short(name)}]"
            )
        stored[name] = _storable(value)
        if stored[name] is None:
            raise ValueError(
                f"expected texts, numbers and lists of either as attributes of {owner}, which netCDF can hold, got "
                f"{name!r} as {short(value)}; convert it, such as with json.dumps, or leave it out with "
                f"del surface.attrs[{name!r}]"
            )
    return stored


def _storable(value: Any) -> Any:
    """Return a value as netCDF holds it and gives it back, or None if it cannot hold it."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "iufUO" or isinstance(value, np.ma.MaskedArray):
            return None
        value = value.tolist()
    while isinstance(value, (list, tuple)) and len(value) == 1:  # netCDF has no lists of one entry
        (value,) = value
    if isinstance(value, str):
        return str(value) if is_text(value) else None
    if is_number(value):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else None
    if not isinstance(value, (list, tuple)):
        return None
    if value and all(map(is_text, value)):
        return list(map(str, value))
    return _storable_numbers(value)


def _storable_numbers(values: Sequence[Any]) -> Any:
    try:
        array = np.array(values)
        parts = np.array(values, dtype=object).ravel()
    except ValueError:  # lists of several lengths
        return None
    return array.tolist() if array.dtype.kind in "iuf" and not any(isinstance(part, bool) for part in parts) else None
