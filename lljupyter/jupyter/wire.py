"""What crosses the wire: frames of a session down to the browser, see ``surface.frame``, and commands up.

``js/src/wire.ts`` reads the same; ``tests/golden/wire.json`` holds the two to each other.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lljupyter.session.session import Session
from lljupyter.surface.checks import marks_of
from lljupyter.surface.frame import VERSION, Meta, finite, make_frame, make_trajectory, subtitle


class Command(TypedDict, total=False):
    """What the browser asks for: ``pull`` is "send the latest state again", ``probe`` has the point with it."""

    type: Literal["pause", "resume", "stop", "pull", "probe"]
    alpha: float
    beta: float


def pack(session: Session, sequence: int) -> tuple[bytes, Meta]:
    """Packs what a session knows now.

    Args:
        session: At any stage.
        sequence: Number of this frame, ascending.

    Returns:
        ``frame``, see ``make_frame``, and ``meta``.
    """
    request, values, evaluated = session.arrays()
    progress = session.progress()
    sketched, sketch = session.sketched(request, values, evaluated)
    predicted = sketched or session.predicted()[0]
    layers, frame = make_frame(values, evaluated, request.alpha, request.beta, predicted)
    center = session.center()
    meta: Meta = {
        "version": VERSION,
        "sequence": sequence,
        "status": progress.status,
        "shape": (len(request.beta), len(request.alpha)),
        "alpha": (float(request.alpha[0]), float(request.alpha[-1])),
        "beta": (float(request.beta[0]), float(request.beta[-1])),
        "seed": request.seed,
        "layers": layers,
        "n_done": progress.n_done,
        "n_points": progress.n_points,
        "elapsed_s": round(progress.elapsed, 3),
        "remaining_s": None if progress.remaining is None else round(progress.remaining, 3),
        "center": None
        if center is None
        else {name: finite(center[name]) for name in session.quantities if name in center},
        "center_on_grid": session.center_on_grid(),
        "title": session.recipe["model"],
        "subtitle": subtitle(session.recipe),
        "error": None if progress.error is None else str(progress.error),
    }
    if progress.at_most:
        meta["at_most"] = True
    if sketch is not None:
        meta["sketch"] = sketch
    if (trajectory := session.trajectory()) is not None:
        meta["trajectory"] = make_trajectory(*trajectory)
    if marks := marks_of(session.recipe):
        meta["marks"] = marks
    return frame, meta
