"""Frames and metas."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest
from support.jupyter.frames import LOSS_OF_SEEDS, Run, half_done, seeds, wire_golden
from support.jupyter.widgets import decoded
from support.reference import FakeEvaluator, fake_session, make_request

from lljupyter.jupyter import wire
from lljupyter.jupyter.wire import pack
from lljupyter.surface.frame import VERSION, Meta, measured, pack_dataset


def test_the_golden_frame_decodes_to_what_is_expected():
    content = wire_golden()
    layers = decoded(content["meta"], base64.b64decode(content["frame_base64"]))
    assert set(layers) == set(content["expected"])
    for name, rows in content["expected"].items():
        np.testing.assert_array_equal(layers[name], np.array(rows, dtype=np.float32))


def test_meta_has_the_fields_it_promises():
    _, meta = pack(half_done().snapshot(), 3)
    assert set(meta) == Meta.__required_keys__
    assert (meta["version"], meta["sequence"], meta["status"]) == (VERSION, 3, "stopped")
    assert meta["shape"] == (3, 5)
    assert (meta["alpha"], meta["beta"], meta["seed"]) == ((-2, 2), (-0.5, 0.5), 7)
    assert (meta["n_done"], meta["n_points"], meta["error"]) == (9, 15, None)
    assert meta["center"] == {"loss": 0.0, "accuracy": 0.0}
    assert meta["center_on_grid"] is True
    assert (meta["title"], meta["subtitle"]) == ("Net", "cross-entropy on 1,200 samples, filter-normalized")


def test_a_run_and_named_points_go_along():
    meta = wire_golden()["meta"]
    run = meta["trajectory"]
    assert run["values"] == {"loss": [None, 3.5, 0.0]}
    assert run["learning_rate"] == [0.1, 0.1, 0.01]
    assert (run["captured"], run["labels"]) == (0.875, ["epoch 0", "epoch 1", "epoch 2"])
    assert meta["marks"]["b"] == [1.5, 0.0]


def test_several_seeds_follow_each_other():
    frame, meta = pack_dataset(seeds().transpose("alpha", "seed", "beta"), ["loss"])
    assert (meta["seeds"], meta["seed"], meta["layers"]) == ([4, 7], None, ["loss", "evaluated"])
    assert (meta["n_done"], meta["n_points"], meta["shape"]) == (11, 12, (2, 3))
    array = np.frombuffer(frame, "<f4").reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(array[0, 0], LOSS_OF_SEEDS[0])
    np.testing.assert_array_equal(array[1, 0].ravel()[1:], np.ravel(LOSS_OF_SEEDS[1])[1:])
    np.testing.assert_array_equal(array[:, 1], seeds().evaluated)


def test_before_the_first_point():
    frame, meta = pack(fake_session().snapshot(), 0)
    json.dumps(meta, allow_nan=False)
    assert (meta["center"], meta["remaining_s"], meta["n_done"]) == (None, None, 0)
    layers = decoded(meta, frame)
    assert np.isnan(layers["loss"]).all()
    assert not layers["evaluated"].any()


@pytest.mark.filterwarnings("error")
def test_values_that_do_not_fit_are_holes():
    values = {0.0: 1e300, 1.0: -math.inf, -1.0: math.nan}
    session = fake_session(FakeEvaluator(lambda seed, a, b: values[a]), make_request(0, 3, 3))
    session.run()
    frame, meta = pack(session.snapshot(), 0)
    json.dumps(meta, allow_nan=False)
    layers = decoded(meta, frame)
    assert layers["loss"][0].tolist()[1:] == [math.inf, -math.inf]
    assert math.isnan(layers["loss"][0][0])
    assert layers["evaluated"].all()
    assert meta["center"]["loss"] == 1e300


def test_a_center_that_is_not_finite_is_null():
    session = fake_session(FakeEvaluator(lambda seed, a, b: math.inf))
    session.run()
    _, meta = pack(session.snapshot(), 0)
    json.dumps(meta, allow_nan=False)
    assert meta["center"]["loss"] is None


def test_an_error_is_a_text():
    def before(a, b):
        raise ArithmeticError("too far")

    session = fake_session(FakeEvaluator(before=before))
    session.run()
    _, meta = pack(session.snapshot(), 0)
    assert (meta["status"], meta["error"]) == ("error", "too far")


@pytest.mark.parametrize(
    ("recipe", "how"),
    [
        ({"norm": "layer"}, "layer-normalized"),
        ({}, "given directions"),
        ({"norm": "none"}, "not normalized"),
        ({"directions": "pca"}, "principal directions"),
    ],
)
def test_the_subtitle_says_how_directions_were_made(recipe, how):
    session = fake_session(recipe={"model": "Net", "loss_fn": "MSELoss", "n_samples": 5, **recipe})
    assert pack(session.snapshot(), 0)[1]["subtitle"] == f"MSELoss on 5 samples, {how}"


@pytest.mark.parametrize("moment", ["make_frame", "subtitle", "marks_of"])
def test_a_frame_never_mixes_two_requests(monkeypatch, moment):
    """The request changes while a frame is packed, as it does when a slider is moved."""
    session = half_done(checkpoint_losses=Run())
    other = make_request(8, 4, 4, (1, 3), (2, 5))  # another plane, without the center and the trajectory
    expected = pack(session.snapshot(), 0)
    whole = getattr(wire, moment)

    def interrupted(*args):
        session.request(other)
        return whole(*args)

    monkeypatch.setattr(wire, moment, interrupted)
    assert pack(session.snapshot(), 0) == expected
    meta = pack(session.snapshot(), 1)[1]
    assert (meta["seed"], meta["shape"], meta["n_points"], meta["center_on_grid"]) == (8, (4, 4), 16, False)
    assert "trajectory" not in meta


def test_a_frame_is_a_copy():
    session = half_done()
    frame, _ = pack(session.snapshot(), 0)
    assert isinstance(frame, bytes)
    session.request(make_request(8))
    assert frame == pack(half_done().snapshot(), 0)[0]


def test_one_sample_is_one():
    assert [measured({"loss_fn": "loss", "n_samples": n}) for n in (1, 1200)] == [
        "loss on 1 sample",
        "loss on 1,200 samples",
    ]


def test_points_that_failed_go_along_seed_after_seed_and_only_if_there_are_any():
    several = seeds().transpose("seed", "beta", "alpha")
    failed = several.loss > np.inf
    assert "failed" not in pack_dataset(several.assign(failed=failed), ["loss"])[1]
    failed.values[1, 0, 2] = True
    marked = several.assign(failed=failed).assign_attrs(failure="ValueError: no").transpose("alpha", "seed", "beta")
    size = several.sizes["beta"] * several.sizes["alpha"]
    assert pack_dataset(marked, ["loss"])[1]["failed"] == {"at": [size + 2], "reason": "ValueError: no"}
    one = marked.isel(seed=1, drop=True)
    assert pack_dataset(one, ["loss"])[1]["failed"] == {"at": [2], "reason": "ValueError: no"}
    run = {"trajectory_failed": ("checkpoint", [False, True])}
    run |= {f"trajectory_{name}": ("checkpoint", [0.0, 1.0]) for name in ("alpha", "beta", "outside")}
    whole = one.assign(run).assign_coords(checkpoint=["a", "b"])
    whole.attrs |= {"trajectory_captured": 1.0, "trajectory_failure": "OSError: x"}
    meta = pack_dataset(whole, ["loss"])[1]
    assert meta["failed_checkpoints"] == {"at": [1], "reason": "OSError: x"}
    assert meta["trajectory"]["values"] == {}
