"""Ticks and contour levels on a linear or a log10 scale, as in the viewer (``js/src/model/ticks.ts``).

Positions are in scaled units, labels in original units.

Source:
    ``ticks`` follows d3-array (Bostock 2011-2023, ISC license), which the viewer uses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lljupyter.surface.formats import MINUS, format_number, tick_labels

# The contour levels of Li et al. (2018), and those that they add to a plane with a training path.
PAPER_LEVELS = tuple((1 + 5 * i) / 10 for i in range(20))
PAPER_PATH_LEVELS = tuple(10.0**power for power in range(1, 9))
N_LEVELS, N_LOG_LEVELS = 12, 16


class Tick(NamedTuple):
    """A tick of an axis: its position in scaled units and its label."""

    at: float
    label: str


def ticks(start: float, stop: float, count: float) -> list[float]:
    """Return about ``count`` round numbers from start to stop; their step is 1, 2 or 5 times a power of ten."""
    if start == stop:
        return [start]
    first, last, step = _spec(start, stop, count)
    return [i / -step if step < 0 else i * step for i in range(first, last + 1)]


def _spec(start: float, stop: float, count: float) -> tuple[int, int, float]:
    """Return the first and the last multiple, and the step; the inverse of the step, negated, if that is below 1."""
    step = (stop - start) / count
    power = math.floor(math.log10(step))
    error = step / 10.0**power
    factor = 10 if error >= math.sqrt(50) else 5 if error >= math.sqrt(10) else 2 if error >= math.sqrt(2) else 1
    if power < 0:
        inverse = 10.0**-power / factor
        first, last = math.floor(start * inverse + 0.5), math.floor(stop * inverse + 0.5)
        first, last = first + (first / inverse < start), last - (last / inverse > stop)
        increment = -inverse
    else:
        increment = 10.0**power * factor
        first, last = math.floor(start / increment + 0.5), math.floor(stop / increment + 0.5)
        first, last = first + (first * increment < start), last - (last * increment > stop)
    return _spec(start, stop, count * 2) if last < first and 0.5 <= count < 2 else (first, last, increment)


def linear_ticks(lo: float, hi: float, count: float, percent: bool = False) -> list[Tick]:
    """Return the ticks of a linear axis."""
    if lo == hi:
        return [Tick(lo, format_number(lo * (100 if percent else 1), 3) + (" %" if percent else ""))]
    at = ticks(lo, hi, count)
    return [Tick(*pair) for pair in zip(at, tick_labels(at, percent), strict=True)]


def value_ticks(lo: float, hi: float, log: bool, count: float, percent: bool = False) -> list[Tick]:
    """Return the ticks of a value axis.

    Args:
        lo: Lower end in scaled units.
        hi: Upper end in scaled units.
        log: Whether the scale is logarithmic.
        count: About how many.
        percent: Whether the values are shares.
    """
    if not log:
        return linear_ticks(lo, hi, count, percent)
    unit, suffix = (100, " %") if percent else (1, "")
    return [Tick(at, format_number(10**at * unit, 3) + suffix) for at in _log_positions(lo, hi, count)]


def contour_levels(lo: float, hi: float, log: bool, levels: str | Sequence[float], path: bool = False) -> list[float]:
    """Return the contour levels strictly inside (lo, hi), in scaled units.

    Args:
        lo: Lower end of the scale in scaled units.
        hi: Upper end of the scale in scaled units.
        log: Whether the scale is logarithmic.
        levels: "auto", "paper" or a list in original units.
        path: Whether there is a training path, for which the paper adds powers of ten.
    """
    if levels == "auto":
        chosen = _log_positions(lo, hi, N_LOG_LEVELS) if log else ticks(lo, hi, N_LEVELS)
    else:
        paper = PAPER_LEVELS + (PAPER_PATH_LEVELS if path else ())
        original = paper if isinstance(levels, str) else sorted(levels)
        chosen = [math.log10(level) for level in original if level > 0] if log else list(original)
    margin = (hi - lo) * 1e-6
    return [level for level in chosen if lo + margin < level < hi - margin]


def level_labels(levels: Sequence[float], log: bool, percent: bool) -> list[str]:
    """Label contour levels: evenly spaced ones with the decimals of their step, others with their own."""
    scaled = [(10**level if log else level) * (100 if percent else 1) for level in levels]
    step = scaled[1] - scaled[0] if len(scaled) > 1 else 0.0
    even = not log and all(abs(after - before - step) < 1e-6 * abs(step) for before, after in pairwise(scaled))
    own = [format_number(value, 3) for value in scaled]
    if not even or len(scaled) < 2:
        return own
    labels = tick_labels(scaled)
    # Levels 0.1, 0.6, 1.1 need one decimal more than their step of 0.5.
    pairs = zip(labels, scaled, strict=True)
    return own if any(abs(_shown(label) - value) > 0.2 * abs(step) for label, value in pairs) else labels


def _shown(label: str) -> float:
    try:
        return float(label.replace(MINUS, "-"))
    except ValueError:  # a power of ten
        return math.nan


def _log_positions(lo: float, hi: float, count: float) -> list[float]:
    """Return about ``count`` positions of the densest usual series; even ones if the range is below a decade."""
    span = hi - lo
    if span < 0.9:
        return [math.log10(value) for value in ticks(10**lo, 10**hi, count) if value > 0]
    for mantissas in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)):
        if span * len(mantissas) <= count:
            return _decades(lo, hi, 1, mantissas)
    return _decades(lo, hi, max(1, math.ceil(span / count)), (1,))


def _decades(lo: float, hi: float, stride: int, mantissas: Sequence[float]) -> list[float]:
    first = math.floor(lo / stride) * stride
    found = [power + math.log10(m) for power in range(first, math.floor(hi) + 1, stride) for m in mantissas]
    return [at for at in found if lo - 1e-9 <= at <= hi + 1e-9]
