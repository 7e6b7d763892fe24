"""Fixes what is drawn at random, and leaves every generator as it was."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def fixed_randomness(own: Iterable[torch.Generator] = (), seed: int = 0) -> Iterator[None]:
    """Seeds all generators that code may draw from, and puts every one back afterwards.

    These are the global ones of torch (on the CPU and on the GPUs that are in use), NumPy and Python, which belong to
    the user, and those given.

    Args:
        own: Further generators.
        seed: What all of them are seeded with.
    """
    # torch.manual_seed would also seed, for good, the GPUs that are not in use yet.
    gpus = torch.cuda.default_generators if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    generators = list({id(g): g for g in (torch.default_generator, *gpus, *own)}.values())
    states = [generator.get_state() for generator in generators]
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 the user's global state
    try:
        for generator in generators:
            generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
