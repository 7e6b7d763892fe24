"""Lines as figures: loss on the left axis, accuracy on the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import ticker

from lljupyter.surface.draw.scaling import band_of, is_share, kind_of, quantity_name
from lljupyter.surface.style import LOOK, check_choices

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

LEFT, RIGHT = "#1f5fa8", "#b5341f"
# Drawn only where they are asked for by name.
NOT_CURVES = ("evaluated",)
EDGE = 0.04  # of an axis, left free beyond the highest and the lowest value


def draw_line(figure: Figure | SubFigure, line: xarray.Dataset, look: dict[str, Any]) -> None:
    """Draws a line, or several seeds of one as a band.

    Args:
        figure: An empty one.
        line: On the dimension alpha or beta, and perhaps seed.
        look: ``quantity`` names the one on the left axis, ``scale`` and ``limits`` are its own.
    """
    along, left, right = _named(line, look)
    kind = kind_of(left[0])
    axes = figure.add_subplot()
    curves = _curves(axes, line, along, left, LEFT, look)
    axes.set_ylabel(quantity_name(kind), color=LEFT, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", colors=LEFT)
    axes.set_yscale(look.get("scale", "linear"))
    if (limits := look.get("limits")) is not None:
        axes.set_ylim(*limits)
    if is_share(kind):
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    if right:
        other = axes.twinx()
        curves += _curves(other, line, along, right, RIGHT, look)
        other.set_ylabel("Accuracy", color=RIGHT, fontsize=9)
        other.set_ylim(-EDGE, 1 + EDGE)  # so that an accuracy of 100 % does not run along the frame
        other.tick_params(labelsize=8, colors=RIGHT)
        other.yaxis.set_major_formatter(ticker.PercentFormatter(1, decimals=0))
    if len(curves) > 1:
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": min(len(curves), 4)}
        axes.legend(handles=curves, fontsize=8, frameon=False, handlelength=1.8, columnspacing=1.2, **place)
    ends = line[along].values
    if len(ends) > 1:
        axes.set_xlim(ends[0], ends[-1])
    between = line.attrs.get("directions") == "between"
    axes.set_xlabel("alpha (0 and 1: the two models)" if between else along, fontsize=9)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def reach_of(line: xarray.Dataset, look: dict[str, Any]) -> tuple[float, float] | None:
    """Returns the range of the left axis that holds all of its curves, with some room; None without any value."""
    along, left, _ = _named(line, look)
    values = np.concatenate([_rows(line, along, name, look.get("clip")).ravel() for name in left])
    log = look.get("scale") == "log"
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(values):
        return None
    scaled = np.log10(values) if log else values
    room = EDGE * (float(np.ptp(scaled)) or 1.0)
    low, high = float(scaled.min()) - room, float(scaled.max()) + room
    return (10**low, 10**high) if log else (low, high)


def _named(line: xarray.Dataset, look: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    """Returns the dimension of a line, and what is drawn on the left and on the right axis."""
    if unknown := [name for name in look if name not in LOOK]:
        raise TypeError(f"expected how it is drawn, one of {LOOK}, got {unknown[0]!r}")
    check_choices(look)
    along = [axis for axis in ("alpha", "beta") if axis in line.dims]
    names = [str(name) for name, values in line.data_vars.items() if set(values.dims) - {"seed"} == set(along[:1])]
    names = [name for name in names if name not in NOT_CURVES and not name.endswith("_stderr")]
    if len(along) != 1 or not names:
        raise ValueError(
            f"expected a surface or a line with something to draw, got {list(line.data_vars)} on {dict(line.sizes)}; "
            "loss_surface and loss_line return one"
        )
    wanted = look.get("quantity") or ("loss" if "loss" in names else names[0])
    if wanted not in line.data_vars:
        raise ValueError(f"expected quantity as one of {names}, got {wanted!r}; try {names[0]!r}")
    kind = kind_of(wanted)
    left = [name for name in names if kind_of(name) == kind] or [wanted]
    right = [name for name in names if is_share(name) and name not in left] if kind == "loss" else []
    return along[0], left, right


def _rows(line: xarray.Dataset, along: str, name: str, clip: float | None) -> NDArray[np.float64]:
    """Shape (n_seeds, n), NaN where a curve has a hole."""
    rows = np.atleast_2d(np.asarray(line[name].transpose(..., along).values, dtype=np.float64))
    rows = np.where(np.isfinite(rows), rows, np.nan)
    return rows if clip is None else np.where(rows > clip, np.nan, rows)


def _curves(axes: Any, line: Any, along: str, names: list[str], color: str, look: dict[str, Any]) -> list[Any]:
    x = line[along].values
    drawn = []
    for name in names:
        rows = _rows(line, along, name, look.get("clip") if color == LEFT else None)
        label = quantity_name(name).replace("$", r"\$")
        middle, low, high = band_of(rows)
        style = "--" if name.startswith("test") else "-"
        drawn += axes.plot(x, middle, style if len(x) > 1 else "o", color=color, linewidth=1.6, label=label)
        if len(rows) > 1:
            axes.fill_between(x, low, high, where=np.isfinite(low), color=color, alpha=0.18, linewidth=0)
    return drawn
