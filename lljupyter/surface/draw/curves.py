"""Lines as matplotlib figures: one quantity on the left axis, another one on the right axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import ticker

from lljupyter.surface.draw.charts import COLORS, Chart, axis_limits, axis_quantity, make_chart
from lljupyter.surface.draw.paths import Range
from lljupyter.surface.draw.scaling import Field
from lljupyter.surface.layer_names import is_percent, quantity_name

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure, SubFigure


def draw_line(
    figure: Figure | SubFigure,
    line: xarray.Dataset,
    style: Mapping[str, Any],
    common: Mapping[str, Range] | None = None,
) -> None:
    """Draw a line into an empty figure: one quantity on the left axis, the other one on the right axis."""
    chart = make_chart(line, style, common)
    axes = figure.add_subplot()
    _draw_axis(axes, chart, chart.left, "left")
    handles = _draw_curves(axes, chart, "left")
    if chart.right is not None:
        other = axes.twinx()
        _draw_axis(other, chart, chart.right, "right")
        handles += _draw_curves(other, chart, "right")
    if chart.remark:
        handles += axes.plot([], [], " ", label=chart.remark)
    if len(handles) > 1:
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": min(len(handles), 4)}
        axes.legend(handles=handles, fontsize=8, frameon=False, handlelength=1.8, columnspacing=1.2, **place)
    if len(chart.x) > 1:
        axes.set_xlim(chart.x[0], chart.x[-1])
    axes.tick_params(axis="x", labelsize=8)
    between = line.attrs.get("directions") == "between"
    axes.set_xlabel("alpha (0 and 1: the two models)" if between else chart.along, fontsize=9)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_axis(axes: Any, chart: Chart, scale: Field, side: str) -> None:
    axes.set_ylabel(quantity_name(axis_quantity(chart, side)), color=COLORS[side], fontsize=9, parse_math=False)
    axes.tick_params(axis="y", labelsize=8, colors=COLORS[side])
    axes.set_yscale("log" if scale.log else "linear")
    axes.set_ylim(*axis_limits(scale))
    if is_percent(scale.name):
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))


def _draw_curves(axes: Any, chart: Chart, side: str) -> list[Any]:
    handles = []
    color = COLORS[side]
    for curve in chart.curves:
        if curve.side != side:
            continue
        label = quantity_name(curve.name).replace("$", r"\$")
        if len(chart.x) == 1:
            handles += axes.plot(chart.x, curve.y, "o", color=color, label=label)
            continue
        handles += axes.plot(chart.x, curve.y, linestyle=curve.dash, color=color, linewidth=1.6, label=label)
        axes.plot(chart.x, curve.seeds.T, color=color, linewidth=0.6, alpha=0.6)
        if curve.band is not None:
            low, high = curve.band
            axes.fill_between(chart.x, low, high, where=np.isfinite(low), color=color, alpha=0.18, linewidth=0)
    return handles
