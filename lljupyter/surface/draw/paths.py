"""The training path over a surface, as in the viewer (``js/src/model/path.ts``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]
Range = tuple[float, float]
DROP = 0.6  # a rate that falls to this share in one step was lowered
STEADY = 0.9  # if it was steady before
MOST_DROPS = 8  # more drops than this are a schedule


def reach_of(dataset: xarray.Dataset, name: str) -> Range | None:
    """Return the range of the real values of a training path, in original units; None if none is known."""
    if f"trajectory_{name}" not in dataset:
        return None
    values = np.asarray(dataset[f"trajectory_{name}"].values, dtype=np.float64)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else None


def find_drops(rates: Floats) -> NDArray[np.bool_]:
    """Find where the learning rate was lowered on purpose, and not by a smooth schedule.

    Args:
        rates: The rates of the checkpoints in their order, NaN if not known. The rate of the first checkpoint is the
            one the optimizer was created with, which a warm-up never used.
    """
    found = np.zeros(len(rates), dtype=bool)
    for i in range(2, len(rates)):
        earlier, before, now = rates[i - 2 : i + 1]
        found[i] = 0 < now <= DROP * before and (before >= STEADY * earlier or found[i - 1])
    return found if found.sum() <= MOST_DROPS else np.zeros_like(found)


def opacity_of(outside: Floats) -> Floats:
    """Return the opacity of checkpoints: those far from the plane are pale, in a few steps.

    Args:
        outside: The share of their distance from the center that lies outside the plane; NaN if not known.
    """
    share = np.clip(np.nan_to_num(outside), 0, 1)
    return 1 - 0.65 * (np.floor(share * 6 + 0.5) / 6)
