"""Rules about whole pictures: the scale of a quantity, surfaces, compared surfaces, and lines."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import xarray
from support.made import made_half, made_line, made_lines, made_seeds, made_surface, made_trajectory

from lljupyter.surface.dataset import of_seed, on_grid
from lljupyter.surface.draw.charts import COLORS, make_chart
from lljupyter.surface.draw.scaling import common_ranges, lowest_point, make_field, make_scene, scale_values
from lljupyter.surface.frame import pack_dataset
from lljupyter.surface.layer_names import quantity_name

# Values that float32 holds exactly.
BOWL = ((np.arange(49) - 20) ** 2 / 64).reshape(7, 7)
VALUES = {
    "bowl": BOWL,
    "spiky": np.where(BOWL > 10, BOWL * 1024, BOWL + 1),
    "few": BOWL[:3, :3] * np.array([1, 1, 4096]),
    "holes": np.where(BOWL > 9, np.inf, np.where(BOWL < 0.1, np.nan, BOWL)),
    "negative": BOWL - 2,
    "equal": np.full((3, 3), 0.5),
    "nearly": 1024 + BOWL[:2] / 65536,
    "zero": np.zeros((2, 2)),
    "small": BOWL / 1048576,
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"limits": (0.5, 4.0)},
    {"limits": (-1.0, 2.0)},
    {"clip": 3.0},
    {"clip": -5.0},
    {"clip": 5000.0},
    {"clip": 1e6},
    {"limits": (1.0, 6.0), "clip": 2.0},
    {"reach": (-0.5, 15.0)},
    {"reach": (0.25, 1e6)},
    {"common": (-0.5, 2.5)},
    {"common": (-0.5, 2.5), "clip": 1.5},
    {"common": (-0.5, 2.5), "limits": (0.25, 0.75)},
]


def scales() -> list[Any]:
    found = []
    for title, values in VALUES.items():
        for log in (False, True):
            if not np.isfinite(scale_values(values, log)).any():
                continue
            for options in OPTIONS:
                key = f"loss {'log' if log else 'linear'}"
                given = {**options, "common": {key: options["common"]}} if "common" in options else options
                field = make_field("loss", values, log, **given)
                found.append(
                    {
                        "title": title,
                        "scale": "log" if log else "linear",
                        "options": options,
                        "range": [field.lo, field.hi],
                        "own": list(field.own),
                        "is_cut": field.is_cut,
                        "is_flat": field.is_flat,
                    }
                )
    values = {title: array.ravel().tolist() for title, array in VALUES.items()}
    return [{"values": values, "scales": found}]


def pictured(dataset: xarray.Dataset) -> dict[str, Any]:
    """Return a Dataset as the viewer gets it."""
    frame, meta = pack_dataset(*on_grid(dataset, seeds=True))
    return {"meta": meta, "frame_base64": base64.b64encode(frame).decode()}


def made_convexity() -> xarray.Dataset:
    surface = made_surface(9, 7)
    curved = np.abs(surface.loss - 2) / 20
    return surface.assign(convexity=curved, lambda_max=10 * surface.loss, cost=3 * surface.loss + 0.5)


def made_predicted() -> xarray.Dataset:
    """A surface whose lowest point is only predicted, which is no minimum that was found."""
    half = made_half()
    predicted = np.where(half.evaluated, half.loss, 0.3)
    predicted[7, 9] = 0.001
    return half.assign(loss_predicted=(("beta", "alpha"), predicted))


SURFACES = {
    "plain": made_surface(9, 7),
    "convexity": made_convexity(),
    "half": made_half(),
    "predicted": made_predicted(),
    "path": made_trajectory(),
    "seed": of_seed(made_seeds(), 4),
}
STYLES: list[dict[str, Any]] = [
    {},
    {"scale": "log"},
    {"levels": "paper", "scale": "log", "limits": (0.05, 500.0)},
    {"levels": "paper", "limits": (0.0, 500.0)},
    {"levels": [0.5, 2.0], "clip": 3.0},
    {"color": "accuracy", "scale": "log"},
    {"color": "convexity"},
    {"color": "convexity", "color_limits": (0.0, 0.1), "scale": "log"},
    {"color": "lambda_max", "scale": "log"},
    {"color": "cost", "scale": "log"},
    {"color": "cost"},
    {"quantity": "accuracy"},
    {"quantity": "accuracy", "color": "loss", "scale": "log"},
]


def surfaces() -> list[Any]:
    found = []
    for title, dataset in SURFACES.items():
        cases = []
        for style in STYLES:
            if {style.get("color"), style.get("quantity")} - {None, *on_grid(dataset)[1]}:
                continue
            scene = make_scene(dataset, style)
            place = lowest_point(scene.dataset, scene.height)
            cases.append(
                {
                    "style": style,
                    "height": [scene.height.name, *_scale(scene.height)],
                    "color": [scene.color.name, *_scale(scene.color)],
                    "levels": scene.levels,
                    "lowest": None if place is None else list(place),
                }
            )
        found.append({"title": title, **pictured(dataset), "cases": cases})
    return found


def compared() -> list[Any]:
    """Several landscapes share the ranges of what they draw."""
    found = []
    for style in ({}, {"scale": "log"}, {"color": "accuracy"}):
        # The second is the widest, so that neither the first nor the last decides alone.
        parts = [made_surface(9, 7, steep=steep) for steep in (1.0, 2.5, 0.5)]
        scenes = [make_scene(part, style) for part in parts]
        common = common_ranges([field for scene in scenes for field in (scene.height, scene.color)])
        found.append(
            {
                "style": style,
                "pictures": [pictured(part) for part in parts],
                "common": {key: list(ends) for key, ends in common.items()},
                "heights": [_scale(make_scene(part, style, common).height) for part in parts],
            }
        )
    return found


def _scale(field: Any) -> list[Any]:
    return ["log" if field.log else "linear", field.lo, field.hi]


LINES = {
    "models": made_line(),
    "single": made_surface(11, 1),
    "along beta": made_surface(1, 9),
    "seeds": made_lines(),
    "many seeds": xarray.concat([made_surface(9, 1, 1 + k / 8) for k in range(14)], dim="seed").assign_coords(
        seed=list(range(14))
    ),
    "half": made_half().isel(beta=8, drop=True),
}


def lines() -> list[Any]:
    found: list[Any] = []
    for title, dataset in LINES.items():
        quantity = on_grid(dataset, seeds=True)[1][0]
        cases = []
        for style in ({}, {"scale": "log"}, {"clip": 1.5}, {"limits": (0.25, 2.0)}):
            chart = make_chart(dataset, style)
            cases.append(
                {
                    "style": {"quantity": quantity, **style},
                    "left": [chart.left.name, *_scale(chart.left)],
                    "right": None if chart.right is None else [chart.right.name, *_scale(chart.right)],
                    "remark": chart.remark,
                    "curves": [_curve(chart, curve) for curve in chart.curves],
                }
            )
        found.append({"title": title, **pictured(dataset), "cases": cases})
    return found


def _curve(chart: Any, curve: Any) -> dict[str, Any]:
    log = (chart.left if curve.side == "left" else chart.right).log
    band = None if curve.band is None else [_every(scale_values(end, log)) for end in curve.band]
    return {
        "name": quantity_name(curve.name),
        "side": curve.side,
        "dash": curve.dash,
        "color": COLORS[curve.side],
        "n_seeds": len(curve.seeds),
        "y": _every(scale_values(curve.y, log)),
        "band": band,
    }


def _every(values: Any) -> list[float]:
    """Return every third value: enough to tell two rules apart."""
    return list(values[::3])
