"""The person's own loop: what every promise of trust is held to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter import loss_line

ALPHAS = (-0.6, 0.0, 0.6)
STRATEGIES = ("plain", "folded", "stacked")


Moves = Callable[[str, Tensor], bool]


def direction_for(model: nn.Module, moves: Moves = lambda name, theta: True) -> dict[str, Tensor]:
    """A direction that moves all parameters, or some, by 30 % of their spread; those of one memory move as one."""
    generator = torch.Generator().manual_seed(11)
    direction, known = {}, set()
    for name, theta in model.named_parameters():
        if theta.is_floating_point() and theta.data_ptr() not in known and moves(name, theta):
            known.add(theta.data_ptr())
            noise = torch.randn(theta.shape, generator=generator).to(theta)
            direction[name] = noise * (0.3 * float(theta.detach().float().square().mean().sqrt()) + 0.01)
    return direction


def truth(model: nn.Module, value: Callable[[], Any], moves: Moves = lambda name, theta: True) -> np.ndarray:
    """The value at three points of a line, with the weights of the model itself set by hand, and put back."""
    modes = {module: module.training for module in model.modules()}
    parameters, values = dict(model.named_parameters()), []
    direction = direction_for(model, moves)
    theta = {name: parameters[name].detach().clone() for name in direction}
    model.eval()
    try:
        for alpha in ALPHAS:
            with torch.no_grad():
                for name, delta in direction.items():
                    parameters[name].copy_(theta[name] + alpha * delta)
                values.append(float(value()))
    finally:
        with torch.no_grad():
            for name in direction:
                parameters[name].copy_(theta[name])
        for module, mode in modes.items():
            module.training = mode
    return np.array(values)


def measured(model: nn.Module, loader: Any, moves: Moves = lambda name, theta: True, **options: Any) -> Any:
    """The same line by the library."""
    options = {"progress": False, "resolution": len(ALPHAS), "alpha": (ALPHAS[0], ALPHAS[-1]), **options}
    return loss_line(model, loader, direction=direction_for(model, moves), **options)


def check(
    model: nn.Module,
    loader: Any,
    value: Callable[[], Any],
    rtol: float = 2e-5,
    moves: Moves = lambda name, theta: True,
    **options: Any,
) -> Any:
    """Check that every strategy gives the person's own values, which are not all one, and return the last line."""
    expected = truth(model, value, moves)
    assert len(set(expected)) == len(ALPHAS), "the truth must not be flat"
    for strategy in STRATEGIES:
        line = measured(model, loader, moves, evaluation=strategy, **options)
        np.testing.assert_allclose(line.loss.values, expected, rtol=rtol)
    return line


def weighted(values: Iterable[Any], weights: Iterable[Any]) -> float:
    """The mean of the values of batches, weighted."""
    pairs = [(float(v), float(w)) for v, w in zip(values, weights, strict=True)]
    return sum(v * w for v, w in pairs if w) / sum(w for _, w in pairs)


def batches(n: int = 20, size: int = 8, n_in: int = 6, n_classes: int = 4) -> list[tuple[Tensor, Tensor]]:
    """Samples and classes, with an uneven last batch."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, n_in, generator=generator)
    y = torch.randint(0, n_classes, (n,), generator=generator)
    return list(zip(x.split(size), y.split(size), strict=True))


def perceptron(n_in: int = 6, n_out: int = 4) -> nn.Sequential:
    """A small network, the same in every test."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_in, 8), nn.Tanh(), nn.Linear(8, n_out))
