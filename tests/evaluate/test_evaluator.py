from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from support.reference import batches_of, grid_points, linear, network, samples, slow_mean
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane, random_plane

POINTS = grid_points([-1, 0, 0.3, 1], [-0.5, 0, 0.7])
WEIGHT = torch.tensor([1.0, 5.0, 0.5, 2.0], dtype=torch.float64)


def measured(evaluator, norm="filter", ignore="biasbn", points=POINTS, seed=3):
    plane = random_plane(evaluator.center, seed, norm, ignore)
    evaluator.set_plane(plane)
    return evaluator.evaluate(points), (plane.delta, plane.eta)


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
    evaluator = Evaluator(model, batches, loss_fn=loss_fn)
    evaluator.resident = resident
    values, directions = measured(evaluator)

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
    evaluator = Evaluator(model, batches, loss_fn=loss_fn)
    evaluator.resident = resident
    values, directions = measured(evaluator, ignore=None)
    expected = slow_mean(model, batches, directions, POINTS, loss_fn, weight_of(loss_fn))
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-12)


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_accuracy_equals_the_slow_loop(resident):
    model, batches = network(), batches_of(8)
    evaluator = Evaluator(model, batches)
    evaluator.resident = resident
    values, directions = measured(evaluator)
    expected = slow_mean(model, batches, directions, POINTS, lambda o, t: (o.argmax(1) == t).double().mean())
    np.testing.assert_allclose(values["accuracy"], expected, rtol=1e-14)
    assert len(set(values["accuracy"])) > 3


@pytest.mark.parametrize("size", [1, 5, 23])
def test_nothing_depends_on_the_split_into_batches(size):
    whole, _ = measured(Evaluator(network(), batches_of(23)))
    split, _ = measured(Evaluator(network(), batches_of(size)))
    for name, values in whole.items():
        np.testing.assert_allclose(split[name], values, rtol=1e-12)


def test_standard_errors_are_those_of_the_samples():
    model, (x, y) = network(), samples()
    values, _ = measured(Evaluator(model, batches_of(8)), points=np.zeros((1, 2)))
    with torch.no_grad():
        scores = model.eval()(x)
    losses = functional.cross_entropy(scores, y, reduction="none").numpy()
    hits = (scores.argmax(1) == y).double().numpy()
    assert values["loss_stderr"][0] == pytest.approx(losses.std(ddof=1) / math.sqrt(23), rel=1e-12)
    assert values["accuracy_stderr"][0] == pytest.approx(hits.std(ddof=1) / math.sqrt(23), rel=1e-12)


def test_the_standard_error_of_one_number_is_nan():
    values, _ = measured(Evaluator(network(), batches_of(23), loss_fn=lambda o, t: functional.cross_entropy(o, t)))
    assert np.isnan(values["loss_stderr"]).all()
    assert np.isfinite(values["loss"]).all()


def test_a_quadratic_loss_has_its_closed_form():
    model = linear(2, 1)
    evaluator = Evaluator(model, [(torch.eye(2).double(), None)], loss_fn=lambda o, t: (o**2).mean())
    delta = {"weight": torch.tensor([[1.0, 0.0]]).double(), "bias": torch.zeros(1).double()}
    eta = {"weight": torch.tensor([[0.0, 2.0]]).double(), "bias": torch.ones(1).double()}
    evaluator.set_plane(Plane(evaluator.center, delta, eta))
    a, b = POINTS.T
    w, c = model.weight.detach()[0].numpy(), model.bias.item()
    expected = ((w[0] + a + c + b) ** 2 + (w[1] + 2 * b + c + b) ** 2) / 2
    np.testing.assert_allclose(evaluator.evaluate(POINTS)["loss"], expected, rtol=1e-13)


def test_values_of_a_point_do_not_depend_on_the_points_before_it():
    evaluator = Evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    together, _ = measured(evaluator)
    for k in (5, 0, 7):
        alone = evaluator.evaluate(POINTS[k : k + 1])
        assert alone["loss"][0] == together["loss"][k]
    evaluator.resident = False
    np.testing.assert_array_equal(evaluator.evaluate(POINTS)["loss"], together["loss"])


def test_planes_do_not_leave_traces():
    evaluator = Evaluator(network(), batches_of(8))
    first, _ = measured(evaluator, ignore="biasbn")
    measured(evaluator, ignore=None, seed=4)
    again, _ = measured(evaluator, ignore="biasbn")
    np.testing.assert_array_equal(first["loss"], again["loss"])


def test_no_points_give_no_values():
    for resident in (True, False):
        evaluator = Evaluator(network(), batches_of(8))
        evaluator.resident = resident
        values, _ = measured(evaluator, points=np.zeros((0, 2)))
        assert {name: v.shape for name, v in values.items()} == dict.fromkeys(values, (0,))


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_tick_is_called_before_every_batch_of_every_point_and_may_give_up(resident):
    evaluator = Evaluator(network(), batches_of(8))
    evaluator.resident = resident
    ticks = []
    evaluator.set_plane(random_plane(evaluator.center, 0))
    evaluator.evaluate(POINTS, lambda: ticks.append(1))
    assert len(ticks) == len(POINTS) * 3

    def give_up():
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        evaluator.evaluate(POINTS, give_up)


def test_losses_that_are_not_finite_are_results():
    evaluator = Evaluator(linear(3, 2), [(torch.ones(4, 3).double(), None)], loss_fn=lambda o, t: o.mean(1).log())
    values, _ = measured(evaluator, None, None, grid_points([-50, 0, 50], [0]))
    assert not np.isfinite(values["loss"]).all()
    overflow = Evaluator(
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
    evaluator = Evaluator(Fragile(), [(torch.ones(4, 3).double(), torch.zeros(4).long())])
    evaluator.resident = resident
    ones = {name: torch.ones_like(theta) for name, theta in evaluator.center.items()}
    evaluator.set_plane(Plane(evaluator.center, ones, ones))
    message = r"evaluating the point \(alpha, beta\) = \(1\.5, 0\.25\) failed: ArithmeticError: too far"
    with pytest.raises(RuntimeError, match=message) as caught:
        evaluator.evaluate(np.array([[0, 0], [1.5, 0.25], [-1, 0]]))
    assert isinstance(caught.value.__cause__, ArithmeticError)
    assert np.isfinite(evaluator.evaluate(np.array([[-1.0, 0]]))["loss"]).all()


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(3, 2)

    def forward(self, a, b):
        return self.layer(a - 2 * b)


def test_models_with_several_inputs():
    a, b, y = torch.rand(6, 3).double(), torch.rand(6, 3).double(), torch.arange(6) % 2
    expected, _ = measured(Evaluator(linear(3, 2), [(a - 2 * b, y)]))
    for inputs in ((a, b), [a, b], {"b": b, "a": a}):
        values, _ = measured(Evaluator(TwoInputs(), [(inputs, y)]))
        np.testing.assert_allclose(values["loss"], expected["loss"], rtol=1e-14)


def test_models_that_return_something_else():
    class Dict(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 2)

        def forward(self, x):
            return {"logits": self.layer(x)}

    x, y = torch.rand(6, 3).double(), torch.arange(6) % 2
    values, _ = measured(Evaluator(Dict(), [(x, y)], loss_fn=lambda o, t: functional.cross_entropy(o["logits"], t)))
    expected, _ = measured(Evaluator(linear(3, 2), [(x, y)]))
    np.testing.assert_allclose(values["loss"], expected["loss"], rtol=1e-14)


def test_quantities_that_can_be_measured():
    assert Evaluator(network(), batches_of(8)).quantities == ["loss", "accuracy"]
    assert Evaluator(network(), batches_of(8), quantities=["accuracy"]).quantities == ["accuracy"]
    regression = [(x, x.flatten(1)[:, :4]) for x, _ in batches_of(8)]
    assert Evaluator(network(), regression, loss_fn=nn.MSELoss()).quantities == ["loss"]


@pytest.mark.parametrize("quantities", [["los"], "loss", (), ["loss", "error"], 5])
def test_unknown_quantities_are_refused(quantities):
    with pytest.raises(ValueError, match=r"expected quantities as some of \['loss', 'accuracy'\], got"):
        Evaluator(network(), batches_of(8), quantities=quantities)


def test_accuracy_that_cannot_be_measured_is_refused():
    regression = [(x, x.flatten(1)[:, :4]) for x, _ in batches_of(8)]
    with pytest.raises(ValueError, match=r"to measure accuracy, .* pass quantities=\['loss'\]"):
        Evaluator(network(), regression, loss_fn=nn.MSELoss(), quantities=["loss", "accuracy"])


class Locked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("net", TypeError, r"expected a torch.nn.Module as the model, got str; call it as \(model, loader\)"),
        (nn.ReLU(), ValueError, "expected a model with parameters"),
        (nn.Linear(7, 2).double(), ValueError, "expected a model that takes the loader's inputs, got RuntimeError"),
        (
            network(torch.float32),
            ValueError,
            "expected a model that takes the loader's inputs.*check shapes and dtypes",
        ),
        (Locked(), ValueError, "expected a model that copy.deepcopy can copy, got TypeError"),
        (nn.Sequential(network(), nn.Linear(4, 4, device="meta")), ValueError, "meta"),
    ],
    ids=["no module", "no parameters", "shape", "dtype", "not copyable", "two devices"],
)
def test_bad_models_are_refused(model, kind, message):
    with pytest.raises(kind, match=message):
        Evaluator(model, batches_of(8))


def test_a_model_with_buffers_elsewhere_is_refused():
    model = network()
    model.register_buffer("mask", torch.ones(2, device="meta"))
    with pytest.raises(ValueError, match=r"expected a model on one device, got parameters and buffers on \['cpu', 'me"):
        Evaluator(model, batches_of(8))


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta"])
def test_devices_that_cannot_be_used_are_refused(device):
    with pytest.raises(ValueError, match=f"expected an available device, got '{device}' .*; try device='cpu'"):
        Evaluator(network(), batches_of(8), device=device)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_loss_vector_of_the_wrong_length_is_refused_before_anything_is_computed(n):
    with pytest.raises(ValueError, match="expected a loss with one value a sample"):
        Evaluator(network(), batches_of(8), loss_fn=lambda o, t: torch.zeros(n))


@pytest.mark.parametrize(
    ("targets", "loss_fn"),
    [
        (lambda y: y.numpy(), nn.CrossEntropyLoss()),
        (lambda y: y.tolist(), nn.CrossEntropyLoss()),
        (lambda y: y.numpy(), nn.MSELoss()),
        (lambda y: y.double()[:, None].expand(-1, 3), nn.MSELoss()),
        (lambda y: y, nn.BCEWithLogitsLoss()),
    ],
    ids=["numpy", "list", "numpy regression", "shape", "kind"],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_loss_that_does_not_take_the_targets_is_refused_with_advice(targets, loss_fn):
    loader = [(x, targets(y)) for x, y in batches_of(8)]
    with pytest.raises((TypeError, ValueError), match=r"^expected .*loss_fn|^expected .*targets"):
        Evaluator(network(), loader, loss_fn=loss_fn)


def test_a_model_that_insists_on_its_batch_size_is_accepted():
    class Strict(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 2)

        def forward(self, x):
            return self.layer(x.reshape(6, 3))

    values, _ = measured(Evaluator(Strict(), [(torch.rand(6, 3).double(), torch.arange(6) % 2)]))
    assert np.isfinite(values["loss"]).all()


def test_compiled_models_are_unwrapped():
    model = network()
    wrapped = torch.compile(model)
    evaluator = Evaluator(wrapped, batches_of(8))
    assert list(evaluator.center) == list(parameters_of(model))
    assert evaluator.title == "Sequential"


def test_tied_weights_move_together():
    model = nn.Sequential(linear(2, 2), nn.Tanh(), linear(2, 2))
    model[2].weight = model[0].weight
    data = [(torch.rand(6, 2).double(), torch.arange(6) % 2)]
    values, (delta, eta) = measured(Evaluator(model, data), ignore=None)
    delta["2.weight"], eta["2.weight"] = delta["0.weight"], eta["0.weight"]
    expected = slow_mean(model, data, (delta, eta), POINTS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-12)


def test_parameters_that_are_no_real_numbers_are_left_where_they_are():
    model = linear(3, 2)
    model.table = nn.Parameter(torch.arange(6).reshape(2, 3), requires_grad=False)
    values, _ = measured(Evaluator(model, [(torch.rand(6, 3).double(), torch.arange(6) % 2)]))
    assert np.isfinite(values["loss"]).all()


def test_an_evaluator_made_in_inference_mode_works_outside_of_it():
    with torch.inference_mode():
        evaluator = Evaluator(network(), batches_of(8))
    expected, _ = measured(Evaluator(network(), batches_of(8)))
    values, _ = measured(evaluator)
    np.testing.assert_array_equal(values["loss"], expected["loss"])


@pytest.mark.parametrize(
    "context",
    [lambda: torch.device("meta"), lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode],
    ids=["default device", "autocast", "inference mode"],
)
def test_what_is_set_around_it_does_not_matter(context):
    model, batches = network(), batches_of(8)
    expected, _ = measured(Evaluator(model, batches))
    with context():
        values, _ = measured(Evaluator(model, batches))
    np.testing.assert_array_equal(values["loss"], expected["loss"])
