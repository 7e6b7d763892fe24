"""What accelerate prepares is passed on as it is: the loader, and a model with a wrapped ``forward``."""

from __future__ import annotations

import accelerate
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from support.hessians import extreme_eigenvalues
from support.trust import batches, check, perceptron
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lljupyter import convexity_map

X, Y = (torch.cat(part) for part in zip(*batches(), strict=True))


@pytest.fixture
def prepared(request):
    """A model and a loader, prepared for a precision."""
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = accelerate.Accelerator(cpu=True, mixed_precision=request.param)
    yield accelerator.prepare(perceptron(), DataLoader(TensorDataset(X, Y), batch_size=8))
    AcceleratorState._reset_state(reset_partial_state=True)


def by_hand(precision: str, net: nn.Module) -> Tensor:
    """The same network without accelerate, in the same precision."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        outputs = [net(x) for x in X.split(8)]
    losses = [-row.float().log_softmax(0)[y] for row, y in zip(torch.cat(outputs), Y, strict=True)]
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("prepared", "precision"), [("no", "no"), ("bf16", "bf16")], indirect=["prepared"])
def test_a_prepared_model_and_loader_have_the_values_of_their_precision(prepared, precision):
    model, loader = prepared
    plain = perceptron()

    def own_loop() -> Tensor:
        plain.load_state_dict(model.state_dict())  # moved by hand
        return by_hand(precision, plain)

    check(model, loader, own_loop, rtol=1e-5)


@pytest.mark.parametrize(("prepared", "precision"), [("no", "no"), ("bf16", "bf16")], indirect=["prepared"])
def test_both_ends_of_the_spectrum_of_a_prepared_model(prepared, precision):
    model, loader = prepared
    at_center = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}
    found = convexity_map(model, loader, tol=1e-3, **at_center)
    net = perceptron()
    expected = extreme_eigenvalues(lambda: by_hand(precision, net), (p for p in net.parameters() if p.dim() > 1))
    rtol = 0.02 if precision == "bf16" else 1e-3
    np.testing.assert_allclose(found.lambda_max.item(), expected[1], rtol=rtol)


@pytest.mark.parametrize("prepared", ["bf16"], indirect=True)
def test_the_loss_may_be_computed_from_the_single_precision_that_accelerate_returns(prepared):
    model, loader = prepared
    assert model(X).dtype == torch.float32
    check(model, loader, lambda: functional.cross_entropy(model(X), Y), rtol=1e-5, loss_fn=functional.cross_entropy)
