"""Many points at once through linear layers: what is special about scores, groups of points and slices of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.models.strategies import CHAINS, measured, multilayer, on_plane, settled
from support.reference import batches_of, grid_points, slow_mean
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.fast.cross_entropy import score_sums
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.geometry.plane import random_plane
from lljupyter.problem.batches import Batch, resized
from lljupyter.process.threads import using_threads

POINTS = grid_points([-1, 0, 0.3], [-0.5, 0.7])
THREADS = pytest.mark.parametrize("threads", [1, 2])


def layers(n_classes, scale=1.0):
    model = settled(nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, n_classes)))
    with torch.no_grad():
        model[4].weight.mul_(scale)
    return model.float()


def data(n_classes, n=300):
    generator = torch.Generator().manual_seed(4)
    x, y = torch.randn(n, 7, generator=generator), torch.randint(0, n_classes, (n,), generator=generator)
    return list(zip(x.split(64), y.split(64), strict=True))


def compare(model, loader, threads):
    """Holds a stack of three points at a time to the loop in float64, and to the plain path."""
    evaluator, directions = on_plane(model, loader)
    with using_threads(threads):
        path = Stacked(evaluator.problem)
    path._each = 3
    values, plain = measured(path, evaluator, POINTS), evaluator.evaluate(POINTS)
    exact = [{name: part.double() for name, part in d.items()} for d in directions]
    batches = [(x.double(), y) for x, y in loader]
    expected = slow_mean(model.double(), batches, exact, POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(values["loss"], expected, rtol=5e-6)
    np.testing.assert_allclose(values["loss_stderr"], plain["loss_stderr"], rtol=2e-4)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])


@THREADS
@pytest.mark.parametrize("n_classes", [2, 7, 16, 33])
def test_any_number_of_classes(n_classes, threads):
    compare(layers(n_classes), data(n_classes), threads)


@THREADS
def test_scores_of_thousands(threads):
    compare(layers(10, 3000), data(10), threads)


@THREADS
def test_classes_with_weights_and_targets_left_out(threads):
    loss = nn.CrossEntropyLoss(torch.linspace(0.5, 2, 10), ignore_index=3)
    model, loader = layers(10), data(10)
    evaluator, directions = on_plane(model, loader, loss_fn=loss)
    with using_threads(threads):
        path = Stacked(evaluator.problem)
    path._each = 3
    values = measured(path, evaluator, POINTS)
    exact = [{name: part.double() for name, part in d.items()} for d in directions]
    by_class = loss.weight.double()
    double = nn.CrossEntropyLoss(by_class, ignore_index=3)
    weight = lambda y: by_class[y][y != 3].sum()  # noqa: E731
    expected = slow_mean(model.double(), [(x.double(), y) for x, y in loader], exact, POINTS, double, weight)
    np.testing.assert_allclose(values["loss"], expected, rtol=5e-6)


@THREADS
def test_ties_at_one_point_of_several(threads):
    model = layers(5)
    with torch.no_grad():
        model[4].weight.zero_()  # at the center all scores are those of the bias
        model[4].bias.copy_(torch.tensor([0.0, 1.0, 0.5, 1.0, 1.0]))
    evaluator, _ = on_plane(model, data(5))
    evaluator.moving = {name: parts for name, parts in evaluator.moving.items() if name != "4.bias"}
    evaluator.plain.set_plane(evaluator.moving)
    with using_threads(threads):
        path = Stacked(evaluator.problem)
    path._each = 3
    points = np.array([[0.3, 0.7], [0.0, 0.0], [-1.0, 0.2], [0.0, 0.0]])
    values, plain = measured(path, evaluator, points), evaluator.evaluate(points)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])
    first = torch.cat([y for _, y in data(5)]) == 1
    assert values["accuracy"][1] == pytest.approx(first.double().mean())


@pytest.mark.parametrize("margin", [-60.0, 7.0, 16.0])
def test_sums_of_scores_equal_those_of_torch(margin):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 10, 200, generator=generator) + 20
    classes = torch.randint(0, 10, (200,), generator=generator)
    scores[:, classes, torch.arange(200)] += margin
    hidden = torch.zeros(10, 200).scatter_(0, classes[None], -torch.inf)
    expected = functional.cross_entropy(scores.double(), classes.expand(3, -1), reduction="none")
    right = (scores.argmax(1) == classes).sum(1)
    total, norm, balance, either = score_sums(["loss", "accuracy"], scores, classes * 200 + torch.arange(200), hidden)
    torch.testing.assert_close(total, expected.sum(1), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(norm, expected.square().sum(1).sqrt(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close((balance + either) / 2, right.double())


@pytest.mark.parametrize(
    ("n", "size", "multiple", "sizes"),
    [(10, 4, 1, [3, 4, 3]), (1797, 256, 32, [224] * 7 + [229]), (256, 256, 32, [256]), (5, 256, 32, [5])],
)
def test_batches_are_cut_at_multiples(n, size, multiple, sizes):
    x = torch.arange(n)
    parts = resized([Batch(x, x, n)], size, multiple)
    assert [part.n for part in parts] == sizes
    assert torch.equal(torch.cat([part.inputs for part in parts]), x)


@pytest.mark.parametrize("size", [8, 23])
@pytest.mark.parametrize(
    "loss_fn",
    [None, nn.CrossEntropyLoss(label_smoothing=0.2), lambda o, t: functional.cross_entropy(o, t, reduction="none")],
    ids=["plain", "module", "callable"],
)
@pytest.mark.parametrize("name", CHAINS)
def test_the_stacked_path_equals_the_slow_loop(name, loss_fn, size):
    model, loader = settled(CHAINS[name]()), batches_of(size)
    evaluator, directions = on_plane(model, loader, loss_fn=loss_fn)
    values = measured(Stacked(evaluator.problem), evaluator)
    mean = nn.CrossEntropyLoss() if loss_fn is None else lambda o, t: loss_fn(o, t).mean()
    np.testing.assert_allclose(values["loss"], slow_mean(model, loader, directions, POINTS, mean), rtol=1e-11)
    plain = evaluator.evaluate(POINTS)
    assert list(values) == list(plain)
    for quantity in plain:
        np.testing.assert_allclose(values[quantity], plain[quantity], rtol=1e-9)


def test_the_stacked_path_regresses_and_takes_any_number_of_points():
    model = settled(multilayer())
    loader = [(x, functional.one_hot(y, 4).double()) for x, y in batches_of(8)]
    evaluator, directions = on_plane(model, loader, loss_fn=nn.MSELoss())
    path = Stacked(evaluator.problem)
    path._each = 4
    expected = slow_mean(model, loader, directions, POINTS, nn.MSELoss())
    np.testing.assert_allclose(measured(path, evaluator)["loss"], expected, rtol=1e-11)
    for k in range(len(POINTS)):
        one = path.evaluate(POINTS[k : k + 1], lambda: None)["loss"]
        np.testing.assert_allclose(one, expected[k : k + 1], rtol=1e-11)


class Deep(nn.Module):
    """Hidden layers between the first and the last, one of them with a residual connection over a ReLU."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(25, 16), nn.Linear(16, 16), nn.Linear(16, 7, bias=False)
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(7, 4)

    def forward(self, x):
        x = torch.relu(self.first(x.flatten(1)))
        y = self.drop(self.second(x))
        return self.out(self.third(y + functional.relu(y)))


@pytest.mark.parametrize("threads", [1, 2])
def test_hidden_layers_of_many_points_equal_the_slow_loop(threads):
    loader = {"train": batches_of(8, dtype=torch.float32), "test": batches_of(5, 9, dtype=torch.float32)}
    evaluator, directions = on_plane(settled(Deep()).float(), loader, ignore=None)
    with using_threads(threads):
        path = Stacked(evaluator.problem)
        path._each = 2
        values = measured(path, evaluator, np.concatenate([POINTS, POINTS]))
    double = [{name: part.double() for name, part in d.items()} for d in directions]
    for name, batches in loader.items():
        exact = [(x.double(), y) for x, y in batches]
        expected = slow_mean(settled(Deep()), exact, double, POINTS, nn.CrossEntropyLoss())
        np.testing.assert_allclose(values[f"{name}_loss"], np.tile(expected, 2), rtol=2e-6)
    plain = evaluator.evaluate(POINTS)
    for quantity in plain:
        np.testing.assert_allclose(values[quantity], np.tile(plain[quantity], 2), rtol=2e-5)


def test_the_first_layer_is_multiplied_when_its_terms_take_too_much_memory(monkeypatch):
    monkeypatch.setattr("lljupyter.evaluate.fast.stacked.TERMS_BYTES", 0)
    model, loader = settled(multilayer()), batches_of(8)
    evaluator, directions = on_plane(model, loader)
    expected = slow_mean(model, loader, directions, POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(measured(Stacked(evaluator.problem), evaluator)["loss"], expected, rtol=1e-11)


@pytest.mark.parametrize("threads", [1, 2])
def test_ties_and_nan_count_as_in_argmax(threads):
    with using_threads(threads):
        _compare_ties_and_nan()


def _compare_ties_and_nan():
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 4)).double()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([1.0, 2.0, 2.0, 0.0]))
    evaluator, _ = on_plane(model, batches_of(8), ignore=None)
    center = np.zeros((1, 2))
    plain, values = evaluator.evaluate(center), measured(Stacked(evaluator.problem), evaluator, center)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])
    evaluator.problem.states["1.bias"][3] = torch.nan
    evaluator.set_plane(random_plane({n: t.nan_to_num() for n, t in evaluator.problem.center.items()}, 0, None, None))
    plain = evaluator.evaluate(POINTS)
    values = measured(Stacked(evaluator.problem), evaluator)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])
    assert np.isnan(values["loss"]).all()
