"""Frames and metas of a session and of a result, and the values they hold."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import xarray
from support.reference import RECIPE, FakeEvaluator, fake_session, make_request

from lljupyter.geometry.projection import ProjectedTrajectory
from lljupyter.jupyter.wire import pack
from lljupyter.session.sources.checkpoint_losses import TrajectoryLosses
from lljupyter.surface.frame import pack_dataset

NONE = None  # NaN

# Alpha -2 .. 2, beta -0.5 .. 0.5; the loss is alpha + 10 beta at columns 0, 2, 4, but for a NaN at (alpha, beta) =
# (2, -0.5). The columns between are not evaluated; they are the means of their neighbors.
EXPECTED = {
    "loss": [[-7.0, -6.0, -5.0, NONE, NONE], [-2.0, -1.0, 0.0, 1.0, 2.0], [3.0, 4.0, 5.0, 6.0, 7.0]],
    "evaluated": [[1, 0, 1, 0, 1]] * 3,
}
EXPECTED["loss_stderr"] = [[None if v is None else v / 8 for v in row] for row in EXPECTED["loss"]]
EXPECTED["accuracy"] = [[None if v is None else v / 4 for v in row] for row in EXPECTED["loss"]]
EXPECTED["accuracy_stderr"] = [[None if v is None else v / 32 for v in row] for row in EXPECTED["loss"]]


# Two seeds on two rows and three columns.
LOSS_OF_SEEDS = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]]


def seeds():
    dims, there = ("seed", "beta", "alpha"), np.ones((2, 2, 3), dtype=bool)
    there[1, 0, 0] = False
    coords = {"seed": [4, 7], "beta": [0.0, 1.0], "alpha": [-1.0, 0.0, 1.0]}
    return xarray.Dataset({"loss": (dims, LOSS_OF_SEEDS), "evaluated": (dims, there)}, coords, {"model": "Net"})


class Run:
    """Stands in for ``CheckpointLosses``: three checkpoints, of which the first one is not evaluated yet."""

    labels = ("epoch 0", "epoch 1", "epoch 2")
    path = ProjectedTrajectory(
        np.array([-1.5, -1.0, 0.0]),
        np.array([0.25, 0.5, 0.0]),
        np.array([0.75, 0.5, 0.0]),
        0.875,
        np.array([2.0, 1.5, 0.0]),
    )

    def claim(self, request):
        return None

    def release(self, task):
        raise AssertionError

    def known(self):
        at = {"alpha": self.path.alpha, "beta": self.path.beta, "outside": self.path.outside}
        losses = {"loss": np.array([math.nan, 3.5, 0.0]), "learning_rate": np.array([0.1, 0.1, 0.01])}
        return TrajectoryLosses(self.labels, {**at, **losses}, self.path.captured, np.zeros(3, dtype=bool), "")


def half_done(**options):
    evaluator = FakeEvaluator(
        lambda seed, a, b: math.nan if (a, b) == (2, -0.5) else a + 10 * b, quantities=("loss", "accuracy")
    )
    session = fake_session(evaluator, make_request(7, 5, 3, (-2, 2), (-0.5, 0.5)), **options)
    session.on_update = lambda snapshot: session.stop() if snapshot.n_done == 9 else None
    session.run()
    assert session.snapshot().n_done == 9
    return session


def wire_golden() -> dict:
    """Return a frame and a meta as they are sent, and those of several seeds, with the values they hold."""
    marks = json.dumps({"a": (0.0, 0.0), "b": (1.5, 0.0), "c": (0.5, 0.25)})
    session = half_done(checkpoint_losses=Run(), recipe={**RECIPE, "marks": marks, "warnings": "one\ntwo"})
    frame, meta = pack(session.snapshot(), 3)
    meta["elapsed_s"], meta["remaining_s"] = 1.25, 0.75  # what a clock says is not for a golden file
    several, meta_of_several = pack_dataset(seeds(), ["loss"])
    return {
        "meta": meta,
        "frame_base64": base64.b64encode(frame).decode(),
        "expected": EXPECTED,
        "seeds": {"meta": meta_of_several, "frame_base64": base64.b64encode(several).decode(), "loss": LOSS_OF_SEEDS},
    }
