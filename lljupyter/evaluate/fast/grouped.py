"""A linear layer of many points as one convolution of oneDNN, with a group of channels a point."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

_jit: Any = torch.jit


def available() -> bool:
    """Says whether torch has what this needs."""
    return hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def packed_weight(weight: Tensor, n: int) -> Tensor:
    """Returns the weights of all points laid out for ``convolved``.

    Args:
        weight: Shape (k, out, in), float32.
        n: How many samples there will be.
    """
    k, n_out, n_in = weight.shape
    images = weight.reshape(k * n_out, n_in, 1, 1)
    # A trace does not take operations of oneDNN, but what is scripted.
    pack = _scripted(_pack) if _jit.is_tracing() else _pack
    packed: Tensor = pack(images, k, [1, k * n_in, n, 1])
    return packed


def convolved(source: Tensor, packed: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """Returns the layer at all points, shape (k, out, n); in memory, samples come first.

    Args:
        source: Shape (k, in, n), float32; nothing is copied where samples come first in memory.
        packed: See ``packed_weight``.
        bias: Shape (k * out,), contiguous, as oneDNN passes over strides.
        relu: Whether a ReLU follows.
    """
    k, _, n = source.shape
    layer = _scripted(_layer) if _jit.is_tracing() else _layer
    out: Tensor = layer(source.reshape(1, -1, n, 1), packed, bias, k, "relu" if relu else "none")
    return out.view(k, -1, n)


def _pack(images: Tensor, n_groups: int, source: list[int]) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(images, [0, 0], [1, 1], [1, 1], n_groups, source)
    return packed


def _layer(image: Tensor, packed: Tensor, shift: Tensor | None, n_groups: int, activation: str) -> Tensor:
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        image, packed, shift, [0, 0], [1, 1], [1, 1], n_groups, activation, [], ""
    )
    return out


@cache
def _scripted(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return cast(Callable[..., Tensor], _jit.script(function))
