from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from support import tiny
from support.reference import network, samples
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.directions import between
from lljupyter.geometry.plane import Plane, random_plane

POINTS = np.array([(-0.5, 0.0), (0.0, 0.0), (0.7, 0.0)])


def loss_of(model: nn.Module, batches) -> float:
    with torch.no_grad():
        totals = [functional.cross_entropy(model(x), y, reduction="sum") for x, y in batches]
    return float(sum(totals)) / sum(len(y) for _, y in batches)


def small(part: str = "train"):
    (x, y), *_ = tiny.digits(part)
    return list(zip(x.split(40), y.split(40), strict=True))  # 40, 40, 40, 8


def line_between(evaluator: Evaluator, over: str) -> Plane:
    delta = between(tiny.network("a"), tiny.network("b"), over)
    center = evaluator.states if over == "states" else evaluator.center
    return Plane(center, delta, {name: torch.zeros_like(part) for name, part in delta.items()})


def blended(t: float, names) -> nn.Module:
    a, b = tiny.network("a"), tiny.network("b").state_dict()
    state = a.state_dict()
    a.load_state_dict({k: v + t * (b[k] - v) if k in names else v for k, v in state.items()})
    return a.eval()


@pytest.mark.parametrize("over", ["parameters", "states"])
def test_running_statistics_move_with_directions_over_states_only(over):
    evaluator = Evaluator(tiny.network("a"), small())
    plane = line_between(evaluator, over)
    evaluator.set_plane(plane)
    found = evaluator.evaluate(POINTS)["loss"]
    expected = [loss_of(blended(t, plane.delta), small()) for t in POINTS[:, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    evaluator.set_plane(random_plane(evaluator.center, 0))
    center = evaluator.evaluate(np.zeros((1, 2)))["loss"]
    np.testing.assert_allclose(center, loss_of(tiny.network("a").eval(), small()), rtol=1e-6)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_several_loaders_are_measured_one_by_one(resident):
    both = {"train": small(), "test": small("test")}
    evaluator = Evaluator(tiny.network(), both)
    evaluator.resident = resident
    evaluator.set_plane(random_plane(evaluator.center, 0))
    found = evaluator.evaluate(POINTS)
    assert evaluator.quantities == ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert evaluator.n_samples == 256
    for name, loader in both.items():
        alone = Evaluator(tiny.network(), loader)
        alone.set_plane(random_plane(alone.center, 0))
        for kind, values in alone.evaluate(POINTS).items():
            np.testing.assert_array_equal(found[f"{name}_{kind}"], values)


@pytest.mark.parametrize("loader", [{}, {1: []}, {"my loader": []}])
def test_loaders_without_proper_names_are_refused(loader):
    with pytest.raises(ValueError, match=r"expected loaders with names, got the keys .*; try {'train': loader"):
        Evaluator(tiny.network(), loader)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_recalibrated_statistics_are_those_of_the_data_at_each_point(resident):
    loaders = {"train": small(), "test": small("test")}
    evaluator = Evaluator(tiny.network(), loaders, batchnorm="recalibrate")
    evaluator.resident = resident
    plane = line_between(evaluator, "parameters")
    evaluator.set_plane(plane)
    found = evaluator.evaluate(POINTS)
    for index, t in enumerate(POINTS[:, 0]):
        model = blended(t, plane.delta)
        sums: dict[nn.Module, list[torch.Tensor]] = {}
        norms = [m for m in model if isinstance(m, nn.BatchNorm2d)]
        for x, _ in small():  # each batch's own statistics, weighted with its size
            for norm in norms:
                norm.train()
                norm.momentum = 1.0
            model(x)
            for norm in norms:
                sums.setdefault(norm, []).append(torch.stack([norm.running_mean, norm.running_var]) * len(x) / 128)
        for norm, parts in sums.items():
            norm.running_mean.copy_(sum(parts)[0])
            norm.running_var.copy_(sum(parts)[1])
        model.eval()
        assert found["train_loss"][index] == pytest.approx(loss_of(model, small()), rel=1e-5)
        assert found["test_loss"][index] == pytest.approx(loss_of(model, small("test")), rel=1e-5)


def test_a_last_batch_of_one_sample_is_left_out_of_recalibrated_statistics():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    x, y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double(), torch.arange(9) % 2
    evaluator = Evaluator(model, list(zip(x.split(4), y.split(4), strict=True)), batchnorm="recalibrate")
    found = evaluator.evaluate_states({})["loss"].item()
    hidden = model[0](x)
    mean = (hidden[:4].mean(0) + hidden[4:8].mean(0)) / 2
    var = (hidden[:4].var(0) + hidden[4:8].var(0)) / 2
    outputs = model[2]((hidden - mean) / (var + model[1].eps).sqrt())
    assert found == pytest.approx(nn.functional.cross_entropy(outputs, y).item(), rel=1e-12)


def test_every_batch_of_one_sample_counts_where_there_are_no_larger_ones():
    model, (x, y) = network().eval(), samples(6)
    evaluator = Evaluator(model, [(x[k : k + 1], y[k : k + 1]) for k in range(6)], batchnorm="recalibrate")
    found = evaluator.evaluate_states({})["loss"].item()
    with torch.no_grad():
        hidden = model[0](x)
        model[1].running_mean.copy_(hidden.mean((2, 3)).mean(0))
        model[1].running_var.copy_(hidden.flatten(2).var(2).mean(0))
    assert found == pytest.approx(loss_of(model, [(x, y)]), rel=1e-12)


def test_an_interruption_while_recalibrating_passes_through():
    evaluator = Evaluator(tiny.network(), small(), batchnorm="recalibrate")
    evaluator.set_plane(random_plane(evaluator.center, 0))
    calls = iter(range(3))

    class Enough(Exception):
        pass

    def tick() -> None:
        if next(calls, None) is None:
            raise Enough

    with pytest.raises(Enough):
        evaluator.evaluate(POINTS, tick)
    assert not any(module.training for module in evaluator.model.modules())


def test_unknown_ways_to_treat_batchnorm_are_refused():
    with pytest.raises(ValueError, match=r"expected batchnorm as one of .*'recalibrate'.*, got 'train'"):
        Evaluator(tiny.network(), small(), batchnorm="train")


def test_checkpoints_are_measured_with_their_own_statistics_and_leave_no_trace():
    evaluator = Evaluator(tiny.network(), small())
    evaluator.set_plane(random_plane(evaluator.center, 0))
    before = evaluator.evaluate(POINTS)["loss"]
    for state in tiny.checkpoints()[:2]:
        model = copy.deepcopy(tiny.network())
        model.load_state_dict(state)
        found = evaluator.evaluate_states({k: v for k, v in state.items() if k in evaluator.states})
        assert found["loss"].item() == pytest.approx(loss_of(model.eval(), small()), rel=1e-6)
    np.testing.assert_array_equal(evaluator.evaluate(POINTS)["loss"], before)


def test_a_model_that_fails_at_a_checkpoint_names_it():
    evaluator = Evaluator(tiny.network(), small())
    with pytest.raises(RuntimeError, match=r"evaluating checkpoint 7 failed: .*size"):
        evaluator.evaluate_states({"fc.bias": torch.zeros(3)}, "checkpoint 7")
    evaluator.set_plane(random_plane(evaluator.center, 0))
    assert np.isfinite(evaluator.evaluate(POINTS)["loss"]).all()


@pytest.mark.parametrize("loss_fn", [None, lambda o, t: functional.cross_entropy(o, t)], ids=["module", "callable"])
def test_the_gradient_is_that_of_the_mean_loss(loss_fn):
    evaluator = Evaluator(tiny.network(), small(), loss_fn=loss_fn)
    gradient = evaluator.gradient()
    model = tiny.network().eval()
    x, y = (torch.cat(parts) for parts in zip(*small(), strict=True))
    functional.cross_entropy(model(x), y).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, rtol=1e-4, atol=1e-7)
    evaluator.set_plane(random_plane(evaluator.center, 0))
    assert np.isfinite(evaluator.evaluate(POINTS)["loss"]).all()
