"""The plain loop is the definition: it equals the slow, obvious oracle."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from support.data import tiny
from support.problems import plain_of, set_plane
from support.reference import batches_of, grid_points, linear, mean_cross_entropy, network, samples, slow_mean
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.failures import PointsFailed
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.process.memory import keep_freed_memory

POINTS = grid_points([-1, 0, 0.3, 1], [-0.5, 0, 0.7])
WEIGHT = torch.tensor([1.0, 5.0, 0.5, 2.0], dtype=torch.float64)


def measured(plain, norm="filter", ignore="biasbn", points=POINTS, seed=3):
    plane = random_plane(plain.problem.center, seed, norm, ignore)
    set_plane(plain, plane)
    return plain.evaluate(points), (plane.delta, plane.eta)


def weight_of(loss_fn):
    def weight(targets):
        if not isinstance(loss_fn, (nn.CrossEntropyLoss, nn.NLLLoss)) or targets.is_floating_point():
            return len(targets)
        kept = targets[targets != loss_fn.ignore_index]
        return len(kept) if loss_fn.weight is None else loss_fn.weight[kept].sum()

    return weight


class LogSoftmax(nn.Sequential):
    def forward(self, x):
        return super().forward(x).log_softmax(1)


LOSSES = {
    "cross-entropy": nn.CrossEntropyLoss(),
    "class weights": nn.CrossEntropyLoss(weight=WEIGHT),
    "label smoothing": nn.CrossEntropyLoss(label_smoothing=0.2),
    "ignore_index": nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=2),
    "multi-margin": nn.MultiMarginLoss(),
    "callable scalar": lambda o, t: functional.cross_entropy(o, t),
    "callable vector": lambda o, t: functional.cross_entropy(o, t, reduction="none"),
}


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("size", [8, 11], ids=["8+8+7", "11+11+1"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_equals_the_slow_loop(name, size, resident):
    loss_fn, model, batches = LOSSES[name], network(), batches_of(size)
    plain = plain_of(model, batches, loss_fn=loss_fn, resident=resident)
    values, directions = measured(plain)

    def mean(outputs, targets):
        value = loss_fn(outputs, targets)
        return value.mean()

    expected = slow_mean(model, batches, directions, POINTS, mean, weight_of(loss_fn))
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-12)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("targets", ["classes", "probabilities"])
def test_regression_and_likelihood_losses_equal_the_slow_loop(targets, resident):
    loss_fn = nn.MSELoss() if targets == "probabilities" else nn.NLLLoss(weight=WEIGHT)
    model = LogSoftmax(*network())
    batches = batches_of(8)
    if targets == "probabilities":
        batches = [(x, functional.one_hot(y, 4).double()) for x, y in batches]
    plain = plain_of(model, batches, loss_fn=loss_fn, resident=resident)
    values, directions = measured(plain, ignore=None)
    expected = slow_mean(model, batches, directions, POINTS, loss_fn, weight_of(loss_fn))
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-12)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_accuracy_equals_the_slow_loop(resident):
    model, batches = network(), batches_of(8)
    plain = plain_of(model, batches, resident=resident)
    values, directions = measured(plain)
    expected = slow_mean(model, batches, directions, POINTS, lambda o, t: (o.argmax(1) == t).double().mean())
    np.testing.assert_allclose(values["accuracy"], expected, rtol=1e-14)
    assert len(set(values["accuracy"])) > 3


@pytest.mark.parametrize("size", [1, 5, 23])
def test_nothing_depends_on_the_split_into_batches(size):
    whole, _ = measured(plain_of(network(), batches_of(23)))
    split, _ = measured(plain_of(network(), batches_of(size)))
    for name, values in whole.items():
        np.testing.assert_allclose(split[name], values, rtol=1e-12)


def test_standard_errors_are_those_of_the_samples():
    model, (x, y) = network(), samples()
    values, _ = measured(plain_of(model, batches_of(8)), points=np.zeros((1, 2)))
    with torch.no_grad():
        scores = model.eval()(x)
    losses = functional.cross_entropy(scores, y, reduction="none").numpy()
    hits = (scores.argmax(1) == y).double().numpy()
    assert values["loss_stderr"][0] == pytest.approx(losses.std(ddof=1) / math.sqrt(23), rel=1e-12)
    assert values["accuracy_stderr"][0] == pytest.approx(hits.std(ddof=1) / math.sqrt(23), rel=1e-12)


def test_the_standard_error_of_one_number_is_nan():
    values, _ = measured(plain_of(network(), batches_of(23), loss_fn=lambda o, t: functional.cross_entropy(o, t)))
    assert np.isnan(values["loss_stderr"]).all()
    assert np.isfinite(values["loss"]).all()


def test_a_quadratic_loss_has_its_closed_form():
    model = linear(2, 1)
    plain = plain_of(model, [(torch.eye(2).double(), None)], loss_fn=lambda o, t: (o**2).mean())
    delta = {"weight": torch.tensor([[1.0, 0.0]]).double(), "bias": torch.zeros(1).double()}
    eta = {"weight": torch.tensor([[0.0, 2.0]]).double(), "bias": torch.ones(1).double()}
    set_plane(plain, Plane(plain.problem.center, delta, eta))
    a, b = POINTS.T
    w, c = model.weight.detach()[0].numpy(), model.bias.item()
    expected = ((w[0] + a + c + b) ** 2 + (w[1] + 2 * b + c + b) ** 2) / 2
    np.testing.assert_allclose(plain.evaluate(POINTS)["loss"], expected, rtol=1e-13)


def test_values_of_a_point_do_not_depend_on_the_points_before_it():
    plain = plain_of(network(torch.float32), batches_of(8, dtype=torch.float32))
    together, _ = measured(plain)
    for k in (5, 0, 7):
        alone = plain.evaluate(POINTS[k : k + 1])
        assert alone["loss"][0] == together["loss"][k]
    streamed, _ = measured(plain_of(network(torch.float32), batches_of(8, dtype=torch.float32), resident=False))
    np.testing.assert_array_equal(streamed["loss"], together["loss"])


def test_planes_do_not_leave_traces():
    plain = plain_of(network(), batches_of(8))
    first, _ = measured(plain, ignore="biasbn")
    measured(plain, ignore=None, seed=4)
    again, _ = measured(plain, ignore="biasbn")
    np.testing.assert_array_equal(first["loss"], again["loss"])


def test_no_points_give_no_values():
    for resident in (True, False):
        plain = plain_of(network(), batches_of(8), resident=resident)
        values, _ = measured(plain, points=np.zeros((0, 2)))
        assert {name: v.shape for name, v in values.items()} == dict.fromkeys(values, (0,))


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_tick_is_called_before_every_batch_of_every_point_and_may_give_up(resident):
    plain = plain_of(network(), batches_of(8), resident=resident)
    ticks = []
    set_plane(plain, random_plane(plain.problem.center, 0))
    plain.evaluate(POINTS, lambda: ticks.append(1))
    assert len(ticks) == len(POINTS) * 3

    def give_up():
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        plain.evaluate(POINTS, give_up)


def test_losses_that_are_not_finite_are_results():
    plain = plain_of(linear(3, 2), [(torch.ones(4, 3).double(), None)], loss_fn=lambda o, t: o.mean(1).log())
    values, _ = measured(plain, None, None, grid_points([-50, 0, 50], [0]))
    assert not np.isfinite(values["loss"]).all()
    overflow = plain_of(
        linear(), [(torch.full((4, 3), 1e200, dtype=torch.float64), None)], loss_fn=lambda o, t: (o**2).mean()
    )
    values, _ = measured(overflow, points=np.array([[1.0, 1.0]]))
    assert values["loss"][0] == math.inf


class Fragile(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(3, 2)

    def forward(self, x):
        if self.layer.weight[0, 0] > 0:
            raise ArithmeticError("too far")
        return self.layer(x)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_an_error_in_the_model_names_the_point(resident):
    plain = plain_of(Fragile(), [(torch.ones(4, 3).double(), torch.zeros(4).long())], resident=resident)
    ones = {name: torch.ones_like(theta) for name, theta in plain.problem.center.items()}
    set_plane(plain, Plane(plain.problem.center, ones, ones))
    message = r"evaluating the point \(alpha, beta\) = \(1\.5, 0\.25\) failed: ArithmeticError: too far"
    with pytest.raises(PointsFailed, match=message) as caught:
        plain.evaluate(np.array([[0, 0], [1.5, 0.25], [-1, 0]]))
    assert isinstance(caught.value.__cause__, ArithmeticError)
    good = plain.evaluate(np.array([[0, 0], [-1, 0]]))
    for name, values in caught.value.values.items():
        np.testing.assert_array_equal(values[[0, 2]], good[name])
        assert np.isnan(values[1])
    assert np.isfinite(plain.evaluate(np.array([[-1.0, 0]]))["loss"]).all()


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(3, 2)

    def forward(self, a, b):
        return self.layer(a - 2 * b)


def test_models_with_several_inputs():
    a, b, y = torch.rand(6, 3).double(), torch.rand(6, 3).double(), torch.arange(6) % 2
    expected, _ = measured(plain_of(linear(3, 2), [(a - 2 * b, y)]))
    for inputs in ((a, b), [a, b], {"b": b, "a": a}):
        values, _ = measured(plain_of(TwoInputs(), [(inputs, y)]))
        np.testing.assert_allclose(values["loss"], expected["loss"], rtol=1e-14)


def test_models_that_return_something_else():
    class Dict(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 2)

        def forward(self, x):
            return {"logits": self.layer(x)}

    x, y = torch.rand(6, 3).double(), torch.arange(6) % 2
    values, _ = measured(plain_of(Dict(), [(x, y)], loss_fn=lambda o, t: functional.cross_entropy(o["logits"], t)))
    expected, _ = measured(plain_of(linear(3, 2), [(x, y)]))
    np.testing.assert_allclose(values["loss"], expected["loss"], rtol=1e-14)


def test_a_model_that_insists_on_its_batch_size_is_accepted():
    class Strict(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 2)

        def forward(self, x):
            return self.layer(x.reshape(6, 3))

    values, _ = measured(plain_of(Strict(), [(torch.rand(6, 3).double(), torch.arange(6) % 2)]))
    assert np.isfinite(values["loss"]).all()


def test_tied_weights_move_together():
    model = nn.Sequential(linear(2, 2), nn.Tanh(), linear(2, 2))
    model[2].weight = model[0].weight
    data = [(torch.rand(6, 2).double(), torch.arange(6) % 2)]
    values, (delta, eta) = measured(plain_of(model, data), ignore=None)
    delta["2.weight"], eta["2.weight"] = delta["0.weight"], eta["0.weight"]
    expected = slow_mean(model, data, (delta, eta), POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-12)


def test_parameters_that_are_no_real_numbers_are_left_where_they_are():
    model = linear(3, 2)
    model.table = nn.Parameter(torch.arange(6).reshape(2, 3), requires_grad=False)
    values, _ = measured(plain_of(model, [(torch.rand(6, 3).double(), torch.arange(6) % 2)]))
    assert np.isfinite(values["loss"]).all()


def test_an_evaluator_made_in_inference_mode_works_outside_of_it():
    with torch.inference_mode():
        plain = plain_of(network(), batches_of(8))
    expected, _ = measured(plain_of(network(), batches_of(8)))
    values, _ = measured(plain)
    np.testing.assert_array_equal(values["loss"], expected["loss"])


@pytest.mark.parametrize(
    "context",
    [lambda: torch.device("meta"), lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode],
    ids=["default device", "autocast", "inference mode"],
)
def test_what_is_set_around_it_does_not_matter(context):
    model, batches = network(), batches_of(8)
    expected, _ = measured(plain_of(model, batches))
    with context():
        values, _ = measured(plain_of(model, batches))
    np.testing.assert_array_equal(values["loss"], expected["loss"])


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_several_loaders_are_measured_one_by_one(resident):
    both = {"train": tiny.batches(), "test": tiny.batches("test")}
    plain = plain_of(tiny.network(), both, resident=resident)
    set_plane(plain, random_plane(plain.problem.center, 0))
    found = plain.evaluate(POINTS)
    assert plain.problem.quantities == ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert plain.problem.n_samples == 256
    for name, loader in both.items():
        alone = plain_of(tiny.network(), loader)
        set_plane(alone, random_plane(alone.problem.center, 0))
        for kind, values in alone.evaluate(POINTS).items():
            np.testing.assert_array_equal(found[f"{name}_{kind}"], values)


def test_checkpoints_are_measured_with_their_own_statistics_and_leave_no_trace():
    plain = plain_of(tiny.network(), tiny.batches())
    set_plane(plain, random_plane(plain.problem.center, 0))
    before = plain.evaluate(POINTS)["loss"]
    for state in tiny.checkpoints()[:2]:
        model = copy.deepcopy(tiny.network())
        model.load_state_dict(state)
        found = plain.evaluate_states({k: v for k, v in state.items() if k in plain.problem.states})
        assert found["loss"].item() == pytest.approx(mean_cross_entropy(model.eval(), tiny.batches()), rel=1e-6)
    np.testing.assert_array_equal(plain.evaluate(POINTS)["loss"], before)


def test_a_model_that_fails_at_a_checkpoint_names_it():
    plain = plain_of(tiny.network(), tiny.batches())
    with pytest.raises(RuntimeError, match=r"evaluating checkpoint 7 failed: .*size"):
        plain.evaluate_states({"fc.bias": torch.zeros(3)}, "checkpoint 7")
    set_plane(plain, random_plane(plain.problem.center, 0))
    assert np.isfinite(plain.evaluate(POINTS)["loss"]).all()


@pytest.mark.parametrize("loss_fn", [None, lambda o, t: functional.cross_entropy(o, t)], ids=["module", "callable"])
def test_the_gradient_is_that_of_the_mean_loss(loss_fn):
    plain = plain_of(tiny.network(), tiny.batches(), loss_fn=loss_fn)
    gradient = plain.gradient()
    model = tiny.network().eval()
    x, y = (torch.cat(parts) for parts in zip(*tiny.batches(), strict=True))
    functional.cross_entropy(model(x), y).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, rtol=1e-4, atol=1e-7)
    set_plane(plain, random_plane(plain.problem.center, 0))
    assert np.isfinite(plain.evaluate(POINTS)["loss"]).all()


def test_freed_memory_is_kept_for_every_model():
    keep_freed_memory.cache_clear()
    plain_of(network(), batches_of(8))
    assert keep_freed_memory.cache_info().currsize == 1
