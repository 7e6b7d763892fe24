"""Small networks drawn at random, with data, a loss, and the eigenvalues of their Hessians."""

from __future__ import annotations

import random

import torch
from torch import nn
from torch.func import functional_call

ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid, nn.SiLU)


def small_network(seed):
    """Return a network in float64, inputs, targets and a loss."""
    torch.manual_seed(seed)
    draw = random.Random(seed)
    activation = draw.choice(ACTIVATIONS)
    n_in, n_hidden, n_out = draw.randint(2, 6), draw.randint(2, 8), draw.randint(1, 4)
    deeper = [nn.Linear(n_hidden, n_hidden), activation()] if draw.random() < 0.4 else []
    model = nn.Sequential(nn.Linear(n_in, n_hidden), activation(), *deeper, nn.Linear(n_hidden, n_out)).double()
    n = draw.choice([4, 16, 64])
    x = torch.randn(n, n_in).double()
    if n_out > 1 and draw.random() < 0.6:
        y, loss_fn = torch.randint(n_out, (n,)), nn.CrossEntropyLoss()
    else:
        y, loss_fn = torch.randn(n, n_out).double(), nn.MSELoss()
    scale, n_steps = draw.choice([1.0, 1.0, 2.0, 3.0]), draw.choice([0, 0, 20, 200])
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(scale)
    for _ in range(n_steps):
        gradients = torch.autograd.grad(loss_fn(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients, strict=True):
                p.sub_(0.1 * g)
    return model.eval(), x, y, loss_fn


def eigenvalues(model, x, y, loss_fn):
    """Return the eigenvalues of the Hessian by the weight matrices, ascending, from the whole matrix in float64."""
    chosen = {name: p.detach() for name, p in model.named_parameters() if p.dim() > 1}
    sizes = [p.numel() for p in chosen.values()]

    def loss(flat):
        parts = zip(chosen.items(), flat.split(sizes), strict=True)
        return loss_fn(functional_call(model, {name: part.view_as(p) for (name, p), part in parts}, (x,)), y)

    whole = torch.autograd.functional.hessian(loss, torch.cat([p.reshape(-1) for p in chosen.values()]))
    return torch.linalg.eigvalsh((whole + whole.T) / 2)
