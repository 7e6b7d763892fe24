from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from lljupyter.process.randomness import batch_seed, fixed_randomness, watched_randomness


def draw(own):
    return [
        torch.rand(1).item(),
        np.random.rand(),  # noqa: NPY002
        random.random(),
        torch.rand(1, generator=own).item(),
    ]


def test_everything_is_drawn_the_same_inside_and_goes_on_outside():
    own = torch.Generator().manual_seed(4)
    draw(own)
    states = torch.get_rng_state(), own.get_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with fixed_randomness([own, own]):
        one = draw(own)
    with fixed_randomness([own]):
        assert draw(own) == one
    with fixed_randomness([own], seed=1):
        assert not set(draw(own)) & set(one)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(own.get_state(), states[1])
    np.testing.assert_array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    assert random.getstate() == states[3]


def test_generators_are_put_back_after_an_error():
    before = torch.get_rng_state(), random.getstate()

    def fail():
        with fixed_randomness():
            draw(torch.Generator())
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fail()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def numpys_legacy(bits):
    generator = np.random.RandomState(bits)
    generator.normal()  # half of a pair of normal numbers is left in the state
    return generator


OWN = {
    "torch": (lambda: torch.Generator().manual_seed(4), lambda g: torch.rand(1, generator=g).item()),
    "numpy": (lambda: np.random.default_rng(4), lambda g: g.normal()),
    "numpy, Philox": (lambda: np.random.Generator(np.random.Philox(4)), lambda g: g.normal()),
    "legacy numpy": (lambda: numpys_legacy(4), lambda g: g.normal()),
    "legacy numpy, PCG64": (lambda: numpys_legacy(np.random.PCG64(4)), lambda g: g.normal()),
    "python": (lambda: random.Random(4), lambda g: g.gauss(0, 1)),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_generator_of_any_kind_is_fixed_reported_and_restored(kind):
    make, one = OWN[kind]
    generator, same = make(), make()
    with watched_randomness([generator], seed=7) as drawn:
        assert drawn() == []
        first = [one(generator) for _ in range(3)]
        assert len(drawn()) == 1
        assert "of its own" in drawn()[0]
    with fixed_randomness([generator], seed=7):
        assert [one(generator) for _ in range(3)] == first
    with fixed_randomness([generator], seed=8):
        assert not {one(generator) for _ in range(3)} & set(first)
    assert [one(generator) for _ in range(3)] == [one(same) for _ in range(3)]


@pytest.mark.parametrize(
    ("draws", "name"),
    [
        (lambda: torch.rand(1), "torch's on cpu"),
        (lambda: nn.functional.dropout(torch.ones(3)), "torch's on cpu"),
        (lambda: np.random.rand(), "NumPy's"),  # noqa: NPY002
        (lambda: random.choice("abc"), "Python's"),
    ],
)
def test_the_global_generators_drawn_from_are_reported(draws, name):
    with watched_randomness() as drawn:
        draws()
        assert drawn() == [name]


def test_numpys_numbers_are_those_of_its_own_seed():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand(3)  # noqa: NPY002
    with fixed_randomness(seed=5):
        np.testing.assert_array_equal(np.random.rand(3), expected)  # noqa: NPY002


def test_every_batch_has_a_seed_of_its_own_that_is_the_same_at_every_point():
    seeds = {batch_seed(loader, batch, draw) for loader in range(2) for batch in range(50) for draw in range(3)}
    assert len(seeds) == 300
    assert batch_seed(0, 3, 1) == batch_seed(0, 3, 1) < 2**32
