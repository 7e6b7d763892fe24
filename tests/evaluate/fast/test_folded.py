"""Every fast path equals the slow loop in float64."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from support.models.strategies import POINTS, measured, multilayer, on_plane, settled
from support.problems import make_evaluator
from support.reference import batches_of, linear, network, samples, slow_mean
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.geometry.plane import Plane
from lljupyter.process.precision import has_bfloat16
from lljupyter.tracing.trace import trace_model
from lljupyter.zoo import resnet


class Branches(nn.Module):
    """What a tracer may stumble over: a sum of two convolutions, one used twice, one without BatchNorm, groups."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(4, affine=False)
        self.same = nn.Conv2d(4, 4, 3, padding="same", padding_mode="circular")
        self.bn3 = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.out = nn.Linear(100, 4)

    def forward(self, x):
        x = functional.relu(self.bn1(self.first(x)), inplace=True)
        y = torch.relu(self.twice(self.twice(x)) + x)
        z = self.bn2(self.depthwise(y))
        z += y
        z = (self.same(self.bn3(z.relu())) + y) * self.scale
        return self.out(z.flatten(1))


class Flattened(nn.Module):
    """Linear layers of images that are flattened in several ways."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, stride=2)
        self.first, self.second = nn.Linear(12, 4), nn.Linear(12, 4, bias=False)
        self.third = nn.Linear(3, 4)

    def forward(self, x):
        x = self.conv(x)
        turned = functional.relu(self.second(x.permute(0, 2, 3, 1).reshape(x.size(0), -1)))
        return self.first(x.flatten(1)) + turned + self.third(x.mean((2, 3)).view(-1, 3))


MODELS = {"flattened": Flattened, "network": network, "branches": Branches, "resnet": lambda: resnet(8, num_classes=4)}


def data(name, size):
    batches = batches_of(size)
    return [(x.repeat(1, 3, 2, 2), y) for x, y in batches] if name == "resnet" else batches


@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("ignore", ["biasbn", None])
@pytest.mark.parametrize("name", MODELS)
def test_the_folded_path_equals_the_slow_loop(name, ignore, n_workers):
    model, loader = settled(MODELS[name]()), data(name, 8)
    evaluator, directions = on_plane(model, loader, ignore)
    values = measured(Folded(evaluator.problem, n_workers=n_workers, batch_bytes=100_000), evaluator)
    expected = slow_mean(model, loader, directions, POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-11)
    plain = evaluator.evaluate(POINTS)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])
    np.testing.assert_allclose(values["loss_stderr"], plain["loss_stderr"], rtol=1e-9)


@pytest.mark.parametrize("sideways", [False, True], ids=["channels last", "samples as width"])
@pytest.mark.parametrize("name", MODELS)
def test_the_folded_path_in_one_step_equals_the_plain_one_in_float32(name, sideways):
    model, loader = settled(MODELS[name]()), data(name, 8)
    evaluator, directions = on_plane(model.float(), [(x.float(), y) for x, y in loader])
    delta, eta = ({name: part.double() for name, part in d.items()} for d in directions)
    expected = slow_mean(model.double(), loader, (delta, eta), POINTS, nn.CrossEntropyLoss())
    path = Folded(evaluator.problem, sideways=sideways)
    np.testing.assert_allclose(measured(path, evaluator)["loss"], expected, rtol=2e-5)
    assert ("samples as width" if sideways else "channels-last") in path.label


def test_batchnorm_statistics_that_move_are_folded_at_every_point():
    model, loader = settled(network()), batches_of(8)
    evaluator = make_evaluator(model, loader)
    delta = {name: torch.full_like(tensor, 0.05) for name, tensor in evaluator.problem.states.items()}
    eta = {name: torch.zeros_like(tensor) for name, tensor in evaluator.problem.states.items()}
    evaluator.set_plane(Plane(evaluator.problem.states, delta, eta))
    expected = slow_mean(model, loader, (delta, eta), POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(measured(Folded(evaluator.problem), evaluator)["loss"], expected, rtol=1e-11)


@pytest.mark.parametrize("sideways", [False, True], ids=["channels last", "samples as width"])
def test_a_negative_running_variance_gives_nan_as_torch_does(sideways):
    evaluator = make_evaluator(settled(network()).float(), batches_of(8, dtype=torch.float32))
    states = evaluator.problem.states
    zeros = {name: torch.zeros_like(tensor) for name, tensor in states.items()}
    statistics = {name: torch.full_like(t, -3.0) for name, t in states.items() if "running_var" in name}
    evaluator.set_plane(Plane(states, {**zeros, **statistics}, zeros))
    points = np.array([[0.0, 0.0], [1.0, 0.0]])
    plain = evaluator.evaluate(points)
    values = measured(Folded(evaluator.problem, sideways=sideways), evaluator, points)
    assert np.isnan(plain["loss"][-1])
    np.testing.assert_allclose(values["loss"], plain["loss"], rtol=2e-5)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])


@pytest.mark.parametrize(
    "build",
    [Folded, lambda p: Folded(p, n_workers=2), lambda p: Folded(p, sideways=True)],
    ids=["one", "two", "samples as width"],
)
def test_a_point_has_the_same_bits_whatever_was_measured_before(build):
    evaluator, _ = on_plane(network(torch.float32), batches_of(8, dtype=torch.float32))
    path = build(evaluator.problem)
    together = measured(path, evaluator)["loss"]
    for k in (3, 0, 5):
        assert path.evaluate(POINTS[k : k + 1], lambda: None)["loss"][0] == together[k]


@pytest.mark.parametrize(
    "build", [Folded, lambda p: Folded(p, n_workers=2), Stacked], ids=["folded", "two at once", "stacked"]
)
def test_a_tick_that_gives_up_ends_a_path_and_nothing_goes_on_behind(build):
    evaluator, _ = on_plane(settled(multilayer()), batches_of(8))
    path = build(evaluator.problem)
    path.set_plane(evaluator.moving)

    def give_up():
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        path.evaluate(np.tile(POINTS, (50, 1)), give_up)
    assert np.isfinite(path.evaluate(POINTS, lambda: None)["loss"]).all()


@pytest.mark.parametrize("build", [Folded, Stacked])
def test_halving_takes_smaller_pieces_and_gives_the_same(build):
    evaluator, _ = on_plane(settled(multilayer()), batches_of(8))
    path = build(evaluator.problem)
    before = measured(path, evaluator)["loss"]
    n = 0
    while path.halve_batches():
        n += 1
        np.testing.assert_allclose(path.evaluate(POINTS, lambda: None)["loss"], before, rtol=1e-12)
    assert n > 1


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(25, 4)
        self.layer.register_forward_hook(lambda *a: None)

    def forward(self, x):
        return self.layer(x.flatten(1))


class Asking(Hooked):
    def __init__(self):
        nn.Module.__init__(self)
        self.layer = linear(25, 4)

    def forward(self, x):
        return self.layer(x.flatten(1)) * (2 if x.sum() > 0 else 1)


def mean_loss(outputs, targets):
    return functional.cross_entropy(outputs, targets)


@pytest.mark.parametrize(
    ("build", "model", "options", "message"),
    [
        (Folded, Hooked, {}, "hooks"),
        (Stacked, Hooked, {}, "hooks"),
        (Folded, Asking, {}, "control flow"),
        (Stacked, network, {}, "no chain of linear layers"),
        (Stacked, multilayer, {"loss_fn": mean_loss}, "mean over a batch"),
        (Folded, network, {"batchnorm": "recalibrate"}, "recomputed"),
        (lambda p: Folded(p, sideways=True), multilayer, {}, "no convolution over images"),
    ],
)
def test_what_does_not_fit_a_path_is_refused(build, model, options, message):
    evaluator = make_evaluator(settled(model()), batches_of(8), **options)
    with pytest.raises(Exception, match=message):
        build(evaluator.problem)


def test_a_loss_that_is_known_for_batches_keeps_the_batches_of_the_loader():
    model, loader = settled(network()), batches_of(8)
    evaluator, directions = on_plane(model, loader, loss_fn=lambda o, t: functional.cross_entropy(o, t) ** 2)
    expected = slow_mean(model, loader, directions, POINTS, lambda o, t: functional.cross_entropy(o, t) ** 2)
    np.testing.assert_allclose(measured(Folded(evaluator.problem), evaluator)["loss"], expected, rtol=1e-11)


def test_several_loaders_and_the_prefixes_of_their_quantities():
    model = settled(network())
    evaluator, directions = on_plane(model, {"train": batches_of(8), "test": batches_of(5, 9)})
    values = measured(Folded(evaluator.problem, n_workers=2), evaluator)
    for name, loader in (("train", batches_of(8)), ("test", batches_of(5, 9))):
        expected = slow_mean(model, loader, directions, POINTS, nn.CrossEntropyLoss())
        np.testing.assert_allclose(values[f"{name}_loss"], expected, rtol=1e-11)


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16 units")
def test_bfloat16_is_close_and_says_that_it_is_reduced():
    evaluator, _ = on_plane(settled(network()).float(), batches_of(8, dtype=torch.float32), "biasbn")
    path = Folded(evaluator.problem, dtype=torch.bfloat16)
    values, plain = measured(path, evaluator), evaluator.evaluate(POINTS)
    assert path.reduced
    assert "bfloat16" in path.label
    assert 0 < np.max(np.abs(values["loss"] / plain["loss"] - 1)) < 0.05


def test_threads_of_others_keep_their_number():
    torch.set_num_threads(2)
    evaluator, _ = on_plane(settled(network()), batches_of(8))
    measured(Folded(evaluator.problem, n_workers=2), evaluator)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), seen) == (2, [2])


def test_samples_come_in_the_order_of_the_loader():
    images, classes = samples()
    evaluator, _ = on_plane(settled(network()), batches_of(8))
    path = Folded(evaluator.problem)
    joined = [batch for part in path._batches.values() for batch in part]
    torch.testing.assert_close(torch.cat([batch.targets for batch in joined]), classes)
    torch.testing.assert_close(torch.cat([batch.inputs for batch in joined]), images)


def test_a_model_that_cannot_be_traced_makes_no_noise(capfd):
    class Sum(torch.nn.Module):
        def forward(self, left, right):
            return left + right

    with pytest.raises(RuntimeError, match="Expected positional argument for parameter right"):
        trace_model(Sum(), {"left": torch.rand(8, 3), "right": torch.rand(8, 3)})
    assert capfd.readouterr() == ("", "")
