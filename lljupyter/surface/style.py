"""The options of the style: how the viewer, pages and figures draw a landscape, and their checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Kind = Literal["choice", "name", "number", "levels", "range", "camera", "flag"]


class Option(NamedTuple):
    """An option of the style.

    Attributes:
        kind: What it takes: one of ``choices``, the name of a layer, a number or None, contour levels, a range or None,
            a camera, or True or False.
        default: Its value in the viewer.
        choices: What a choice is taken from.
    """

    kind: Kind
    default: Any
    choices: tuple[str, ...] = ()


# The one table of the options. Tests compare traits, signatures, documentation, checks and the viewer with it.
STYLE: dict[str, Option] = {
    "view": Option("choice", "surface", ("surface", "contour")),
    "scale": Option("choice", "linear", ("linear", "log")),
    "quantity": Option("name", "loss"),
    "color": Option("name", None),
    "colormap": Option("choice", "viridis", ("viridis", "cividis", "magma", "gray")),
    "clip": Option("number", None),
    "levels": Option("levels", "auto"),
    "limits": Option("range", None),
    "color_limits": Option("range", None),
    "camera": Option("camera", {}),
    "show_contours": Option("flag", True),
    "show_points": Option("flag", False),
    "show_marks": Option("flag", True),
    "show_path": Option("flag", True),
    "show_drop_lines": Option("flag", True),
    "show_labels": Option("flag", True),
    "show_slices": Option("flag", True),
    "show_panel": Option("flag", True),
}
DEFAULTS: dict[str, Any] = {name: option.default for name, option in STYLE.items()}
# The color range of the convexity maps of Li et al. (2018), figure 7.
CONVEXITY_LIMITS = (0.0, 0.5)
CAMERA = {"azimuth": -1.02, "elevation": 0.5, "zoom": 1.0, "pan": (0.0, 0.0)}
MOST_LEVELS = 200


def check_names(names: Iterable[str]) -> None:
    """Check that all are options of the style.

    Raises:
        TypeError: If one is not.
    """
    if unknown := [name for name in names if name not in STYLE]:
        raise TypeError(
            f"expected an option of the style, one of {tuple(STYLE)}, got {unknown[0]!r}; try view='contour'"
        )


def checked_option(name: str, value: Any, quantities: Sequence[str]) -> Any:
    """Return the value of an option as it is stored.

    Args:
        name: The option.
        value: Its value.
        quantities: The names of what can be drawn.

    Raises:
        TypeError: If the value has another type than expected.
        ValueError: If it is out of range or not one of the choices.
    """
    kind = STYLE[name].kind
    if kind == "choice":
        check_choices({name: value})
        return value
    if kind == "flag":
        if not isinstance(value, bool):
            raise TypeError(f"expected {name} as True or False, got {value!r}; try {name}=True")
        return value
    if kind == "name" and not (name == "color" and value is None):
        if value not in quantities:
            raise ValueError(f"expected {name} as one of {list(quantities)}, got {value!r}; try {quantities[0]!r}")
        return str(value)
    checks: dict[str, Callable[[str, Any], Any]] = {
        "number": _number,
        "levels": _levels,
        "range": _range,
        "camera": _camera,
    }
    return None if value is None else checks[kind](name, value)


def check_texts(**texts: Any) -> None:
    """Check that titles and captions are texts.

    Raises:
        TypeError: If one is not.
    """
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"expected {name} as a text, got {text!r}; try {name}='ResNet-56'")


def checked_names(names: Sequence[str] | None, n: int, each: str) -> list[str] | None:
    """Return the headings of several landscapes as texts.

    Args:
        names: The headings, or None.
        n: How many there have to be.
        each: What one of them belongs to, such as "a landscape", for the message.

    Raises:
        ValueError: If there are more or fewer, or it is not a sequence.
    """
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != n:
        what = f"{n} names" if n != 1 else "1 name"
        examples = ", ".join(repr(letter) for letter in "abc"[:n]) + (", ..." if n > 3 else "")
        raise ValueError(f"expected {what}, one {each}, got {names!r}; try names=[{examples}]")
    return [str(name) for name in names]


def check_choices(options: Mapping[str, Any]) -> None:
    """Check the options that are choices, before anything is computed.

    Raises:
        ValueError: If one has another value.
    """
    for name, option in STYLE.items():
        if option.kind == "choice" and options.get(name, option.default) not in option.choices:
            raise ValueError(
                f"expected {name} as one of {list(option.choices)}, got {options[name]!r}; try {option.choices[0]!r}"
            )


def _number(name: str, value: Any) -> float:
    if not is_finite(value):
        raise ValueError(f"expected {name} as a finite number or None, got {value!r}; try {name}=10")
    return float(value)


def _levels(name: str, value: Any) -> str | list[float]:
    if isinstance(value, str) and value in ("auto", "paper"):
        return value
    listed = None if isinstance(value, str) else numbers(value)
    if listed is None or len(listed) > MOST_LEVELS:
        raise ValueError(
            f'expected {name} as "auto", "paper" or at most {MOST_LEVELS} finite numbers, got {value!r}; '
            f"try {name}=[0.5, 1, 2]"
        )
    return sorted(set(listed))


def _range(name: str, value: Any) -> tuple[float, float]:
    ends = numbers(value)
    if ends is None or len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"expected {name} as (low, high), low < high, or None, got {value!r}; try {name}=(0, 5)")
    return ends[0], ends[1]


def _camera(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected {name} as a dict, got {value!r}; try {name}={{'azimuth': 0.5, 'elevation': 0.7}}")
    camera: dict[str, Any] = {}
    for part, number in value.items():
        pan = numbers(number) if part == "pan" else None
        if part not in CAMERA or not (len(pan or ()) == 2 if part == "pan" else is_finite(number)):
            raise ValueError(
                f"expected {name} as a dict with some of {tuple(CAMERA)}, finite numbers and pan a pair of them, "
                f"got {value!r}; {name}={{}} is the default view"
            )
        camera[part] = pan if part == "pan" else float(number)
    if not camera.get("zoom", 1) > 0:
        raise ValueError(f"expected a {name} zoom above 0, got {camera['zoom']}; 1 is the default")
    return camera


def is_finite(value: Any) -> bool:
    """Return True for a finite number."""
    return not isinstance(value, (bool, str)) and hasattr(value, "__float__") and math.isfinite(value)


def numbers(values: Any) -> list[float] | None:
    """Return the values as floats, or None if they are not a sequence of finite numbers."""
    if not isinstance(values, Sequence) and not hasattr(values, "__array__"):
        return None
    listed = list(values)
    return [float(value) for value in listed] if all(is_finite(value) for value in listed) else None
