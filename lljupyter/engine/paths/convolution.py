"""A convolution together with the BatchNorm, the addition and the ReLU behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Get = Callable[[str], "Tensor | None"]
# A convolution that sees at most so many numbers is computed on patches.
PATCH = 32


class Convolution(nn.Module):
    """Computes ``relu(conv(x) + other)``, the parts that apply, with a BatchNorm folded into weight and bias.

    Weight and bias are set from outside at every point.

    Args:
        source: The convolution of the model; its weights are dropped.
        names: Which states of the model it is made from: "weight", "bias", and those of the BatchNorm behind it as
            "norm.weight", "norm.bias", "norm.running_mean" and "norm.running_var".
        eps: Of that BatchNorm.
    """

    def __init__(self, source: nn.Module, names: dict[str, str], eps: float = 0.0) -> None:
        super().__init__()
        self.source = cast(Any, source)
        self.names, self.eps = names, eps
        self.source.weight = self.source.bias = None
        self.relu = self.one_step = self.patched = False
        self._where: Any = (source.padding, source.stride, source.dilation, source.groups)
        self.weight: Any = None
        self.bias: Any = None
        self._packed: Any = None
        self._shape: list[int] = []

    def fold(self, get: Get) -> tuple[Tensor, Tensor | None]:
        """Returns weight and bias with the BatchNorm folded in.

        Args:
            get: Returns a state by its kind, or None where there is none.
        """
        weight, bias = get("weight"), get("bias")
        assert weight is not None
        variance = get("norm.running_var")
        if variance is None:
            return weight, bias
        return self._scaled((variance + self.eps).rsqrt(), get("norm.weight"), get, weight, bias)

    def fold_direction(self, get_theta: Get, get: Get) -> tuple[Tensor, Tensor | None]:
        """Returns how the folded weight and bias move along a direction that leaves the scale of BatchNorm alone.

        Args:
            get_theta: Returns a state at the center by its kind.
            get: Returns the part of the direction.
        """
        weight, bias = get("weight"), get("bias")
        assert weight is not None
        variance = get_theta("norm.running_var")
        if variance is None:
            return weight, bias
        return self._scaled((variance + self.eps).rsqrt(), get_theta("norm.weight"), get, weight, bias)

    def _scaled(
        self, scale: Tensor, gamma: Tensor | None, get: Get, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        mean, shift = get("norm.running_mean"), get("norm.bias")
        scale = scale if gamma is None else scale * gamma
        offset = -mean if bias is None else bias - mean  # type: ignore[operator]
        folded = offset * scale if shift is None else offset * scale + shift
        return weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), folded

    def use_one_step(self, dtype: torch.dtype, device: torch.device) -> None:
        """Lets oneDNN compute everything in one step, on a processor, where it can."""
        c = self.source
        able = device.type == "cpu" and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        able = able and isinstance(c, nn.Conv2d) and c.padding_mode == "zeros" and not isinstance(c.padding, str)
        self.one_step = able and dtype in (torch.float32, torch.bfloat16)

    def use_patches(self) -> bool:
        """Takes ``patches`` of the inputs instead of the inputs, if it pays: then it is a product with few columns.

        A convolution over one or three channels leaves most of a vector idle (measured: 0.72 ms against 0.22 ms for
        1,797 images of 8 x 8 in bfloat16). The inputs are the data, so patches are cut once.
        """
        c = self.source
        self.patched = self.one_step and c.groups == 1 and c.in_channels * math.prod(c.kernel_size) <= PATCH
        if self.patched:
            self._where = ((0, 0), (1, 1), (1, 1), 1)
        return self.patched

    def patches(self, x: Tensor) -> Tensor:
        """Returns what each output sees of the inputs (n, channels, height, width), (n, seen, height, width)."""
        c = self.source
        seen = functional.unfold(x, c.kernel_size, c.dilation, c.padding, c.stride)
        span = [d * (k - 1) + 1 for d, k in zip(c.dilation, c.kernel_size, strict=True)]
        size = [(n + 2 * p - s) // t + 1 for n, p, s, t in zip(x.shape[2:], c.padding, span, c.stride, strict=True)]
        return seen.view(len(x), -1, *size)

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Sets weight and bias; they may be filled with other values later, before ``pack``."""
        self.weight, self.bias, self._packed = weight, bias, None

    def pack(self) -> None:
        """Lays the weight out as oneDNN wants it for the largest inputs so far: once a point, not once a batch."""
        if self.one_step and self._shape:
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight(), *(list(part) if isinstance(part, tuple) else part for part in self._where), self._shape
            )

    def _weight(self) -> Tensor:
        return self.weight.reshape(len(self.weight), -1, 1, 1) if self.patched else cast(Tensor, self.weight)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Returns it for inputs (n, channels, ...) and a second summand of the same shape as the outputs."""
        c = self.source
        if not self.one_step:
            out = c._conv_forward(x, self.weight, self.bias)
            out = out if other is None else out + other
            return functional.relu(out) if self.relu else cast(Tensor, out)
        if not self._shape or len(x) > self._shape[0]:
            self._shape, self._packed = list(x.shape), None
        how = (self._weight() if self._packed is None else self._packed, self.bias, *self._where)
        step = torch.ops.mkldnn._convolution_pointwise
        if other is None:
            return cast(Tensor, step(x, *how, "relu" if self.relu else "none", [], ""))
        return cast(Tensor, step.binary(x, other, *how, "add", 1.0, "relu" if self.relu else None, [], ""))
