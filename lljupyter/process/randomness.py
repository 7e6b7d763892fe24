"""Fix random numbers, and restore every generator afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

Generator: TypeAlias = (
    "torch.Generator | np.random.Generator | np.random.BitGenerator | np.random.RandomState | random.Random"
)
GENERATORS = (torch.Generator, np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)
NUMPY_SEEDS = 2**32  # NumPy takes seeds below this


class Source(NamedTuple):
    """A generator, whatever library it belongs to.

    Attributes:
        name: Its name in messages.
        get: Returns its state.
        put: Sets its state.
        seed: Seeds it.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], Any]
    seed: Callable[[int], Any]


@contextmanager
def fixed_randomness(own: Iterable[Generator] = (), seed: int = 0) -> Iterator[list[Source]]:
    """Seed all generators that code may draw from, and restore every one bitwise afterwards.

    These are the global ones of torch (on the CPU and on the GPUs that are in use), NumPy and Python, which belong to
    the user, and those given.

    Args:
        own: Further generators.
        seed: The seed of all of them.

    Yields:
        The generators, see ``drawn_from``.
    """
    sources = _sources(own)
    states = [source.get() for source in sources]
    try:
        for source in sources:
            source.seed(seed)
        yield sources
    finally:
        for source, state in zip(sources, states, strict=True):
            source.put(state)


@contextmanager
def watched_randomness(own: Iterable[Generator] = (), seed: int = 0) -> Iterator[Callable[[], list[str]]]:
    """Do what ``fixed_randomness`` does, and yield a function that names the generators drawn from so far."""
    with fixed_randomness(own, seed) as sources:
        seeded = [source.get() for source in sources]
        yield lambda: [s.name for s, state in zip(sources, seeded, strict=True) if not _same(s.get(), state)]


def batch_seed(*position: int) -> int:
    """Return the seed of a batch, below 2**32; the same at every point.

    Args:
        *position: The numbers that tell a batch from all others, such as those of its loader, itself and the draw.
    """
    return int(np.random.SeedSequence(position).generate_state(1)[0])


def _sources(own: Iterable[Generator]) -> list[Source]:
    # torch.manual_seed would also seed, for good, the GPUs that are not in use yet.
    gpus = torch.cuda.default_generators if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    numpys: np.random.RandomState = np.random.mtrand._rand  # behind numpy.random.seed
    pythons: random.Random = random._inst  # behind random.seed
    shared = {f"torch's on {g.device}": g for g in (torch.default_generator, *gpus)}
    shared |= {"NumPy's": numpys, "Python's": pythons}
    known = {id(generator) for generator in shared.values()}
    further = {id(g): g for g in own if id(g) not in known and not isinstance(g, random.SystemRandom)}
    named = [(f"a {type(g).__module__.split('.')[0]}.{type(g).__name__} of its own", g) for g in further.values()]
    return [_source(name, generator) for name, generator in (*shared.items(), *named)]


def _source(name: str, generator: Generator) -> Source:
    if isinstance(generator, torch.Generator):
        return Source(name, generator.get_state, generator.set_state, generator.manual_seed)
    if isinstance(generator, random.Random):
        return Source(name, generator.getstate, generator.setstate, generator.seed)
    if isinstance(generator, (np.random.Generator, np.random.BitGenerator)):
        bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator

        def put(state: Any) -> None:
            bits.state = state

        return Source(name, lambda: bits.state, put, lambda seed: put(type(bits)(seed % NUMPY_SEEDS).state))
    inner = generator._bit_generator
    if isinstance(inner, np.random.MT19937):
        return Source(name, generator.get_state, generator.set_state, lambda seed: generator.seed(seed % NUMPY_SEEDS))

    # Its state also holds half of a pair of normal numbers, which seeding the bit generator would leave behind.
    def seed_legacy(seed: int) -> None:
        generator.set_state({**type(inner)(seed % NUMPY_SEEDS).state, "has_gauss": 0, "gauss": 0.0})

    return Source(name, lambda: generator.get_state(legacy=False), generator.set_state, seed_legacy)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(part, b[key]) for key, part in a.items())
    return bool(a == b)
