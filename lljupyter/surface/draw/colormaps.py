"""Colormaps as tables of 256 colors, those of the viewer (``js/src/model/palette.ts``)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

N_COLORS = 256


@cache
def color_table(name: str) -> NDArray[np.uint8]:
    """Return the colors of a colormap, shape (256, 3), from low to high.

    The ends of "gray" are neither black nor white, so that lines stay visible on both.
    """
    if name == "gray":
        levels = np.floor(24 + np.arange(N_COLORS) / (N_COLORS - 1) * 222 + 0.5)
        return np.repeat(levels[:, None], 3, axis=1).astype(np.uint8)
    listed: Any = colormaps[name]
    return np.floor(np.asarray(listed.colors) * 255 + 0.5).astype(np.uint8)


def matplotlib_colormap(name: str) -> ListedColormap:
    """Return a colormap for matplotlib."""
    return ListedColormap(color_table(name) / 255, name=name)


def plotly_colorscale(name: str) -> list[list[object]]:
    """Return a colormap for plotly: pairs of a share and a color."""
    table = color_table(name)
    return [[i / (N_COLORS - 1), f"rgb({r},{g},{b})"] for i, (r, g, b) in enumerate(table.tolist())]
