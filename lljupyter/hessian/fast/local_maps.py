"""Maps linearized where they are, together with the gradient of the loss through them.

Each map ``y = f(x)`` stands between the inputs of a network and its loss ``L``. With the adjoints ``u = dL / dy``, the
gradient through it is ``g = f'(x)^T u``. Where x moves along ``Rx`` and the adjoints along ``Ru``, a Hessian-vector
product takes

    Ry = f'(x) Rx                                   (``tangents``)
    Rg = f'(x)^T Ru + (d / dx) (f'(x)^T u) Rx       (``tangents_of_gradients``)

In all of them None stands for zeros.

Source:
    Pearlmutter 1994, Fast exact multiplication by the Hessian, whose operator R is the derivative along a direction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lljupyter.problem.messages import calling

# One tensor per input or output of a map, or per parameter; None stands for zeros.
OptionalTensors = Sequence["Tensor | None"]


class LocalMap:
    """A map ``y = f(x)`` of any kind, differentiated twice by autograd.

    ``g = f'(x)^T u`` is kept with its own graph, from which ``g . Rx`` is differentiated: by u that gives
    ``f'(x) Rx``, as g is linear in u, and by x the second term of ``Rg``.

    Args:
        outputs: y, computed from ``leaves`` with gradients.
        leaves: x; they require gradients.

    Attributes:
        outputs: The same.
    """

    def __init__(self, outputs: Sequence[Tensor], leaves: Sequence[Tensor]) -> None:
        self.outputs, self._leaves = list(outputs), list(leaves)
        self._adjoints: list[Tensor] = []
        self._gradients: list[Tensor | None] = []
        self._second: list[Tensor | None] = []

    def gradients(self, adjoints: Sequence[Tensor]) -> list[Tensor | None]:
        """Return g, one tensor per leaf, for the adjoints u, one per output; u is remembered."""
        self._adjoints = [u.detach().requires_grad_() for u in adjoints]
        with torch.enable_grad(), calling("derivative"):
            self._gradients = list(
                torch.autograd.grad(self.outputs, self._leaves, self._adjoints, create_graph=True, allow_unused=True)
            )
        return [None if g is None else g.detach() for g in self._gradients]

    def gradient(self, index: int) -> Tensor:
        """Return g by one leaf again, of the shape of that leaf."""
        found = self._gradients[index]
        return torch.zeros_like(self._leaves[index]) if found is None else found.detach()

    def tangents(self, moves: OptionalTensors) -> list[Tensor | None]:
        """Return Ry, one tensor per output, for Rx, one per leaf; remember how g moves with u held."""
        pairs = [(g, v) for g, v in zip(self._gradients, moves, strict=False) if g is not None and v is not None]
        self._second = [None] * len(self._leaves)
        if not pairs:
            return [None] * len(self.outputs)
        gradients, vectors = zip(*pairs, strict=True)
        wanted = [*self._adjoints, *self._leaves]
        with calling("derivative"):
            found = torch.autograd.grad(gradients, wanted, vectors, retain_graph=True, allow_unused=True)
        self._second = list(found[len(self._adjoints) :])
        return list(found[: len(self._adjoints)])

    def tangents_of_gradients(self, adjoints: OptionalTensors) -> list[Tensor | None]:
        """Return Rg, one tensor per leaf, for Ru, one per output, and for the Rx of the last ``tangents``."""
        pairs = [(y, u) for y, u in zip(self.outputs, adjoints, strict=True) if u is not None]
        found: OptionalTensors = [None] * len(self._leaves)
        if pairs:
            outputs, vectors = zip(*pairs, strict=True)
            with calling("derivative"):
                found = torch.autograd.grad(outputs, self._leaves, vectors, retain_graph=True, allow_unused=True)
        return [a if b is None else b if a is None else a + b for a, b in zip(found, self._second, strict=True)]


class ScaledMap:
    """As ``LocalMap``, for outputs that are each one of the inputs, in its shape or another, times fixed factors.

    It is linear: ``Ry = s Rx``, ``g = s u`` and ``Rg = s Ru``.

    Args:
        outputs: For each output the index of its input, the output, and its factors, shape (channels,), or None for 1.
        leaves: The inputs.
    """

    def __init__(self, outputs: Sequence[tuple[int, Tensor, Tensor | None]], leaves: Sequence[Tensor]) -> None:
        self._shapes = [leaf.shape for leaf in leaves]
        self._outputs = [
            (index, y.shape, None if factors is None else factors.view(-1, *[1] * (y.dim() - 1)))
            for index, y, factors in outputs
        ]

    def tangents(self, moves: OptionalTensors) -> list[Tensor | None]:
        """Return Ry, one tensor per output, for Rx, one per input."""
        found: list[Tensor | None] = []
        for index, shape, factors in self._outputs:
            move = moves[index]
            move = None if move is None else move.view(shape)
            found.append(move if move is None or factors is None else move * factors)
        return found

    def gradients(self, adjoints: OptionalTensors) -> list[Tensor | None]:
        """Return g, one tensor per input, for the adjoints u, one per output."""
        found: list[Tensor | None] = [None] * len(self._shapes)
        for (index, _, factors), u in zip(self._outputs, adjoints, strict=True):
            if u is not None:
                part = (u if factors is None else u * factors).reshape(self._shapes[index])
                known = found[index]
                found[index] = part if known is None else known + part
        return found

    tangents_of_gradients = gradients  # it is linear


class ReshapedMap:
    """As ``LocalMap``, for one output that is the input in another shape.

    Args:
        y: The output.
        x: The input.
    """

    def __init__(self, y: Tensor, x: Tensor) -> None:
        self.outputs, self._shape = [y], x.shape

    def tangents(self, moves: OptionalTensors) -> list[Tensor | None]:
        """Return Ry, in the shape of the output."""
        return [None if move is None else move.reshape(self.outputs[0].shape) for move in moves]

    def gradients(self, adjoints: OptionalTensors) -> list[Tensor | None]:
        """Return g, in the shape of the input."""
        return [None if u is None else u.reshape(self._shape) for u in adjoints]

    tangents_of_gradients = gradients  # it is linear


class CrossEntropyMap:
    """As ``LocalMap``, for the sum of the cross-entropy over samples.

    With scores z and shares ``p = softmax(z)`` of one sample, ``g = p - onehot(target)`` and
    ``Rg = p * Rz - p (p . Rz)``.

    Args:
        scores: z, shape (n, classes).
        targets: Shape (n,), indices of classes.
    """

    def __init__(self, scores: Tensor, targets: Tensor) -> None:
        self._shares = scores.detach().softmax(1)
        self._gradient = self._shares.clone()
        self._gradient.scatter_add_(1, targets.long()[:, None], -torch.ones_like(self._shares[:, :1]))
        self._second: Tensor | None = None

    def gradients(self, _: OptionalTensors) -> list[Tensor | None]:
        """Return g, shape (n, classes), in a list."""
        return [self._gradient]

    def gradient(self, _: int) -> Tensor:
        """Return g, shape (n, classes)."""
        return self._gradient

    def tangents(self, moves: OptionalTensors) -> None:
        """Remember Rg for Rz, shape (n, classes)."""
        self._second = moves[0]
        if moves[0] is not None:
            part = self._shares * moves[0]
            self._second = part.addcmul_(self._shares, part.sum(1, keepdim=True), value=-1)

    def tangents_of_gradients(self, _: OptionalTensors) -> list[Tensor | None]:
        """Return Rg for the Rz of the last ``tangents``, shape (n, classes), in a list."""
        return [self._second]
