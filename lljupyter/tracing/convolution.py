"""A convolution together with the BatchNorm, the addition and the ReLU behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lljupyter.process.precision import onednn_takes
from lljupyter.tracing.memory_layout import sideways

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
        shape: Of the weight as a convolution, where it is that of a linear layer.

    Attributes:
        relu: Whether there is a ReLU.
        in_place: Whether nothing else needs the second summand any more, so that its memory takes the result.
    """

    def __init__(
        self, source: nn.Module, names: dict[str, str], eps: float = 0.0, shape: torch.Size | None = None
    ) -> None:
        super().__init__()
        self.source = cast(Any, source)
        self.names, self.eps, self._own_shape = names, eps, shape
        self.source.weight = self.source.bias = None
        self.relu = self.one_step = self.patched = self.sideways = self.in_place = False
        self._where: Any = (source.padding, source.stride, source.dilation, source.groups)
        self.weight: Any = None
        self.bias: Any = None
        self._packed: Any = None
        self._shape: list[int] = []

    def fold(self, get: Get) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias with the BatchNorm folded in.

        Args:
            get: Returns a state by its kind, or None where there is none.
        """
        weight, bias = self._shaped(get("weight")), get("bias")
        scale = self.scale(get)
        return (weight, bias) if scale is None else self._scaled(scale, get, weight, bias)

    def fold_direction(self, get_theta: Get, get: Get) -> tuple[Tensor, Tensor | None]:
        """Return how the folded weight and bias move along a direction that leaves the scale of BatchNorm alone.

        Args:
            get_theta: Returns a state at the center by its kind.
            get: Returns the part of the direction.
        """
        weight, bias = self._shaped(get("weight")), get("bias")
        scale = self.scale(get_theta)
        return (weight, bias) if scale is None else self._scaled(scale, get, weight, bias)

    def scale(self, get: Get) -> Tensor | None:
        """Return what the BatchNorm multiplies the outputs with, if there is one."""
        variance, gamma = get("norm.running_var"), get("norm.weight")
        if variance is None:
            return None
        scale = (variance + self.eps).rsqrt()
        return scale if gamma is None else scale * gamma

    def _shaped(self, weight: Tensor | None) -> Tensor:
        assert weight is not None
        return weight if self._own_shape is None else weight.view(self._own_shape)

    def _scaled(self, scale: Tensor, get: Get, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, shift = get("norm.running_mean"), get("norm.bias")
        offset = -mean if bias is None else bias - mean  # type: ignore[operator]
        folded = offset * scale if shift is None else offset * scale + shift
        return weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), folded

    def use_one_step(self, dtype: torch.dtype, device: torch.device) -> None:
        """Let oneDNN compute everything in one step, on a processor, where it can."""
        c = self.source
        able = onednn_takes(dtype, device) and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        plain = isinstance(c, nn.Conv2d) and c.padding_mode == "zeros" and not isinstance(c.padding, str)
        self.one_step = able and plain

    def use_patches(self) -> bool:
        """Take ``patches`` of the inputs instead of the inputs, if it pays: then it is a product with few columns.

        A convolution over one or three channels leaves most of a vector idle (measured: 0.72 ms against 0.22 ms for
        1,797 images of 8 x 8 in bfloat16). The inputs are the data, so patches are cut once.
        """
        c = self.source
        self.patched = isinstance(c, nn.Conv2d) and c.groups == 1 and c.in_channels * math.prod(c.kernel_size) <= PATCH
        if self.patched:
            self._where = ((0, 0), (1, 1), (1, 1), 1)
        return self.patched

    def use_samples_as_width(self) -> bool:
        """Computes a convolution over height, width and samples, one wide along the samples, where oneDNN can.

        It computes some neighbors along the width at once, of which small images have too few (measured in float32:
        142 GFLOP/s for 450 images of 4 x 4 with 32 channels and stride 2, 347 GFLOP/s along the samples).
        """
        self.sideways = self.one_step
        return self.sideways

    def patches(self, x: Tensor) -> Tensor:
        """Return what each output sees of the inputs (n, channels, height, width), (n, seen, height, width)."""
        c = self.source
        seen = functional.unfold(x, c.kernel_size, c.dilation, c.padding, c.stride)
        span = [d * (k - 1) + 1 for d, k in zip(c.dilation, c.kernel_size, strict=True)]
        size = [(n + 2 * p - s) // t + 1 for n, p, s, t in zip(x.shape[2:], c.padding, span, c.stride, strict=True)]
        return seen.view(len(x), -1, *size)

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Set weight and bias; they may be filled with other values later, before ``pack``."""
        self.weight, self.bias, self._packed = weight, bias, None

    def pack(self) -> None:
        """Lay the weight out as oneDNN wants it for the largest inputs so far: once a point, not once a batch."""
        if self.one_step and self._shape:
            padding, stride, dilation, groups = self._settings()
            n, *image = self._shape
            shape = [1, *image, n] if self.sideways else self._shape
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight(), padding, stride, dilation, groups, shape
            )

    def _weight(self) -> Tensor:
        weight = self.weight.reshape(len(self.weight), -1, 1, 1) if self.patched else cast(Tensor, self.weight)
        if not self.sideways:
            return weight
        # With the channels last, oneDNN takes the weights of groups for others in a convolution over three axes.
        return (weight.contiguous() if self._where[3] > 1 else weight)[..., None]

    def _settings(self) -> tuple[list[int], list[int], list[int], int]:
        padding, stride, dilation, groups = self._where
        more = self.sideways
        return [*padding, *[0] * more], [*stride, *[1] * more], [*dilation, *[1] * more], groups

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Return it for inputs (n, channels, ...) and a second summand of the same shape as the outputs."""
        c = self.source
        if not self.one_step:
            if self._own_shape is None:
                out = c._conv_forward(x, self.weight, self.bias)
            else:
                out = functional.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
            out = out if other is None else out + other
            return functional.relu(out) if self.relu else cast(Tensor, out)
        if not self._shape or len(x) > self._shape[0]:
            self._shape, self._packed = list(x.shape), None
        how = (self._weight() if self._packed is None else self._packed, self.bias, *self._settings())
        step = torch.ops.mkldnn._convolution_pointwise
        if self.sideways:
            x, other = sideways(x), None if other is None else sideways(other)
        if other is None:
            out = step(x, *how, "relu" if self.relu else "none", [], "")
        elif self.in_place:
            out = torch.ops.mkldnn._convolution_pointwise_.binary(
                other, x, *how, "add", 1.0, "relu" if self.relu else None, [], ""
            )
        else:
            out = step.binary(x, other, *how, "add", 1.0, "relu" if self.relu else None, [], "")
        return cast(Tensor, out[0].permute(3, 0, 1, 2) if self.sideways else out)
