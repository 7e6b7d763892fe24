"""Sketches of slow surfaces from some of the samples: what is drawn, when, and that no result ever holds it."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from support.reference import PATIENCE, grid_points, make_request, slow_mean
from support.slow import BATCH, QUICK, SLOW, Clock, N, Slow, data, joined, make
from torch import nn
from torch.nn.functional import cross_entropy

from lljupyter import LandscapeWidget
from lljupyter.evaluate import autotune
from lljupyter.evaluate.autotune import Autotuner, Candidate
from lljupyter.geometry.plane import random_plane
from lljupyter.jupyter.wire import pack
from lljupyter.session import tasks, throttle
from lljupyter.session.snapshot import dataset_of
from lljupyter.session.sources.preview import DOUBLINGS, LARGEST_SHARE, SECONDS
from lljupyter.session.sources.subsets import Subsets


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(Slow, "clock", clock)
    monkeypatch.setattr(Slow, "sizes", array("l"))
    monkeypatch.setattr(tasks, "time", clock)
    for name in ("PUBLISH_SECONDS", "PATIENT_SECONDS"):  # every state is shown
        monkeypatch.setattr(throttle, name, -1.0)
    return clock


def live(session):
    """Runs a session as a widget does; returns everything that would be drawn, each with the Dataset of that moment."""
    seen = []
    session.on_update = lambda s: seen.append((*pack(s, 0), dataset_of(s), s.n_done))
    session.start()
    session.wait(PATIENCE)
    return seen


def layers(frame, meta):
    array = np.frombuffer(frame, "<f4").reshape(len(meta["layers"]), *meta["shape"])
    return dict(zip(meta["layers"], array, strict=True))


def assert_as_without(session, others=None):
    """The result is that of a run in the calling thread, bit by bit."""
    alone = make(session.snapshot().request, **(others or {}))[0]
    alone.run()
    assert session.snapshot().status == "done"
    assert session.snapshot().evaluated.all()
    for name, values in alone.snapshot().values.items():
        np.testing.assert_array_equal(session.snapshot().values[name], values)


def test_a_sketch_is_the_mean_over_its_samples_with_its_standard_error():
    session, evaluator = make()
    sketches = [(frame, meta) for frame, meta, _, n_done in live(session) if "sketch" in meta and n_done == 0]
    sizes = list(dict.fromkeys(meta["sketch"]["n"] for _, meta in sketches))
    assert len(sizes) == 1 + DOUBLINGS
    frame, meta = sketches[-1]
    n = meta["sketch"]["n"]
    assert meta["sketch"]["n_samples"] == N
    # The share is known up to one sample; a sketch takes about a second, twice as many samples twice as long.
    assert SECONDS / 2 <= 9 * sizes[0] * SLOW <= 1.1 * SECONDS
    assert n == pytest.approx(sizes[0] * 2**DOUBLINGS, rel=0.05)
    share = next(k / N for k in range(1, N) if sum(b.n for b in Subsets(evaluator.plain).between(0, k / N)[""]) == n)
    x, y = joined(Subsets(evaluator.plain).between(0, share)[""])
    plane = random_plane(evaluator.problem.center, 3)
    corners = grid_points([-1, 0, 1], [-1, 0, 1])
    args = Slow(), [(x, y)], (plane.delta, plane.eta), corners
    mean = slow_mean(*args, lambda o, t: cross_entropy(o, t))
    spread = [slow_mean(*args, lambda o, t: cross_entropy(o, t, reduction="none").std() / len(t) ** 0.5)]
    found = layers(frame, meta)
    np.testing.assert_allclose(found["loss"][::2, ::2].ravel(), mean, rtol=1e-6)
    np.testing.assert_allclose(found["loss_stderr"][::2, ::2].ravel(), spread[0], rtol=1e-6)
    np.testing.assert_allclose(found["loss"][0, 1], mean[:2].mean(), rtol=1e-6)
    assert meta["sketch"]["stderr"]["loss"] == pytest.approx(np.median(spread[0]), rel=1e-12)
    assert set(meta["sketch"]["stderr"]) == {"loss", "accuracy"}


def test_what_is_sketched_is_in_no_result_and_does_not_count():
    session, _ = make()
    seen = live(session)
    assert any("sketch" in meta and 0 < n_done < 9 for _, meta, _, n_done in seen)
    for frame, meta, dataset, n_done in seen:
        known = dataset.evaluated.values
        assert meta["n_done"] == int(layers(frame, meta)["evaluated"].sum()) == int(known.sum()) == n_done
        assert np.isfinite(dataset.loss.values).tolist() == known.tolist()
        assert not any("predicted" in str(name) or "sketch" in str(name) for name in dataset.variables)
        assert not any("sketch" in name for name in dataset.attrs)
        # Points that are known are drawn as they are, beside the sketch of the others.
        np.testing.assert_array_equal(layers(frame, meta)["loss"][known], dataset.loss.values[known].astype("<f4"))
        if n_done:  # there is a picture of the whole from the start, and it is said how long it is a sketch
            assert np.isfinite(layers(frame, meta)["loss"]).all()
            assert ("sketch" in meta) == (not known[::2, ::2].all())
    assert_as_without(session)


def test_a_quick_surface_is_not_sketched_and_loses_less_than_a_point(clock):
    clock.seconds = QUICK
    session, evaluator = make()
    measure, extra = evaluator.plain.measure, []

    def measure_part(points, tick, parts=None):
        if parts is not None:
            extra.append(sum(batch.n for batch in parts[""]))
        return measure(points, tick, parts)

    evaluator.plain.measure = measure_part
    assert not any("sketch" in meta for _, meta, _, _ in live(session))
    assert 0 < sum(extra) <= LARGEST_SHARE * N
    assert_as_without(session)


def make_and_run():
    session, _ = make()
    Slow.sizes = array("l")
    session.run()
    return session


def test_a_blocking_run_does_not_pay_for_a_sketch():
    session = make_and_run()
    assert "sketch" not in pack(session.snapshot(), 0)[1]
    assert set(Slow.sizes) == {BATCH}


def test_each_of_several_loaders_has_its_share():
    session, evaluator = make(loader={"train": data(), "test": data(40, 8)})
    sizes = {name: sum(b.n for b in part) for name, part in Subsets(evaluator.plain).between(0, 0.02).items()}
    assert sizes == {"train_": pytest.approx(0.02 * N, abs=2), "test_": pytest.approx(2, abs=1)}
    metas = [meta for _, meta, _, _ in live(session)]
    sketch = next(meta["sketch"] for meta in metas if "sketch" in meta)
    assert sketch["n_samples"] == N + 40
    assert {"train_loss", "test_loss", "train_accuracy"} <= set(sketch["stderr"])
    assert_as_without(session, {"loader": {"train": data(), "test": data(40, 8)}})


def mean_loss(outputs, targets):
    return cross_entropy(outputs, targets)


def test_whole_batches_are_taken_where_the_loss_is_known_as_their_mean_only():
    size = N // 48  # of fewer batches, none is few enough for a sketch
    options = {"loss_fn": mean_loss, "loader": data(size=size)}
    session, evaluator = make(**options)
    assert not evaluator.problem.per_sample
    Slow.sizes = array("l")
    sketch = [meta["sketch"] for _, meta, _, _ in live(session) if "sketch" in meta][-1]
    assert sketch["n"] % size == 0
    assert 2 * size <= sketch["n"] <= LARGEST_SHARE * N
    assert set(Slow.sizes) == {size}
    assert_as_without(session, options)


@pytest.mark.parametrize(
    ("options", "useful"), [({}, True), ({"batchnorm": "recalibrate"}, False), ({"max_samples": 100}, False)]
)
def test_statistics_recomputed_at_every_point_and_few_samples_leave_it_out(options, useful):
    model = nn.Sequential(Slow(), nn.BatchNorm1d(4).double())
    session, evaluator = make(model=model, **options)
    assert Subsets(evaluator.plain).useful == useful
    assert any("sketch" in meta for _, meta, _, _ in live(session)) == useful


def test_a_sketch_that_fails_is_left_out_and_the_points_are_measured(monkeypatch):
    session, _ = make()
    with monkeypatch.context() as later:  # a model that can't be cut from the start is previewed in whole batches
        later.setattr(Slow, "breaks", staticmethod(lambda x: len(x) != BATCH))
        assert not any("sketch" in meta for _, meta, _, _ in live(session))
    assert_as_without(session)


def test_a_model_that_fails_everywhere_is_told_at_a_point(monkeypatch):
    session, _ = make()
    monkeypatch.setattr(Slow, "breaks", staticmethod(lambda x: True))
    with pytest.raises(RuntimeError, match=r"evaluating the point \(alpha, beta\) = \(0, 0\) failed: .* it broke"):
        live(session)


def shows_sketch_of(request, frame, meta, dataset, n_done):
    here = (meta["alpha"], meta["seed"]) == ((request.alpha[0], request.alpha[-1]), request.seed)
    return here and "sketch" in meta and n_done == 0


@pytest.mark.parametrize("n_before", [1, 4, 12, 20])
@pytest.mark.parametrize("command", ["pause", "stop", "range", "seed"])
def test_commands_in_the_middle_of_a_sketch(command, n_before):
    session, evaluator = make()
    measure, calls, seeds = evaluator.plain.measure, [], []
    other = make_request(4) if command == "seed" else make_request(3, alpha=(-0.5, 1.5))

    def measure_part(points, tick, parts=None):
        if parts is not None:
            calls.append(points[0].tolist())
            seeds.append(session.snapshot().request.seed)
            if len(calls) == n_before:
                if command == "pause":
                    session.pause()
                    session.resume()
                elif command == "stop":
                    session.stop()
                else:
                    session.request(other)
        return measure(points, tick, parts)

    evaluator.plain.measure = measure_part
    seen = live(session)
    if command == "stop":
        assert session.snapshot().status == "stopped"
        assert session.snapshot().n_done == 0
        n = len(calls)
        session.resume()
        session.wait(PATIENCE)
        assert calls[n] == calls[n - 1]  # what was interrupted is taken up again
    if command in ("range", "seed"):
        assert [1.5, 1] in calls if command == "range" else seeds.count(4) >= 9
        # What is drawn of the new plane is what would be drawn of it alone.
        anew, alone = ([s[0] for s in found if shows_sketch_of(other, *s)] for found in (seen, live(make(other)[0])))
        assert anew[-1] == alone[-1]
        assert session.snapshot().request.same_as(other)
    assert_as_without(session)


def test_another_plane_is_not_sketched_where_points_turned_out_to_be_quick(clock):
    session, _ = make()
    live(session)
    clock.seconds = QUICK
    sizes = []
    for seed in (4, 5):
        Slow.sizes = array("l")
        session.request(make_request(seed))
        session.wait(PATIENCE)
        sizes.append(set(Slow.sizes))
    assert sizes[0] > {BATCH}  # it was slow so far, and is tried
    assert sizes[1] == {BATCH}


def test_ways_to_evaluate_are_chosen_on_points_from_all_samples(monkeypatch):
    monkeypatch.setattr(autotune, "PAYS_SECONDS", -1.0)
    monkeypatch.setattr(autotune, "candidates", lambda problem, plain, precision: [Candidate("plain", lambda: plain)])
    step, tried = Autotuner.step, []

    def recorded(self, moving, points, values, tick):
        tried.append((points, values))
        return step(self, moving, points, values, tick)

    monkeypatch.setattr(Autotuner, "step", recorded)
    session, _ = make(evaluation="fastest")
    assert any("sketch" in meta for _, meta, _, _ in live(session))
    evaluator = make()[1]
    evaluator.set_plane(random_plane(evaluator.problem.center, 3))
    assert tried
    for points, values in tried:
        expected = evaluator.evaluate(points)
        for name, column in values.items():
            np.testing.assert_array_equal(column, expected[name])


@pytest.mark.usefixtures("browser_that_listens")
def test_the_page_says_so_until_the_coarsest_pass_is_complete():
    from support.jupyter.widgets import frames

    widget = LandscapeWidget(Slow(), data(), resolution=5, evaluation="plain", seed=3)
    try:
        surface = widget.wait(PATIENCE)
    finally:
        widget.close()
    metas = [meta for meta, _ in frames()]
    assert metas[-1]["status"] == "done"
    assert "sketch" not in metas[-1]
    said = [meta for meta in metas if "sketch" in meta]
    assert said
    assert said[0]["n_done"] == 0
    assert all(meta["n_done"] < 9 for meta in said)
    alone = make_and_run().snapshot().values["loss"]
    np.testing.assert_array_equal(surface.loss, alone)


def test_the_time_of_a_sketch_counts(clock, monkeypatch):
    took = []

    def measure(self, *args):
        began = clock.now
        found = measure_preview(self, *args)
        took.append(clock.now - began)
        return found

    measure_preview = Subsets.measure
    monkeypatch.setattr(Subsets, "measure", measure)
    session, _ = make()
    live(session)
    sketched, in_all = sum(took), session.snapshot().elapsed
    assert sketched > SECONDS
    # A surface of its own, where points are known to be slow.
    session.request(session.snapshot().request._replace(seed=8))
    session.wait(PATIENCE)
    alone = make(session.snapshot().request)[0]
    alone.run()
    assert in_all == pytest.approx(alone.snapshot().elapsed + sketched)
    assert session.snapshot().elapsed <= alone.snapshot().elapsed + sum(took) - sketched
