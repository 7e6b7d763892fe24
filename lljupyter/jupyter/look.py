"""How a landscape is drawn: the traits that live widgets and loaded results have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

CHOICES = {
    "view": ("surface", "contour"),
    "scale": ("linear", "log"),
    "colormap": ("viridis", "cividis", "magma", "gray"),
}
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
    "camera",
    "show_contours",
    "show_points",
    "show_marks",
    "show_slices",
    "show_panel",
)


class _Refused(traitlets.TraitError, ValueError, TypeError):
    """A setting that was refused; only a TraitError makes traitlets put the old value back."""


class Landscape(anywidget.AnyWidget):
    """The viewer in ``static/widget.js`` and how it draws; the base of live widgets and of loaded results.

    Attributes:
        title: The heading; "" for the name of the model.
        view: "surface" or "contour".
        scale: "linear" or "log".
        quantity: The quantity that is drawn, as height.
        color: The quantity that colors the picture; None for the height itself.
        colormap: "viridis", "cividis", "magma" or "gray".
        clip: Values above are not drawn; None for all.
        levels: Heights of the contour lines: "auto", "paper" (0.1, 0.6, ..., 9.6) or numbers.
        limits: Ends of the height scale, (low, high); None takes them from the values.
        camera: Where the surface is looked at from, some of azimuth, elevation (radians), zoom and pan; {} as usual.
        show_contours: Whether lines of equal height are drawn.
        show_points: Whether grid points are drawn, evaluated and interpolated ones told apart.
        show_marks: Whether the center and the lowest point are marked.
        show_slices: Whether a contour map has the two curves through the pointer beside it.
        show_panel: Whether the panel of controls is open.
    """

    # As a text: given a path, anywidget keeps every widget alive for the sake of reloading the file.
    _esm = (Path(__file__).parent / "static" / "widget.js").read_text(encoding="utf-8")

    frame = traitlets.Bytes(b"").tag(sync=True)
    meta = traitlets.Dict({}).tag(sync=True)
    live = traitlets.Bool(False, read_only=True).tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    view = traitlets.Enum(CHOICES["view"], "surface").tag(sync=True)
    scale = traitlets.Enum(CHOICES["scale"], "linear").tag(sync=True)
    quantity = traitlets.Unicode("loss").tag(sync=True)
    color = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    colormap = traitlets.Enum(CHOICES["colormap"], "viridis").tag(sync=True)
    clip = traitlets.Any(None).tag(sync=True)
    levels = traitlets.Any("auto").tag(sync=True)
    limits = traitlets.Any(None).tag(sync=True)
    camera = traitlets.Dict({}).tag(sync=True)
    show_contours = traitlets.Bool(True).tag(sync=True)
    show_points = traitlets.Bool(False).tag(sync=True)
    show_marks = traitlets.Bool(True).tag(sync=True)
    show_slices = traitlets.Bool(True).tag(sync=True)
    show_panel = traitlets.Bool(True).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._answer_while_cells_run()

    def quantities(self) -> list[str]:
        """Returns the names of what can be drawn."""
        raise NotImplementedError

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Takes settings from the browser; what is refused goes back to the value that was kept."""
        try:
            super().set_state(sync_data)
        except traitlets.TraitError as error:
            self.log.debug("a setting from the browser was refused: %s", error)
            self.send_state([name for name in sync_data if name in self.keys])

    @traitlets.validate("quantity", "color", "clip", "levels", "limits", "camera")
    def _valid_look(self, proposal: Any) -> Any:
        return self._refusing(proposal, self._checked_look)

    def _refusing(self, proposal: Any, check: Callable[[str, Any], Any]) -> Any:
        try:
            return check(proposal["trait"].name, proposal["value"])
        except (TypeError, ValueError) as error:
            raise _Refused(str(error)) from error

    def _checked_look(self, name: str, value: Any) -> Any:
        if name == "quantity" or (name == "color" and value is not None):
            names = self.quantities()
            if value not in names:
                raise ValueError(f"expected {name} as one of {names}, got {value!r}; try {names[0]!r}")
            return str(value)
        checks = {"clip": _clip, "levels": _levels, "limits": _limits, "camera": _camera}
        return None if value is None else checks[name](value)

    def _answer_while_cells_run(self) -> None:
        """Lets the sliders work during a long cell.

        ipykernel 7.4 answers a widget on whichever thread published last, which is never the one that is free; this
        private hook, looked up by name there, restores the subshell that the front end asked for.
        """
        if self.comm is not None and hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default


def check_choices(options: Mapping[str, Any]) -> None:
    """Checks the options that have a few values to choose from, before anything is computed.

    Raises:
        ValueError: If one has another value.
    """
    for name, allowed in CHOICES.items():
        if options.get(name, allowed[0]) not in allowed:
            raise ValueError(f"expected {name} as one of {list(allowed)}, got {options[name]!r}; try {allowed[0]!r}")


def _clip(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"expected clip as a finite number or None, got {value!r}; try clip=10")
    return float(value)


def _levels(value: Any) -> str | list[float]:
    if isinstance(value, str) and value in ("auto", "paper"):
        return value
    listed = None if isinstance(value, str) else _numbers(value)
    if listed is None or len(listed) > 200:
        raise ValueError(
            f'expected levels as "auto", "paper" or at most 200 finite numbers, got {value!r}; try levels=[0.5, 1, 2]'
        )
    return sorted(set(listed))


def _limits(value: Any) -> tuple[float, float]:
    ends = _numbers(value)
    if ends is None or len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"expected limits as (low, high), low < high, or None, got {value!r}; try limits=(0, 5)")
    return ends[0], ends[1]


def _camera(value: Mapping[str, Any]) -> dict[str, Any]:
    camera: dict[str, Any] = {}
    for name, part in value.items():
        pan = _numbers(part) if name == "pan" else None
        if name not in CAMERA or not (len(pan or ()) == 2 if name == "pan" else _is_number(part)):
            raise ValueError(
                f"expected camera as a dict with some of {CAMERA}, finite numbers and pan a pair of them, "
                f"got {value!r}; camera={{}} is the usual view"
            )
        camera[name] = pan if name == "pan" else float(part)
    if not camera.get("zoom", 1) > 0:
        raise ValueError(f"expected a camera zoom above 0, got {camera['zoom']}; 1 is the usual one")
    return camera


def _is_number(value: Any) -> bool:
    return not isinstance(value, (bool, str)) and hasattr(value, "__float__") and math.isfinite(value)


def _numbers(values: Any) -> list[float] | None:
    """The values as floats, or None if they are not a sequence of finite numbers."""
    if not isinstance(values, Sequence) and not hasattr(values, "__array__"):
        return None
    listed = list(values)
    return [float(value) for value in listed] if all(_is_number(value) for value in listed) else None
