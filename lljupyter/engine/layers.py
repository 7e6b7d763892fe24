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


def apply(module: nn.Module, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    """Returns ``w x + b``; for a convolution that is ``patched``, x are patches."""
    assert w is not None
    if not isinstance(module, Convolution):
        return functional.linear(x, w, b)
    if _sees_all(module, x):
        return functional.linear(_rows(x), _rows(w), b)[:, :, None, None]
    # Images of one channel look as if they had the channels first, and so do the outputs then.
    return laid(_convolution(x, _kernel(module, w), b, *_settings(module)))


def weight_gradient(module: nn.Module, u: Tensor, x: Tensor, like: Tensor | None) -> Tensor:
    """Returns the derivative of ``u . (w x)`` by w."""
    assert like is not None
    if not isinstance(module, Convolution):
        return u.flatten(0, -2).T @ x.flatten(0, -2)
    if _sees_all(module, x):
        return _images(u.flatten(1).T @ _rows(x), like)
    wants = [False, True, False]
    dw: Tensor = _convolution_backward(u, x, _kernel(module, like).to(x), None, *_settings(module), wants)[1]
    return dw.view_as(like) if module.patched else dw


def input_gradient(module: nn.Module, terms: list[tuple[Tensor, Tensor]], like: Tensor) -> Tensor | None:
    """Returns the sum of ``w^T u`` over all (u, w)."""
    if not terms:
        return None
    if not isinstance(module, Convolution):
        return sum((u @ w for u, w in terms[1:]), terms[0][0] @ terms[0][1])
    if _sees_all(module, like):
        rows = [(u.flatten(1), _rows(w)) for u, w in terms]
        return _images(sum((u @ w for u, w in rows[1:]), rows[0][0] @ rows[0][1]), like)
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


def _settings(module: Convolution) -> tuple[Any, ...]:
    c = module.source
    if module.patched:
        return [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    return [*c.stride], [*c.padding], [*c.dilation], False, [0] * len(c.stride), c.groups


def _kernel(module: Convolution, w: Tensor) -> Tensor:
    return w.reshape(len(w), -1, 1, 1) if module.patched else w


def _sees_all(module: Convolution, x: Tensor) -> bool:
    """Says whether a convolution is a linear layer of flattened images."""
    c = module.source
    fits = x.dim() == 4 and not module.patched and c.groups == 1 and not any(c.padding)
    return fits and tuple(x.shape[2:]) == tuple(c.kernel_size) and max(c.dilation) == 1


def _rows(x: Tensor) -> Tensor:
    """Returns images with the channels last as rows, without copying them."""
    return x.permute(0, 2, 3, 1).flatten(1)


def _images(rows: Tensor, like: Tensor) -> Tensor:
    _, channels, *size = like.shape
    return rows.view(len(rows), *size, channels).permute(0, 3, 1, 2)
