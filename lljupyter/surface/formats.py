"""Numbers as text, written as the viewer writes them (``js/src/model/format.ts``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

from lljupyter.surface.layer_names import is_percent

EXACT = Context(prec=1200)  # every digit of any float
MINUS, TIMES = "\u2212", "\u00d7"
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def format_number(value: float, digits: int = 4) -> str:
    """Format a number with significant digits and no trailing zeros; as a power of ten outside 1e-4 .. 1e6.

    Args:
        value: Any number, also NaN and infinity.
        digits: Number of significant digits.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    magnitude = abs(value)
    if magnitude >= 10**digits and magnitude < 1e6:
        return _signed(_rounded(value, 0))
    number = _significant(value, digits)
    if magnitude != 0 and not 1e-4 <= magnitude < 1e6:
        exponent = number.adjusted()
        mantissa = _signed(number.scaleb(-exponent))
        power = f"10{str(exponent).translate(SUPERSCRIPT)}"
        return power if mantissa == "1" else f"{mantissa}{TIMES}{power}"
    return _signed(number)


def format_percent(value: float) -> str:
    """Format a share as percent with one decimal: 0.9876 is "98.8 %"."""
    return f"{format_fixed(value * 100, 1)} %" if math.isfinite(value) else format_number(value)


def format_value(value: float, quantity: str) -> str:
    """Format a value of a quantity: shares as percent, others as numbers."""
    return format_percent(value) if is_percent(quantity) else format_number(value)


def tick_labels(values: Sequence[float], percent: bool = False) -> list[str]:
    """Label evenly spaced ticks, with as many decimals as their step needs.

    Args:
        values: The positions, ascending.
        percent: Whether they are shares, to be written as percent.
    """
    scale, suffix = (100.0, " %") if percent else (1.0, "")
    step = abs(values[1] - values[0]) * scale if len(values) > 1 else 0.0
    largest = max((abs(value) * scale for value in values), default=0.0)
    if not (step >= 1e-4 and largest < 1e5):
        return [format_number(value * scale, 3) + suffix for value in values]
    decimals = max(0, -Decimal(repr(step)).adjusted())
    return [format_fixed(value * scale, decimals) + suffix for value in values]


def format_fixed(value: float, decimals: int) -> str:
    """Format a number with a fixed number of decimals."""
    return _signed(_rounded(value, decimals), trim=False)


def _rounded(value: float, decimals: int) -> Decimal:
    """Round the exact value of a float as JavaScript does: ties away from zero."""
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, EXACT)


def _significant(value: float, digits: int) -> Decimal:
    exact = Decimal(value)
    number = _rounded(value, digits - 1 - exact.adjusted()) if exact else exact
    # Rounding up may add a digit: 9.996 with three digits is 10.0.
    return _rounded(value, digits - 1 - number.adjusted()) if number else number


def _signed(number: Decimal, trim: bool = True) -> str:
    text = f"{abs(number):f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{MINUS}{text}" if number < 0 else text
