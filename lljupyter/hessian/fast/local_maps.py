"""A function linearized where it is, together with the gradient of the loss through it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Parts = Sequence["Tensor | None"]


class Local:
    """A function ``y = f(x)`` whose outputs have the adjoints ``u = d loss / d y``.

    The gradient through it, ``g = f'(x)^T u``, is kept with its own derivatives, which are all that a Hessian-vector
    product asks of f: ``f'(x) v``, the derivative of ``g . v`` by u, and the derivative of ``g . v`` by x.

    Args:
        outputs: y, computed from ``leaves`` with gradients.
        leaves: x.

    Attributes:
        outputs: The same.
    """

    def __init__(self, outputs: Sequence[Tensor], leaves: Sequence[Tensor]) -> None:
        self.outputs, self._leaves = list(outputs), list(leaves)
        self._adjoints: list[Tensor] = []
        self._gradients: list[Tensor | None] = []
        self._second: list[Tensor | None] = []

    def gradients(self, adjoints: Sequence[Tensor]) -> list[Tensor | None]:
        """Returns g for u, which is remembered."""
        self._adjoints = [u.detach().requires_grad_() for u in adjoints]
        with torch.enable_grad():
            self._gradients = list(
                torch.autograd.grad(self.outputs, self._leaves, self._adjoints, create_graph=True, allow_unused=True)
            )
        return [None if g is None else g.detach() for g in self._gradients]

    def gradient(self, index: int) -> Tensor:
        """Returns a part of g again."""
        found = self._gradients[index]
        return torch.zeros_like(self._leaves[index]) if found is None else found.detach()

    def tangents(self, moves: Parts) -> list[Tensor | None]:
        """Returns how y moves when x moves so; remembers how g does with u held. None stands for zero."""
        pairs = [(g, v) for g, v in zip(self._gradients, moves, strict=False) if g is not None and v is not None]
        self._second = [None] * len(self._leaves)
        if not pairs:
            return [None] * len(self.outputs)
        gradients, vectors = zip(*pairs, strict=True)
        wanted = [*self._adjoints, *self._leaves]
        found = torch.autograd.grad(gradients, wanted, vectors, retain_graph=True, allow_unused=True)
        self._second = list(found[len(self._adjoints) :])
        return list(found[: len(self._adjoints)])

    def tangents_of_gradients(self, adjoints: Parts) -> list[Tensor | None]:
        """Returns how g moves when u moves so, and x as ``tangents`` was told."""
        pairs = [(y, u) for y, u in zip(self.outputs, adjoints, strict=True) if u is not None]
        found: Parts = [None] * len(self._leaves)
        if pairs:
            outputs, vectors = zip(*pairs, strict=True)
            found = torch.autograd.grad(outputs, self._leaves, vectors, retain_graph=True, allow_unused=True)
        return [a if b is None else b if a is None else a + b for a, b in zip(found, self._second, strict=True)]


class Scaled:
    """As ``Local``, for outputs that are each one of the inputs, in its shape or another, times fixed factors.

    Args:
        outputs: Of which input each of them is, the output, and its factors, shape (channels,), or None for 1.
        leaves: The inputs.
    """

    def __init__(self, outputs: Sequence[tuple[int, Tensor, Tensor | None]], leaves: Sequence[Tensor]) -> None:
        self._shapes = [leaf.shape for leaf in leaves]
        self._outputs = [
            (index, y.shape, None if factors is None else factors.view(-1, *[1] * (y.dim() - 1)))
            for index, y, factors in outputs
        ]

    def tangents(self, moves: Parts) -> list[Tensor | None]:
        """Returns how the outputs move when the inputs move so."""
        found: list[Tensor | None] = []
        for index, shape, factors in self._outputs:
            move = moves[index]
            move = None if move is None else move.view(shape)
            found.append(move if move is None or factors is None else move * factors)
        return found

    def gradients(self, adjoints: Parts) -> list[Tensor | None]:
        """Returns the gradient through it."""
        found: list[Tensor | None] = [None] * len(self._shapes)
        for (index, _, factors), u in zip(self._outputs, adjoints, strict=True):
            if u is not None:
                part = (u if factors is None else u * factors).reshape(self._shapes[index])
                known = found[index]
                found[index] = part if known is None else known + part
        return found

    tangents_of_gradients = gradients  # it is linear


class Reshaped:
    """As ``Local``, for one output that is the input in another shape.

    Args:
        y: The output.
        x: The input.
    """

    def __init__(self, y: Tensor, x: Tensor) -> None:
        self.outputs, self._shape = [y], x.shape

    def tangents(self, moves: Parts) -> list[Tensor | None]:
        """Returns how the output moves when the input moves so."""
        return [None if move is None else move.reshape(self.outputs[0].shape) for move in moves]

    def gradients(self, adjoints: Parts) -> list[Tensor | None]:
        """Returns the gradient through it."""
        return [None if u is None else u.reshape(self._shape) for u in adjoints]

    tangents_of_gradients = gradients  # it is linear


class CrossEntropy:
    """As ``Local``, for the sum of the cross-entropy over samples.

    Args:
        scores: Shape (n, classes).
        targets: Shape (n,), indices of classes.
    """

    def __init__(self, scores: Tensor, targets: Tensor) -> None:
        self._shares = scores.detach().softmax(1)
        self._gradient = self._shares.clone()
        self._gradient.scatter_add_(1, targets.long()[:, None], -torch.ones_like(self._shares[:, :1]))
        self._second: Tensor | None = None

    def gradients(self, _: Parts) -> list[Tensor | None]:
        """Returns the derivatives of the sum by the scores."""
        return [self._gradient]

    def gradient(self, _: int) -> Tensor:
        """Returns the same."""
        return self._gradient

    def tangents(self, moves: Parts) -> None:
        """Remembers how these move when the scores move so."""
        self._second = moves[0]
        if moves[0] is not None:
            part = self._shares * moves[0]
            self._second = part.addcmul_(self._shares, part.sum(1, keepdim=True), value=-1)

    def tangents_of_gradients(self, _: Parts) -> list[Tensor | None]:
        """Returns how the derivatives move, as ``tangents`` was told."""
        return [self._second]
