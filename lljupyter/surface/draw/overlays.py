"""What lies over a figure: the training run, the center, the lowest point and named models."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import patheffects
from numpy.typing import NDArray

from lljupyter.surface.checks import marks_of
from lljupyter.surface.draw.scaling import Drawn

DROP_COLOR = "#e69f00"
DROP = 0.6  # a rate that falls to this share at once was lowered
STEADY = 0.9  # after it had stayed
MOST_DROPS = 8  # more of them are a schedule
OUTLINE: list[Any] = [patheffects.withStroke(linewidth=3, foreground="#10121a")]


def draw_path(axes: Any, shown: Drawn, spatial: bool = False) -> None:
    """Draws the training run: a line with its checkpoints, those after a drop of the learning rate as diamonds.

    Checkpoints far outside the plane are pale. In three dimensions the run is at its real heights.
    """
    dataset = shown.dataset
    if "trajectory_alpha" not in dataset or not shown.look.get("show_path", True):
        return
    x, y = (dataset[f"trajectory_{axis}"].values for axis in ("alpha", "beta"))
    place = [x, y]
    if spatial:
        name = f"trajectory_{shown.height.name}"
        if name not in dataset:
            return
        z = np.asarray(dataset[name].values, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.log10(z) if shown.height.log else z
        place.append(z)
    if not np.isfinite(place).all(axis=0).any():
        return
    axes.plot(*place, "-", color="white", linewidth=1.2, path_effects=OUTLINE, zorder=5)
    outside = dataset["trajectory_outside"].values if "trajectory_outside" in dataset else np.zeros(len(x))
    opacity = 1 - 0.75 * np.clip(np.nan_to_num(outside), 0, 1)
    rates = (
        dataset["trajectory_learning_rate"].values if "trajectory_learning_rate" in dataset else np.full(len(x), np.nan)
    )
    dropped = drops(rates)
    style = {"edgecolors": "#10121a", "linewidths": 0.6}
    kinds = ((~dropped, "o", "white", 10, 6), (dropped, "D", DROP_COLOR, 24, 7))
    for some, marker, color, size, order in kinds:
        if not some.any():
            continue
        seen = np.maximum(opacity, 0.7) if marker == "D" else opacity
        axes.scatter(
            *(axis[some] for axis in place), s=size, c=color, marker=marker, alpha=seen[some], zorder=order, **style
        )


def drops(rates: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Says where the learning rate was lowered on purpose, and not by a smooth schedule; as in the viewer.

    Args:
        rates: Of the checkpoints, in their order, NaN where it is not known. That of the first one is what the
            optimizer was made with, which a warm-up never used.
    """
    found = np.zeros(len(rates), dtype=bool)
    for i in range(2, len(rates)):
        earlier, before, now = rates[i - 2 : i + 1]
        found[i] = 0 < now <= DROP * before and (before >= STEADY * earlier or found[i - 1])
    return found if found.sum() <= MOST_DROPS else np.zeros_like(found)


def draw_marks(axes: Any, shown: Drawn, lowest: bool = True) -> None:
    """Marks the center (disc), the lowest point (cross) and the models that the plane goes through."""
    if not shown.look["show_marks"]:
        return
    if lowest:
        row, column = np.unravel_index(np.nanargmin(shown.height.values), shown.height.values.shape)
        at = shown.alpha[column], shown.beta[row]
        axes.plot(*at, "x", color="white", markersize=6, markeredgewidth=1.6, path_effects=OUTLINE, zorder=7)
    axes.plot(0, 0, "o", color="white", markeredgecolor="#10121a", markersize=5, zorder=8)
    for name, (alpha, beta) in marks_of(shown.dataset.attrs).items():
        axes.plot(alpha, beta, "D", color="white", markeredgecolor="#10121a", markersize=5, zorder=8)
        text = axes.annotate(name, (alpha, beta), (5, 5), textcoords="offset points", fontsize=8, color="white")
        text.set_parse_math(False)
        text.set_path_effects(OUTLINE)
