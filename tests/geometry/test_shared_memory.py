"""Memory that several parameters and buffers share belongs to one of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lljupyter.geometry.parameters import parameters_of, states_of
from lljupyter.geometry.select import selected
from lljupyter.geometry.shared_memory import memory_owners

WHOLE = torch.arange(24.0).reshape(4, 6)


def made(*buffers: torch.Tensor, **parameters: torch.Tensor) -> nn.Module:
    model = nn.Module()
    for name, tensor in parameters.items():
        model.register_parameter(name, nn.Parameter(tensor))
    for k, tensor in enumerate(buffers):
        model.register_buffer(f"buffer{k}", tensor)
    return model


SHARED = {
    "nothing": (made(a=WHOLE.clone(), b=WHOLE.clone()), {}),
    "the same": (made(a=WHOLE, b=WHOLE), {"b": "a"}),
    "transposed": (made(a=WHOLE, b=WHOLE.T), {"b": "a"}),
    "three": (made(a=WHOLE, b=WHOLE, c=WHOLE.T), {"b": "a", "c": "a"}),
    "another shape": (made(a=WHOLE, b=WHOLE.reshape(24)), {"b": "a"}),
    "a part": (made(a=WHOLE, b=WHOLE[1:3]), {"b": "a"}),
    "a part that comes first": (made(a=WHOLE[:, ::2], b=WHOLE), {"a": "b"}),
    "a part of what is the same": (made(a=WHOLE[:2], b=WHOLE, c=WHOLE), {"a": "b", "c": "b"}),
    "other bits": (made(a=WHOLE, b=WHOLE.view(torch.float16)), {"b": "a"}),
    "beside each other": (made(a=WHOLE[:2, ::2], b=WHOLE[:2, 1::2], c=WHOLE[2:]), {}),
    "one after the other": (made(a=WHOLE[:2], b=WHOLE[2:]), {}),
    "a buffer": (made(WHOLE[1], a=WHOLE), {"buffer0": "a"}),
    "a buffer that is the same": (made(WHOLE, a=WHOLE), {"buffer0": "a"}),
    "a buffer that two are parts of": (made(WHOLE, a=WHOLE[:1], b=WHOLE[1:]), {"buffer0": "b"}),
    "two buffers": (made(WHOLE[:3], WHOLE[1:], a=torch.ones(2)), {}),
}


@pytest.mark.parametrize("kind", SHARED)
def test_the_owner_is_the_first_that_holds_all_of_it(kind):
    model, expected = SHARED[kind]
    assert memory_owners(model) == expected
    assert list(parameters_of(model)) == [name for name, _ in model.named_parameters() if name not in expected]
    assert set(states_of(model)) == {*dict(model.named_parameters()), *dict(model.named_buffers())} - expected.keys()


@pytest.mark.parametrize(
    "model",
    [made(a=WHOLE[:3], b=WHOLE[1:]), made(WHOLE, a=WHOLE[:3]), made(a=WHOLE[:1], b=WHOLE[1:], c=WHOLE[:, 1:3])],
    ids=["two parameters", "a buffer", "a part of two"],
)
def test_what_shares_a_part_only_is_refused_by_name(model):
    with pytest.raises(ValueError, match=r"got '\w+' with a part of '\w'; make one of .*, or give it memory"):
        parameters_of(model)


@pytest.mark.parametrize("size", [(5, 3), (2, 5, 3)])
def test_entries_that_are_one_number_are_refused_by_name(size):
    with pytest.raises(ValueError, match=r"got 'b' of shape \(.*\), expanded from fewer numbers; make the smaller"):
        parameters_of(made(a=WHOLE, b=torch.zeros(3).expand(size)))
    assert list(parameters_of(made(b=torch.zeros(3).expand(1, 3)))) == ["b"]


def test_what_has_no_memory_is_passed_over():
    model = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 2, device="meta"))
    model.register_buffer("sparse", torch.eye(3).to_sparse())
    assert memory_owners(model) == {}


def test_memory_that_is_shared_is_chosen_by_any_of_its_names():
    model = made(a=WHOLE, b=WHOLE.T, c=torch.ones(2))
    assert selected(model, "b") == ("a",)
    assert selected(model, ["b", "c"]) == ("a", "c")


def test_a_part_of_a_parameter_is_not_chosen_without_it():
    model = made(a=WHOLE, b=WHOLE[:1])
    with pytest.raises(ValueError, match="got 'b', which is a part of 'a'; choose both of them"):
        selected(model, "b")
    assert selected(model, "*") == ("a",)
