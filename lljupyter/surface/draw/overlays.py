"""What is drawn over a figure: the training path, the center, the lowest point and named models."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import patheffects

from lljupyter.surface.checks import marks_of
from lljupyter.surface.draw.paths import find_drops, opacity_of
from lljupyter.surface.draw.scaling import Scene, lowest_point, scale_values

DROP_COLOR = "#e69f00"
OUTLINE: list[Any] = [patheffects.withStroke(linewidth=3, foreground="#10121a")]


def draw_path(axes: Any, scene: Scene, spatial: bool = False) -> None:
    """Draw the training path: a line with its checkpoints, those after a drop of the learning rate as diamonds.

    Checkpoints far outside the plane are pale. In three dimensions the path is at its real heights.
    """
    dataset = scene.dataset
    if "trajectory_alpha" not in dataset or not scene.style["show_path"]:
        return
    x, y = (dataset[f"trajectory_{axis}"].values for axis in ("alpha", "beta"))
    place = [x, y]
    if spatial:
        name = f"trajectory_{scene.height.name}"
        if name not in dataset:
            return
        place.append(scale_values(np.asarray(dataset[name].values, dtype=np.float64), scene.height.log))
    if not np.isfinite(place).all(axis=0).any():
        return
    axes.plot(*place, "-", color="white", linewidth=1.2, path_effects=OUTLINE, zorder=5)
    outside = dataset["trajectory_outside"].values if "trajectory_outside" in dataset else np.zeros(len(x))
    opacity = opacity_of(outside)
    rates = (
        dataset["trajectory_learning_rate"].values if "trajectory_learning_rate" in dataset else np.full(len(x), np.nan)
    )
    dropped = find_drops(rates)
    style = {"edgecolors": "#10121a", "linewidths": 0.6}
    kinds = ((~dropped, "o", "white", 10, 6), (dropped, "D", DROP_COLOR, 24, 7))
    for some, marker, color, size, order in kinds:
        if not some.any():
            continue
        seen = np.maximum(opacity, 0.7) if marker == "D" else opacity
        axes.scatter(
            *(axis[some] for axis in place), s=size, c=color, marker=marker, alpha=seen[some], zorder=order, **style
        )


def draw_marks(axes: Any, scene: Scene, lowest: bool = True) -> None:
    """Mark the center (disc), the lowest point (cross) unless it is the center, and the models of the plane."""
    if not scene.style["show_marks"]:
        return
    place = lowest_point(scene.dataset, scene.height) if lowest else None
    at = (0.0, 0.0) if place is None else (scene.alpha[place[1]], scene.beta[place[0]])
    if at != (0, 0):
        axes.plot(*at, "x", color="white", markersize=6, markeredgewidth=1.6, path_effects=OUTLINE, zorder=7)
    axes.plot(0, 0, "o", color="white", markeredgecolor="#10121a", markersize=5, zorder=8)
    for name, (alpha, beta) in marks_of(scene.dataset.attrs).items():
        axes.plot(alpha, beta, "D", color="white", markeredgecolor="#10121a", markersize=5, zorder=8)
        if not scene.style["show_labels"]:
            continue
        text = axes.annotate(name, (alpha, beta), (5, 5), textcoords="offset points", fontsize=8, color="white")
        text.set_parse_math(False)
        text.set_path_effects(OUTLINE)
