"""What a figure draws: one quantity on its grid, scaled and with the range it is shown on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import fill
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.frame import CURVATURES
from lljupyter.surface.style import CONVEXITY_LIMITS, LOOK, checked_look

if TYPE_CHECKING:
    import xarray

DEFAULTS: dict[str, Any] = {
    "view": "contour",
    "scale": "linear",
    "color": None,
    "colormap": "viridis",
    "clip": None,
    "levels": "auto",
    "limits": None,
    "color_limits": None,
    "camera": {},
}
HIDDEN = ("show_points",)
# As in the viewer: when the top tenth is more than this many times as high as all the rest, the scale ends there.
CUT_RATIO, CUT_SHARE, CUT_LEAST = 6.0, 0.9, 20
# The contour lines of the authors' code, and those they add where there is a trajectory.
PAPER = np.arange(0.1, 10, 0.5)
PAPER_FAR = np.logspace(1, 8, 8)
NAMES = {
    "loss": "Loss",
    "loss_stderr": "Loss, standard error",
    "accuracy": "Accuracy",
    "accuracy_stderr": "Accuracy, standard error",
    # As in the viewer.
    "lambda_min": "Smallest eigenvalue",
    "lambda_max": "Largest eigenvalue",
    "convexity": "Convexity |λmin/λmax|",
    "hvps": "Hessian-vector products",
    "residual_min": "Residual of the smallest",
    "residual_max": "Residual of the largest",
}


class Field(NamedTuple):
    """A quantity on its grid.

    Attributes:
        name: Of the quantity.
        values: Shape (n_beta, n_alpha), NaN where nothing is drawn; points not evaluated are interpolated.
        low: Lower end of the scale.
        high: Its upper end.
        is_cut: Whether there are values above it.
        log: Whether the scale is logarithmic.
    """

    name: str
    values: NDArray[np.float64]
    low: float
    high: float
    is_cut: bool
    log: bool


class Drawn(NamedTuple):
    """What a figure draws.

    Attributes:
        dataset: On the dimensions (beta, alpha).
        quantities: What can be drawn.
        look: How, every option of ``LOOK``.
        height: The quantity that is the height, or the map.
        color: The quantity that colors it.
    """

    dataset: xarray.Dataset
    quantities: list[str]
    look: dict[str, Any]
    height: Field
    color: Field

    @property
    def alpha(self) -> NDArray[np.float64]:
        """Shape (n_alpha,)."""
        return np.asarray(self.dataset["alpha"].values, dtype=np.float64)

    @property
    def beta(self) -> NDArray[np.float64]:
        """Shape (n_beta,)."""
        return np.asarray(self.dataset["beta"].values, dtype=np.float64)


def drawn(surface: xarray.Dataset, look: dict[str, Any]) -> Drawn:
    """Checks a surface or a line and how it is drawn.

    Raises:
        TypeError: If it is no Dataset, or an option is unknown.
        ValueError: If it has nothing to draw, several seeds, or an option is out of range.
    """
    if unknown := [name for name in look if name not in LOOK]:
        raise TypeError(f"expected how it is drawn, one of {LOOK}, got {unknown[0]!r}")
    dataset, quantities = on_grid(surface)
    shown = {name: name not in HIDDEN for name in LOOK if name.startswith("show_")}
    look = {**DEFAULTS, "quantity": quantities[0], **shown, **look}
    look = {name: checked_look(name, value, quantities) for name, value in look.items()}
    height = field(dataset, look["quantity"], look, look["limits"], look["clip"])
    other = look["color"] not in (None, look["quantity"])
    ends = look["color_limits"] or (CONVEXITY_LIMITS if look["color"] == "convexity" else None)
    color = field(dataset, look["color"], {**look, "scale": "linear"}, ends) if other else height
    return Drawn(dataset, quantities, look, height, color)


def field(
    dataset: xarray.Dataset,
    name: str,
    look: dict[str, Any],
    limits: tuple[float, float] | None = None,
    clip: float | None = None,
) -> Field:
    """Scales a quantity as the viewer does."""
    values = np.asarray(dataset[name].transpose("beta", "alpha").values, dtype=np.float64)
    if "evaluated" in dataset:
        known = dataset["evaluated"].transpose("beta", "alpha").values != 0
        if name in CURVATURES and "hvps" in dataset:  # which may be known at fewer points
            known &= np.isfinite(dataset["hvps"].transpose("beta", "alpha").values)
        better = dataset.get(f"{name}_predicted")
        predicted = None if better is None else better.transpose("beta", "alpha").values
        values = fill(values, known, dataset["alpha"].values, dataset["beta"].values, predicted)
    log = look["scale"] == "log"
    values = np.where(np.isfinite(values) & ((values > 0) | (not log)), values, np.nan)
    if clip is not None:
        values = np.where(values > clip, np.nan, values)
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        raise ValueError(
            f"expected finite{' positive' if log else ''} values of {name!r} to draw, got none; "
            "draw another quantity" + (' or scale="linear"' if log else "")
        )
    low, high = float(finite[0]), float(finite[-1])
    if limits is not None:
        low, high = max(limits[0], low) if log and limits[0] <= 0 else limits[0], limits[1]
    elif not log and clip is None and len(finite) >= CUT_LEAST:
        at = float(np.quantile(finite, CUT_SHARE))
        high = at if at > low and high - low > CUT_RATIO * (at - low) else high
    if not high > low:
        pad = max(abs(low) * 0.05, 1e-6)
        low, high = (low / 1.05, high * 1.05) if log else (low - pad, high + pad)
    return Field(name, values, low, high, bool(finite[-1] > high), log)


def heights(levels: str | list[float], shown: Field, far: bool) -> list[float] | None:
    """Returns the heights of contour lines; None where they are to be chosen.

    Args:
        levels: See ``LandscapeWidget``.
        shown: What they are drawn on.
        far: Whether there is a trajectory, for which the authors add more of them.
    """
    if levels == "auto":
        return None
    chosen = np.concatenate([PAPER, PAPER_FAR if far else []]) if levels == "paper" else np.asarray(levels)
    inside = chosen[(chosen > np.nanmin(shown.values)) & (chosen < np.nanmax(shown.values))]
    return [float(level) for level in np.unique(inside)]


def band_of(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns the median, the lowest and the highest of several curves at every place, NaN where none is finite.

    Args:
        rows: Shape (n_curves, n), NaN where a curve has a hole.
    """
    known = ~np.isnan(rows).all(axis=0)
    middle, low, high = np.full((3, rows.shape[1]), np.nan)
    if known.any():
        middle[known] = np.nanmedian(rows[:, known], axis=0)
        low[known], high[known] = np.nanmin(rows[:, known], axis=0), np.nanmax(rows[:, known], axis=0)
    return middle, low, high


def axis_names(dataset: xarray.Dataset) -> tuple[str, str]:
    """Returns what alpha and beta are, with the share of the run's variation where they are principal directions."""
    shares = np.atleast_1d(dataset.attrs.get("explained_variance_ratio", []))
    if dataset.attrs.get("directions") != "pca" or len(shares) < 2:
        return "alpha", "beta"
    return f"alpha (PC 1: {shares[0]:.1%})", f"beta (PC 2: {shares[1]:.1%})"


def quantity_name(name: str) -> str:
    """Returns what a quantity is called in a figure."""
    return NAMES.get(name, name.replace("_", " "))


def is_share(name: str) -> bool:
    """Returns whether a quantity is a share, which people read in percent."""
    return name.endswith(("accuracy", "accuracy_stderr"))


def kind_of(name: str) -> str:
    """Returns a quantity without its loader: "test_loss" is a loss."""
    return next((kind for kind in ("loss", "accuracy") if name.split("_")[-1] == kind), name)
