"""How a landscape is drawn: the options that the viewer, pages and figures have in common, and their checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

CHOICES = {
    "view": ("surface", "contour"),
    "scale": ("linear", "log"),
    "colormap": ("viridis", "cividis", "magma", "gray"),
}
# The scale of the paper's maps of convexity (figure 7), unless color_limits says another one.
CONVEXITY_LIMITS = (0.0, 0.5)
CAMERA = ("azimuth", "elevation", "zoom", "pan")
LOOK = (
    "view",
    "scale",
    "quantity",
    "color",
    "colormap",
    "clip",
    "levels",
    "limits",
    "color_limits",
    "camera",
    "show_contours",
    "show_points",
    "show_marks",
    "show_path",
    "show_drop_lines",
    "show_labels",
    "show_slices",
    "show_panel",
)


def checked_look(name: str, value: Any, quantities: Sequence[str]) -> Any:
    """Returns an option of the look as it is kept.

    Args:
        name: Which one.
        value: What was asked for.
        quantities: Names of what can be drawn.

    Raises:
        TypeError: If it is of another kind than expected.
        ValueError: If it is out of range or not one of the values to choose from.
    """
    if name in CHOICES:
        check_choices({name: value})
        return value
    if name.startswith("show_"):
        if not isinstance(value, bool):
            raise TypeError(f"expected {name} as True or False, got {value!r}; try {name}=True")
        return value
    if name == "quantity" or (name == "color" and value is not None):
        if value not in quantities:
            raise ValueError(f"expected {name} as one of {list(quantities)}, got {value!r}; try {quantities[0]!r}")
        return str(value)
    if name == "color_limits" and value is not None:
        return _limits(value, name)
    checks: dict[str, Callable[[Any], Any]] = {"clip": _clip, "levels": _levels, "limits": _limits, "camera": _camera}
    return None if value is None else checks[name](value)


def check_texts(**texts: Any) -> None:
    """Checks that titles and captions are texts.

    Raises:
        TypeError: If one is not.
    """
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"expected {name} as a text, got {text!r}; try {name}='ResNet-56'")


def checked_names(names: Sequence[str] | None, n: int, each: str) -> list[str] | None:
    """Returns the headings of several landscapes as texts.

    Args:
        names: What was asked for; None for none.
        n: How many there have to be.
        each: What has one, "a landscape", in the message.

    Raises:
        ValueError: If there are more or fewer, or it is no sequence.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != n:
        what = f"{n} names" if n != 1 else "1 name"
        examples = ", ".join(repr(letter) for letter in "abc"[:n]) + (", ..." if n > 3 else "")
        raise ValueError(f"expected {what}, one {each}, got {names!r}; try names=[{examples}]")
    return [str(name) for name in names]


def check_choices(options: Mapping[str, Any]) -> None:
    """Checks the options that have a few values to choose from, before anything is computed.

    Raises:
        ValueError: If one has another value.
    """
    for name, allowed in CHOICES.items():
        if options.get(name, allowed[0]) not in allowed:
            raise ValueError(f"expected {name} as one of {list(allowed)}, got {options[name]!r}; try {allowed[0]!r}")


def _clip(value: Any) -> float:
    if not is_finite(value):
        raise ValueError(f"expected clip as a finite number or None, got {value!r}; try clip=10")
    return float(value)


def _levels(value: Any) -> str | list[float]:
    if isinstance(value, str) and value in ("auto", "paper"):
        return value
    listed = None if isinstance(value, str) else numbers(value)
    if listed is None or len(listed) > 200:
        raise ValueError(
            f'expected levels as "auto", "paper" or at most 200 finite numbers, got {value!r}; try levels=[0.5, 1, 2]'
        )
    return sorted(set(listed))


def _limits(value: Any, name: str = "limits") -> tuple[float, float]:
    ends = numbers(value)
    if ends is None or len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"expected {name} as (low, high), low < high, or None, got {value!r}; try {name}=(0, 5)")
    return ends[0], ends[1]


def _camera(value: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected camera as a dict, got {value!r}; try camera={{'azimuth': 0.5, 'elevation': 0.7}}")
    camera: dict[str, Any] = {}
    for name, part in value.items():
        pan = numbers(part) if name == "pan" else None
        if name not in CAMERA or not (len(pan or ()) == 2 if name == "pan" else is_finite(part)):
            raise ValueError(
                f"expected camera as a dict with some of {CAMERA}, finite numbers and pan a pair of them, "
                f"got {value!r}; camera={{}} is the usual view"
            )
        camera[name] = pan if name == "pan" else float(part)
    if not camera.get("zoom", 1) > 0:
        raise ValueError(f"expected a camera zoom above 0, got {camera['zoom']}; 1 is the usual one")
    return camera


def is_finite(value: Any) -> bool:
    """Returns whether a value is a finite number."""
    return not isinstance(value, (bool, str)) and hasattr(value, "__float__") and math.isfinite(value)


def numbers(values: Any) -> list[float] | None:
    """Returns the values as floats, or None if they are not a sequence of finite numbers."""
    if not isinstance(values, Sequence) and not hasattr(values, "__array__"):
        return None
    listed = list(values)
    return [float(value) for value in listed] if all(is_finite(value) for value in listed) else None
