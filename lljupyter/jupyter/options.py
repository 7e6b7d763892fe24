"""The options of the widget: those of a surface, and how it is drawn. Loads neither torch nor the widget stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Literal, TypedDict, cast

from lljupyter.compute.options import DEFAULTS, TABLES, SurfaceOptions
from lljupyter.compute.signatures import complete_docstring, complete_signature, explanations
from lljupyter.surface import style


class StyleOptions(TypedDict, total=False):
    """The options of the style: how a landscape is drawn.

    Attributes:
        title: The heading; "" for the name of the model.
        view: "surface" or "contour".
        scale: "linear" or "log".
        quantity: The quantity that is drawn as height; None for the first one.
        color: The quantity that colors the picture; None for the height itself.
        colormap: "viridis", "cividis", "magma" or "gray".
        clip: Upper end of the height scale, above which nothing is drawn; None for no clip.
        levels: Heights of the contour lines: "auto", "paper" (0.1, 0.6, ..., 9.6, and with a training path 10, 100,
            ...) or numbers.
        limits: Ends of the height scale, (low, high); None takes them from the values.
        color_limits: Ends of the scale of a quantity that only colors, (low, high); None takes them from the values,
            and for convexity (0, 0.5) as in the paper.
        camera: Viewpoint of the surface: azimuth, elevation (radians), zoom and pan, or some of them; {} for the
            default.
        show_contours: Whether lines of equal height are drawn.
        show_points: Whether grid points are drawn; evaluated and interpolated ones differ.
        show_marks: Whether the center, the lowest point and named models are marked.
        show_path: Whether the training trajectory is drawn, at its real heights.
        show_drop_lines: Whether a line drops from every checkpoint to the surface.
        show_labels: Whether checkpoints and named models are labeled.
        show_slices: Whether two curves through the pointer are drawn beside a contour map.
        show_panel: Whether the panel of controls is open.
    """

    title: str
    view: Literal["surface", "contour"]
    scale: Literal["linear", "log"]
    quantity: str | None
    color: str | None
    colormap: Literal["viridis", "cividis", "magma", "gray"]
    clip: float | None
    levels: Literal["auto", "paper"] | Sequence[float]
    limits: tuple[float, float] | None
    color_limits: tuple[float, float] | None
    camera: Mapping[str, Any]
    show_contours: bool
    show_points: bool
    show_marks: bool
    show_path: bool
    show_drop_lines: bool
    show_labels: bool
    show_slices: bool
    show_panel: bool


class ResultOptions(StyleOptions, total=False):
    """How a result is drawn.

    Attributes:
        seed: Which of several surfaces is shown; None for the first one.
    """

    seed: int | None


class WidgetOptions(SurfaceOptions, StyleOptions, total=False):
    """All options of ``LandscapeWidget``: those of a surface, and how it is drawn."""


# Those of the viewer; the first quantity depends on what is measured.
STYLE_DEFAULTS = cast("StyleOptions", {"title": "", **style.DEFAULTS, "quantity": None})
STYLE_TABLES = (StyleOptions, ResultOptions)
RESULT_DEFAULTS: ResultOptions = {**STYLE_DEFAULTS, "seed": None}
WIDGET_DEFAULTS: WidgetOptions = {**DEFAULTS, **STYLE_DEFAULTS}


def widget_signature() -> Signature:
    """Return the signature of ``LandscapeWidget`` with every option and its default."""
    kinds = {
        "model": Parameter.POSITIONAL_OR_KEYWORD,
        "loader": Parameter.POSITIONAL_OR_KEYWORD,
        "options": Parameter.VAR_KEYWORD,
    }
    own = Signature([Parameter(name, kind) for name, kind in kinds.items()])
    return complete_signature(own, WidgetOptions, WIDGET_DEFAULTS)


def widget_docstring(docstring: str) -> str:
    """Return a docstring with the explanation of every option in the place of its line ``**options: ...``."""
    return complete_docstring(docstring, WidgetOptions, explanations((*TABLES, StyleOptions)))
