"""The curves of a line and their scales, as in the viewer (``js/src/model/seeds.ts`` and ``js/src/plot/line.ts``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from lljupyter.surface.captions import seeds_text
from lljupyter.surface.dataset import STATES, with_both_axes
from lljupyter.surface.draw.paths import Floats, Range
from lljupyter.surface.draw.scaling import Field, color_is_log, color_limits, layer, make_field
from lljupyter.surface.layer_names import is_percent, parse_layer_name, second_quantity, siblings
from lljupyter.surface.style import DEFAULTS, check_choices, check_names

if TYPE_CHECKING:
    import xarray

# Blue and orange of Okabe and Ito (2008), distinct for color-blind people.
COLORS = {"left": "#0066a3", "right": "#b34700"}
DASHES = ("solid", "dashed", "dotted")
QUARTILES = (0.25, 0.75)
MOST_SEEDS = 12  # of which every curve is drawn
MARGIN = 0.06  # of the frame, between the ends of the scale and its edge


class Band(NamedTuple):
    """Several curves at every place: their median and their quartiles, NaN where no curve has a value."""

    median: Floats
    low: Floats
    high: Floats


class Curve(NamedTuple):
    """A curve of a line, in original units.

    Attributes:
        name: The quantity.
        side: The axis it belongs to.
        dash: "solid", "dashed" or "dotted", by the order of the loaders.
        y: Shape (n,), NaN is a gap; of several seeds their median.
        band: Lower and upper end, shape (n,): the quartiles of several seeds, or the standard error; or None.
        seeds: Shape (n_seeds, n), the curve of every seed; empty for a single one, and for many.
    """

    name: str
    side: Literal["left", "right"]
    dash: str
    y: Floats
    band: tuple[Floats, Floats] | None
    seeds: Floats


class Chart(NamedTuple):
    """The curves of a line and their axes.

    Attributes:
        along: "alpha" or "beta".
        x: Shape (n,).
        left: The scale of the left axis.
        right: The scale of the right axis, or None.
        curves: In the order of the legend.
        n_seeds: The number of seeds.
    """

    along: str
    x: Floats
    left: Field
    right: Field | None
    curves: list[Curve]
    n_seeds: int

    @property
    def remark(self) -> str:
        """What the curves are, if there are several seeds."""
        return seeds_text(self.n_seeds) if self.n_seeds > 1 else ""


def make_chart(line: xarray.Dataset, style: Mapping[str, Any], common: Mapping[str, Range] | None = None) -> Chart:
    """Find the curves and scales of a line.

    Args:
        line: On the dimension alpha or beta, or on both with a single row or column, and perhaps on seed.
        style: Some of the options of the style.
        common: Ranges that several lines share, in scaled units, by ``Field.key``.

    Raises:
        TypeError: If an option is unknown.
        ValueError: If there is nothing to draw.
    """
    check_names(style)
    check_choices(style)
    dataset, along, names = _layers(line)
    options = {**DEFAULTS, **style}
    quantity = style.get("quantity") or ("loss" if "loss" in names else names[0])
    if quantity not in names:
        raise ValueError(f"expected quantity as one of {names}, got {quantity!r}; try {names[0]!r}")
    color = options["color"] if options["color"] in names else None
    log = options["scale"] == "log"
    rows = {name: _rows(dataset, name) for name in names}
    n_seeds = len(rows[quantity])
    left = make_field(
        quantity,
        _median(rows[quantity]),
        log,
        limits=options["limits"],
        clip=options["clip"],
        reach=reach_of_curves(rows, quantity),
        common=common,
    )
    second = second_quantity(names, quantity, color)
    right = None
    if second is not None and np.isfinite(rows[second]).any():
        chosen = second == color
        right = make_field(
            second,
            _median(rows[second]),
            color_is_log(second, log) if chosen else log and not is_percent(second),
            limits=color_limits(options) if chosen else None,
            reach=None if chosen else reach_of_curves(rows, second),
            common=common,
        )
    curves = _curves(rows, quantity, "left") + ([] if right is None else _curves(rows, right.name, "right"))
    return Chart(along, np.asarray(dataset[along].values, dtype=np.float64), left, right, curves, n_seeds)


def band_of_seeds(rows: Floats) -> Band:
    """Return the median and the quartiles of several curves at every place, over their finite values.

    Args:
        rows: Shape (n_curves, n).
    """
    rows = np.where(np.isfinite(rows), rows, np.nan)
    known = ~np.isnan(rows).all(axis=0)
    low, median, high = np.full((3, rows.shape[1]), np.nan)
    if known.any():
        low[known], median[known], high[known] = np.nanquantile(
            rows[:, known], (QUARTILES[0], 0.5, QUARTILES[1]), axis=0
        )
    return Band(median, low, high)


def reach_of_curves(rows: Mapping[str, Floats], quantity: str) -> Range | None:
    """Return the range of all curves drawn together with a quantity; None if it is drawn alone.

    Args:
        rows: The values of every layer, shape (n_seeds, n).
        quantity: One of the layers.
    """
    names = siblings(rows, quantity)
    if len(names) == 1 and len(rows[quantity]) == 1:
        return None
    values = np.concatenate([rows[name].ravel() for name in names])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else None


def _layers(line: Any) -> tuple[Any, str, list[str]]:
    """Return the line on both dimensions, the one it runs along, and the names of its layers."""
    if not hasattr(line, "data_vars"):
        raise TypeError(
            f"expected an xarray.Dataset, got {type(line).__name__}; loss_surface(model, loader) returns one"
        )
    along = [axis for axis in ("alpha", "beta") if axis in line.dims and line.sizes[axis] != 1]
    along = along or [axis for axis in ("alpha", "beta") if axis in line.dims][:1]
    given = set(line.dims) & {"alpha", "beta"}
    names = [str(name) for name, values in line.data_vars.items() if set(values.dims) - {"seed"} == given]
    names = [name for name in names if name not in STATES and not name.endswith("_predicted")]
    if len(along) != 1 or not [name for name in names if not parse_layer_name(name).is_error]:
        raise ValueError(
            f"expected a surface or a line with something to draw, got {list(line.data_vars)} on {dict(line.sizes)}; "
            "loss_surface and loss_line return one"
        )
    return with_both_axes(line), along[0], names


def _rows(dataset: Any, name: str) -> Floats:
    """Return a layer of every seed, shape (n_seeds, n)."""
    parts = [dataset.isel(seed=i) for i in range(dataset.sizes["seed"])] if "seed" in dataset.dims else [dataset]
    return np.stack([layer(part, name).ravel() for part in parts])


def _median(rows: Floats) -> Floats:
    """Return the curve that the scale is found for, shape (1, n)."""
    return (band_of_seeds(rows).median if len(rows) > 1 else rows[0])[None]


def _curves(rows: Mapping[str, Floats], quantity: str, side: Literal["left", "right"]) -> list[Curve]:
    """Return the curves of one axis, one per loader: median and quartiles of several seeds, else the standard error."""
    curves = []
    for i, name in enumerate(siblings(rows, quantity)):
        values, dash = rows[name], DASHES[min(i, 2)]
        if len(values) > 1:
            median, low, high = band_of_seeds(values)
            every = values if len(values) <= MOST_SEEDS else values[:0]
            curves.append(Curve(name, side, dash, median, (low, high), every))
            continue
        error = np.nan_to_num(rows[f"{name}_stderr"][0]) if f"{name}_stderr" in rows else np.zeros(1)
        band = (values[0] - error, values[0] + error) if (error > 0).any() else None
        curves.append(Curve(name, side, dash, values[0], band, values[:0]))
    return curves


def axis_limits(scale: Field) -> Range:
    """Return the ends of a value axis in original units, with a margin that keeps the extremes off the frame."""
    room = MARGIN / (1 - 2 * MARGIN) * (scale.hi - scale.lo)
    low, high = scale.lo - room, scale.hi + room
    return (10**low, 10**high) if scale.log else (low, high)


def axis_quantity(chart: Chart, side: str) -> str:
    """Return the quantity that names an axis: without its loader if there are several."""
    scale = chart.left if side == "left" or chart.right is None else chart.right
    several = len([curve for curve in chart.curves if curve.side == side]) > 1
    return parse_layer_name(scale.name).base if several else scale.name
