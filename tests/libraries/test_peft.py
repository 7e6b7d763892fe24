"""Low-rank adapters of peft: they alone move, and the weights below them stay."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.trust import check
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

from lljupyter import loss_surface, normalize_direction, random_direction

GENERATOR = torch.Generator().manual_seed(2)
IDS = torch.randint(3, 30, (7, 9), generator=GENERATOR)
CLASSES = torch.randint(0, 3, (7,), generator=GENERATOR)


def gpt2() -> tuple[nn.Module, list]:
    sizes = {"n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = GPT2Config(vocab_size=30, bos_token_id=0, eos_token_id=0, **sizes)
    adapters = LoraConfig(r=2, task_type="CAUSAL_LM", fan_in_fan_out=True)
    return get_peft_model(GPT2LMHeadModel(config), adapters), [{"input_ids": i, "labels": i} for i in IDS.split(3)]


def bert() -> tuple[nn.Module, list]:
    """Its classifier is new, and trained with the adapters."""
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=30, max_position_embeddings=16, num_labels=3, **sizes)
    model = get_peft_model(BertForSequenceClassification(config), LoraConfig(r=2, task_type="SEQ_CLS"))
    batches = zip(IDS.split(3), CLASSES.split(3), strict=True)
    return model, [{"input_ids": ids, "labels": classes} for ids, classes in batches]


@torch.no_grad()
def own_loop(kind: str, model: nn.Module) -> float:
    """The mean over the tokens, or over the texts, one by one."""
    logits = model(input_ids=IDS).logits.double()
    if kind == "BERT":
        return float(np.mean([-row.log_softmax(0)[c] for row, c in zip(logits, CLASSES, strict=True)]))
    pairs = zip(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten(), strict=True)
    return float(np.mean([-row.log_softmax(0)[token] for row, token in pairs]))


def fresh(kind: str) -> tuple[nn.Module, list]:
    torch.manual_seed(0)
    model, batches = {"GPT-2": gpt2, "BERT": bert}[kind]()
    return model.double().eval(), batches


def adapted(kind: str) -> tuple[nn.Module, list]:
    """A model after some training: the second factors of fresh adapters are zero."""
    model, batches = fresh(kind)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return model, batches


def requires_gradient(name: str, parameter: torch.Tensor) -> bool:
    return parameter.requires_grad


@pytest.mark.parametrize("kind", ["GPT-2", "BERT"])
def test_the_adapters_alone_move(kind):
    model, batches = adapted(kind)
    before = copy.deepcopy(model.state_dict())
    # GPT-2 computes its loss in single precision whatever its weights are.
    check(
        model,
        batches,
        lambda: own_loop(kind, model),
        rtol=1e-6 if kind == "GPT-2" else 1e-9,
        moves=requires_gradient,
        parameters="trainable",
    )
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_a_filter_is_a_row_of_either_factor():
    model, batches = adapted("GPT-2")
    theta = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    delta = normalize_direction(random_direction(theta, 0), model)
    for name, part in theta.items():
        torch.testing.assert_close(delta[name].norm(dim=1), part.norm(dim=1), msg=name)
    surface = loss_surface(model, batches, parameters="lora", resolution=(3, 1), beta=(0, 0), progress=False)
    for alpha in (-1, 1):
        with torch.no_grad():
            for name, part in theta.items():
                model.get_parameter(name).copy_(part + alpha * delta[name])
        assert surface.loss.sel(alpha=alpha).item() == pytest.approx(own_loop("GPT-2", model), rel=1e-6)


def test_of_fresh_adapters_it_is_said_that_half_of_them_does_not_move():
    model, batches = fresh("BERT")
    with pytest.warns(UserWarning, match=r"do not move.*lora_B.*all zero"):
        loss_surface(model, batches, parameters="lora", resolution=3, progress=False)


def test_the_adapters_that_peft_saves_are_a_run(tmp_path):
    model, batches = adapted("GPT-2")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    losses = []
    for step in range(3):
        model.save_pretrained(tmp_path / f"checkpoint-{step}")
        losses.append(own_loop("GPT-2", model))
        model(**batches[step]).loss.backward()
        optimizer.step()
    model.save_pretrained(tmp_path / "checkpoint-3")
    surface = loss_surface(model, batches, trajectory=tmp_path, parameters="lora", resolution=3, progress=False)
    np.testing.assert_allclose(surface.trajectory_loss[:3], losses, rtol=1e-6)
