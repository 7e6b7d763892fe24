"""Dense Hessians by torch, which the products are held to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from support.reference import samples
from torch import Tensor, nn
from torch.func import functional_call

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
