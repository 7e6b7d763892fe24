"""Figures to explore, by plotly."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

from lljupyter.surface.checks import marks_of
from lljupyter.surface.dataset import of_seed, on_grid
from lljupyter.surface.draw.scaling import (
    Drawn,
    Field,
    axis_names,
    band_of,
    drawn,
    field,
    heights,
    is_share,
    kind_of,
    quantity_name,
)
from lljupyter.surface.style import check_texts

if TYPE_CHECKING:
    import xarray

# No button may send the picture to a server.
CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": ""}
MARK = {"color": "white", "line": {"color": "#10121a", "width": 1.5}}
COLORS = ("#1f5fa8", "#b5341f")


class LandscapeFigure(go.Figure):
    """A plotly Figure that offers no upload, wherever it is shown."""

    def show(self, *args: Any, **options: Any) -> Any:
        """Shows the figure, see ``plotly.graph_objects.Figure.show``."""
        return super().show(*args, **_with_config(options))

    def to_html(self, *args: Any, **options: Any) -> str:
        """Returns the figure as a page, see ``plotly.graph_objects.Figure.to_html``."""
        text: str = super().to_html(*args, **_with_config(options))
        return text

    def write_html(self, *args: Any, **options: Any) -> None:
        """Writes the figure as a page, see ``plotly.graph_objects.Figure.write_html``."""
        super().write_html(*args, **_with_config(options))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, validate: bool = True, **options: Any) -> Any:
        return super()._repr_mimebundle_(include, exclude, validate, **_with_config(options))

    def _ipython_display_(self) -> None:
        if pio.renderers.render_on_display and pio.renderers.default:
            self.show()
        else:
            print(repr(self))


def to_plotly(surface: xarray.Dataset, *, seed: int | None = None, title: str = "", **look: Any) -> go.Figure:
    """Draws a surface or a line as a plotly Figure, with a menu of its quantities. Lines of several seeds are a band.

    Args:
        surface: What ``loss_surface``, ``loss_line``, ``interpolate``, ``convexity_map`` or ``load`` returned.
        seed: Which one of surfaces of several seeds is drawn; None for the first.
        title: A line above; "" for the name of the model.
        **look: How it is drawn, such as ``view``, ``scale``, ``quantity``, ``color``, ``colormap``, ``clip``,
            ``levels`` or ``camera``; see ``LandscapeWidget``. The view is "surface" unless another one is asked for.

    Returns:
        A ``plotly.graph_objects.Figure``. Its button to upload to a cloud is off.

    Raises:
        TypeError: If it is no Dataset, or an option is unknown.
        ValueError: If it has nothing to draw, or an option is out of range.
    """
    check_texts(title=title)
    whole, _ = on_grid(surface, seeds=True)
    of_several = "seed" in whole.dims
    one = of_seed(whole, seed)
    shown = drawn(one, {"view": "surface", **look})
    is_line = 1 in shown.height.values.shape
    figure = LandscapeFigure()
    if is_line:
        _add_curves(figure, shown, whole if seed is None else one)
    elif shown.look["view"] == "surface":
        _add_surface(figure, shown)
    else:
        _add_contour(figure, shown)
    heading = str(surface.attrs.get("model", "Loss landscape"))
    if of_several and not (is_line and seed is None):
        heading += f", seed {one.attrs['seed']}"
    figure.update_layout(
        title={"text": escape(title or heading)},
        template="plotly_white",
        # A scene cuts off what is beyond it: the name of an upright axis needs all of the room.
        margin={"l": 0 if not is_line and shown.look["view"] == "surface" else 60, "r": 30, "t": 60, "b": 50},
        showlegend=is_line,
    )
    return figure


def _with_config(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "config": {**CONFIG, **(options.get("config") or {})}}


def _heights(shown: Field) -> Any:
    """Values as they are drawn: plotly has no logarithmic colors."""
    return np.log10(shown.values) if shown.log else shown.values


def _colors(shown: Field, colormap: str) -> dict[str, Any]:
    low, high = (np.log10([shown.low, shown.high])) if shown.log else (shown.low, shown.high)
    bar = {"title": {"text": escape(_label(shown))}, **({"tickformat": ".0%"} if is_share(shown.name) else {})}
    return {"colorscale": colormap, "cmin": float(low), "cmax": float(high), "colorbar": bar}


def _label(shown: Field) -> str:
    return f"log10 {quantity_name(shown.name)}" if shown.log else quantity_name(shown.name)


def _add_surface(figure: go.Figure, shown: Drawn) -> None:
    height, color = shown.height, shown.color
    z = _heights(height)
    low, high = (np.log10([height.low, height.high])) if height.log else (height.low, height.high)
    z = np.where(z > high, np.nan, z)
    lines = {"show": shown.look["show_contours"], "usecolormap": True, "project": {"z": True}}
    figure.add_trace(
        go.Surface(
            x=shown.alpha,
            y=shown.beta,
            z=z,
            surfacecolor=_heights(color),
            contours={"z": lines},
            name=escape(quantity_name(height.name)),
            **_colors(color, shown.look["colormap"]),
        )
    )
    dataset = shown.dataset
    if f"trajectory_{height.name}" in dataset and shown.look["show_path"]:
        real = dataset[f"trajectory_{height.name}"].values
        with np.errstate(divide="ignore", invalid="ignore"):
            real = np.log10(real) if height.log else real
        figure.add_trace(go.Scatter3d(z=real, **_path(dataset, 3)))
    azimuth, elevation = (
        shown.look["camera"].get(name, usual) for name, usual in (("azimuth", -1.02), ("elevation", 0.5))
    )
    distance = 2.1 / shown.look["camera"].get("zoom", 1.0)
    eye = distance * np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    names = axis_names(dataset)
    figure.update_layout(
        scene={
            "xaxis": {"title": {"text": names[0]}},
            "yaxis": {"title": {"text": names[1]}},
            "zaxis": {"title": {"text": escape(_label(height))}, "range": [low - 0.2 * (high - low), high]},
            "camera": {"eye": dict(zip("xyz", map(float, eye), strict=True))},
            "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        }
    )
    _add_menu(figure, shown, ("z", "surfacecolor"))


def _add_contour(figure: go.Figure, shown: Drawn) -> None:
    height, color = shown.height, shown.color
    chosen = heights(shown.look["levels"], height, "trajectory_alpha" in shown.dataset)
    spaced: dict[str, Any] = {"autocontour": True, "ncontours": 20}
    if chosen is not None and len(chosen) > 1:
        # Plotly knows levels in even steps only; the first ones say which.
        step = np.log10(chosen[1] / chosen[0]) if height.log else chosen[1] - chosen[0]
        ends = np.log10([chosen[0], chosen[-1]]) if height.log else (chosen[0], chosen[-1])
        lines = {"contours_start": ends[0], "contours_end": ends[1], "contours_size": step}
        spaced = {"autocontour": False, **lines}
    scale = _colors(color, shown.look["colormap"])
    figure.add_trace(
        go.Contour(
            x=shown.alpha,
            y=shown.beta,
            z=_heights(color),
            zmin=scale.pop("cmin"),
            zmax=scale.pop("cmax"),
            contours_showlabels=shown.look["show_contours"],
            line={"width": 0.8 if shown.look["show_contours"] else 0},
            name=escape(quantity_name(color.name)),
            **scale,
            **spaced,
        )
    )
    if "trajectory_alpha" in shown.dataset and shown.look["show_path"]:
        figure.add_trace(go.Scatter(**_path(shown.dataset, 2)))
    if shown.look["show_marks"]:
        named = {"center": (0.0, 0.0), **marks_of(shown.dataset.attrs)}
        x, y = zip(*named.values(), strict=True)
        points = {"x": x, "y": y, "text": [escape(name) for name in named], "hoverinfo": "text+x+y"}
        figure.add_trace(go.Scatter(mode="markers", marker={**MARK, "size": 9}, **points))
    names = axis_names(shown.dataset)
    figure.update_layout(xaxis={"title": {"text": names[0]}}, yaxis={"title": {"text": names[1]}})
    _add_menu(figure, shown, ("z",))


def _add_curves(figure: go.Figure, shown: Drawn, whole: xarray.Dataset) -> None:
    """Loss and accuracy along a line; of several seeds the median, and a band from the lowest to the highest."""
    along = "alpha" if len(shown.beta) == 1 else "beta"
    x = shown.alpha if along == "alpha" else shown.beta
    kind = kind_of(shown.height.name)
    for name in shown.quantities:
        share = is_share(name) and kind == "loss"
        if name.endswith("_stderr") or not (share or kind_of(name) == kind):
            continue
        line = {"color": COLORS[share], "dash": "dash" if name.startswith("test") else "solid"}
        rows = np.asarray(whole[name].transpose(..., "beta", "alpha").values, dtype=np.float64).reshape(-1, len(x))
        middle, low, high = band_of(np.where(np.isfinite(rows), rows, np.nan))
        on = "y2" if share else "y"
        label = escape(quantity_name(name))
        if len(rows) > 1:
            known = np.isfinite(low)
            edges = np.concatenate([low[known], high[known][::-1]])
            pale = {"fill": "toself", "fillcolor": line["color"], "opacity": 0.18, "line": {"width": 0}}
            around = {"x": np.concatenate([x[known], x[known][::-1]]), "y": edges, "yaxis": on, "mode": "lines"}
            figure.add_trace(go.Scatter(**around, **pale, name=f"{label}, all seeds", hoverinfo="skip"))
        marker = {"mode": "markers", "marker": {"color": line["color"]}} if len(x) == 1 else {"mode": "lines"}
        figure.add_trace(go.Scatter(x=x, y=middle, line=line, name=label, yaxis=on, **marker))
    scale = "log" if shown.height.log else "linear"
    # Beyond 0 and 100 %, so that these do not touch the numbers below and the frame.
    second = {"overlaying": "y", "side": "right", "range": [-0.04, 1.04], "tickformat": ".0%", "tickmode": "auto"}
    figure.update_layout(
        xaxis={"title": {"text": along}},
        yaxis={"title": {"text": escape(quantity_name(kind))}, "type": scale},
        yaxis2={"title": {"text": "Accuracy"}, "showgrid": False, **second},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
    )


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


def _add_menu(figure: go.Figure, shown: Drawn, fields: tuple[str, ...]) -> None:
    """A menu that draws another quantity."""
    buttons = []
    for name in sorted(shown.quantities, key=lambda name: name != shown.height.name):
        try:
            other = shown.height if name == shown.height.name else field(shown.dataset, name, shown.look)
        except ValueError:
            continue  # nothing finite in it
        scale = _colors(other, shown.look["colormap"])
        ends = (
            {"cmin": scale["cmin"], "cmax": scale["cmax"]}
            if len(fields) == 2
            else {"zmin": scale["cmin"], "zmax": scale["cmax"]}
        )
        change = {key: [_heights(other).tolist()] for key in fields}
        change.update({key: [value] for key, value in ends.items()}, **{"colorbar.title.text": [escape(_label(other))]})
        layout = (
            {"scene.zaxis.title.text": escape(_label(other)), "scene.zaxis.range": None} if len(fields) == 2 else {}
        )
        buttons.append({"label": escape(quantity_name(name)), "method": "update", "args": [change, layout, [0]]})
    if len(buttons) > 1:
        figure.update_layout(
            updatemenus=[{"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.14, "yanchor": "top"}]
        )
