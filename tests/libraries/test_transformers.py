"""Language models of transformers, made from small configurations: the mean over the targets that count."""

from __future__ import annotations

import pytest
import torch
from support.trust import check
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

from lljupyter import loss_surface

N_TOKENS = 30
Batches = list[dict[str, Tensor]]


def gpt2() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(vocab_size=N_TOKENS, **sizes)).double()


def bert() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertForMaskedLM(BertConfig(vocab_size=N_TOKENS, max_position_embeddings=16, **sizes)).double()


def t5() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(vocab_size=N_TOKENS, decoder_start_token_id=0, **sizes)).double()


def texts(n_batches: int = 3, length: int = 9, without_labels: int | None = None) -> Batches:
    """Batches of padded token ids, whose labels leave out the padding and more, of uneven numbers."""
    generator = torch.Generator().manual_seed(4)
    batches = []
    for k in range(n_batches):
        n = 4 - k % 2
        ids = torch.randint(3, N_TOKENS, (n, length), generator=generator)
        lengths = torch.randint(3, length + 1, (n, 1), generator=generator)
        mask = (torch.arange(length) < lengths).long()
        left_out = torch.rand(n, length, generator=generator) < (0.1, 0.7, 0.4)[k % 3]
        if k == without_labels:
            left_out[:] = True
        labels = ids.masked_fill((mask == 0) | left_out, -100)
        batches.append({"input_ids": ids * mask, "attention_mask": mask, "labels": labels})
    return batches


@torch.no_grad()
def mean_over_targets(model: nn.Module, batches: Batches, shift: int) -> float:
    """The cross-entropy of every target that counts, one by one."""
    total = n = 0.0
    for batch in batches:
        logits = model(**batch).logits
        for row, labels in zip(logits, batch["labels"], strict=True):
            for position, label in enumerate(labels.tolist()):
                if label != -100 and position >= shift:
                    total -= float(row[position - shift].log_softmax(0)[label])
                    n += 1
    return total / n


MODELS = {"GPT-2": (gpt2, 1), "BERT": (bert, 0), "T5": (t5, 0)}


@pytest.mark.parametrize("without_labels", [None, 1, 0])
@pytest.mark.parametrize("kind", MODELS)
def test_the_loss_is_the_mean_over_the_targets_that_count(kind, without_labels):
    build, shift = MODELS[kind]
    model, batches = build(), texts(without_labels=without_labels)
    # GPT-2 computes its loss in single precision whatever its weights are.
    line = check(
        model, batches, lambda: mean_over_targets(model, batches, shift), rtol=1e-6 if kind == "GPT-2" else 1e-9
    )
    assert line.attrs["loss_reduction"].startswith("mean over targets other than [-100]")


@pytest.mark.parametrize("kind", MODELS)
def test_in_single_precision_as_well(kind):
    build, shift = MODELS[kind]
    model, batches = build(), texts()
    expected = mean_over_targets(model.eval(), batches, shift)
    surface = loss_surface(model.float(), batches, resolution=3, progress=False)
    assert surface.loss.sel(alpha=0, beta=0).item() == pytest.approx(expected, rel=1e-6)
