"""Random numbers of torch from a private generator, on one thread, while other threads draw from the shared one.

``fixed_randomness`` borrows the shared generators, which no other thread may use meanwhile. Here every random operation
of torch that is called on the thread gets a generator of its own, so that the shared one is never touched.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lljupyter.process.randomness import Generator, watched_randomness

DISTURBED = {"torch's on cpu", "NumPy's", "Python's"}


class PrivateDraws(TorchDispatchMode):
    """Give random operations a private generator of the CPU; it draws what the shared one would, seeded alike.

    Operations that take no generator are called as they are: ``is_private`` finds out whether a model has any.

    Args:
        seed: The seed of the generator.
        on_call: Called before every operation, random or not.
    """

    def __init__(self, seed: int, on_call: Callable[[], None] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._on_call = on_call

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: to hide the method below from torch's compiler, torch imports that, which takes two seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call an operation."""
        options = dict(kwargs or {})
        if self._on_call is not None:
            self._on_call()
        if torch.Tag.nondeterministic_seeded in func.tags and (found := _with_generator(func)) is not None:
            func, place = found
            given = options.get("generator", args[place] if place is not None and place < len(args) else None)
            if given is None:
                args = args if place is None else args[:place]
                options["generator"] = self._generator
        return func(*args, **options)


@contextmanager
def is_private(own: list[Generator], seed: int) -> Iterator[Callable[[], bool]]:
    """Use ``PrivateDraws``, and yield a function that returns whether no other generator was touched so far.

    While it is used, the shared generators advance at every operation, as they do when another thread draws: code that
    reads or sets their state is found, too.

    Args:
        own: Generators that the code holds; they are put back.
        seed: The seed of the private generator.
    """
    other = seed ^ 1
    n_calls = 0

    def disturb() -> None:
        nonlocal n_calls
        n_calls += 1
        torch.rand(1)
        np.random.random_sample()  # noqa: NPY002
        random.random()

    with watched_randomness(own, other) as drawn, PrivateDraws(seed, disturb):

        def untouched() -> bool:
            if set(drawn()) - DISTURBED:
                return False
            states = torch.get_rng_state(), _numbers(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002
            expected = torch.Generator("cpu").manual_seed(other)
            numbers, python = np.random.RandomState(other % 2**32), random.Random(other)
            for _ in range(n_calls):
                torch.rand(1, generator=expected)
                numbers.random_sample()
                python.random()
            return (
                torch.equal(states[0], expected.get_state())
                and all(map(np.array_equal, states[1], _numbers(numbers.get_state(legacy=False))))
                and states[2] == python.getstate()
            )

        yield untouched


def _numbers(state: Any) -> tuple[Any, ...]:
    """Return what makes up the state of a generator of NumPy."""
    return state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"]


@cache
def _with_generator(func: Any) -> tuple[Any, int | None] | None:
    """Return the form of a random operation that takes a generator, and its place if it is no keyword; None if none."""
    wanted = _arguments(func)
    names = [name for name, _ in wanted]
    if "generator" in names:
        argument = func._schema.arguments[names.index("generator")]
        return func, None if argument.kwarg_only else names.index("generator")
    packet = func.overloadpacket
    for name in packet.overloads():
        other = getattr(packet, name)
        arguments = _arguments(other)
        without = [part for part in arguments if part[0] != "generator"]
        if len(without) < len(arguments) and without == wanted:
            return other, None
    return None


def _arguments(func: Any) -> list[tuple[str, str]]:
    return [(argument.name, str(argument.type)) for argument in func._schema.arguments]
