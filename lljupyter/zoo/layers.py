"""What the families share: the tricks of the trade as switches, and how weights start."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "selu"]


def check_switches(num_classes: int, width: int, dropout: float, activation: str) -> None:
    """Checks what all families take.

    Raises:
        ValueError: If a number is out of range or the activation unknown.
    """
    if num_classes < 1:
        raise ValueError(f"expected at least 1 class, got num_classes={num_classes}; CIFAR-10 has 10")
    if width < 1:
        raise ValueError(f"expected a width of at least 1 channel, got {width}; leave it out for the paper's")
    if not 0 <= dropout < 1:
        raise ValueError(f"expected dropout as a probability from 0 to below 1, got {dropout}; 0 is none")
    if activation not in get_args(Activation):
        raise ValueError(f"expected activation as one of {[*get_args(Activation)]}, got {activation!r}; try 'relu'")


def convolution(c_in: int, c_out: int, kernel: int, *, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """Returns a convolution that keeps the size of the image but for its stride."""
    return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=bias)


def normalization(channels: int, batchnorm: bool) -> nn.Module:
    """Returns BatchNorm, or nothing."""
    return nn.BatchNorm2d(channels) if batchnorm else nn.Identity()


def nonlinearity(activation: Activation) -> nn.Module:
    """Returns ReLU or SELU (Klambauer et al. 2017)."""
    return nn.SELU() if activation == "selu" else nn.ReLU()


def dropout_layer(p: float, activation: Activation) -> nn.Module:
    """Returns dropout; with SELU alpha dropout, which keeps mean and variance (Klambauer et al. 2017, section 2)."""
    if not p:
        return nn.Identity()
    return nn.AlphaDropout(p) if activation == "selu" else nn.Dropout(p)


def initialize(model: nn.Module, activation: Activation) -> None:
    """Draws all weights anew from the global generator: variance 2 / fan-in for ReLU, 1 / fan-in (LeCun) for SELU.

    Args:
        model: Changed in place; biases become zero.
        activation: He et al. 2015 for "relu", Klambauer et al. 2017 for "selu".
    """
    gain: Literal["linear", "relu"] = "linear" if activation == "selu" else "relu"
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity=gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
