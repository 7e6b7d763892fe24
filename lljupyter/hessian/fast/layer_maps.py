"""Convolutions and linear layers as maps that are linear in the inputs and in the weights, and their transposes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lljupyter.process.precision import onednn_takes
from lljupyter.tracing.convolution import Convolution

_convolution = torch.ops.aten.convolution
_convolution_backward = torch.ops.aten.convolution_backward
_transposes = hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise")
# So many times as many samples as a row has pixels. Measured in float32 on two cores: 256 images of 8 x 8, 8 to 16
# channels, 0.41 to 0.21 ms, 83 of 16 x 16, 32 to 64 channels, 1.03 to 0.99 ms; 2 of 32 x 32 0.09 to 0.23 ms.
MANY = 4


def laid(x: Tensor) -> Tensor:
    """Return a tensor in one piece, images with the channels last."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.contiguous()


def apply(module: nn.Module, x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    """Return ``w x + b``; for a convolution that is ``patched``, x are patches."""
    assert w is not None
    if not isinstance(module, Convolution):
        return functional.linear(x, w, b)
    if _sees_all(module, x):
        return functional.linear(_rows(x), _rows(w), b)[:, :, None, None]
    # Images of one channel look as if they had the channels first, and so do the outputs then.
    return laid(_convolution(x, _kernel(module, w), b, *_settings(module)))


def apply_all(module: nn.Module, terms: list[tuple[Tensor, Tensor]], b: Tensor | None) -> Tensor:
    """Return the sum of ``w x`` over all (x, w), plus b."""
    if len(terms) == 2 and isinstance(module, Convolution) and _joins(module) and not _sees_all(module, terms[0][0]):
        (x, w), (y, v) = terms
        return apply(module, torch.cat([x, y], 1), torch.cat([w, v], 1), b)
    found = apply(module, *terms[0], b)
    for x, w in terms[1:]:
        found.add_(apply(module, x, w, None))
    return found


def weight_gradient(module: nn.Module, u: Tensor, x: Tensor, like: Tensor | None) -> Tensor:
    """Return the derivative of ``u . (w x)`` by w."""
    assert like is not None
    if not isinstance(module, Convolution):
        return u.flatten(0, -2).T @ x.flatten(0, -2)
    if _sees_all(module, x):
        return _images(u.flatten(1).T @ _rows(x), like)
    if _picks_pixels(module, x):
        down, across = module.source.stride
        pixels, moved = x[:, :, ::down, ::across].permute(0, 2, 3, 1), u.permute(0, 2, 3, 1)
        return laid((moved.flatten(0, 2).T @ pixels.flatten(0, 2))[:, :, None, None])
    wants = [False, True, False]
    dw: Tensor = _convolution_backward(u, x, _kernel(module, like).to(x), None, *_settings(module), wants)[1]
    return dw.view_as(like) if module.patched else dw


def input_gradient(module: nn.Module, terms: list[tuple[Tensor, Tensor]], like: Tensor) -> Tensor | None:
    """Return the sum of ``w^T u`` over all (u, w)."""
    if not terms:
        return None
    if not isinstance(module, Convolution):
        return sum((u @ w for u, w in terms[1:]), terms[0][0] @ terms[0][1])
    if _sees_all(module, like):
        rows = [(u.flatten(1), _rows(w)) for u, w in terms]
        return _images(sum((u @ w for u, w in rows[1:]), rows[0][0] @ rows[0][1]), like)
    if _deconvolves(module, like):
        return _deconvolved(module, terms, like)
    if len(terms) == 2 and _joins(module):
        (u, w), (v, x) = terms
        terms = [(torch.cat([u, v], 1), torch.cat([w, x]))]
    found = _input_gradient_of(module, *terms[0], like)
    for u, w in terms[1:]:
        found.add_(_input_gradient_of(module, u, w, like))
    return found


def _picks_pixels(module: Convolution, x: Tensor) -> bool:
    """Whether a convolution is a linear layer on every so many-th pixel.

    Its weight gradient is then a product of matrices. On processors with AVX2 only, oneDNN (torch 2.13) writes beyond
    its memory in the backward pass of such convolutions with 4 input channels, if the channels are last.
    """
    c = module.source
    is_linear = x.dim() == 4 and max(c.kernel_size) == 1 and not any(c.padding) and c.groups == 1
    return is_linear and max(c.stride) > 1 and not module.patched


def _joins(module: Convolution) -> bool:
    """Whether two terms pay as one convolution with twice the channels: with a stride, it takes little longer."""
    return max(module.source.stride) > 1 and module.source.groups == 1 and not module.patched


def _input_gradient_of(module: Convolution, u: Tensor, w: Tensor, like: Tensor) -> Tensor:
    wants = [True, False, False]
    dx: Tensor = _convolution_backward(u, like, laid(w), None, *_settings(module), wants)[0]
    return dx


def _deconvolves(module: Convolution, like: Tensor) -> bool:
    """Whether oneDNN is quicker along the samples: where there are many, of small images, and a stride."""
    c = module.source
    able = _transposes and onednn_takes(like.dtype, like.device)
    fits = like.dim() == 4 and c.groups == 1 and max(c.stride) > 1 and max(c.kernel_size) > 1
    return able and fits and len(like) >= MANY * like.shape[3]


def _deconvolved(module: Convolution, terms: list[tuple[Tensor, Tensor]], like: Tensor) -> Tensor:
    """Return the sum of ``w^T u`` as one transposed convolution over height, width and samples."""
    c = module.source
    us = torch.cat([u.permute(2, 3, 0, 1) for u, _ in terms], 3)[None].permute(0, 4, 1, 2, 3)
    ws = torch.cat([w for _, w in terms])[..., None]
    sizes = zip(like.shape[2:], us.shape[2:4], c.stride, c.padding, c.dilation, c.kernel_size, strict=True)
    left = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, s, p, d, k in sizes]
    found: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        us, ws, None, [*c.padding, 0], [*left, 0], [*c.stride, 1], [*c.dilation, 1], 1, "none", [], ""
    )
    return laid(found[0].permute(3, 0, 1, 2))


def _settings(module: Convolution) -> tuple[Any, ...]:
    c = module.source
    if module.patched:
        return [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    return [*c.stride], [*c.padding], [*c.dilation], False, [0] * len(c.stride), c.groups


def _kernel(module: Convolution, w: Tensor) -> Tensor:
    return w.reshape(len(w), -1, 1, 1) if module.patched else w


def _sees_all(module: Convolution, x: Tensor) -> bool:
    """Whether a convolution is a linear layer of flattened images."""
    c = module.source
    fits = x.dim() == 4 and not module.patched and c.groups == 1 and not any(c.padding)
    return fits and tuple(x.shape[2:]) == tuple(c.kernel_size) and max(c.dilation) == 1


def _rows(x: Tensor) -> Tensor:
    """Return images with the channels last as rows, without copying them."""
    return x.permute(0, 2, 3, 1).flatten(1)


def _images(rows: Tensor, like: Tensor) -> Tensor:
    _, channels, *size = like.shape
    return rows.view(len(rows), *size, channels).permute(0, 3, 1, 2)
