"""A problem is built once, apart from the person's model, and nothing writes into it."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from support.reference import batches_of, linear, network, samples
from torch import nn

from lljupyter.geometry.parameters import fingerprint
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
    assert (problem.draws, problem.changes_inputs, problem.recalibrates, problem.warnings) == (False, False, False, ())


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
    model, live = problem.working_copy()
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
    working, live = problem.working_copy()
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
