"""Checkpoints side by side, block by block, so that hundreds of a large model need the memory of one or two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lljupyter.geometry.checkpoint import Checkpoint, Piece
from lljupyter.geometry.parameters import Parameters

# Entries of a block of all checkpoints, in float64: 64 MiB.
BLOCK = 2**23
# Files are reopened after this many blocks, which costs about 1 % of the time that reading them takes.
BLOCKS_MAPPED = 16


def differences(checkpoints: Sequence[Checkpoint], center: Parameters) -> Iterator[tuple[str, Piece, Tensor]]:
    """Read all checkpoints side by side, block by block, as differences from the center.

    Only one block is held in memory.

    Args:
        checkpoints: n of them.
        center: ``{name: tensor}``, what is subtracted and which tensors are read.

    Yields:
        The name of a tensor, the piece of it, and the differences, shape (n, k), float64 on the CPU; complex numbers
        as pairs of real ones. The next block overwrites them.

    Raises:
        ValueError: If a checkpoint does not fit the center.
    """
    n, n_read = len(checkpoints), 0
    memory = torch.empty(0, dtype=torch.float64)
    for checkpoint in checkpoints:
        checkpoint.match(center)
    for name, theta in center.items():
        for piece in pieces(tuple(theta.shape), BLOCK // n):
            origin = flat(theta, piece)
            if memory.numel() < n * len(origin):
                memory = torch.empty(n * len(origin), dtype=torch.float64)
            block = memory[: n * len(origin)].view(n, len(origin))
            for row, checkpoint in zip(block, checkpoints, strict=True):
                row.copy_(_real(checkpoint.part(name, theta, piece)))
            yield name, piece, block.sub_(origin)
            n_read += block.numel()
            if n_read > BLOCKS_MAPPED * BLOCK:
                n_read = 0
                for checkpoint in checkpoints:
                    checkpoint.close()


def pieces(shape: tuple[int, ...], most: int) -> Iterator[Piece]:
    """Cut a tensor into pieces of at most ``most`` entries, each as slices of the first axes; one entry at least."""
    n_rest = math.prod(shape[1:])
    if not shape or shape[0] * n_rest <= most:
        yield ()
    elif n_rest <= most:
        n_rows = most // max(n_rest, 1)
        yield from ((slice(start, min(start + n_rows, shape[0])),) for start in range(0, shape[0], n_rows))
    else:
        for row in range(shape[0]):
            yield from ((slice(row, row + 1), *rest) for rest in pieces(shape[1:], most))


def flat(tensor: Tensor, piece: Piece = ()) -> Tensor:
    """Return a tensor, or a piece of it, as one row of float64 on the CPU."""
    return _real(tensor.detach()[piece]).to("cpu", torch.float64)


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).reshape(-1)
