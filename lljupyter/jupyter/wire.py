"""What crosses the wire to the browser: a binary ``frame`` and a small JSON ``meta``, always sent together.

``js/src/wire.ts`` reads the same; ``tests/golden/wire.json`` holds the two to each other.
"""

from __future__ import annotations

import math
from typing import Literal, TypedDict

import numpy as np

from lljupyter.engine.session import Session, Status
from lljupyter.geometry.grid import fill

VERSION = 1


class Meta(TypedDict):
    """Describes a frame. Numbers are finite or None, as JSON knows neither NaN nor infinity.

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


class Command(TypedDict):
    """What the browser asks for: ``pull`` is "send the latest state again"."""

    type: Literal["pause", "resume", "stop", "pull"]


def pack(session: Session, sequence: int) -> tuple[bytes, Meta]:
    """Packs what a session knows now.

    Args:
        session: At any stage.
        sequence: Number of this frame, ascending.

    Returns:
        ``frame``, float32 little-endian of shape (n_layers, n_beta, n_alpha), row = beta, column = alpha: points that
        are not evaluated are interpolated or NaN, and the layer ``evaluated`` (0 or 1) tells them apart. And ``meta``.
    """
    request, values, evaluated = session.arrays()
    progress = session.progress()
    layers = {name: fill(array, evaluated, request.alpha, request.beta) for name, array in values.items()}
    layers["evaluated"] = evaluated.astype(np.float64)
    center = session.center()
    with np.errstate(over="ignore"):
        frame = np.stack(list(layers.values())).astype("<f4").tobytes()  # a copy: messages are sent later
    recipe = session.recipe
    norm = recipe.get("norm")
    how = "given directions" if norm is None else "not normalized" if norm == "none" else f"{norm}-normalized"
    meta: Meta = {
        "version": VERSION,
        "sequence": sequence,
        "status": progress.status,
        "shape": (len(request.beta), len(request.alpha)),
        "alpha": (float(request.alpha[0]), float(request.alpha[-1])),
        "beta": (float(request.beta[0]), float(request.beta[-1])),
        "seed": request.seed,
        "layers": list(layers),
        "n_done": progress.n_done,
        "n_points": progress.n_points,
        "elapsed_s": round(progress.elapsed, 3),
        "remaining_s": None if progress.remaining is None else round(progress.remaining, 3),
        "center": None if center is None else {name: _finite(center[name]) for name in session.quantities},
        "center_on_grid": session.center_on_grid(),
        "title": recipe["model"],
        "subtitle": f"{recipe['loss_fn']} on {recipe['n_samples']:,} samples, {how}",
        "error": None if progress.error is None else str(progress.error),
    }
    return frame, meta


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
