"""Names in a checkpoint and in a model that differ by a prefix are matched, or the prefix is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lljupyter import pca_directions
from lljupyter.geometry.checkpoint_names import matched_names
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.parameters import parameters_of

NAMES = ["fc.weight", "fc.bias", "out.weight"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (NAMES, NAMES),
        ([f"net.{name}" for name in NAMES], [f"net.{name}" for name in NAMES]),
        ([*(f"net.{name}" for name in NAMES), "loss.weight"], [f"net.{name}" for name in NAMES]),
        ([f"a.b.{name}" for name in NAMES], [f"a.b.{name}" for name in NAMES]),
        ([f"module.{name}" for name in NAMES], [f"module.{name}" for name in NAMES]),
        ([*NAMES, *(f"ema.{name}" for name in NAMES)], NAMES),  # the same names come first
    ],
)
def test_a_prefix_in_the_checkpoint(found, expected):
    names = matched_names(NAMES, found, "0")
    assert [names[name] for name in NAMES] == expected


def test_a_prefix_in_the_model():
    names = matched_names([f"net.{name}" for name in NAMES], [*NAMES, "fc.running"], "0")
    assert [names[f"net.{name}"] for name in NAMES] == NAMES
    assert names["net.fc.running"] == "fc.running"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (NAMES, ["net.fc.weight", "net.fc.bias"]),
        (NAMES, ["net.fc.weight", "net.fc.bias", "head.out.weight"]),
        (["a.fc.weight", "b.fc.weight"], ["fc.weight"]),
        (["net.fc.weight", "head.out.weight"], ["fc.weight", "out.weight"]),
        (NAMES, []),
        (["weight"], ["dead_weight"]),
    ],
)
def test_names_that_match_in_part_are_not_matched(wanted, found):
    assert not set(matched_names(wanted, found, "0")) >= set(wanted)


def test_two_prefixes_are_told():
    found = [f"{prefix}.{name}" for prefix in ("student", "teacher") for name in NAMES]
    with pytest.raises(ValueError, match=r"of the model once, got them behind 'student.' and 'teacher.'; pass one of"):
        matched_names(NAMES, found, "0")


def test_adapters_are_named_without_their_name():
    wanted = ["m.q.lora_A.default.weight", "m.q.lora_B.default.weight", "m.e.lora_embedding_A.default"]
    found = ["m.q.lora_A.weight", "m.q.lora_B.weight", "m.e.lora_embedding_A"]
    names = matched_names(wanted, found, "0")
    assert [names[name] for name in wanted] == found


def small() -> nn.Module:
    return nn.ModuleDict({"fc": nn.Linear(3, 2), "out": nn.Linear(2, 2)})


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (
            lambda name: f"net.{name}" if "fc" in name else name + "x",
            "with the prefix 'net.' there is one, but none for",
        ),
        (lambda name: name.replace("fc.weight", "weight"), "without 'fc.' there is one: pass the part of the model"),
        (lambda name: f"lora_{name.replace('.', '')}", "it has low-rank adapters alone: pass parameters='lora'"),
        (lambda name: name.upper(), "use the checkpoints of the same model, its state dict itself"),
    ],
)
def test_names_that_do_not_match_are_refused_with_a_hint(rename, message):
    model = small()
    states = [{rename(name): torch.randn_like(part) for name, part in model.state_dict().items()} for _ in range(4)]
    with pytest.raises(
        ValueError, match=r"expected checkpoint 0 with 'fc.weight' of shape \(2, 3\), got none.*" + message
    ):
        pca_directions(states, model)


@pytest.mark.parametrize("prefix", ["net.", "model.backbone."])
def test_checkpoints_behind_a_prefix_give_the_same_directions(prefix):
    torch.manual_seed(0)
    model = small()
    states = [{name: torch.randn_like(part) for name, part in model.state_dict().items()} for _ in range(5)]
    expected = pca_directions(states, model).directions[0]
    behind = [{prefix + name: part for name, part in state.items()} for state in states]
    found = pca_directions(behind, model).directions[0]
    assert all(torch.equal(found[name], part) for name, part in expected.items())
    first, _, last = prefix.partition(".")
    whole = nn.ModuleDict({first: nn.ModuleDict({last.strip("."): model}) if last else model})
    within = pca_directions(states, whole).directions[0]  # the other way round
    assert all(torch.equal(within[prefix + name], part) for name, part in expected.items())
    checkpoint = open_checkpoints(behind)[0]
    checkpoint.match(parameters_of(model))
    assert set(checkpoint.tensors(parameters_of(model))) == set(expected)
