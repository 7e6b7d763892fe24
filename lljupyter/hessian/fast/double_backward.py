"""Layers that compute the same and whose second derivatives are cheaper than torch's own."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

_convolution = torch.ops.aten.convolution
_backward = torch.ops.aten.convolution_backward


def make_cheaper(model: nn.Module) -> list[nn.Module]:
    """Changes how the convolutions and BatchNorm layers of a model in evaluation mode compute, not what.

    torch differentiates the gradient of a convolution through a convolution whose kernel is the size of an image, and
    that of BatchNorm through a dozen operations. A layer with a ``forward`` of its own, with parametrizations, or in
    training mode stays as it is.

    Args:
        model: A private copy; its layers get another ``forward``.

    Returns:
        The layers that were changed, for ``undo``.
    """
    changed = []
    for module in model.modules():
        forward: Callable[..., Tensor] | None = None
        if type(module) in (nn.Conv1d, nn.Conv2d, nn.Conv3d) and module.padding_mode == "zeros":
            forward = _convolve
        elif type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) and not module.training:
            forward = _normalize if isinstance(module.running_mean, Tensor) else None
        if forward is not None and "forward" not in vars(module):
            module.forward = MethodType(forward, module)
            changed.append(module)
    return changed


def undo(changed: list[nn.Module]) -> None:
    """Takes back what ``make_cheaper`` did."""
    for module in changed:
        del module.forward


def _convolve(self: _ConvNd, x: Tensor) -> Tensor:
    if isinstance(self.padding, str) or x.dim() != self.weight.dim():
        return self._conv_forward(x, self.weight, self.bias)
    settings = (list(self.stride), list(self.padding), list(self.dilation), False, [0] * len(self.stride), self.groups)
    y: Tensor = _Convolution.apply(x, self.weight, settings)  # type: ignore[no-untyped-call]
    return y if self.bias is None else y + self.bias.view(1, -1, *[1] * (y.dim() - 2))


def _normalize(self: _BatchNorm, x: Tensor) -> Tensor:
    assert self.running_mean is not None
    assert self.running_var is not None
    scale = (self.running_var + self.eps).rsqrt()
    if self.weight is not None:
        scale = scale * self.weight
    shift = -self.running_mean * scale
    if self.bias is not None:
        shift = shift + self.bias
    shape = (1, -1, *[1] * (x.dim() - 2))
    return x * scale.view(shape) + shift.view(shape)


class _Convolution(torch.autograd.Function):
    """A convolution without bias."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, settings: tuple[Any, ...]) -> Tensor:
        ctx.settings = settings
        ctx.save_for_backward(x, weight)
        y: Tensor = _convolution(x, weight, None, *settings)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        dx, dw = _ConvolutionBackward.apply(dy, x, weight, ctx.settings, wanted)  # type: ignore[no-untyped-call]
        return dx, dw, None


class _ConvolutionBackward(torch.autograd.Function):
    """``(dy, x, w) -> (dx, dw)``, linear in dy and in each of x and w."""

    @staticmethod
    def forward(
        ctx: Any, dy: Tensor, x: Tensor, weight: Tensor, settings: tuple[Any, ...], wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.settings = settings
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(dy, x, weight)
        dx, dw, _ = _backward(dy, x, weight, None, *settings, [*wanted, False])
        return dx, dw

    @staticmethod
    def backward(ctx: Any, to_dx: Tensor | None, to_dw: Tensor | None) -> tuple[Any, ...]:
        dy, x, weight = ctx.saved_tensors
        wants_dy, wants_x, wants_weight = ctx.needs_input_grad[:3]
        to_dy = to_x = to_weight = None
        if wants_dy:
            parts = [] if to_dx is None else [_convolution(to_dx, weight, None, *ctx.settings)]
            parts += [] if to_dw is None else [_convolution(x, to_dw, None, *ctx.settings)]
            to_dy = parts[0].add_(parts[1]) if len(parts) == 2 else parts[0] if parts else None
        if wants_x and to_dw is not None:
            to_x = _backward(dy, x, to_dw, None, *ctx.settings, [True, False, False])[0]
        if wants_weight and to_dx is not None:
            to_weight = _backward(dy, to_dx, weight, None, *ctx.settings, [False, True, False])[1]
        return to_dy, to_x, to_weight, None, None
