"""Where the samples are is found, not guessed: along the second axis for sequences that come first."""

from __future__ import annotations

import pytest
import torch
from support.trust import check, measured, weighted
from torch import nn
from torch.nn import functional

GENERATOR = torch.Generator().manual_seed(23)


class Tagger(nn.Module):
    """Tokens (T, n) to scores (T, V, n)."""

    def __init__(self, cell=nn.RNN):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.cell, self.head = nn.Embedding(6, 4), cell(4, 5), nn.Linear(5, 6)

    def forward(self, tokens):
        return self.head(self.cell(self.embed(tokens))[0]).transpose(1, 2)


class Attending(nn.Module):
    """The same by attention."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(6, 4), nn.Linear(4, 6)
        self.attend = nn.MultiheadAttention(4, 2)

    def forward(self, tokens):
        h = self.embed(tokens)
        return self.head(h + self.attend(h, h, h, need_weights=False)[0]).transpose(1, 2)


def sentences(sizes):
    """Batches of (T, n) tokens."""
    found = []
    for length, n in sizes:
        tokens = torch.randint(0, 6, (length + 1, n), generator=GENERATOR)
        found.append((tokens[:-1], tokens[1:]))
    return found


def labels(sizes):
    """Batches of (T, n) tokens with padding."""
    return [(x, torch.where(torch.rand(y.shape, generator=GENERATOR) < 0.4, -100, y)) for x, y in sentences(sizes)]


CASES = {
    "equal lengths": (Tagger, sentences([(7, 5), (7, 3), (7, 1)])),
    "several lengths": (lambda: Tagger(nn.GRU), sentences([(20, 4), (1, 4), (6, 9)])),
    "padded": (lambda: Tagger(nn.GRU), labels([(9, 4), (5, 6)])),
    "attention": (Attending, sentences([(6, 3), (4, 5)])),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mean_is_over_tokens_and_the_samples_are_sequences(case):
    make, data = CASES[case]
    model = make()

    def own_loop():
        return weighted((functional.cross_entropy(model(x), y) for x, y in data), ((y != -100).sum() for _, y in data))

    line = check(model, data, own_loop, loss_fn=functional.cross_entropy)
    assert line.attrs["n_samples"] == sum(x.shape[1] for x, _ in data)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_max_samples_takes_sequences(n):
    data = sentences([(7, 4), (7, 4)])
    model = Tagger()
    whole = tuple(torch.cat(part, 1)[:, :n] for part in zip(*data, strict=True))

    def own_loop():
        return functional.cross_entropy(model(whole[0]), whole[1])

    line = check(model, data, own_loop, loss_fn=functional.cross_entropy, max_samples=n)
    assert line.attrs["n_samples"] == n


def test_fewer_sequences_than_max_samples_are_told():
    data = sentences([(7, 4), (7, 4)])
    with pytest.warns(UserWarning, match="max_samples=6 reads 4 samples, not along the first axis; pass"):
        line = measured(Tagger(), data, loss_fn=functional.cross_entropy, max_samples=6)
    assert line.attrs["n_samples"] == 4


def test_a_mean_that_belongs_to_a_batch_is_not_cut():
    data = sentences([(7, 4), (7, 4)])

    def spread(outputs, targets):
        return outputs.std() + functional.cross_entropy(outputs, targets)

    with pytest.warns(UserWarning, match="takes whole batches"):
        line = measured(Tagger(), data, loss_fn=spread, max_samples=2)
    assert line.attrs["n_samples"] > 2
