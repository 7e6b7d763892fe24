"""Dense Hessians by torch, which the products are held to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import torch
from support.reference import samples
from torch import Tensor, nn
from torch.func import functional_call

ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid, nn.SiLU)
LOSS = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.5, 2.0], dtype=torch.float64))


def matrix_parameters(model):
    return {name: p for name, p in model.named_parameters() if p.dim() > 1}


def dense(model, over="weights", loss_fn=LOSS):
    """The Hessian as a matrix, by torch, over all samples at once."""
    model = model.eval()
    x, y = samples()
    chosen = {n: p.detach() for n, p in model.named_parameters() if over == "all" or p.dim() > 1}
    sizes = [p.numel() for p in chosen.values()]

    def loss(flat):
        parts = flat.split(sizes)
        moved = {name: part.view_as(p) for (name, p), part in zip(chosen.items(), parts, strict=True)}
        return loss_fn(functional_call(model, moved, (x,)), y)

    return torch.autograd.functional.hessian(loss, torch.cat([p.reshape(-1) for p in chosen.values()]))


def extreme_eigenvalues(loss: Callable[[], Tensor], parameters: Iterable[Tensor]) -> tuple[float, float]:
    """Both ends of the spectrum of the dense Hessian of a loss, which autograd differentiates twice."""
    chosen = list(parameters)
    gradients = torch.autograd.grad(loss(), chosen, create_graph=True)
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    rows = [torch.autograd.grad(g, chosen, retain_graph=True, materialize_grads=True) for g in flat]
    matrix = torch.stack([torch.cat([part.reshape(-1) for part in row]) for row in rows])
    ends = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    return float(ends[0]), float(ends[-1])


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
