"""A model that takes its time by a clock of the test, and many samples for it."""

from __future__ import annotations

from array import array

import torch
from support.problems import make_evaluator
from support.reference import RECIPE, make_request
from torch import nn

from lljupyter.geometry.plane import random_plane
from lljupyter.session.session import Session
from lljupyter.session.sources.subsets import Subsets

N, BATCH = 4800, 200
SLOW, QUICK = 1e-3, 1e-6  # seconds per sample; the coarsest pass takes 43 s and 43 ms


class Clock:
    """Goes on by what the model is said to take.

    It is kept in an array of the standard library, as the sizes below are: what a model keeps in attributes, numbers
    and lists is put back after every call.
    """

    seconds = SLOW

    def __init__(self):
        self._now = array("d", [0.0])

    @property
    def now(self) -> float:
        return self._now[0]

    def advance(self, n: int) -> None:
        self._now[0] += n * self.seconds

    def monotonic(self) -> float:
        return self.now


class Slow(nn.Module):
    """A linear model that takes its time by the clock of the test, counts samples, and breaks where it is told to."""

    clock = Clock()
    sizes = array("l")
    breaks = staticmethod(lambda x: False)

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4).double()
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-1, 1, 12).reshape(4, 3))
            self.layer.bias.zero_()

    def forward(self, x):
        Slow.sizes.append(len(x))
        self.clock.advance(len(x))
        if Slow.breaks(x):
            raise ArithmeticError("it broke")
        return self.layer(x)


def data(n=N, size=BATCH):
    """Samples sorted by class."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    y = torch.arange(n) * 4 // n
    return list(zip(x.split(size), y.split(size), strict=True))


def make(request=None, loader=None, model=None, **options):
    options = {"evaluation": "plain", **options}
    evaluator = make_evaluator(model or Slow(), data() if loader is None else loader, **options)
    planes = lambda seed: random_plane(evaluator.problem.center, seed)  # noqa: E731
    session = Session(
        evaluator,
        planes,
        make_request(3) if request is None else request,
        dict(RECIPE),
        autotuner=evaluator,
        preview=Subsets(evaluator.plain),
    )
    return session, evaluator


def joined(parts):
    return [torch.cat([getattr(batch, name) for batch in parts]) for name in ("inputs", "targets")]
