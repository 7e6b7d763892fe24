"""The Hessian of the mean loss at a point, as a linear map: products with vectors, and the gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lljupyter.problem.batches import Batch, to_device
from lljupyter.problem.messages import calling

Loss = Callable[[Batch], tuple[Tensor, Tensor]]


class Hessian:
    """The second derivatives of ``sum(totals) / sum(weights)`` over all samples, the mean that is the loss.

    The gradient is computed once per point with everything that its own derivative needs, and kept; a product with a
    vector, ``H v = d(g . v) / d theta``, then costs that derivative alone. Batches for which there is no room are
    differentiated anew for every product.

    Args:
        parameters: ``{name: leaf}``, the parameters that H is over, N numbers in all. They require gradients.
        loss: Returns totals and weights of the loss of a batch, see ``Measure``.
        batches: All samples.
        n_kept: How many batches are kept differentiated.
        tick: Called before every batch; may wait, or raise to abandon the point.

    Attributes:
        gradient: The gradient of the mean loss, shape (N,), flattened in the order of the parameters.
        loss: The mean loss.
        depends: Whether the loss of any batch depends on the parameters, as far as torch can tell.
        rough: None: there are no rougher products.
    """

    rough = None

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        loss: Loss,
        batches: Sequence[Batch],
        n_kept: int,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._leaves = list(parameters.values())
        self._loss, self._tick = loss, tick
        device = self._leaves[0].device
        self._kept: list[list[Tensor | None]] = []
        self._others = list(batches[n_kept:])
        self._weight = total = 0.0
        self.depends = False
        gradient: Tensor | None = None
        for index, batch in enumerate(batches):
            tick()
            totals, weights = self._totals(to_device(batch, device))
            self.depends |= totals.requires_grad
            parts = self._differentiated(totals, keep=index < n_kept)
            total += float(totals.detach().double().sum())
            self._weight += float(weights.sum())
            flat = self._flat([None if part is None else part.detach() for part in parts])
            gradient = flat if gradient is None else gradient.add_(flat)
            if index < n_kept:
                self._kept.append(parts)
        assert gradient is not None
        self.gradient = gradient.div_(self._weight)
        self.loss = total / self._weight

    def product(self, vector: Tensor) -> Tensor:
        """Return ``H v`` for ``v`` of shape (N,)."""
        sizes = [leaf.numel() for leaf in self._leaves]
        by_leaf = [part.view_as(leaf) for part, leaf in zip(torch.split(vector, sizes), self._leaves, strict=True)]
        found = torch.zeros_like(vector)
        for parts in self._kept:
            self._tick()
            found.add_(self._contracted(parts, by_leaf, keep=True))
        for batch in self._others:
            self._tick()
            totals, _ = self._totals(to_device(batch, vector.device))
            found.add_(self._contracted(self._differentiated(totals, keep=True), by_leaf, keep=False))
        return found.div_(self._weight)

    def _totals(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            return self._loss(batch)

    def _differentiated(self, totals: Tensor, keep: bool) -> list[Tensor | None]:
        if not totals.requires_grad:  # a loss that does not depend on the parameters
            return [None] * len(self._leaves)
        with torch.enable_grad():
            with calling("derivative"):
                found = torch.autograd.grad(totals.sum(), self._leaves, create_graph=keep, allow_unused=True)
            parts: list[Tensor | None] = [*found]
        if keep:
            _refuse_errors(parts)
        return parts

    def _contracted(self, parts: list[Tensor | None], by_leaf: Sequence[Tensor], keep: bool) -> Tensor:
        pairs = [(g, v) for g, v in zip(parts, by_leaf, strict=True) if g is not None and g.requires_grad]
        if not pairs:  # the loss is linear
            return self._flat([None] * len(self._leaves))
        gradients, vectors = zip(*pairs, strict=True)
        with calling("derivative"):
            found = torch.autograd.grad(gradients, self._leaves, vectors, retain_graph=keep, allow_unused=True)
        return self._flat(found)

    def _flat(self, parts: Sequence[Tensor | None]) -> Tensor:
        whole = [
            torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, self._leaves, strict=True)
        ]
        return torch.cat([part.detach().reshape(-1) for part in whole])


def _refuse_errors(parts: Sequence[Tensor | None]) -> None:
    """Refuse gradients with a function marked once_differentiable behind them: torch would take its part as zero.

    Raises:
        RuntimeError: If there is one.
    """
    todo: list[Any] = [part.grad_fn for part in parts if part is not None]
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node is None:
            continue
        if node.name() == "torch::autograd::Error":
            raise RuntimeError("a torch.autograd.Function in it is marked once_differentiable")
        fresh = {other for other, _ in node.next_functions if other is not None} - seen
        seen |= fresh
        todo += fresh


def bytes_kept(parameters: Mapping[str, Tensor], loss: Loss, batch: Batch) -> int:
    """Return how much memory a batch takes that is kept differentiated, the parameters themselves not counted."""
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> int:
        saved.append(tensor)  # by number, because a tensor that is packed as itself is never let go
        return len(saved) - 1

    leaves = list(parameters.values())
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, saved.__getitem__):
        totals, _ = loss(batch)
        if totals.requires_grad:
            torch.autograd.grad(totals.sum(), leaves, create_graph=True, allow_unused=True)
    known = {leaf.untyped_storage().data_ptr() for leaf in leaves}
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in saved}
    total = sum(size for pointer, size in storages.items() if pointer not in known)
    saved.clear()
    return total
