"""What crosses the wire: frames of a session down to the browser, see ``surface.frame``, and commands up.

``js/src/model/wire.ts`` reads the same; ``tests/contract`` compares the two.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lljupyter.session.snapshot import Snapshot, notices_of_snapshot
from lljupyter.surface.checks import marks_of
from lljupyter.surface.frame import VERSION, Meta, failed_of, finite, make_frame, make_trajectory, subtitle


class Command(TypedDict, total=False):
    """A command of the browser: ``pull`` asks for the latest state again, ``probe`` for a close look at a point."""

    type: Literal["pause", "resume", "stop", "pull", "probe"]
    alpha: float
    beta: float


def pack(snapshot: Snapshot, sequence: int) -> tuple[bytes, Meta]:
    """Pack the state of a session.

    Args:
        snapshot: At any stage.
        sequence: Number of this frame, ascending.

    Returns:
        ``frame``, see ``make_frame``, and ``meta``.
    """
    request, values, evaluated = snapshot.request, snapshot.values, snapshot.evaluated
    previewed, preview = ({}, None) if snapshot.preview is None else snapshot.preview.drawn(request, values, evaluated)
    layers, frame = make_frame(values, evaluated, request.alpha, request.beta, previewed or snapshot.predicted)
    center, remaining = snapshot.center, snapshot.remaining
    meta: Meta = {
        "version": VERSION,
        "sequence": sequence,
        "status": snapshot.status,
        "shape": (len(request.beta), len(request.alpha)),
        "alpha": (float(request.alpha[0]), float(request.alpha[-1])),
        "beta": (float(request.beta[0]), float(request.beta[-1])),
        "seed": request.seed,
        "layers": layers,
        "n_done": snapshot.n_done,
        "n_points": snapshot.n_points,
        "elapsed_s": round(snapshot.elapsed, 3),
        "remaining_s": None if remaining is None else round(remaining, 3),
        "center": None
        if center is None
        else {name: finite(center[name]) for name in snapshot.quantities if name in center},
        "center_on_grid": request.has_center,
        "title": snapshot.attributes["model"],
        "subtitle": subtitle(snapshot.attributes),
        "error": None if snapshot.error is None else str(snapshot.error),
    }
    if snapshot.at_most:
        meta["at_most"] = True
    if preview is not None:
        meta["sketch"] = preview
    if snapshot.failed.any():
        meta["failed"] = failed_of(snapshot.failed, snapshot.failure)
    if (run := snapshot.trajectory) is not None:
        meta["trajectory"] = make_trajectory(run.labels, run.values, run.captured)
        if run.failed.any():
            meta["failed_checkpoints"] = failed_of(run.failed, run.failure)
    if marks := marks_of(snapshot.attributes):
        meta["marks"] = marks
    if notices := notices_of_snapshot(snapshot):
        meta["warnings"] = notices
    return frame, meta
