"""Running statistics away from the center: kept, moved along with the weights, or recomputed from the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.data import tiny
from support.problems import plain_of, set_plane
from support.reference import mean_cross_entropy, network, samples
from torch import nn

from lljupyter.evaluate.plain import Plain
from lljupyter.geometry.directions import between
from lljupyter.geometry.plane import Plane, random_plane

POINTS = np.array([(-0.5, 0.0), (0.0, 0.0), (0.7, 0.0)])


def line_between(plain: Plain, over: str) -> Plane:
    delta = between(tiny.network("a"), tiny.network("b"), over)
    center = plain.problem.states if over == "states" else plain.problem.center
    return Plane(center, delta, {name: torch.zeros_like(part) for name, part in delta.items()})


def blended(t: float, names) -> nn.Module:
    a, b = tiny.network("a"), tiny.network("b").state_dict()
    state = a.state_dict()
    a.load_state_dict({k: v + t * (b[k] - v) if k in names else v for k, v in state.items()})
    return a.eval()


@pytest.mark.parametrize("over", ["parameters", "states"])
def test_running_statistics_move_with_directions_over_states_only(over):
    plain = plain_of(tiny.network("a"), tiny.batches())
    plane = line_between(plain, over)
    set_plane(plain, plane)
    found = plain.evaluate(POINTS)["loss"]
    expected = [mean_cross_entropy(blended(t, plane.delta), tiny.batches()) for t in POINTS[:, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    set_plane(plain, random_plane(plain.problem.center, 0))
    center = plain.evaluate(np.zeros((1, 2)))["loss"]
    np.testing.assert_allclose(center, mean_cross_entropy(tiny.network("a").eval(), tiny.batches()), rtol=1e-6)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_recalibrated_statistics_are_those_of_the_data_at_each_point(resident):
    loaders = {"train": tiny.batches(), "test": tiny.batches("test")}
    plain = plain_of(tiny.network(), loaders, batchnorm="recalibrate", resident=resident)
    plane = line_between(plain, "parameters")
    set_plane(plain, plane)
    found = plain.evaluate(POINTS)
    for index, t in enumerate(POINTS[:, 0]):
        model = blended(t, plane.delta)
        sums: dict[nn.Module, list[torch.Tensor]] = {}
        norms = [m for m in model if isinstance(m, nn.BatchNorm2d)]
        for x, _ in tiny.batches():  # each batch's own statistics, weighted with its size
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
        assert found["train_loss"][index] == pytest.approx(mean_cross_entropy(model, tiny.batches()), rel=1e-5)
        assert found["test_loss"][index] == pytest.approx(mean_cross_entropy(model, tiny.batches("test")), rel=1e-5)


def test_a_last_batch_of_one_sample_is_left_out_of_recalibrated_statistics():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    x, y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double(), torch.arange(9) % 2
    plain = plain_of(model, list(zip(x.split(4), y.split(4), strict=True)), batchnorm="recalibrate")
    found = plain.evaluate_states({})["loss"].item()
    hidden = model[0](x)
    mean = (hidden[:4].mean(0) + hidden[4:8].mean(0)) / 2
    var = (hidden[:4].var(0) + hidden[4:8].var(0)) / 2
    outputs = model[2]((hidden - mean) / (var + model[1].eps).sqrt())
    assert found == pytest.approx(nn.functional.cross_entropy(outputs, y).item(), rel=1e-12)


def test_every_batch_of_one_sample_counts_where_there_are_no_larger_ones():
    model, (x, y) = network().eval(), samples(6)
    plain = plain_of(model, [(x[k : k + 1], y[k : k + 1]) for k in range(6)], batchnorm="recalibrate")
    found = plain.evaluate_states({})["loss"].item()
    with torch.no_grad():
        hidden = model[0](x)
        model[1].running_mean.copy_(hidden.mean((2, 3)).mean(0))
        model[1].running_var.copy_(hidden.flatten(2).var(2).mean(0))
    assert found == pytest.approx(mean_cross_entropy(model, [(x, y)]), rel=1e-12)


def test_an_interruption_while_recalibrating_passes_through():
    plain = plain_of(tiny.network(), tiny.batches(), batchnorm="recalibrate")
    set_plane(plain, random_plane(plain.problem.center, 0))
    calls = iter(range(3))

    class Enough(Exception):
        pass

    def tick() -> None:
        if next(calls, None) is None:
            raise Enough

    with pytest.raises(Enough):
        plain.evaluate(POINTS, tick)
    assert not any(module.training for module in plain.model.modules())


def test_unknown_ways_to_treat_batchnorm_are_refused():
    with pytest.raises(ValueError, match=r"expected batchnorm as one of .*'recalibrate'.*, got 'train'"):
        plain_of(tiny.network(), tiny.batches(), batchnorm="train")
