"""Rules about single values: numbers, names, ticks, levels, bands, colors, and the table of the style."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np

from lljupyter.geometry.grid import axis
from lljupyter.surface.captions import captured_text, seeds_text
from lljupyter.surface.draw.charts import MARGIN, MOST_SEEDS, band_of_seeds
from lljupyter.surface.draw.colormaps import color_table
from lljupyter.surface.draw.paths import find_drops, opacity_of
from lljupyter.surface.draw.ticks import contour_levels, level_labels, value_ticks
from lljupyter.surface.formats import format_number, format_percent, format_value, tick_labels
from lljupyter.surface.frame import VERSION, Status
from lljupyter.surface.layer_names import (
    is_hessian_layer,
    is_percent,
    parse_layer_name,
    quantity_name,
    second_quantity,
    siblings,
)
from lljupyter.surface.notices import summary
from lljupyter.surface.style import CAMERA, CONVEXITY_LIMITS, STYLE

NAN, INF = math.nan, math.inf


def numbers() -> list[Any]:
    values = [0.0, 1.0, -0.5, 0.25, 0.125, 2.5, 0.05, 0.02134, 2.30259, 9.9996, 999.95, 9999.5, 13876.0, 999999.5, 1e6]
    values += [1.5e6, 1.2345e-7, 9.9999e-5, 1e-4, -1234567.0, 62.5, 0.625, 0.98765, 1e18, NAN, INF, -INF]
    return [
        {
            "value": value,
            "texts": [format_number(value, digits) for digits in (2, 3, 4)],
            "percent": format_percent(value),
            "loss": format_value(value, "test_loss"),
            "accuracy": format_value(value, "train_accuracy_stderr"),
        }
        for value in values
    ]


def labels() -> list[Any]:
    ticks = [[], [0.3], [-0.5, 0.0, 0.5], [0.0, 0.02, 0.04], [0, 50000, 100000], [1e-5, 2e-5], [99.5, 100.0, 100.5]]
    return [{"values": at, "percent": p, "labels": tick_labels(at, p)} for at in ticks for p in (False, True)]


def names() -> list[Any]:
    layers = ["loss", "loss_stderr", "accuracy", "train_loss", "test_set_accuracy_stderr", "lambda_min", "convexity"]
    layers += ["hvps", "residual_max", "my_metric", "x_lossy", "_loss", "train_accuracy"]
    return [
        {
            "name": name,
            "parts": list(parse_layer_name(name)),
            "shown": quantity_name(name),
            "percent": is_percent(name),
            "hessian": is_hessian_layer(name),
        }
        for name in layers
    ]


def layers() -> list[Any]:
    single, both = ["loss", "loss_stderr", "accuracy"], ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    curved = ["loss", "lambda_min", "convexity"]
    cases = [
        (single, "loss", None),
        (single, "accuracy", None),
        (single, "loss_stderr", None),
        (both, "test_loss", None),
    ]
    cases += [(both, "train_accuracy", None), (both[:3], "test_loss", None), (curved, "loss", "convexity")]
    cases += [(curved, "convexity", None), (single, "loss", "loss_stderr"), (both, "train_loss", "test_loss")]
    return [
        {
            "layers": layers,
            "quantity": quantity,
            "color": color,
            "siblings": siblings(layers, quantity),
            "second": second_quantity(layers, quantity, color),
        }
        for layers, quantity, color in cases
    ]


RANGES = [(0.0, 5.5), (-0.25, 1.25), (0.3, 0.31), (1e-7, 3e-7), (-2.0, 3.0), (0.0, 1.0), (-12.0, 30.0), (0.1, 0.2)]
RANGES += [(0.02, 87.5), (-1.0, -0.2), (99.0, 100.5)]


def ticks() -> list[Any]:
    return [
        {
            "range": [lo, hi],
            "scale": "log" if log else "linear",
            "count": count,
            "percent": percent,
            "ticks": [list(tick) for tick in value_ticks(lo, hi, log, count, percent)],
        }
        for lo, hi in RANGES
        for log in (False, True)
        for count, percent in ((3, False), (5, True), (7.5, False))
    ]


def levels() -> list[Any]:
    found = []
    for lo, hi in RANGES:
        for log in (False, True):
            for asked in ("auto", "paper", [3.0, -1.0, 0.5, 0.15, 100.0, 1e3], []):
                for path in (False, True):
                    at = contour_levels(lo, hi, log, asked, path)
                    found.append(
                        {
                            "range": [lo, hi],
                            "scale": "log" if log else "linear",
                            "levels": asked,
                            "path": path,
                            "at": at,
                            "labels": level_labels(at, log, False),
                            "percents": level_labels(at, log, True),
                        }
                    )
    return found


def bands() -> list[Any]:
    rows = [[1.0, 2.0, NAN, 4.0], [3.0, NAN, NAN, 1.0], [9.0, INF, NAN, 2.0], [0.5, 8.0, NAN, 3.0]]
    found = []
    for n in (1, 2, 3, 4):
        band = band_of_seeds(np.array(rows[:n]))
        found.append({"rows": rows[:n], **{name: list(values) for name, values in band._asdict().items()}})
    return found


def paths() -> list[Any]:
    rates = [[0.1, 0.1, 0.01, 0.001, 0.001], [0.1, 0.03, 0.1, 0.07, 0.04, 0.02, 0.005], [0.1, NAN, 0.01]]
    rates += [[0.5**k for k in range(12)], [1.0, 0.95, 0.9, 0.5], [0.2, 0.2, 0.12, 0.1], [0.1, 0.1, 0.0], []]
    outside = [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]
    captured = [0.0, 0.004, 0.0099, 0.01, 0.625, 0.834, 0.995, 0.9951, 0.99999, 1.0]
    return [
        {
            "rates": [{"rates": some, "drops": np.flatnonzero(find_drops(np.array(some))).tolist()} for some in rates],
            "outside": outside,
            "opacity": list(opacity_of(np.array(outside))),
            "captured": [{"share": share, "text": captured_text(share)} for share in captured],
        }
    ]


def colors() -> list[Any]:
    return [{"name": name, "colors": color_table(name).tobytes().hex()} for name in STYLE["colormap"].choices]


def grids() -> list[Any]:
    ranges = [((-1.0, 1.0), 51), ((-0.7615, 4.318), 21), ((0.1, 0.7), 7), ((-3.0, 0.3), 12), ((0.25, 0.25), 1)]
    return [{"range": list(ends), "n": n, "coordinates": axis(ends, n).tolist()} for ends, n in ranges]


def warnings() -> list[Any]:
    cases = [[], ["one"], ["one", "two"], ["one", "two", "three", "four"]]
    return [{"lines": lines, **dict(zip(("first", "more"), summary(lines), strict=True))} for lines in cases]


def style() -> list[Any]:
    table = {
        name: {"kind": option.kind, "default": option.default, "choices": list(option.choices)}
        for name, option in STYLE.items()
    }
    return [
        {
            "options": table,
            "camera": {**CAMERA, "pan": list(CAMERA["pan"])},
            "convexity_limits": list(CONVEXITY_LIMITS),
            "most_seeds": MOST_SEEDS,
            "margin": MARGIN,
            "seeds_text": seeds_text(5),
            "version": VERSION,
            "statuses": list(get_args(Status)),
        }
    ]
