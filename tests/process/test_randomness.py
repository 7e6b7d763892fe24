from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from lljupyter.process.randomness import fixed_randomness


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
