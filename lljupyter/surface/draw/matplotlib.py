"""Figures for papers, by matplotlib: no state of pyplot is used or changed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import cm, colors, ticker
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lljupyter.surface.checks import check_attributes
from lljupyter.surface.dataset import by_seed, of_seed
from lljupyter.surface.draw.curves import draw_line, reach_of
from lljupyter.surface.draw.overlays import draw_marks, draw_path
from lljupyter.surface.draw.scaling import Drawn, Field, axis_names, drawn, heights, is_share, quantity_name
from lljupyter.surface.style import check_texts, checked_names, numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

SIZE = (5.4, 4.4)
N_LEVELS, N_BANDS, N_TICKS = 12, 24, 10
LABEL_ROOM = 0.2  # of the map, along one axis
PNG_DPI = 110
N_COLORS = 256
N_COLUMNS = 3


class LandscapeFigure(Figure):
    """A figure that shows itself in a notebook whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        return png(self)


def to_matplotlib(
    surfaces: xarray.Dataset | Sequence[xarray.Dataset],
    *,
    title: str = "",
    names: Sequence[str] | None = None,
    columns: int | None = None,
    filled: bool = True,
    size: tuple[float, float] | None = None,
    **look: Any,
) -> Figure:
    """Draws surfaces or lines as a figure for a paper.

    A surface is a contour map with labelled levels, or the surface itself with ``view="surface"``;
    ``quantity="convexity"`` is a map of colors. A line has the loss on the left axis and the accuracy on the right one,
    training solid and test dashed, and several seeds as a band. A trajectory is drawn with its share of the variation
    on the axes. Several surfaces, and those of several seeds, stand in rows, with one scale.

    Args:
        surfaces: What ``loss_surface``, ``loss_line``, ``interpolate``, ``convexity_map`` or ``load`` returned, or
            several of them.
        title: A line above.
        names: The headings of several; None for the names of the models.
        columns: How many stand in a row; None for up to three.
        filled: Whether contour maps are filled; else their lines are colored, as in the paper.
        size: (width, height) in inches.
        **look: How it is drawn, such as ``view``, ``scale``, ``quantity``, ``color``, ``colormap``, ``clip``,
            ``levels`` or ``camera``; see ``LandscapeWidget``.

    Returns:
        A matplotlib Figure; ``figure.savefig("figure.pdf")`` writes vectors, ``.svg`` and ``.png`` as well.

    Raises:
        TypeError: If one is no Dataset, or an option is unknown.
        ValueError: If one has nothing to draw, or an option is out of range.

    Example:
        >>> to_matplotlib(surface, levels="paper", filled=False).savefig("figure.pdf")  # doctest: +SKIP

    Source:
        Li et al. 2018, figures 2 to 9.
    """
    given: list[Any] = list(surfaces) if isinstance(surfaces, (list, tuple)) else [surfaces]
    several = [part for surface in given for part in by_seed(surface)]
    if not several:
        raise ValueError("expected at least one surface, got none; pass what loss_surface(model, loader) returned")
    headings = checked_names(names, len(several), "a surface")
    if headings is None:
        headings = [seed or str(getattr(surface, "attrs", {}).get("model", "")) for surface, seed in several]
        headings = headings if len(several) > 1 else [several[0][1]]
    looks = [(surface, look) for surface, _ in several]
    return draw(looks, headings, title=title, columns=columns, filled=filled, size=size)


def draw(
    shown: Sequence[tuple[xarray.Dataset, dict[str, Any]]],
    names: Sequence[str],
    *,
    title: str = "",
    columns: int | None = None,
    filled: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draws surfaces, each with a look of its own, in rows; see ``to_matplotlib``."""
    if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
        raise ValueError(f"expected columns as a whole number of at least 1 or None, got {columns!r}; try columns=2")
    check_texts(title=title)
    if not isinstance(filled, bool):
        raise TypeError(f"expected filled as True or False, got {filled!r}; try filled=True")
    lengths = None if size is None else numbers(size)
    if size is not None and (lengths is None or len(lengths) != 2 or min(lengths) <= 0):
        raise ValueError(f"expected size as (width, height) in inches, got {size!r}; try size=(5, 4)")
    n_columns = min(len(shown), columns or N_COLUMNS)
    n_rows = -(-len(shown) // n_columns)
    width, height = size or [length * (0.2 + 0.8 * n) for length, n in zip(SIZE, (n_columns, n_rows), strict=True)]
    figure = LandscapeFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if heading := title or (names[0] if len(shown) == 1 else ""):
        figure.suptitle(heading, fontsize=11 if title else 10, parse_math=False)
    if len(shown) == 1 and not (title and names[0]):
        _draw_one(figure, *shown[0], filled)
        return figure
    parts: Any = figure.subfigures(n_rows, n_columns, squeeze=False).flat
    for part, (surface, look), name in zip(parts, _alike(shown), names, strict=False):
        part.suptitle(name, fontsize=10, parse_math=False)
        _draw_one(part, surface, look, filled)
    return figure


def _is_plane(surface: Any) -> bool:
    return {"alpha", "beta"} <= set(getattr(surface, "dims", ())) and 1 not in (
        surface.sizes["alpha"],
        surface.sizes["beta"],
    )


def _alike(shown: Sequence[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
    """Gives several surfaces, or several lines, one scale, unless they have one."""
    planes = [_is_plane(surface) for surface, _ in shown]
    if any(look.get("limits") is not None for _, look in shown) or len(set(planes)) > 1:
        return list(shown)
    if planes[0]:
        fields = [drawn(of_seed(surface), look).height for surface, look in shown]
        reaches = [(field.low, field.high) for field in fields]
    else:
        reaches = [reach for surface, look in shown if (reach := reach_of(_line(surface), look)) is not None]
    if not reaches:
        return list(shown)
    lows, highs = zip(*reaches, strict=True)
    return [(surface, {**look, "limits": (min(lows), max(highs))}) for surface, look in shown]


def _line(surface: Any) -> Any:
    """A surface of one row or column as a line, with all of its seeds; a line as it is."""
    if not {"alpha", "beta"} <= set(getattr(surface, "dims", ())):
        return surface
    flat = [axis for axis in ("alpha", "beta") if surface.sizes[axis] == 1]
    return surface.isel({flat[-1]: 0}, drop=True)


def _draw_one(figure: Figure | SubFigure, surface: Any, look: dict[str, Any], filled: bool) -> None:
    if len(getattr(surface, "data_vars", ())) and not {"alpha", "beta"} <= set(surface.dims):
        check_attributes(surface.attrs)
        draw_line(figure, surface, look)
        return
    shown = drawn(of_seed(surface), look)
    if not _is_plane(surface):
        draw_line(figure, _line(surface), look)
    elif shown.look["view"] == "surface":
        _draw_surface(figure, shown)
    else:
        _draw_map(figure, shown, filled)


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    from PIL import Image

    file, small = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=PNG_DPI)
    # With a palette it is a third as large, and every saved notebook has some. The other ways to find one drop the
    # colors of small parts, such as the ends of the scale; these are off by a few of 255.
    best: dict[str, Any] = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 1, "dither": Image.Dither.NONE}
    Image.open(file).convert("RGB").quantize(N_COLORS, **best).save(small, "PNG", optimize=True)
    return small.getvalue()


def _norm(shown: Field) -> colors.Normalize:
    return colors.LogNorm(shown.low, shown.high) if shown.log else colors.Normalize(shown.low, shown.high)


def _levels(shown: Drawn) -> np.ndarray[Any, Any]:
    """Heights of the lines: those asked for, or round ones over the range."""
    height = shown.height
    chosen = heights(shown.look["levels"], height, "trajectory_alpha" in shown.dataset)
    if chosen is not None:
        return np.asarray(chosen)
    locator = ticker.LogLocator(subs=(1, 2, 5)) if height.log else ticker.MaxNLocator(N_LEVELS)
    ticks = np.asarray(locator.tick_values(height.low, height.high))
    return ticks[(ticks > height.low) & (ticks < height.high)]


def _draw_map(figure: Figure | SubFigure, shown: Drawn, filled: bool) -> None:
    """A contour map; the lines follow the height, the colors another quantity where one is asked for."""
    axes: Any = figure.add_subplot()
    height, color, colormap = shown.height, shown.color, shown.look["colormap"]
    x, y = shown.alpha, shown.beta
    levels, norm = _levels(shown), _norm(color)
    plain = height.name == "convexity"  # as in the paper's figure 7: it has too much detail for lines
    if plain:
        _color_bar(figure, axes.pcolormesh(x, y, color.values, norm=norm, cmap=colormap), axes, color)
    elif filled:
        bands = np.unique([color.low, *(levels if color is height else ()), color.high])
        ticks = bands[1:-1][:: -(-len(bands) // N_TICKS)]
        if len(bands) < 4:
            bands = (np.geomspace if color.log else np.linspace)(color.low, color.high, N_BANDS)
            locator = ticker.LogLocator(subs=(1, 2, 5)) if color.log else ticker.MaxNLocator(N_TICKS)
            ticks = np.asarray(locator.tick_values(color.low, color.high))
            ticks = ticks[(ticks >= color.low) & (ticks <= color.high)]
        # Its own lower end is part of the lowest band.
        extend = {"extend": "max"} if color.is_cut else {}
        mesh = axes.contourf(x, y, np.maximum(color.values, bands[0]), levels=bands, norm=norm, cmap=colormap, **extend)
        _color_bar(figure, mesh, axes, color).set_ticks(list(ticks))
        axes.set_facecolor("0.85")  # holes
    if shown.look["show_contours"] and len(levels) and not plain:
        style: dict[str, Any] = {"colors": "white", "linewidths": 0.6} if filled else {"cmap": colormap, "norm": norm}
        lines = axes.contour(x, y, height.values, levels=levels, **{"linewidths": 1.0, **style})
        wide = LABEL_ROOM * (x[-1] - x[0]), LABEL_ROOM * (y[-1] - y[0])
        named = [level for level, parts in zip(lines.levels, lines.allsegs, strict=True) if _reaches(parts, wide)]
        axes.clabel(lines, named, fontsize=7, fmt=lambda level: _number(level, height.name))
    if shown.look["show_points"]:
        grid = np.meshgrid(x, y)
        known = shown.dataset["evaluated"].values != 0 if "evaluated" in shown.dataset else np.isfinite(grid[0])
        axes.plot(grid[0][known], grid[1][known], ".", color="black", markersize=1.5)
    draw_path(axes, shown)
    draw_marks(axes, shown, lowest=not plain)
    axes.set_xlim(shown.alpha[0], shown.alpha[-1])
    axes.set_ylim(shown.beta[0], shown.beta[-1])
    axes.tick_params(labelsize=8)
    width = figure.bbox.width / figure.get_figure(root=True).dpi
    if width < SIZE[0] - 0.2:  # a panel among others: their numbers would touch
        axes.xaxis.set_major_locator(ticker.MaxNLocator(max(int(width), 2)))
    for set_label, name in zip((axes.set_xlabel, axes.set_ylabel), axis_names(shown.dataset), strict=True):
        set_label(name, fontsize=9)


def _reaches(parts: Sequence[NDArray[np.float64]], wide: tuple[float, float]) -> bool:
    """Says whether a contour line is large enough for a number: those of small ones would lie over each other."""
    return any(bool((np.ptp(part, axis=0) >= wide).any()) for part in parts if len(part))


def _draw_surface(figure: Figure | SubFigure, shown: Drawn) -> None:
    """The surface in three dimensions, with its contour lines on the floor."""
    # The path lies over the surface, and that over its floor, however many parts there are to be sorted by depth.
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    height, color = shown.height, shown.color
    z = np.log10(height.values) if height.log else height.values
    low, high = (np.log10([height.low, height.high])) if height.log else (height.low, height.high)
    z = np.where(z > high, np.nan, z)
    x, y = np.meshgrid(shown.alpha, shown.beta)
    norm = _norm(color)
    colormap = cm.ScalarMappable(norm=norm, cmap=shown.look["colormap"])
    faces = colormap.to_rgba(color.values)
    faces[~np.isfinite(z)] = 0
    axes.plot_surface(x, y, z, facecolors=faces, rstride=1, cstride=1, linewidth=0, antialiased=False, zorder=2)
    floor = low - 0.25 * (high - low)
    levels = _levels(shown)
    if shown.look["show_contours"] and len(levels):
        lines = np.log10(levels) if height.log else levels
        lines = lines[(lines > low) & (lines < high)]
        if len(lines):
            axes.contour(
                x, y, z, levels=lines, zdir="z", offset=floor, cmap=shown.look["colormap"], linewidths=0.8, zorder=1
            )
    draw_path(axes, shown, spatial=True)
    camera = {"azimuth": -1.02, "elevation": 0.5, "zoom": 1.0, **shown.look["camera"]}
    axes.view_init(elev=np.degrees(camera["elevation"]), azim=np.degrees(camera["azimuth"]))
    axes.set_box_aspect((1, 1, 0.7), zoom=0.9 * camera["zoom"])
    axes.set_zlim(floor, high)
    axes.set_xlim(shown.alpha[0], shown.alpha[-1])
    axes.set_ylim(shown.beta[0], shown.beta[-1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(5, prune="both"))  # those of two axes meet in a corner
    ticks = ticker.MaxNLocator(5, integer=height.log and high - low > 2).tick_values(low, high)
    axes.set_zticks([tick for tick in ticks if low <= tick <= high])  # none on the way down to the floor
    axes.zaxis.set_major_formatter(lambda z, _: _number(10**z if height.log else z, height.name))
    axes.tick_params(labelsize=8, pad=1)
    names = (*axis_names(shown.dataset), quantity_name(height.name))
    for set_label, name in zip((axes.set_xlabel, axes.set_ylabel, axes.set_zlabel), names, strict=True):
        set_label(name, fontsize=9, parse_math=False)
    _color_bar(figure, colormap, axes, color, shrink=0.65, pad=0.12)


def _color_bar(figure: Figure | SubFigure, mappable: Any, axes: Any, shown: Field, **options: Any) -> Colorbar:
    bar = figure.colorbar(mappable, ax=axes, extend="max" if shown.is_cut else "neither", **options)
    bar.ax.yaxis.set_major_formatter(lambda value, _: _number(value, shown.name))
    bar.ax.yaxis.set_minor_locator(ticker.NullLocator())
    bar.set_label(quantity_name(shown.name), fontsize=9, parse_math=False)
    bar.ax.tick_params(labelsize=8)
    return bar


def _number(value: float, quantity: str) -> str:
    if is_share(quantity):
        return f"{100 * value:.3g} %"
    if 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"  # as in the viewer; the shortest form would have 1e+03 beside 200
    return f"{value:.3g}"
