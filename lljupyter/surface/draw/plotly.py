"""Interactive figures, by plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

from lljupyter.surface.checks import marks_of
from lljupyter.surface.dataset import of_seed, on_grid
from lljupyter.surface.draw.charts import COLORS, Chart, axis_limits, axis_quantity, make_chart
from lljupyter.surface.draw.colormaps import plotly_colorscale
from lljupyter.surface.draw.scaling import Field, Scene, axis_names, layer, make_field, make_scene, scale_values, within
from lljupyter.surface.draw.ticks import value_ticks
from lljupyter.surface.layer_names import is_percent, quantity_name
from lljupyter.surface.notices import caption, notices_of
from lljupyter.surface.style import CAMERA, check_texts

if TYPE_CHECKING:
    import xarray

# No button may send the picture to a server.
CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}
MARK = {"color": "white", "line": {"color": "#10121a", "width": 1.5}}
N_TICKS = 6
LETTERS = 90  # of a row below the axes
DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot"}


class LandscapeFigure(go.Figure):
    """A plotly Figure that never offers an upload."""

    def show(self, *args: Any, **options: Any) -> Any:
        """Show the figure, see ``plotly.graph_objects.Figure.show``."""
        return super().show(*args, **_with_config(options))

    def to_html(self, *args: Any, **options: Any) -> str:
        """Return the figure as a page, see ``plotly.graph_objects.Figure.to_html``."""
        text: str = super().to_html(*args, **_with_config(options))
        return text

    def write_html(self, *args: Any, **options: Any) -> None:
        """Write the figure as a page, see ``plotly.graph_objects.Figure.write_html``."""
        super().write_html(*args, **_with_config(options))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, validate: bool = True, **options: Any) -> Any:
        return super()._repr_mimebundle_(include, exclude, validate, **_with_config(options))

    def _ipython_display_(self) -> None:
        if pio.renderers.render_on_display and pio.renderers.default:
            self.show()
        else:
            print(repr(self))


def to_plotly(surface: xarray.Dataset, *, seed: int | None = None, title: str = "", **style: Any) -> go.Figure:
    """Draw a surface or a line as a plotly Figure, with a menu of its quantities.

    Lines of several seeds are drawn as their median and quartiles.

    Args:
        surface: What ``loss_surface``, ``loss_line``, ``interpolate``, ``convexity_map`` or ``load`` returned.
        seed: The seed that is drawn, if there are surfaces of several seeds; None for the first.
        title: A line above the figure; "" for the name of the model.
        **style: Options of the style, such as ``view``, ``scale``, ``quantity``, ``color``, ``colormap``, ``clip``,
            ``levels`` or ``camera``; see ``LandscapeWidget``. The view is "surface" by default.

    Returns:
        A ``plotly.graph_objects.Figure``. Its button to upload to a cloud is off.

    Raises:
        TypeError: If it is not a Dataset, or an option is unknown.
        ValueError: If it has nothing to draw, or an option is out of range.
    """
    check_texts(title=title)
    whole, _ = on_grid(surface, seeds=True)
    of_several = "seed" in whole.dims
    one = of_seed(whole, seed)
    scene = make_scene(one, style, view="surface")
    is_line = 1 in scene.height.values.shape
    figure = LandscapeFigure()
    if is_line:
        _add_curves(figure, make_chart(whole if seed is None else one, style))
    elif scene.style["view"] == "surface":
        _add_surface(figure, scene)
    else:
        _add_contour(figure, scene)
    heading = str(surface.attrs.get("model", "Loss landscape"))
    if of_several and not (is_line and seed is None):
        heading += f", seed {one.attrs['seed']}"
    figure.update_layout(
        title={"text": escape(title or heading)},
        template="plotly_white",
        # A scene cuts off what is beyond it: the name of an upright axis needs all of the room.
        margin={"l": 0 if not is_line and scene.style["view"] == "surface" else 60, "r": 30, "t": 60, "b": 50},
        showlegend=is_line,
    )
    _add_notices(figure, notices_of(whole if is_line and seed is None else one))
    return figure


def _add_notices(figure: go.Figure, notices: Sequence[str]) -> None:
    """Write what the person is warned of below the axes, in a margin that has room for it."""
    rows = caption(notices, LETTERS)
    if rows:
        below = figure.layout.margin.b
        figure.update_layout(margin_b=below + 10 + 16 * len(rows))
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 0, "yref": "paper", "yanchor": "top"}
        text = "<br>".join(map(escape, rows))
        figure.add_annotation(text=text, align="left", showarrow=False, yshift=-below, font={"size": 11}, **place)


def _with_config(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "config": {**CONFIG, **(options.get("config") or {})}}


def _ticks(scale: Field) -> dict[str, Any]:
    """Return ticks for an axis in scaled units: plotly has no logarithmic colors."""
    ticks = value_ticks(scale.lo, scale.hi, scale.log, N_TICKS, is_percent(scale.name))
    return {"tickvals": [tick.at for tick in ticks], "ticktext": [tick.label for tick in ticks]}


def _colors(scale: Field, colormap: str) -> dict[str, Any]:
    bar = {"title": {"text": escape(quantity_name(scale.name))}, **_ticks(scale)}
    return {"colorscale": plotly_colorscale(colormap), "cmin": scale.lo, "cmax": scale.hi, "colorbar": bar}


def _add_surface(figure: go.Figure, scene: Scene) -> None:
    height, color = scene.height, scene.color
    lines = {"show": scene.style["show_contours"], "usecolormap": True, "project": {"z": True}}
    figure.add_trace(
        go.Surface(
            x=scene.alpha,
            y=scene.beta,
            z=within(height),
            surfacecolor=color.scaled,
            contours={"z": lines},
            name=escape(quantity_name(height.name)),
            **_colors(color, scene.style["colormap"]),
        )
    )
    dataset = scene.dataset
    if f"trajectory_{height.name}" in dataset and scene.style["show_path"]:
        real = np.asarray(dataset[f"trajectory_{height.name}"].values, dtype=np.float64)
        figure.add_trace(go.Scatter3d(z=scale_values(real, height.log), **_path(dataset, 3)))
    camera = {**CAMERA, **scene.style["camera"]}
    azimuth, elevation, distance = camera["azimuth"], camera["elevation"], 2.1 / camera["zoom"]
    eye = distance * np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    names = axis_names(dataset)
    zaxis = {"title": {"text": escape(quantity_name(height.name))}, **_ticks(height)}
    figure.update_layout(
        scene={
            "xaxis": {"title": {"text": names[0]}},
            "yaxis": {"title": {"text": names[1]}},
            "zaxis": {**zaxis, "range": [height.lo - 0.2 * (height.hi - height.lo), height.hi]},
            "camera": {"eye": dict(zip("xyz", map(float, eye), strict=True))},
            "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        }
    )
    _add_menu(figure, scene, ("z", "surfacecolor"))


def _add_contour(figure: go.Figure, scene: Scene) -> None:
    color, levels = scene.color, scene.levels
    spaced: dict[str, Any] = {"autocontour": True, "ncontours": 20}
    if len(levels) > 1:
        # Plotly draws levels in even steps only, which the first ones give.
        lines = {"contours_start": levels[0], "contours_end": levels[-1], "contours_size": levels[1] - levels[0]}
        spaced = {"autocontour": False, **lines}
    scale = _colors(color, scene.style["colormap"])
    figure.add_trace(
        go.Contour(
            x=scene.alpha,
            y=scene.beta,
            z=color.scaled,
            zmin=scale.pop("cmin"),
            zmax=scale.pop("cmax"),
            contours_showlabels=scene.style["show_contours"],
            line={"width": 0.8 if scene.style["show_contours"] else 0},
            name=escape(quantity_name(color.name)),
            **scale,
            **spaced,
        )
    )
    if "trajectory_alpha" in scene.dataset and scene.style["show_path"]:
        figure.add_trace(go.Scatter(**_path(scene.dataset, 2)))
    if scene.style["show_marks"]:
        named = {"center": (0.0, 0.0), **marks_of(scene.dataset.attrs)}
        x, y = zip(*named.values(), strict=True)
        points = {"x": x, "y": y, "text": [escape(name) for name in named], "hoverinfo": "text+x+y"}
        figure.add_trace(go.Scatter(mode="markers", marker={**MARK, "size": 9}, **points))
    names = axis_names(scene.dataset)
    figure.update_layout(xaxis={"title": {"text": names[0]}}, yaxis={"title": {"text": names[1]}})
    _add_menu(figure, scene, ("z",))


def _add_curves(figure: go.Figure, chart: Chart) -> None:
    """Draw loss and accuracy along a line, of several seeds their median and quartiles."""
    for curve in chart.curves:
        color, on = COLORS[curve.side], "y" if curve.side == "left" else "y2"
        name = escape(quantity_name(curve.name))
        if curve.band is not None and len(chart.x) > 1:
            low, high = curve.band
            known = np.isfinite(low)
            edges = np.concatenate([low[known], high[known][::-1]])
            pale = {"fill": "toself", "fillcolor": color, "opacity": 0.18, "line": {"width": 0}, "showlegend": False}
            around = {"x": np.concatenate([chart.x[known], chart.x[known][::-1]]), "y": edges, "yaxis": on}
            band = "quartiles" if chart.n_seeds > 1 else "standard error"
            figure.add_trace(go.Scatter(**around, **pale, mode="lines", name=f"{name}, {band}", hoverinfo="skip"))
        for row in curve.seeds if len(chart.x) > 1 else ():
            thin = {"line": {"color": color, "width": 0.6}, "opacity": 0.6, "showlegend": False, "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(x=chart.x, y=row, yaxis=on, mode="lines", name=name, **thin))
        line = {"color": color, "dash": DASHES[curve.dash]}
        marker = {"mode": "markers", "marker": {"color": color}} if len(chart.x) == 1 else {"mode": "lines"}
        figure.add_trace(go.Scatter(x=chart.x, y=curve.y, line=line, name=name, yaxis=on, **marker))
    figure.update_layout(
        xaxis={"title": {"text": chart.along}},
        yaxis=_value_axis(chart, chart.left, "left"),
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
    )
    if chart.remark:
        figure.update_layout(legend={"title": {"text": chart.remark}})
    if chart.right is not None:
        beside = {"overlaying": "y", "side": "right", "showgrid": False}
        figure.update_layout(yaxis2={**beside, **_value_axis(chart, chart.right, "right")})


def _value_axis(chart: Chart, scale: Field, side: str) -> dict[str, Any]:
    ends = axis_limits(scale)
    return {
        "title": {"text": escape(quantity_name(axis_quantity(chart, side)))},
        "type": "log" if scale.log else "linear",
        "range": list(np.log10(ends) if scale.log else ends),
        **({"tickformat": ".0%"} if is_percent(scale.name) else {}),
    }


def _path(dataset: Any, n_axes: int) -> dict[str, Any]:
    outside = dataset["trajectory_outside"].values
    labels = [
        f"{escape(str(label))}: {share:.0%} outside"
        for label, share in zip(dataset["checkpoint"].values, outside, strict=True)
    ]
    return {
        "x": dataset["trajectory_alpha"].values,
        "y": dataset["trajectory_beta"].values,
        "text": labels,
        "mode": "lines+markers",
        "line": {"color": "#10121a", "width": 2 if n_axes == 2 else 4},
        "marker": {**MARK, "size": 6 if n_axes == 2 else 3},
        "name": "trajectory",
    }


def _add_menu(figure: go.Figure, scene: Scene, fields: tuple[str, ...]) -> None:
    """Add a menu that draws another quantity."""
    buttons = []
    spatial = len(fields) == 2
    for name in sorted(scene.quantities, key=lambda name: name != scene.height.name):
        try:
            log = scene.height.log
            other = scene.height if name == scene.height.name else make_field(name, layer(scene.dataset, name), log)
        except ValueError:
            continue  # nothing finite in it
        title, ticks = escape(quantity_name(name)), _ticks(other)
        ends = dict(zip(("cmin", "cmax") if spatial else ("zmin", "zmax"), (other.lo, other.hi), strict=True))
        change: dict[str, Any] = {key: [other.scaled.tolist()] for key in fields}
        change |= {key: [value] for key, value in ends.items()}
        change |= {f"colorbar.{key}": [value] for key, value in {"title.text": title, **ticks}.items()}
        axis = {"title.text": title, "range": None, **ticks}
        layout = {f"scene.zaxis.{key}": value for key, value in axis.items()} if spatial else {}
        buttons.append({"label": title, "method": "update", "args": [change, layout, [0]]})
    if len(buttons) > 1:
        figure.update_layout(
            updatemenus=[{"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.14, "yanchor": "top"}]
        )
