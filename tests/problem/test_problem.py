"""A problem is built once, apart from the person's model, and nothing writes into it."""

from __future__ import annotations

import copy
import dataclasses
import threading

import pytest
import torch
from support.data import tiny
from support.reference import batches_of, linear, network, samples
from torch import nn

from lljupyter.geometry.parameters import fingerprint, parameters_of
from lljupyter.problem.problem import build_problem


def test_a_problem_holds_what_was_found_out():
    model = network()
    problem = build_problem(model, {"train": batches_of(8), "test": batches_of(5, 9)}, quantities=["loss"])
    assert problem.kinds == {"train_": ("loss",), "test_": ("loss",)}
    assert problem.names == ["train_loss", "train_loss_stderr", "test_loss", "test_loss_stderr"]
    assert [batch.n for batch in problem.all_batches] == [8, 8, 7, 5, 4]
    assert [batch.n for batch in problem.first_batches] == [8, 8, 7]
    assert problem.n_samples == 32
    assert (problem.title, problem.loss_name) == ("Sequential", "cross-entropy")
    assert problem.fingerprint == fingerprint(model)
    assert list(problem.center) == [name for name, _ in model.named_parameters()]
    assert set(problem.states) - set(problem.center) == {"1.running_mean", "1.running_var"}
    assert problem.dtype() == torch.float64
    assert problem.example().shape == (2, 1, 5, 5)
    assert problem.per_sample
    assert problem.classifies_plainly
    assert (problem.draws, problem.conditions.changes_inputs, problem.recalibrates, problem.warnings) == (
        False,
        False,
        False,
        (),
    )


def test_the_states_are_those_of_the_private_model_and_not_of_the_persons():
    model = network()
    before = copy.deepcopy(model.state_dict())
    problem = build_problem(model, batches_of(8))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()
    private = problem.model.state_dict()
    for name, tensor in problem.states.items():
        assert torch.equal(tensor, before[name])
        assert tensor.data_ptr() == private[name].data_ptr()


class Counting(nn.Module):
    """Changes a state of its own at every call, and remembers its calls."""

    def __init__(self):
        super().__init__()
        self.layer = linear(3, 2)
        self.register_buffer("calls", torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


def test_the_trial_and_working_copies_leave_the_private_model_as_it_is():
    problem = build_problem(Counting(), [(torch.rand(6, 3).double(), torch.arange(6) % 2)])
    assert problem.states["calls"] == 0
    working = problem.working_copy()
    model, live = working.model, working.states
    assert list(live) == list(problem.states)
    live["layer.weight"].fill_(7.0)
    assert bool((model.layer.weight == 7).all())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not bool((problem.states["layer.weight"] == 7).any())


def test_a_problem_is_frozen():
    problem = build_problem(network(), batches_of(8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.resident = False


def test_tied_weights_are_one_state_of_the_working_copy():
    model = nn.Sequential(linear(2, 2), nn.Tanh(), linear(2, 2))
    model[2].weight = model[0].weight
    problem = build_problem(model, [(torch.rand(6, 2).double(), torch.arange(6) % 2)])
    copied = problem.working_copy()
    working, live = copied.model, copied.states
    assert "2.weight" not in live
    live["0.weight"].zero_()
    assert not bool(working[2].weight.any())


def test_statistics_are_recalibrated_only_where_there_are_some():
    assert build_problem(network(), batches_of(8), batchnorm="recalibrate").recalibrates
    data = [(torch.rand(6, 3).double(), torch.arange(6) % 2)]
    assert not build_problem(linear(3, 2), data, batchnorm="recalibrate").recalibrates


def test_several_precisions_have_no_common_type():
    model = linear(3, 2)
    model.register_buffer("scale", torch.ones(1))
    problem = build_problem(model, [(torch.rand(6, 3).double(), torch.arange(6) % 2)])
    with pytest.raises(ValueError, match="of the types"):
        problem.dtype()


def test_the_data_are_copies_of_those_of_the_loader():
    x, y = samples(8)
    problem = build_problem(network(), [(x, y)])
    before = x.clone()
    x.zero_()
    assert torch.equal(problem.first_batches[0].inputs, before)


def test_quantities_that_can_be_measured():
    assert build_problem(network(), batches_of(8)).quantities == ["loss", "accuracy"]
    assert build_problem(network(), batches_of(8), quantities=["accuracy"]).quantities == ["accuracy"]
    regression = [(x, x.flatten(1)[:, :4]) for x, _ in batches_of(8)]
    assert build_problem(network(), regression, loss_fn=nn.MSELoss()).quantities == ["loss"]


@pytest.mark.parametrize("quantities", [["los"], "loss", (), ["loss", "error"], 5])
def test_unknown_quantities_are_refused(quantities):
    with pytest.raises(ValueError, match=r"expected quantities as some of \['loss', 'accuracy'\], got"):
        build_problem(network(), batches_of(8), quantities=quantities)


def test_accuracy_that_cannot_be_measured_is_refused():
    regression = [(x, x.flatten(1)[:, :4]) for x, _ in batches_of(8)]
    with pytest.raises(ValueError, match=r"to measure accuracy, .* pass quantities=\['loss'\]"):
        build_problem(network(), regression, loss_fn=nn.MSELoss(), quantities=["loss", "accuracy"])


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
        build_problem(model, batches_of(8))


def test_a_model_with_buffers_elsewhere_is_refused():
    model = network()
    model.register_buffer("mask", torch.ones(2, device="meta"))
    with pytest.raises(ValueError, match=r"expected a model on one device, got parameters and buffers on \['cpu', 'me"):
        build_problem(model, batches_of(8))


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta"])
def test_devices_that_cannot_be_used_are_refused(device):
    with pytest.raises(ValueError, match=f"expected an available device, got '{device}' .*; try device='cpu'"):
        build_problem(network(), batches_of(8), device=device)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_loss_vector_of_the_wrong_length_is_refused_before_anything_is_computed(n):
    with pytest.raises(ValueError, match="expected a loss with one value per sample"):
        build_problem(network(), batches_of(8), loss_fn=lambda o, t: torch.zeros(n))


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
        build_problem(network(), loader, loss_fn=loss_fn)


def test_compiled_models_are_unwrapped():
    model = network()
    wrapped = torch.compile(model)
    problem = build_problem(wrapped, batches_of(8))
    assert list(problem.center) == list(parameters_of(model))
    assert problem.title == "Sequential"


@pytest.mark.parametrize("loader", [{}, {1: []}, {"my loader": []}])
def test_loaders_without_proper_names_are_refused(loader):
    with pytest.raises(ValueError, match=r"expected loaders with names, got the keys .*; try {'train': loader"):
        build_problem(tiny.network(), loader)


class Scaled(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, outputs, targets):
        assert not self.training
        return self.scale * outputs.mean()


@pytest.mark.parametrize(
    "loss_fn", [Scaled(), nn.CrossEntropyLoss(weight=torch.ones(2).double())], ids=["own", "torch's"]
)
def test_a_loss_module_is_copied_not_used(loss_fn):
    before = loss_fn.training, getattr(loss_fn, "reduction", None)
    problem = build_problem(linear(3, 2), [(torch.rand(6, 3).double(), torch.arange(6) % 2)], loss_fn=loss_fn)
    working = problem.working_copy()
    expected = working.loss("", problem.first_batches[0])
    for tensor in (*loss_fn.parameters(), *loss_fn.buffers()):
        tensor.data.fill_(7.0)
    for one, other in zip(working.loss("", problem.first_batches[0]), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert (loss_fn.training, getattr(loss_fn, "reduction", None)) == before
