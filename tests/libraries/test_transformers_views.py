"""Language models of transformers: curvature with attention, filters of ``Conv1D``, a Trainer's run, the widget."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from support.hessians import extreme_eigenvalues
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lljupyter import LandscapeWidget, convexity_map, loss_surface, normalize_direction, pca_directions

IDS = torch.randint(3, 9, (7, 6), generator=torch.Generator().manual_seed(9))
BATCHES = [{"input_ids": ids, "labels": ids} for ids in IDS.split(3)]


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2, "vocab_size": 9}
    tokens = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(**sizes, **tokens, attn_implementation="sdpa", initializer_range=0.5)
    return transformers.GPT2LMHeadModel(config).eval()


def mean_over_targets(model: nn.Module) -> Tensor:
    """The cross-entropy of every next token."""
    logits = model(input_ids=IDS).logits.double().log_softmax(2)
    losses = [-row[k, now] for row, ids in zip(logits, IDS, strict=True) for k, (_, now) in enumerate(pairwise(ids))]
    return torch.stack(losses).mean()


def test_both_ends_of_the_spectrum_of_gpt2():
    model = gpt2().double()
    at_center = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}
    found = convexity_map(model, BATCHES, tol=1e-4, **at_center)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    with sdpa_kernel(SDPBackend.MATH):  # torch has no second derivative of the others
        expected = extreme_eigenvalues(lambda: mean_over_targets(model), matrices)
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], expected, rtol=1e-3)


def test_a_filter_of_conv1d_is_one_of_its_outputs():
    """Its weight is the transpose of that of a linear layer."""
    model = gpt2()
    name = "transformer.h.0.mlp.c_fc.weight"
    weight = model.get_parameter(name).detach()
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    linear = nn.Linear(*weight.shape)
    linear.weight.data = weight.T.clone()
    expected = normalize_direction({"weight": direction.T.clone()}, linear)["weight"].T
    torch.testing.assert_close(normalize_direction({name: direction}, model)[name], expected)


def test_the_checkpoints_of_a_trainer_are_a_run(tmp_path):
    model, losses = gpt2(), []

    class Watching(transformers.TrainerCallback):
        def on_save(self, *_, **__):
            losses.append(float(mean_over_targets(model.eval())))

    quiet = {"report_to": [], "disable_tqdm": True, "logging_strategy": "no"}
    options = transformers.TrainingArguments(
        str(tmp_path),
        max_steps=4,
        save_steps=1,
        per_device_train_batch_size=3,
        learning_rate=0.05,
        use_cpu=True,
        **quiet,
    )
    texts = [{"input_ids": ids, "labels": ids} for ids in IDS]
    trainer = transformers.Trainer(model, options, train_dataset=texts, callbacks=[Watching()])
    trainer.train()
    model.eval()
    surface = loss_surface(model, BATCHES, trajectory=tmp_path, resolution=3, progress=False)
    assert len(losses) == 4
    np.testing.assert_allclose(surface.trajectory_loss, losses, rtol=1e-5)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("max_shard_size", ["1GB", "1KB"])
def test_what_is_saved_in_one_file_or_in_several_is_a_run(tmp_path, max_shard_size):
    states = []
    for index in range(4):
        model = gpt2()
        torch.manual_seed(index)
        nn.init.normal_(model.transformer.wpe.weight)
        model.save_pretrained(tmp_path / f"checkpoint-{index * 50}", max_shard_size=max_shard_size)
        states.append({name: part.clone() for name, part in model.state_dict().items()})
    assert any((tmp_path / "checkpoint-50").glob("*.index.json")) == (max_shard_size == "1KB")
    expected = pca_directions(states, model).directions[0]
    found = pca_directions(tmp_path, model).directions[0]
    assert all(torch.equal(found[name], part) for name, part in expected.items())


def test_a_widget_of_bert():
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=9, max_position_embeddings=8, **sizes))
    widget = LandscapeWidget(model, BATCHES, resolution=3, seed=3)
    surface = widget.wait(60)
    widget.close()
    model.eval()
    with torch.no_grad():
        logits = model(input_ids=IDS).logits.double().log_softmax(-1)
        own = -float(
            np.mean([float(row[k, c]) for row, ids in zip(logits, IDS, strict=True) for k, c in enumerate(ids)])
        )
    assert surface.loss.sel(alpha=0, beta=0).item() == pytest.approx(own, rel=1e-6)
    np.testing.assert_allclose(surface.loss, loss_surface(model, BATCHES, resolution=3, seed=3, progress=False).loss)
