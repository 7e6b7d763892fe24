"""Figures for papers, by matplotlib. No state of pyplot is used or changed."""

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
from lljupyter.surface.draw.charts import make_chart
from lljupyter.surface.draw.colormaps import matplotlib_colormap
from lljupyter.surface.draw.curves import draw_line
from lljupyter.surface.draw.overlays import draw_marks, draw_path
from lljupyter.surface.draw.paths import Range
from lljupyter.surface.draw.scaling import Field, Scene, axis_names, common_ranges, make_scene, within
from lljupyter.surface.draw.ticks import level_labels, value_ticks
from lljupyter.surface.layer_names import is_percent, quantity_name
from lljupyter.surface.notices import caption, notices_of
from lljupyter.surface.style import CAMERA, check_texts, checked_names, numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import SubFigure
    from numpy.typing import ArrayLike, NDArray

SIZE = (5.4, 4.4)
N_BANDS, N_TICKS = 24, 6
LABEL_ROOM = 0.2  # of the map, along one axis
FLOOR = 0.25  # of the height, below the surface
PNG_DPI = 110
N_COLORS = 256
N_COLUMNS = 3
LETTERS = 18  # of a caption, per inch


class LandscapeFigure(Figure):
    """A figure that shows itself in a notebook, even if pyplot was not imported."""

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
    **style: Any,
) -> Figure:
    """Draw surfaces or lines as a figure for a paper.

    A surface is a contour map with labeled levels, or the surface itself with ``view="surface"``;
    ``quantity="convexity"`` is a map of colors. A line has the loss on the left axis and the accuracy on the right
    axis, training data solid and test data dashed; several seeds are drawn as their median and quartiles. A trajectory
    is drawn with its share of the variation on the axes. Several surfaces, and those of several seeds, stand in rows
    and share their scales.

    Args:
        surfaces: What ``loss_surface``, ``loss_line``, ``interpolate``, ``convexity_map`` or ``load`` returned, or
            several of them.
        title: A line above the figure.
        names: The headings of several surfaces; None for the names of the models.
        columns: The number of surfaces in a row; None for up to three.
        filled: Whether contour maps are filled; else their lines are colored, as in the paper.
        size: (width, height) in inches.
        **style: Options of the style, such as ``view``, ``scale``, ``quantity``, ``color``, ``colormap``, ``clip``,
            ``levels`` or ``camera``; see ``LandscapeWidget``.

    Returns:
        A matplotlib Figure; ``figure.savefig("figure.pdf")`` writes vectors, ``.svg`` and ``.png`` as well.

    Raises:
        TypeError: If one is not a Dataset, or an option is unknown.
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
    styled = [(surface, style) for surface, _ in several]
    return draw(styled, headings, title=title, columns=columns, filled=filled, size=size)


def draw(
    shown: Sequence[tuple[xarray.Dataset, dict[str, Any]]],
    names: Sequence[str],
    *,
    title: str = "",
    columns: int | None = None,
    filled: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Draw surfaces, each with its own style, in rows; see ``to_matplotlib``."""
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
        _draw_one(figure, *shown[0], filled, {})
        return figure
    parts: Any = figure.subfigures(n_rows, n_columns, squeeze=False).flat
    common = _common(shown)
    for part, (surface, style), name in zip(parts, shown, names, strict=False):
        part.suptitle(name, fontsize=10, parse_math=False)
        _draw_one(part, surface, style, filled, common)
    return figure


def _is_plane(surface: Any) -> bool:
    return {"alpha", "beta"} <= set(getattr(surface, "dims", ())) and 1 not in (
        surface.sizes["alpha"],
        surface.sizes["beta"],
    )


def _common(shown: Sequence[tuple[Any, dict[str, Any]]]) -> dict[str, Range]:
    """Return the ranges that several surfaces or lines share, as compared landscapes do in the viewer."""
    fields: list[Field] = []
    for surface, style in shown:
        if _is_plane(surface):
            scene = make_scene(of_seed(surface), style)
            fields += [scene.height, scene.color]
        else:
            chart = make_chart(surface, style)
            fields += [field for field in (chart.left, chart.right) if field is not None]
    return common_ranges(fields)


def _draw_one(
    figure: Figure | SubFigure, surface: Any, style: dict[str, Any], filled: bool, common: dict[str, Range]
) -> None:
    if not _is_plane(surface):
        check_attributes(getattr(surface, "attrs", {}))
        draw_line(figure, surface, style, common)
        _draw_notices(figure, notices_of(surface))
        return
    scene = make_scene(of_seed(surface), style, common)
    _draw_notices(figure, notices_of(scene.dataset))
    if scene.style["view"] == "surface":
        _draw_surface(figure, scene)
    else:
        _draw_map(figure, scene, filled)


def _draw_notices(figure: Figure | SubFigure, notices: Sequence[str]) -> None:
    """Write what the person is warned of below the axes, which leave room for it."""
    width = figure.bbox.width / figure.get_figure(root=True).dpi
    if rows := caption(notices, int(LETTERS * width)):
        style: dict[str, Any] = {"fontsize": 7, "color": "0.35", "parse_math": False, "linespacing": 1.15}
        figure.supxlabel("\n".join(rows), x=0.02, ha="left", ma="left", **style)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    from PIL import Image

    file, small = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=PNG_DPI)
    # A palette makes the file three times smaller, and saved notebooks contain several. Other methods to find a palette
    # drop the colors of small parts, such as the ends of the scale; here they are off by a few of 255.
    best: dict[str, Any] = {"method": Image.Quantize.MAXCOVERAGE, "kmeans": 1, "dither": Image.Dither.NONE}
    Image.open(file).convert("RGB").quantize(N_COLORS, **best).save(small, "PNG", optimize=True)
    return small.getvalue()


def _norm(scale: Field) -> colors.Normalize:
    return colors.LogNorm(scale.low, scale.high) if scale.log else colors.Normalize(scale.low, scale.high)


def _original(at: ArrayLike, log: bool) -> NDArray[np.float64]:
    """Return positions on a scale in original units."""
    values = np.asarray(at, dtype=np.float64)
    return 10**values if log else values


def _draw_map(figure: Figure | SubFigure, scene: Scene, filled: bool) -> None:
    """Draw a contour map: lines of the height over the colors of the height or of another quantity."""
    axes: Any = figure.add_subplot()
    height, color = scene.height, scene.color
    colormap, norm = matplotlib_colormap(scene.style["colormap"]), _norm(color)
    x, y = scene.alpha, scene.beta
    levels = _original(scene.levels, height.log)
    plain = height.name == "convexity"  # as in the paper's figure 7: it has too much detail for lines
    if plain:
        _color_bar(figure, axes.pcolormesh(x, y, color.values, norm=norm, cmap=colormap), axes, color)
    elif filled:
        bands = np.unique([color.low, *(levels if color is height else ()), color.high])
        if len(bands) < 4:
            bands = _original(np.linspace(color.lo, color.hi, N_BANDS), color.log)
        # The ends of the scale belong to the lowest and the highest band.
        inside = np.clip(color.values, bands[0], None if color.is_cut else bands[-1])
        extend = {"extend": "max"} if color.is_cut else {}
        mesh = axes.contourf(x, y, inside, levels=bands, norm=norm, cmap=colormap, **extend)
        _color_bar(figure, mesh, axes, color)
        axes.set_facecolor("0.85")  # holes
    if scene.style["show_contours"] and len(levels) and not plain:
        style: dict[str, Any] = {"colors": "white", "linewidths": 0.6} if filled else {"cmap": colormap, "norm": norm}
        lines = axes.contour(x, y, height.values, levels=levels, **{"linewidths": 1.0, **style})
        wide = LABEL_ROOM * (x[-1] - x[0]), LABEL_ROOM * (y[-1] - y[0])
        named = [level for level, parts in zip(lines.levels, lines.allsegs, strict=True) if _reaches(parts, wide)]
        labels = level_labels(scene.levels, height.log, is_percent(height.name))
        axes.clabel(lines, named, fontsize=7, fmt=dict(zip(lines.levels, labels, strict=True)))
    if scene.style["show_points"]:
        grid = np.meshgrid(x, y)
        known = scene.dataset["evaluated"].values != 0 if "evaluated" in scene.dataset else np.isfinite(grid[0])
        axes.plot(grid[0][known], grid[1][known], ".", color="black", markersize=1.5)
    draw_path(axes, scene)
    draw_marks(axes, scene, lowest=not plain)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.tick_params(labelsize=8)
    width = figure.bbox.width / figure.get_figure(root=True).dpi
    if width < SIZE[0] - 0.2:  # a panel among others: their numbers would touch
        axes.xaxis.set_major_locator(ticker.MaxNLocator(max(int(width), 2)))
    for set_label, name in zip((axes.set_xlabel, axes.set_ylabel), axis_names(scene.dataset), strict=True):
        set_label(name, fontsize=9)


def _reaches(parts: Sequence[NDArray[np.float64]], wide: tuple[float, float]) -> bool:
    """Return True if a contour line is large enough for a label: those of small lines would overlap."""
    return any(bool((np.ptp(part, axis=0) >= wide).any()) for part in parts if len(part))


def _draw_surface(figure: Figure | SubFigure, scene: Scene) -> None:
    """Draw the surface in three dimensions, with its contour lines on the floor."""
    # The path lies over the surface, and that over its floor, however many parts there are to be sorted by depth.
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    height, color = scene.height, scene.color
    lo, hi = height.lo, height.hi
    z = within(height)
    x, y = np.meshgrid(scene.alpha, scene.beta)
    colors_of = cm.ScalarMappable(norm=_norm(color), cmap=matplotlib_colormap(scene.style["colormap"]))
    faces = colors_of.to_rgba(color.values)
    faces[~np.isfinite(z)] = 0
    axes.plot_surface(x, y, z, facecolors=faces, rstride=1, cstride=1, linewidth=0, antialiased=False, zorder=2)
    floor = lo - FLOOR * (hi - lo)
    if scene.style["show_contours"] and scene.levels:
        lines = {"levels": scene.levels, "zdir": "z", "offset": floor, "cmap": colors_of.cmap}
        axes.contour(x, y, z, **lines, linewidths=0.8, zorder=1)
    draw_path(axes, scene, spatial=True)
    camera = {**CAMERA, **scene.style["camera"]}
    axes.view_init(elev=np.degrees(camera["elevation"]), azim=np.degrees(camera["azimuth"]))
    axes.set_box_aspect((1, 1, 0.7), zoom=0.9 * camera["zoom"])
    axes.set_zlim(floor, hi)
    axes.set_xlim(scene.alpha[0], scene.alpha[-1])
    axes.set_ylim(scene.beta[0], scene.beta[-1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(5, prune="both"))  # those of two axes meet in a corner
    ticks = value_ticks(lo, hi, height.log, N_TICKS - 1, is_percent(height.name))
    axes.set_zticks([tick.at for tick in ticks], labels=[tick.label for tick in ticks])
    axes.tick_params(labelsize=8, pad=1)
    names = (*axis_names(scene.dataset), quantity_name(height.name))
    for set_label, name in zip((axes.set_xlabel, axes.set_ylabel, axes.set_zlabel), names, strict=True):
        set_label(name, fontsize=9, parse_math=False)
    _color_bar(figure, colors_of, axes, color, shrink=0.65, pad=0.12)


def _color_bar(figure: Figure | SubFigure, mappable: Any, axes: Any, scale: Field, **options: Any) -> None:
    bar = figure.colorbar(mappable, ax=axes, extend="max" if scale.is_cut else "neither", **options)
    ticks = value_ticks(scale.lo, scale.hi, scale.log, N_TICKS, is_percent(scale.name))
    bar.set_ticks(_original([tick.at for tick in ticks], scale.log).tolist(), labels=[tick.label for tick in ticks])
    bar.ax.yaxis.set_minor_locator(ticker.NullLocator())
    bar.set_label(quantity_name(scale.name), fontsize=9, parse_math=False)
    bar.ax.tick_params(labelsize=8)
