"""The scale that a quantity is drawn on, as in the viewer (``js/src/model/channel.ts`` and ``field.ts``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lljupyter.geometry.grid import fill
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.draw.paths import Floats, Range, reach_of
from lljupyter.surface.draw.ticks import contour_levels
from lljupyter.surface.layer_names import is_hessian_layer, is_percent
from lljupyter.surface.style import CONVEXITY_LIMITS, DEFAULTS, check_names, checked_option

if TYPE_CHECKING:
    import xarray

# If the top tenth is more than this many times as high as all the rest, a linear scale ends at that quantile.
CUT_RATIO, CUT_SHARE, CUT_LEAST = 6.0, 0.9, 20
# Values differing by less than this share of their magnitude are equal: the viewer has float32.
FLAT = 1e-6


class Field(NamedTuple):
    """A quantity on its grid, with its scale.

    Attributes:
        name: The quantity.
        values: Shape (n_beta, n_alpha), in original units; NaN where there is nothing to draw. Points that are not
            evaluated are interpolated.
        lo: Lower end of the scale, in scaled units (log10 on a logarithmic scale).
        hi: Upper end of the scale, in scaled units.
        own: The ends that the values ask for; those of the scale unless others were given.
        log: Whether the scale is logarithmic.
        is_cut: Whether there are values above the scale.
        is_flat: Whether all values are equal.
    """

    name: str
    values: Floats
    lo: float
    hi: float
    own: Range
    log: bool
    is_cut: bool
    is_flat: bool

    @property
    def low(self) -> float:
        """Lower end of the scale in original units."""
        return float(10**self.lo) if self.log else self.lo

    @property
    def high(self) -> float:
        """Upper end of the scale in original units."""
        return float(10**self.hi) if self.log else self.hi

    @property
    def scaled(self) -> Floats:
        """The values in scaled units."""
        return scale_values(self.values, self.log)

    @property
    def key(self) -> str:
        """Pictures share a range if their keys are equal."""
        return f"{self.name} {'log' if self.log else 'linear'}"


class Scene(NamedTuple):
    """What a figure draws.

    Attributes:
        dataset: On the dimensions (beta, alpha).
        quantities: The names of what can be drawn.
        style: Every option of the style.
        height: The quantity that is the height, or whose lines are drawn.
        color: The quantity that colors the picture.
    """

    dataset: xarray.Dataset
    quantities: list[str]
    style: dict[str, Any]
    height: Field
    color: Field

    @property
    def alpha(self) -> Floats:
        """Shape (n_alpha,)."""
        return np.asarray(self.dataset["alpha"].values, dtype=np.float64)

    @property
    def beta(self) -> Floats:
        """Shape (n_beta,)."""
        return np.asarray(self.dataset["beta"].values, dtype=np.float64)

    @property
    def levels(self) -> list[float]:
        """The contour levels in scaled units."""
        height, path = self.height, "trajectory_alpha" in self.dataset
        return [] if height.is_flat else contour_levels(height.lo, height.hi, height.log, self.style["levels"], path)


def make_scene(
    surface: xarray.Dataset, style: Mapping[str, Any], common: Mapping[str, Range] | None = None, view: str = "contour"
) -> Scene:
    """Check a surface or a line and the options of its style, and scale it.

    Args:
        surface: Of a single seed.
        style: Some of the options of the style.
        common: Ranges that several pictures share, in scaled units, by ``Field.key``.
        view: The view unless the style names one.

    Raises:
        TypeError: If it is not a Dataset, or an option is unknown.
        ValueError: If it has nothing to draw, several seeds, or an option is out of range.
    """
    check_names(style)
    dataset, quantities = on_grid(surface)
    options = {**DEFAULTS, "view": view, "quantity": quantities[0], **style}
    options = {name: checked_option(name, value, quantities) for name, value in options.items()}
    common = common or {}
    height, color = options["quantity"], options["color"]
    log = options["scale"] == "log"
    drawn = make_field(
        height,
        layer(dataset, height),
        log,
        limits=options["limits"],
        clip=options["clip"],
        reach=reach_of(dataset, height),
        common=common,
    )
    if color in (None, height):
        return Scene(dataset, quantities, options, drawn, drawn)
    colored = make_field(
        color, layer(dataset, color), color_is_log(color, log), limits=color_limits(options), common=common
    )
    return Scene(dataset, quantities, options, drawn, colored)


def make_field(
    name: str,
    values: Floats,
    log: bool,
    *,
    limits: Range | None = None,
    clip: float | None = None,
    reach: Range | None = None,
    common: Mapping[str, Range] | None = None,
) -> Field:
    """Find the scale of a quantity.

    Args:
        name: The quantity.
        values: Shape (n_beta, n_alpha), in original units. Not changed.
        log: Whether the scale is logarithmic.
        limits: Ends of the scale in original units, or None.
        clip: Upper bound of the scale in original units, or None.
        reach: Range of values drawn beside the grid, in original units, or None. The scale includes it, unless that
            would flatten all else.
        common: Ranges that several pictures share, in scaled units, by ``Field.key``; used if there are no limits.

    Raises:
        ValueError: If there is no finite value, or no positive one on a logarithmic scale.
    """
    z = scale_values(values, log)
    known = np.sort(z[np.isfinite(z)])
    if not len(known):
        raise ValueError(
            f"expected finite{' positive' if log else ''} values of {name!r} to draw, got none; "
            "draw another quantity" + (' or scale="linear"' if log else "")
        )
    lowest, highest = float(known[0]), float(known[-1])
    cut = None if log else _cut(known)
    tight = _padded(lowest, highest if cut is None else cut)
    own = tight if reach is None else _widened(tight, _scaled(reach, log))
    key = f"{name} {'log' if log else 'linear'}"
    lo, hi = (common or {}).get(key, own)
    shared = key in (common or {})
    if limits is not None:
        a, b = _scaled(limits, log)
        # A logarithmic scale cannot begin at or below zero: it begins at the smallest value.
        lo, hi = _padded(min(lo, b) if np.isnan(a) else a, hi if np.isnan(b) else b)
    at = np.nan if clip is None else scale_values(np.asarray(clip), log).item()
    if lo < at < hi:
        hi = at
    elif cut is not None and limits is None and not shared and at > hi:  # which undoes the automatic cut
        hi = min(at, highest)
    shown = np.where(np.isfinite(z), values, np.nan)
    return Field(name, shown, lo, hi, own, log, highest > hi + FLAT * abs(hi), tight[0] < lowest)


def layer(dataset: xarray.Dataset, name: str) -> Floats:
    """Return a layer on the grid, shape (n_beta, n_alpha); points that are not evaluated are interpolated."""
    values = np.asarray(dataset[name].transpose("beta", "alpha").values, dtype=np.float64)
    if "evaluated" not in dataset:
        return values
    known = dataset["evaluated"].transpose("beta", "alpha").values != 0
    if is_hessian_layer(name) and "hvps" in dataset:  # which may be known at fewer points
        known = known & np.isfinite(dataset["hvps"].transpose("beta", "alpha").values)
    better = dataset.get(f"{name}_predicted")
    predicted = None if better is None else better.transpose("beta", "alpha").values
    return fill(values, known, dataset["alpha"].values, dataset["beta"].values, predicted)


def within(field: Field) -> Floats:
    """Return the values in scaled units, NaN outside the scale: the part of a surface that is drawn."""
    z, room = field.scaled, 1e-4 * (field.hi - field.lo)
    return np.where((z < field.lo - room) | (z > field.hi + room), np.nan, z)


def color_is_log(name: str, log: bool) -> bool:
    """Return whether a layer that only colors is logarithmic: as the height, but shares and the Hessian are not."""
    return log and not is_percent(name) and not is_hessian_layer(name)


def color_limits(style: Mapping[str, Any]) -> Range | None:
    """Return the ends of the color scale of another layer, in original units; None takes them from the values."""
    return style["color_limits"] or (CONVEXITY_LIMITS if style["color"] == "convexity" else None)


def common_ranges(fields: Sequence[Field]) -> dict[str, Range]:
    """Return the smallest ranges that contain those that the fields ask for, in scaled units, by ``Field.key``."""
    common: dict[str, Range] = {}
    for field in fields:
        lo, hi = common.get(field.key, field.own)
        common[field.key] = min(lo, field.own[0]), max(hi, field.own[1])
    return common


def lowest_point(dataset: xarray.Dataset, height: Field) -> tuple[int, int] | None:
    """Return row and column of the smallest evaluated value; None if there is none."""
    z = height.scaled
    if "evaluated" in dataset:
        z = np.where(dataset["evaluated"].transpose("beta", "alpha").values != 0, z, np.nan)
    if np.isnan(z).all():
        return None
    row, column = np.unravel_index(np.nanargmin(z), z.shape)
    return int(row), int(column)


def axis_names(dataset: xarray.Dataset) -> tuple[str, str]:
    """Return the names of both axes, with the share of the variation of the run if they are principal directions."""
    shares = np.atleast_1d(dataset.attrs.get("explained_variance_ratio", []))
    if dataset.attrs.get("directions") != "pca" or len(shares) < 2:
        return "alpha", "beta"
    return f"alpha (PC 1: {shares[0]:.1%})", f"beta (PC 2: {shares[1]:.1%})"


def scale_values(values: Floats, log: bool) -> Floats:
    """Return values in scaled units; NaN for what cannot be drawn: not finite, or not positive on a log scale."""
    known = np.isfinite(values) & ((values > 0) | (not log))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, np.log10(values) if log else values, np.nan)


def _scaled(ends: Range, log: bool) -> Range:
    a, b = scale_values(np.asarray(ends, dtype=np.float64), log).tolist()
    return a, b


def _cut(known: Floats) -> float | None:
    """Return where to cut a linear scale. A few huge values would flatten the minimum that they surround."""
    if len(known) < CUT_LEAST:
        return None
    low, high, at = float(known[0]), float(known[-1]), float(np.quantile(known, CUT_SHARE))
    return at if at > low and high - low > CUT_RATIO * (at - low) else None


def _padded(lo: float, hi: float) -> Range:
    if hi - lo > max(abs(lo), abs(hi)) * FLAT and hi - lo > 1e-30:
        return lo, hi
    pad = max(abs(lo) * 0.05, 1e-6)
    return lo - pad, hi + pad


def _widened(ends: Range, reach: Range) -> Range:
    (lo, hi), (a, b) = ends, reach
    furthest = (CUT_RATIO - 1) * (hi - lo)
    return a if lo > a >= lo - furthest else lo, b if hi < b <= hi + furthest else hi
