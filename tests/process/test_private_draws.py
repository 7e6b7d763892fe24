"""Random operations of torch with a private generator: the numbers of the shared one, which is not touched."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
import torch
from torch.nn import functional

from lljupyter.process.private_draws import PrivateDraws, is_private
from lljupyter.process.randomness import fixed_randomness

ONES = torch.ones(4, 3)
DRAWS = {
    "randn": lambda: torch.randn(3, 2),
    "rand in float64": lambda: torch.rand(3, dtype=torch.float64),
    "randint": lambda: torch.randint(9, (5,)),
    "randint from": lambda: torch.randint(2, 9, (5,)),
    "randperm": lambda: torch.randperm(9),
    "randn_like": lambda: torch.randn_like(ONES),
    "rand_like": lambda: torch.rand_like(ONES),
    "randint_like": lambda: torch.randint_like(ONES, 9),
    "randint_like to a tensor": lambda: torch.randint_like(ONES, torch.tensor(9)),
    "into": lambda: torch.randn(3, out=torch.empty(3)),
    "bernoulli": lambda: torch.bernoulli(ONES / 2),
    "normal": lambda: torch.normal(ONES, 2.0),
    "in place": lambda: torch.empty(5).normal_() + torch.empty(5).uniform_() + torch.empty(5).exponential_(),
    "multinomial": lambda: torch.multinomial(ONES, 2),
    "poisson": lambda: torch.poisson(ONES),
    "dropout": lambda: functional.dropout(ONES, 0.5, True),
    "dropout of channels": lambda: functional.dropout2d(torch.ones(1, 9, 2, 2), 0.5, True),
    "alpha dropout": lambda: functional.alpha_dropout(ONES, 0.5, True),
    "rrelu": lambda: functional.rrelu(-ONES, training=True),
    "gumbel": lambda: functional.gumbel_softmax(ONES),
    "gamma": lambda: torch.distributions.Gamma(ONES, ONES).sample(),
    "beta": lambda: torch.distributions.Beta(ONES, ONES).sample(),
    "a normal distribution": lambda: torch.distributions.Normal(ONES, ONES).rsample(),
    "attention": lambda: functional.scaled_dot_product_attention(*[torch.ones(1, 2, 3, 4)] * 3, dropout_p=0.5),
    "with gradients": lambda: functional.dropout(ONES.clone().requires_grad_(), 0.5, True).detach(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_numbers_are_those_of_the_shared_generator_which_is_not_touched(name):
    with fixed_randomness(seed=5):
        wanted = DRAWS[name](), DRAWS[name]()
    before = torch.get_rng_state()
    with PrivateDraws(5):
        found = DRAWS[name](), DRAWS[name]()
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    with is_private([], 5) as untouched:
        DRAWS[name]()
        assert untouched()


def with_fork():
    with torch.random.fork_rng():
        return torch.randn(3)


OWN = torch.Generator()
OTHERS = {
    "numpy": lambda: ONES * np.random.random_sample(),  # noqa: NPY002
    "python": lambda: ONES * random.random(),
    "its own": lambda: torch.randn(3, generator=OWN),
    "a seed": lambda: torch.manual_seed(3),
    "a state": lambda: (ONES + 1, torch.set_rng_state(torch.get_rng_state()), ONES + 1, torch.manual_seed(0)),
    "a fork": with_fork,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_touches_another_generator_is_found(name):
    with is_private([OWN], 5) as untouched:
        OTHERS[name]()
        assert not untouched()


def test_other_threads_draw_what_they_draw_alone():
    generator = torch.Generator().manual_seed(8)
    wanted = [torch.rand(3, generator=generator) for _ in range(3000)]
    torch.manual_seed(8)
    with fixed_randomness(seed=2):
        ours = [functional.dropout(ONES, 0.5, True) for _ in range(300)]
    ended, wrong = threading.Event(), []

    def work():
        while not ended.is_set():
            with PrivateDraws(2):
                found = [functional.dropout(ONES, 0.5, True) for _ in range(300)]
            wrong.extend(a for a, b in zip(found, ours, strict=True) if not torch.equal(a, b))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        found = [torch.rand(3) for _ in range(3000)]
    finally:
        ended.set()
        thread.join()
    assert all(map(torch.equal, found, wanted))
    assert not wrong
