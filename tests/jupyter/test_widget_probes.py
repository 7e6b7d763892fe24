from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from support.reference import PATIENCE, batches_of, network

from lljupyter import LandscapeWidget, loss_surface, projected_hessian
from lljupyter.compute.prepare import prepare
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane

POINT = (0.3, -0.7)


@pytest.fixture
def make():
    made = []

    def build(**options):
        made.append(LandscapeWidget(network(), batches_of(8), **{"resolution": 3, "seed": 3, **options}))
        return made[-1]

    yield build
    for widget in made:
        widget.close()


@pytest.mark.parametrize("quantities", [None, ["loss", "convexity"]], ids=["loss", "convexity"])
def test_a_probed_point_is_what_the_surface_and_the_hessian_are_there(make, quantities):
    widget = make(quantities=quantities)
    found = widget.probe_at(*POINT, timeout=PATIENCE)
    options = {"seed": 3, "resolution": 1, "progress": False}
    alpha, beta = ((x, x) for x in POINT)
    there = loss_surface(
        network(), batches_of(8), quantities=["loss", "convexity"], alpha=alpha, beta=beta, **options
    ).isel(alpha=0, beta=0)
    assert found["loss"] == pytest.approx(there.loss.item(), rel=1e-12)
    for name in ("lambda_min", "lambda_max", "convexity"):
        assert found[name] == pytest.approx(there[name].item(), rel=1e-3)
    plane = random_plane(parameters_of(network()), 3)
    within = projected_hessian(network(), batches_of(8), plane, POINT)
    np.testing.assert_allclose([[found["f_aa"], found["f_ab"]], [found["f_ab"], found["f_bb"]]], within, rtol=1e-9)
    moved = network().eval()
    moved.load_state_dict(plane.at(*POINT), strict=False)
    x, y = (torch.cat(parts) for parts in zip(*batches_of(8), strict=True))
    weights = [p for p in moved.parameters() if p.dim() > 1]
    gradient = torch.autograd.grad(torch.nn.functional.cross_entropy(moved(x), y), weights)
    assert found["gradient_norm"] == pytest.approx(float(torch.cat([g.flatten() for g in gradient]).norm()), rel=1e-9)


def test_the_answer_is_in_the_trait_also_after_a_stop(make):
    widget = make(resolution=51)
    widget.stop()
    n_done = widget.meta.get("n_done", 0)
    answer = widget.probe_at(*POINT, timeout=PATIENCE)
    widget._engine.wait(PATIENCE)
    assert widget.probe == {"status": "done", **answer}
    assert widget._engine.snapshot().status == "stopped"
    assert widget._engine.snapshot().n_done >= n_done
    answered = threading.Event()
    widget.observe(lambda change: answered.set() if change.new.get("status") == "done" else None, "probe")
    widget._on_command({"type": "probe", "alpha": 0.5, "beta": 0}, [])
    assert answered.wait(PATIENCE)
    assert widget.probe["alpha"] == 0.5
    widget._on_command({"type": "probe", "alpha": "far"}, [])


def test_a_pause_does_not_keep_a_probe_waiting_and_goes_on_afterwards(make):
    widget = make(resolution=51)
    widget.pause()
    assert widget.probe_at(*POINT, timeout=PATIENCE)["loss"] > 0
    assert widget._engine.snapshot().status == "paused"
    widget.resume()
    assert widget.wait(PATIENCE).evaluated.all()


def test_probing_changes_nothing_of_the_surface(make):
    widget = make(resolution=5)
    for point in (POINT, (0.0, 0.0), (1.0, 1.0)):
        widget.probe_at(*point, timeout=PATIENCE)
    plain = loss_surface(network(), batches_of(8), seed=3, resolution=5, progress=False)
    np.testing.assert_array_equal(widget.wait(PATIENCE).loss, plain.loss)


def test_a_point_of_another_plane_is_not_shown_any_more(make):
    widget = make(resolution=5)
    found = widget.probe_at(*POINT, timeout=PATIENCE)
    assert all(type(value) in (int, float) for value in found.values())
    widget.alpha = (-0.5, 0.5)
    assert widget.probe["status"] == "done"  # along the same directions it is the same point
    widget.seed = 4
    assert widget.probe == {}
    widget._show_answer(found)  # an answer that comes late
    assert widget.probe == {}
    assert widget.probe_at(*POINT, timeout=PATIENCE)["loss"] != found["loss"]
    assert widget.probe["status"] == "done"


def test_whoever_waits_for_a_point_is_told_when_another_one_is_asked_for(make):
    class Slow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            if threading.current_thread() is not threading.main_thread():
                entered.set()
                assert go.wait(PATIENCE)
            return self.inner(x)

    entered, go = threading.Event(), threading.Event()
    widget = LandscapeWidget(Slow(), batches_of(8), resolution=3, seed=3, evaluation="plain")
    try:
        assert entered.wait(PATIENCE)
        threading.Timer(
            0.2, lambda: (widget._on_command({"type": "probe", "alpha": 0.5, "beta": 0}, []), go.set())
        ).start()
        with pytest.raises(
            RuntimeError, match=r"expected an answer for \(0\.3, -0\.7\), got another point; ask for it a"
        ):
            widget.probe_at(*POINT, timeout=PATIENCE)
    finally:
        go.set()
        widget.close()


def test_what_can_not_be_probed_is_refused(make):
    widget = make()
    with pytest.raises(TypeError, match="expected a point as two numbers"):
        widget.probe_at("a", 0)
    with pytest.raises(ValueError, match="expected a finite point"):
        widget.probe_at(float("nan"), 0)
    widget.close()
    with pytest.raises(ValueError, match="expected an open widget"):
        widget.probe_at(0, 0)


def test_a_model_without_second_derivatives_still_tells_its_loss():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(3, 2)

        def forward(self, x):
            return Once.apply(self.inner(x))

    session = prepare(Model(), [(torch.eye(3), torch.zeros(3, 2))], loss_fn=torch.nn.MSELoss(), resolution=3).session
    answer = session.inspect(0.0, 0.0)
    session.run()
    assert answer.result(0)["loss"] >= 0
    assert "differentiated twice" in answer.result(0)["error"]
    assert session.snapshot().status == "done"
