"""A surface as the viewer takes it: a binary ``frame`` and a small JSON ``meta``, always together.

``js/src/model/wire.ts`` reads the same; ``tests/contract`` compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import fill
from lljupyter.surface.checks import marks_of
from lljupyter.surface.layer_names import HESSIAN_LAYERS
from lljupyter.surface.notices import notices_of

if TYPE_CHECKING:
    import xarray

VERSION = 1
HESSIAN_QUANTITIES = tuple(HESSIAN_LAYERS)
Status = Literal["running", "paused", "stopped", "done", "error"]


class Trajectory(TypedDict):
    """The checkpoints of a training run over the surface, each list of the same length.

    ``values`` holds the real ones by quantity (None: not known yet, or not finite), ``outside`` the share of the
    distance from the center that lies outside the plane, ``captured`` the share of the run's variation that the plane
    captures; ``learning_rate`` is None if unknown.
    """

    alpha: list[float | None]
    beta: list[float | None]
    values: dict[str, list[float | None]]
    outside: list[float | None]
    learning_rate: list[float | None] | None
    captured: float | None
    labels: list[str]


class PreviewNote(TypedDict):
    """Describes a preview: points that were evaluated on some of the samples, drawn until all samples were used.

    ``n`` of ``n_samples`` were used; ``stderr`` holds the median of the points' standard errors by quantity.
    """

    n: int
    n_samples: int
    stderr: dict[str, float]


class Failed(TypedDict):
    """The points, or checkpoints, at which model or loss raised: their places, row by row, and the first error."""

    at: list[int]
    reason: str


class _Always(TypedDict):
    """What every frame is described with. Numbers are finite or None, as JSON knows neither NaN nor infinity.

    ``shape`` is (n_beta, n_alpha); ``alpha``, ``beta`` and ``seed`` are those of the frame, which may lag behind the
    controls; ``layers`` names the layers of the frame; seconds count computing time, not pauses; ``center`` holds
    the quantities at (0, 0) once they are known.
    """

    version: int
    sequence: int
    status: Status
    shape: tuple[int, int]
    alpha: tuple[float, float]
    beta: tuple[float, float]
    seed: int | None
    layers: list[str]
    n_done: int
    n_points: int
    elapsed_s: float
    remaining_s: float | None
    center: dict[str, float | None] | None
    center_on_grid: bool
    title: str
    subtitle: str
    error: str | None


class Meta(_Always, total=False):
    """Describes a frame.

    ``trajectory`` is there when the surface has one, ``marks`` when its plane names points, ``at_most`` when it may
    take less than ``remaining_s``, because a tolerance may be met before. With ``seeds`` the frame holds the surfaces
    of all these seeds, one after the other, each of them with all layers. ``sketch`` is there while a preview of
    the coarsest pass is drawn, ``warnings`` when there is something to warn of, a line each. ``failed`` and
    ``failed_checkpoints`` are there if there are any; with ``seeds``, the points of one seed follow those of the other.
    """

    trajectory: Trajectory
    seeds: list[int]
    marks: dict[str, tuple[float, float]]
    at_most: bool
    sketch: PreviewNote
    failed: Failed
    failed_checkpoints: Failed
    warnings: list[str]


def pack_dataset(dataset: xarray.Dataset, names: list[str]) -> tuple[bytes, Meta]:
    """Pack a result that is complete, or as far as it is.

    Args:
        dataset: With the coordinates alpha and beta, evenly spaced and ascending; and seed, if there are several.
        names: Its variables on (beta, alpha) that can be drawn.

    Returns:
        ``frame``, see ``make_frame``, and ``meta`` with the status "done" and the sequence 0.
    """
    if "seed" in dataset.dims:
        packed = [pack_dataset(dataset.isel(seed=i, drop=True), names) for i in range(dataset.sizes["seed"])]
        meta = packed[0][1]
        meta["seeds"] = [int(seed) for seed in dataset["seed"].values]
        if "failed" in dataset and (failed := _values(dataset, "failed", "seed")).any():
            meta["failed"] = failed_of(failed, dataset.attrs.get("failure"))
        meta["n_done"], meta["n_points"] = (sum(m[key] for _, m in packed) for key in ("n_done", "n_points"))
        meta.pop("warnings", None)
        _add_notices(meta, dataset)
        return b"".join(frame for frame, _ in packed), meta
    alpha, beta = (np.asarray(dataset[axis].values, dtype=np.float64) for axis in ("alpha", "beta"))
    values = {name: _values(dataset, name) for name in names}
    known = _values(dataset, "evaluated") != 0 if "evaluated" in dataset else np.ones((len(beta), len(alpha)), bool)
    predicted = {name: _values(dataset, f"{name}_predicted") for name in names if f"{name}_predicted" in dataset}
    layers, frame = make_frame(values, known, alpha, beta, predicted)
    at = np.flatnonzero(beta == 0), np.flatnonzero(alpha == 0)
    measured = {name: array for name, array in values.items() if not name.endswith("_stderr")}
    on_grid = len(at[0]) == 1 == len(at[1]) and bool(known[at][0])
    seed = dataset.attrs.get("seed")
    meta = {
        "version": VERSION,
        "sequence": 0,
        "status": "done",
        "shape": (len(beta), len(alpha)),
        "alpha": (float(alpha[0]), float(alpha[-1])),
        "beta": (float(beta[0]), float(beta[-1])),
        "seed": None if seed is None else int(seed),
        "layers": layers,
        "n_done": int(known.sum()),
        "n_points": int(known.size),
        "elapsed_s": 0.0,
        "remaining_s": None,
        "center": {name: finite(float(array[at][0])) for name, array in measured.items()} if on_grid else None,
        "center_on_grid": on_grid,
        "title": str(dataset.attrs.get("model", "Loss landscape")),
        "subtitle": subtitle(dataset.attrs),
        "error": None,
    }
    if "failed" in dataset and (failed := _values(dataset, "failed")).any():
        meta["failed"] = failed_of(failed, dataset.attrs.get("failure"))
    if "trajectory_captured" in dataset.attrs:
        told = {
            str(name).removeprefix("trajectory_"): variable.values
            for name, variable in dataset.data_vars.items()
            if str(name).startswith("trajectory_")
        }
        if (failed := told.pop("failed", np.zeros(0))).any():
            meta["failed_checkpoints"] = failed_of(failed, dataset.attrs.get("trajectory_failure"))
        labels, captured = dataset["checkpoint"].values.tolist(), float(dataset.attrs["trajectory_captured"])
        meta["trajectory"] = make_trajectory(labels, told, captured)
    if marks := marks_of(dataset.attrs):
        meta["marks"] = marks
    _add_notices(meta, dataset)
    return frame, meta


def _values(dataset: xarray.Dataset, name: str, *first: str) -> NDArray[np.float64]:
    return np.asarray(dataset[name].transpose(*first, "beta", "alpha").values, dtype=np.float64)


def failed_of(failed: NDArray[Any], reason: Any) -> Failed:
    """Pack the points, or checkpoints, at which model or loss raised.

    Args:
        failed: True (or 1) where they did.
        reason: The first error, None if it is unknown.
    """
    return {"at": np.flatnonzero(failed).tolist(), "reason": "unknown error" if reason is None else str(reason)}


def _add_notices(meta: Meta, dataset: xarray.Dataset) -> None:
    if notices := notices_of(dataset):
        meta["warnings"] = notices


def make_frame(
    values: Mapping[str, NDArray[np.float64]],
    evaluated: NDArray[np.bool_],
    alpha: NDArray[np.float64],
    beta: NDArray[np.float64],
    predicted: Mapping[str, NDArray[np.float64]] | None = None,
) -> tuple[list[str], bytes]:
    """Pack values on a grid.

    Args:
        values: ``{quantity: array}``, each of shape (n_beta, n_alpha).
        evaluated: Shape (n_beta, n_alpha). Points that are not evaluated are interpolated or NaN.
        alpha: Shape (n_alpha,).
        beta: Shape (n_beta,).
        predicted: Better values for points that are not evaluated, by quantity, where there are some.

    Returns:
        The names of the layers, the last one being ``evaluated`` (0 or 1), and the frame: float32 little-endian of
        shape (n_layers, n_beta, n_alpha), row = beta, column = alpha.
    """
    # Eigenvalues may be known at fewer points than the loss: where their number of products is.
    hessian_known = np.isfinite(values["hvps"]) if "hvps" in values else evaluated
    better = predicted or {}
    layers = {
        name: fill(array, hessian_known if name in HESSIAN_QUANTITIES else evaluated, alpha, beta, better.get(name))
        for name, array in values.items()
    }
    layers["evaluated"] = evaluated.astype(np.float64)
    with np.errstate(over="ignore"):
        return list(layers), np.stack(list(layers.values())).astype("<f4").tobytes()  # a copy: messages are sent later


def subtitle(recipe: Mapping[str, Any]) -> str:
    """Return what is known of how it was computed: "CrossEntropyLoss on 1,797 samples, filter-normalized"."""
    on = measured(recipe)
    kinds = {"pca": "principal directions", "between": "between two models"}
    kind = kinds.get(str(recipe.get("directions")), "given directions") if on else ""
    return ", ".join(part for part in (on, scaled(recipe) or kind) if part)


def measured(recipe: Mapping[str, Any]) -> str:
    """Return what was measured, "CrossEntropyLoss on 1,797 samples", or "" if unknown."""
    if "n_samples" not in recipe:
        return ""
    n = recipe["n_samples"]
    return f"{recipe.get('loss_fn', 'loss')} on {n:,} sample{'' if n == 1 else 's'}"


def scaled(recipe: Mapping[str, Any]) -> str:
    """Return how random directions were scaled, "filter-normalized", or "" if there are none."""
    norm = recipe.get("norm")
    return "" if norm is None else "not normalized" if norm == "none" else f"{norm}-normalized"


def make_trajectory(labels: Sequence[str], told: Mapping[str, NDArray[np.float64]], captured: float) -> Trajectory:
    """Pack the checkpoints of a training run.

    Args:
        labels: n of them.
        told: ``{name: array}``, each of shape (n,): ``alpha``, ``beta``, ``outside``, the quantities, and
            ``learning_rate`` if it is known.
        captured: The share of the variation of the run that lies in the plane.
    """
    lists = {name: [finite(value) for value in array.tolist()] for name, array in told.items()}
    return {
        "alpha": lists.pop("alpha"),
        "beta": lists.pop("beta"),
        "outside": lists.pop("outside"),
        "learning_rate": lists.pop("learning_rate", None),
        "values": lists,
        "captured": finite(captured),
        "labels": [str(label) for label in labels],
    }


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: None for what is not finite."""
    return value if math.isfinite(value) else None
