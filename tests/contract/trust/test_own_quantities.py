"""Quantities that the user wrote have the values of the obvious loop, or are refused by name."""

from __future__ import annotations

import copy
import functools
import random

import numpy as np
import pytest
import torch
from support.models.failing import plane_of
from support.reference import PATIENCE, grid_points
from support.trust import batches, perceptron
from torch import nn
from torch.nn import functional

from lljupyter import LandscapeWidget, convexity_map, load, loss_line, loss_surface, save

DATA = [(x.double(), y) for x, y in batches()]
QUIET = {"progress": False}


def f1(outputs, targets):
    """The macro F1 score, which is no mean over samples."""
    predicted, scores = outputs.argmax(1), []
    for kind in range(outputs.shape[1]):
        hits = ((predicted == kind) & (targets == kind)).sum()
        scores.append(2 * hits / ((predicted == kind).sum() + (targets == kind).sum()).clamp(min=1))
    return torch.stack(scores).double().mean()


def calibration_error(outputs, targets, n_bins=5):
    confidence, predicted = outputs.softmax(1).max(1)
    found = 0.0
    for k in range(n_bins):
        inside = (confidence > k / n_bins) & (confidence <= (k + 1) / n_bins)
        if inside.any():
            gap = (predicted[inside] == targets[inside]).double().mean() - confidence[inside].mean()
            found += float(inside.double().mean() * gap.abs())
    return found


def norm(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).norm().numpy()


class Counting:
    """Changes all that it is given, and itself."""

    def __init__(self):
        self.n_calls = 0

    def __call__(self, model):
        self.n_calls += 1
        value = sum(float(p.abs().sum()) for p in model.parameters()) * self.n_calls
        for parameter in model.parameters():
            parameter.data.zero_()
        model.train()
        return value


def spoiling(outputs, targets):
    value = float(outputs[:, 0].mean()) + float(targets.double().mean())
    outputs.zero_()
    targets.zero_()
    return value


OWN = {
    "f1": f1,
    "calibration": functools.partial(calibration_error, n_bins=4),
    "norm": norm,
    "counting": Counting(),
    "spoiling": spoiling,
    "margin": lambda outputs, targets: outputs.max(1).values.min(),
}


def slowly(model, f, directions, points, of_model=False):
    """The values of the obvious loop."""
    values = []
    for alpha, beta in points:
        there = copy.deepcopy(model)
        for name, parameter in there.named_parameters():
            parameter.data += alpha * directions[0][name] + beta * directions[1][name]
        with torch.no_grad():
            outputs = torch.cat([there(x) for x, _ in DATA])
            targets = torch.cat([y for _, y in DATA])
            values.append(float(copy.deepcopy(f)(there) if of_model else copy.deepcopy(f)(outputs, targets)))
    return np.array(values)


@pytest.mark.parametrize("evaluation", ["plain", "fastest"])
def test_values_are_those_of_the_obvious_loop(evaluation):
    model = perceptron().double()
    directions, before = plane_of(model), copy.deepcopy(model.state_dict())
    found = loss_surface(
        model, DATA, quantities=["loss", OWN], directions=directions, resolution=5, evaluation=evaluation, **QUIET
    )
    points = grid_points(found.alpha.values, found.beta.values)
    for name, f in OWN.items():
        expected = slowly(model, f, directions, points, name in ("norm", "counting"))
        np.testing.assert_allclose(found[name].values.ravel(), expected, rtol=1e-9, err_msg=name)
    assert found.attrs["callables"] == ", ".join(
        [*(n for n in OWN if n not in ("norm", "counting")), "norm", "counting"]
    )
    assert "accuracy" not in found
    assert OWN["counting"].n_calls == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_dict_alone_adds_to_what_can_be_measured_and_loaders_have_their_own():
    loaders = {"train": DATA, "test": DATA[:1]}
    model = perceptron().double()
    found = loss_line(model, loaders, quantities={"f1": f1, "norm": norm}, resolution=3, **QUIET)
    names = {"train_loss", "test_loss", "train_accuracy", "test_accuracy", "train_f1", "test_f1", "norm"}
    assert names <= set(found.data_vars)
    with torch.no_grad():
        expected = f1(model(DATA[0][0]), DATA[0][1])
    assert float(found.test_f1.sel(alpha=0)) == pytest.approx(float(expected), rel=1e-9)
    whole = convexity_map(model, DATA, quantities={"f1": f1}, resolution=3, **QUIET)
    assert {"f1", "lambda_min", "loss"} <= set(whole.data_vars)


def test_one_that_raises_has_a_hole_of_its_own():
    model = perceptron().double()
    directions = plane_of(model)
    axis = np.linspace(-1, 1, 5)
    limit = float(np.quantile(slowly(model, norm, directions, grid_points(axis, axis), True), 0.8))

    def bounded(net):
        if norm(net) > limit:
            raise ValueError("expected weights within bounds")
        return norm(net)

    with pytest.warns(UserWarning, match="No value at"):
        found = loss_surface(
            model, DATA, quantities={"bounded": bounded, "norm": norm}, directions=directions, resolution=5, **QUIET
        )
    outside = found.norm.values > limit
    assert 0 < outside.sum() < outside.size / 2
    np.testing.assert_array_equal(np.isnan(found.bounded.values), outside)
    np.testing.assert_array_equal(found.failed.values, outside)
    assert found.loss.notnull().all()
    assert found.attrs["failure"] == "quantity 'bounded': ValueError: expected weights within bounds"


def test_one_that_raises_at_most_points_leaves_the_loss():
    model = perceptron().double()
    center = float(norm(model))

    def at_the_center(net):
        if float(norm(net)) != center:
            raise ValueError("elsewhere")
        return center

    with pytest.warns(UserWarning, match="elsewhere"):
        found = loss_surface(model, DATA, quantities={"q": at_the_center}, resolution=5, **QUIET)
    assert found.loss.notnull().all()
    assert int(found.q.notnull().sum()) == 1
    assert int(found.failed.sum()) == 24


def test_a_file_is_resumed_with_the_callable_and_refused_without(tmp_path):
    model = perceptron().double()
    calls = []

    def counted(net):
        calls.append(1)
        return norm(net)

    whole = loss_surface(model, DATA, quantities={"norm": counted}, resolution=5, **QUIET)
    part = whole.copy(deep=True)
    part["norm"].values[2:] = np.nan
    save(part, tmp_path / "part.nc")
    calls.clear()
    found = loss_surface(model, DATA, quantities={"norm": counted}, resume=tmp_path / "part.nc", **QUIET)
    np.testing.assert_array_equal(found.norm, whole.norm)
    assert len(calls) == 15 + 2  # the center is tried twice
    with pytest.raises(ValueError, match="expected the quantity 'norm' to resume this result, got none; pass"):
        loss_surface(model, DATA, resume=load(tmp_path / "part.nc"), **QUIET)


def test_a_widget_shows_them():
    widget = LandscapeWidget(perceptron().double(), DATA, quantities={"f1": f1}, color="f1", resolution=5)
    try:
        found = widget.wait(PATIENCE)
        assert widget.quantities()[-1] == "f1"
        assert widget.color == "f1"
        assert np.isfinite(found.f1).all()
    finally:
        widget.close()


MODEL = perceptron().double()
NUMBERS = iter(range(100))
REFUSED = {
    "reads the model that was passed": (
        lambda outputs, targets: functional.cross_entropy(outputs, targets) + MODEL[0].weight.norm(),
        ValueError,
        "to use what it is given, got one that reads '0.weight' of the model",
    ),
    "draws from torch": (lambda model: torch.randn(1), ValueError, "draw no random numbers that others draw"),
    "draws from Python": (lambda model: random.random() * 0, ValueError, "draw no random numbers that others draw"),
    "another value each time": (
        lambda model: next(NUMBERS),
        ValueError,
        "same value twice, got 0 and 1 at the center",
    ),
    "raises": (lambda outputs, targets: outputs.no_such(), ValueError, "to have a value at the model, got Attribute"),
    "no number": (lambda outputs, targets: outputs, TypeError, r"return a real number, got Tensor of shape"),
    "text": (lambda model: "1", TypeError, "return a real number, got str; return float"),
    "too many": (lambda a, b, c: 1.0, ValueError, "got a callable with 3 required parameters; wrap it"),
    "open": (lambda *given: 1.0, ValueError, "got a callable with an open number of required parameters"),
    "no callable": (3, TypeError, "with a callable f, got 'q' as int"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_be_right_is_refused_by_name(kind):
    f, error, message = REFUSED[kind]
    state = torch.get_rng_state()
    with pytest.raises(error, match=message):
        loss_surface(MODEL, DATA, quantities={"q": f}, resolution=3, **QUIET)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["loss", "failed", "train_loss", "two words", "class", 3, "é"])
def test_names_that_can_not_be_used_are_refused(name):
    with pytest.raises(ValueError, match="name of a quantity"):
        loss_surface(MODEL, DATA, quantities={name: norm}, **QUIET)


def test_outputs_that_can_not_be_joined_are_refused_and_f_of_the_model_is_right():
    def objective(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1])

    with pytest.raises(ValueError, match=r"expected a loss of outputs and targets for the quantity 'f1' of them"):
        loss_surface(MODEL, DATA, objective=objective, quantities={"f1": f1}, **QUIET)
    found = loss_surface(MODEL, DATA, objective=objective, quantities={"norm": norm}, resolution=3, **QUIET)
    assert float(found.norm[1, 1]) == pytest.approx(float(norm(MODEL)))

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = perceptron().double()

        def forward(self, x):
            return self.net(x).mean(0)

    with pytest.raises(ValueError, match="of all batches that can be joined"):
        loss_surface(Pooled(), DATA, loss_fn=lambda o, y: o.square().sum(), quantities={"f1": f1}, **QUIET)
