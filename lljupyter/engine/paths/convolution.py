"""A convolution together with the BatchNorm, the addition and the ReLU behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Get = Callable[[str], "Tensor | None"]


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
        self.relu = self.one_step = False
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

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Sets weight and bias; they may be filled with other values later, before ``pack``."""
        self.weight, self.bias, self._packed = weight, bias, None

    def pack(self) -> None:
        """Lays the weight out as oneDNN wants it for the largest inputs so far: once a point, not once a batch."""
        if self.one_step and self._shape:
            c = self.source
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, list(c.padding), list(c.stride), list(c.dilation), c.groups, self._shape
            )

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Returns it for inputs (n, channels, ...) and a second summand of the same shape as the outputs."""
        c = self.source
        if not self.one_step:
            out = c._conv_forward(x, self.weight, self.bias)
            out = out if other is None else out + other
            return functional.relu(out) if self.relu else cast(Tensor, out)
        if not self._shape or len(x) > self._shape[0]:
            self._shape, self._packed = list(x.shape), None
        weight = self.weight if self._packed is None else self._packed
        how = (weight, self.bias, c.padding, c.stride, c.dilation, c.groups)
        step = torch.ops.mkldnn._convolution_pointwise
        if other is None:
            return cast(Tensor, step(x, *how, "relu" if self.relu else "none", [], ""))
        return cast(Tensor, step.binary(x, other, *how, "add", 1.0, "relu" if self.relu else None, [], ""))
