"""A run trained by SAM of pytorch_optimizer: the path is drawn at the weights between its steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_optimizer import SAM
from support.trust import batches, perceptron
from torch import nn
from torch.nn import functional

from lljupyter import TrajectoryRecorder, loss_surface

DATA = [(x.double(), y) for x, y in batches()]


def own_loop(model: nn.Module) -> float:
    losses = [-float(model(x[None])[0].log_softmax(0)[y]) for xs, ys in DATA for x, y in zip(xs, ys, strict=True)]
    return float(np.mean(losses))


@pytest.mark.parametrize("how", ["two steps", "closure"])
def test_the_losses_along_the_path_are_those_between_the_steps(tmp_path, how):
    model = perceptron().double()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.5, lr=0.3)
    losses = [own_loop(model)]
    with TrajectoryRecorder(model, optimizer, tmp_path):
        for x, y in DATA * 2:

            def closure(x: torch.Tensor = x, y: torch.Tensor = y) -> torch.Tensor:
                loss = functional.cross_entropy(model(x), y)
                loss.backward()
                return loss

            closure()
            if how == "closure":
                optimizer.step(closure)
                optimizer.zero_grad()
            else:
                optimizer.first_step(zero_grad=True)
                assert own_loop(model) > losses[-1]  # where it looks, not where it is
                closure()
                optimizer.second_step(zero_grad=True)
            losses.append(own_loop(model))
    surface = loss_surface(model, DATA, trajectory=tmp_path, resolution=3, progress=False)
    np.testing.assert_allclose(surface.trajectory_loss, losses, rtol=1e-9)
