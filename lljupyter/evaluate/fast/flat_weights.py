"""All that moves on a plane in one row of memory, so that a point is set in three operations."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lljupyter.evaluate.strategy import Moving
from lljupyter.geometry.parameters import Parameters
from lljupyter.tracing.convolution import Convolution
from lljupyter.tracing.trace import Trace

# Pieces begin at multiples of this many numbers: 64 bytes in float32, a line of the cache.
ALIGNMENT = 16
CURVING = ("norm.weight", "norm.running_var")
Key = tuple[int, str]  # index of the convolution (-1 for a slot), kind (or index of the slot)


class Piece(NamedTuple):
    """A tensor in the row."""

    shape: torch.Size
    start: int

    def view(self, row: Tensor) -> Tensor:
        """Return it as a tensor; images of weights lie in memory with the channels last."""
        part = row[self.start : self.start + math.prod(self.shape)]
        if len(self.shape) != 4:
            return part.view(self.shape)
        n, channels, height, width = self.shape
        return part.view(n, height, width, channels).permute(0, 3, 1, 2)


class Flat:
    """The weights of a traced model on a plane.

    A convolution whose BatchNorm keeps its scale is affine in alpha and beta after folding, so theta, delta and eta
    are folded once. Where the scale moves, the states are moved and folded at every point.

    Args:
        trace: The model.
        states: All states at the center.
        moving: What moves, see ``Moving``.
    """

    def __init__(self, trace: Trace, states: Parameters, moving: Moving) -> None:
        self._fixed: dict[Key, Tensor] = {}
        self._curved: dict[int, list[str]] = {}
        values: dict[Key, tuple[Tensor, Tensor | None, Tensor | None]] = {}
        for i, convolution in enumerate(trace.convolutions):
            values |= self._values_of(i, convolution, states, moving)
        for j, slot in enumerate(trace.slots):
            theta, delta, eta = moving.get(slot.name, (states[slot.name], None, None))
            values[-1, str(j)] = theta, delta, eta
        self.dtype = next(iter(states.values())).dtype
        self._pieces: dict[Key, Piece] = {}
        size = 0
        for key, (theta, delta, eta) in values.items():
            if delta is None or eta is None:
                self._fixed[key] = theta.to(self.dtype)
                continue
            self._pieces[key] = Piece(theta.shape, size)
            size += -(-theta.numel() // ALIGNMENT) * ALIGNMENT
        device = next(iter(states.values())).device
        self._rows = torch.zeros(3, size, dtype=self.dtype, device=device)
        for key, piece in self._pieces.items():
            for row, part in zip(self._rows, values[key], strict=True):
                assert part is not None
                piece.view(row).copy_(part)
        self._live = self._cast = self._rows[0]
        self._ready = self._fixed
        self._fixed_finite = all(bool(torch.isfinite(tensor).all()) for tensor in self._fixed.values())
        self._filled = False

    def copy(self, dtype: torch.dtype) -> Flat:
        """Return weights that can be moved on their own, as a traced model uses them in ``dtype``."""
        own = Flat.__new__(Flat)
        vars(own).update(vars(self))
        own._live = torch.empty_like(self._rows[0])
        own._cast = own._live if dtype == self.dtype else torch.empty_like(own._live, dtype=dtype)
        own._ready = {key: _channels_last(tensor.to(dtype)) for key, tensor in self._fixed.items()}
        own._filled = False
        return own

    def move(self, alpha: float, beta: float) -> None:
        """Move to a point."""
        theta, delta, eta = self._rows
        # The deviation first, then theta*, as the authors round it.
        torch.mul(delta, alpha, out=self._live)
        self._live.add_(eta, alpha=beta).add_(theta)
        if self._cast is not self._live:
            self._cast.copy_(self._live)

    def fill(self, trace: Trace) -> bool:
        """Hand the moved weights to the traced model; return True if all of them are finite."""
        finite = bool(torch.isfinite(self._cast).all()) and self._fixed_finite
        for i, convolution in enumerate(trace.convolutions):
            if i in self._curved:
                folded = convolution.fold(lambda kind, i=i: self._at(i, kind))  # type: ignore[misc]
                weight, bias = (None if part is None else part.to(self._cast.dtype) for part in folded)
                assert weight is not None
                finite &= all(bool(torch.isfinite(part).all()) for part in (weight, bias) if part is not None)
                convolution.set(_channels_last(weight), bias)
                convolution.pack()
            elif not self._filled:
                weight, bias = self._tensor((i, "weight")), self._tensor((i, "bias"))
                assert weight is not None
                convolution.set(weight, bias)
                convolution.pack()
            elif (i, "weight") in self._pieces:
                convolution.pack()
        if not self._filled:
            for j, slot in enumerate(trace.slots):
                value = self._tensor((-1, str(j)))
                assert value is not None
                if slot.kind in slot.module._parameters:
                    slot.module._parameters[slot.kind] = torch.nn.Parameter(value, False)
                else:
                    slot.module._buffers[slot.kind] = value
        self._filled = True
        return finite

    def _values_of(
        self, i: int, convolution: Convolution, states: Parameters, moving: Moving
    ) -> dict[Key, tuple[Tensor, Tensor | None, Tensor | None]]:
        names = convolution.names
        moves = [kind for kind, name in names.items() if name in moving]
        if any(kind in CURVING for kind in moves):
            self._curved[i] = list(names)
            return {(i, kind): moving.get(name, (states[name], None, None)) for kind, name in names.items()}

        def part(which: int, kind: str) -> Tensor | None:
            if kind not in names:
                return None
            theta = states[names[kind]]
            found = moving.get(names[kind], (theta, None, None))[which]
            return (torch.zeros_like(theta) if found is None else found).double()

        theta = convolution.fold(lambda kind: part(0, kind))
        if not moves:
            parts = {"weight": (theta[0], None, None), "bias": (theta[1], None, None)}
        else:
            delta, eta = (
                convolution.fold_direction(lambda kind: part(0, kind), lambda kind, w=w: part(w, kind))  # type: ignore[misc]
                for w in (1, 2)
            )
            parts = {k: (theta[n], delta[n], eta[n]) for n, k in enumerate(("weight", "bias"))}  # type: ignore[misc]
        return {(i, kind): values for kind, values in parts.items() if values[0] is not None}  # type: ignore[misc]

    def _tensor(self, key: Key) -> Tensor | None:
        piece = self._pieces.get(key)
        return self._ready.get(key) if piece is None else piece.view(self._cast)

    def _at(self, i: int, kind: str) -> Tensor | None:
        """Return a state of a convolution at the point, in the model's own precision."""
        piece = self._pieces.get((i, kind))
        return self._fixed.get((i, kind)) if piece is None else piece.view(self._live)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
