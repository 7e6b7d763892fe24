"""What moves, by pattern, list, kind, function or module; and what stays although it was chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lljupyter import between, normalize_direction, pca_directions, project, random_direction
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.select import cannot_move, selected


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter, as peft names its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(4, 3).requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(4, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 3, bias=False)})
        nn.init.zeros_(self.lora_B["default"].weight)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.body = nn.Sequential(Adapted(), nn.ReLU(), nn.Linear(3, 4))
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight


LORA = ("body.0.lora_A.default.weight", "body.0.lora_B.default.weight")
BASE = ("body.0.base_layer.weight", "body.0.base_layer.bias")
LAST = ("body.2.weight", "body.2.bias")
TIED = ("embed.weight",)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (None, (*TIED, *BASE, *LORA, *LAST)),
        ("*", (*TIED, *BASE, *LORA, *LAST)),
        ("body.2.*", LAST),
        ("body.2", LAST),
        ("body.2.bias", LAST[1:]),
        ("*.bias", (BASE[1], LAST[1])),
        ("head.*", TIED),  # a tied weight by any of its names
        (["body.2.bias", "head.weight"], (*TIED, LAST[1])),
        ({"body.?.bias"}, LAST[1:]),
        (("body.2", "*.lora_B.*"), (LORA[1], *LAST)),
        ("trainable", (*TIED, *LORA, *LAST)),
        ("lora", LORA),
        (lambda name, parameter: parameter.dim() == 1, (BASE[1], LAST[1])),
        (lambda name, parameter: "head" in name, TIED),
        (lambda name, parameter: parameter.requires_grad and "lora" not in name, (*TIED, *LAST)),
    ],
)
def test_what_moves_in_the_order_of_the_model(parameters, expected):
    assert selected(Net(), parameters) == expected


def test_a_module_of_the_model():
    model = Net()
    assert selected(model, model.body[0]) == (*BASE, *LORA)
    assert selected(model, model.head) == TIED
    assert selected(model, model) == selected(model, None)
    for wrapped in (torch.compile(model), nn.DataParallel(model)):
        assert selected(wrapped, model.head) == TIED
        assert selected(wrapped, wrapped) == selected(model, None)
        assert selected(model, wrapped) == selected(model, None)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            "boddy.2.*",
            ValueError,
            r"got none for parameters='boddy.2.\*': no name matches; the closest names are 'body",
        ),
        ("heads", ValueError, "no name matches; the closest names are 'head'"),
        ("zzzzzz", ValueError, "no name matches; the model has 'embed.weight', .* and 4 more"),
        (["body.2.bias", "body.3.bias"], ValueError, "none for parameters='body.3.bias': .* 'body.2.bias'"),
        ([], ValueError, r"got none for parameters=\[\]: nothing; the model has 'embed.weight'"),
        (lambda name, parameter: False, ValueError, "none for parameters=a function: nothing; the model has"),
        (lambda name: True, ValueError, r"expected a function \(name, parameter\) -> bool .* raises TypeError.*; try"),
        (nn.Linear(2, 2), ValueError, "expected parameters as a module of the model, got a Linear that is not part of"),
        (3, TypeError, "expected parameters as a choice of what moves, got int; pass a pattern of names such as"),
        ({"head": 1}, TypeError, "expected parameters as a choice of what moves, got dict; pass a pattern"),
        ([3], TypeError, "expected a list of parameter names, got one with a int; use the names of model.named_param"),
    ],
)
def test_choices_that_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        selected(Net(), parameters)


def test_kinds_that_the_model_does_not_have():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="none for parameters='lora': no name has 'lora_' in it; the model has 'weigh"):
        selected(model, "lora")
    with pytest.raises(ValueError, match=r"'trainable': every parameter has requires_grad=False; call requires_grad_"):
        selected(model.requires_grad_(False), "trainable")
    model.codes = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
    with pytest.raises(
        ValueError, match=r"expected floating-point parameters to move, got only torch.int8 ones for par"
    ):
        selected(model, "codes")


def test_fresh_adapters_and_zero_heads_cannot_move():
    model = Net()
    nn.init.zeros_(model.body[2].weight)
    theta = parameters_of(model)
    d = normalize_direction(random_direction(theta, 0), model)
    reason = "is all zero, and so is a direction that is scaled to it"
    assert cannot_move(theta, d) == {LORA[1]: reason, LAST[0]: reason}
    assert cannot_move({name: theta[name] for name in LORA}, d) == {LORA[1]: reason}
    assert cannot_move(model, d) == cannot_move(theta, d)
    assert cannot_move(theta, random_direction(theta, 0)) == {}  # not scaled


def test_tensors_that_are_kept_on_purpose_are_not_told():
    theta = {"bias": torch.zeros(3), "weight": torch.ones(2, 2), "empty": torch.zeros(0, 2), "other": torch.zeros(2, 2)}
    zeros = {name: torch.zeros_like(part) for name, part in theta.items() if name != "other"}
    assert cannot_move(theta, zeros) == {}


def test_quantized_parameters_and_layers_cannot_move():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].weight = nn.Parameter(torch.ones(2, 2, dtype=torch.uint8), requires_grad=False)
    model.quantized = nn.Module()
    model.quantized._packed_params = nn.Module()
    model.quantized._packed_params._packed_params = None
    d = random_direction(parameters_of(model), 0)
    assert cannot_move(model, d) == {
        "0.weight": "holds uint8 values, which can't move by a little",
        "quantized": "is quantized",
    }


def test_directions_concern_what_was_chosen_alone():
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double() for _ in range(5)]
    model = models[0]
    names = selected(model, "1")
    theta = {name: parameters_of(model)[name] for name in names}
    d = normalize_direction(random_direction(theta, 0), model)
    assert tuple(d) == names
    torch.testing.assert_close(d["1.weight"].norm(dim=1), theta["1.weight"].norm(dim=1))
    difference = between(model, models[1], parameters="1.weight")
    assert list(difference) == ["1.weight"]
    assert torch.equal(difference["1.weight"], models[1][1].weight.detach() - model[1].weight.detach())
    states = [m.state_dict() for m in models[::-1]]
    pca = pca_directions(states, model, parameters="1.*", ignore=None)
    partial = [{name: state[name] for name in names} for state in states]
    alone = pca_directions(partial, theta, ignore=None)
    assert list(pca.directions[0]) == list(names)
    for found, expected in zip(pca.directions, alone.directions, strict=True):
        assert all(torch.equal(found[name], part) for name, part in expected.items())
    plane = Plane(theta, *pca.directions)
    assert set(plane.at(1, 2)) == set(names)
    assert project(plane.at(0.5, 2), plane) == pytest.approx((0.5, 2, 0), abs=1e-6)


def test_choices_that_mean_nothing_are_refused():
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    with pytest.raises(
        ValueError, match="expected over='parameters' when parameters are chosen, got 'states'; running"
    ):
        between(model, other, "states", parameters="weight")
    with pytest.raises(TypeError, match="expected center as a model to choose parameters from, got dict; pass the mod"):
        pca_directions([{}] * 4, parameters_of(model), parameters="weight")
    with pytest.raises(ValueError, match=r"unknown: \['scale'\]"):
        normalize_direction({"scale": torch.ones(2)}, model)
