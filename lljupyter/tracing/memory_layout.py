"""How images lie in memory: rows of pixels with the samples along the width, and what keeps them so."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx
from torch.nn import functional


def sideways(x: Tensor) -> Tensor:
    """Return images (n, channels, height, width) as one, (1, channels, height, width, n), with the channels last."""
    return x.permute(2, 3, 0, 1).contiguous()[None].permute(0, 4, 1, 2, 3)


def padded(x: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Pad as ``functional.pad`` does, but in the order in which the axes lie in memory.

    torch pads into rows of images (or of pixels), and the next convolution would have to lay everything out anew.
    """
    if mode != "constant" or x.dim() < 3:
        return functional.pad(x, pad, mode, value)
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    whole = [(0, 0)] * x.dim()
    for i in range(len(pad) // 2):
        whole[-1 - i] = pad[2 * i], pad[2 * i + 1]
    flat = [n for axis in reversed(order) for n in whole[axis]]
    return functional.pad(x.permute(order), flat, value=value).permute(sorted(range(x.dim()), key=order.__getitem__))


def keep_order(graph: fx.GraphModule) -> None:
    """Let a traced model pad in the order in which the axes lie in memory."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target is functional.pad:
            node.target = padded
