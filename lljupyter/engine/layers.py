"""Convolutions and linear layers as maps that are linear in the inputs and in the weights, and their transposes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lljupyter.engine.paths.convolution import Convolution

_convolution = torch.ops.aten.convolution
_convolution_backward = torch.ops.aten.convolution_backward


def laid(x: Tensor) -> Tensor:
    """Returns a tensor in one piece, images with the channels last."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.contiguous()


def _settings(module: Convolution) -> tuple[Any, ...]:
    c = module.source
    return [*c.stride], [*c.padding], [*c.dilation], False, [0] * len(c.stride), c.groups


def apply(module: nn.Module, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    """Returns ``w x + b``."""
    assert w is not None
    if isinstance(module, Convolution):
        # Images of one channel look as if they had the channels first, and so do the outputs then.
        return laid(_convolution(x, w, b, *_settings(module)))
    return functional.linear(x, w, b)


def weight_gradient(module: nn.Module, u: Tensor, x: Tensor, like: Tensor | None) -> Tensor:
    """Returns the derivative of ``u . (w x)`` by w."""
    assert like is not None
    if isinstance(module, Convolution):
        wants = [False, True, False]
        dw: Tensor = _convolution_backward(u, x, like.to(x), None, *_settings(module), wants)[1]
        return dw
    return u.flatten(0, -2).T @ x.flatten(0, -2)


def input_gradient(module: nn.Module, terms: list[tuple[Tensor, Tensor]], like: Tensor) -> Tensor | None:
    """Returns the sum of ``w^T u`` over all (u, w)."""
    if not terms:
        return None
    if not isinstance(module, Convolution):
        return sum((u @ w for u, w in terms[1:]), terms[0][0] @ terms[0][1])
    if len(terms) == 2 and max(module.source.stride) > 1 and module.source.groups == 1:
        # As one convolution with twice the channels: where there is a stride, that takes little longer than one.
        (u, w), (v, x) = terms
        terms = [(torch.cat([u, v], 1), torch.cat([w, x]))]
    found = _input_gradient_of(module, *terms[0], like)
    for u, w in terms[1:]:
        found.add_(_input_gradient_of(module, u, w, like))
    return found


def _input_gradient_of(module: Convolution, u: Tensor, w: Tensor, like: Tensor) -> Tensor:
    wants = [True, False, False]
    dx: Tensor = _convolution_backward(u, like, laid(w), None, *_settings(module), wants)[0]
    return dx
