"""What the families share: the layers with the tricks of the trade switched on or off, and how weights start."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from torch import nn

from lljupyter.zoo.checks import switch, whole_number

Activation = Literal["relu", "selu"]


class Layers(NamedTuple):
    """Makes the layers of one network; see ``layers_of`` for what is refused.

    Attributes:
        batchnorm: Whether ``normalization`` is BatchNorm; if not, convolutions have biases.
        dropout: Probability of dropout.
        activation: "relu", or "selu" for self-normalizing units.
    """

    batchnorm: bool
    dropout: float
    activation: Activation

    def convolution(
        self, c_in: int, c_out: int, kernel: int, *, stride: int = 1, bias: bool | None = None
    ) -> nn.Conv2d:
        """Return a convolution that keeps the size of the image but for its stride; BatchNorm replaces its bias."""
        bias = not self.batchnorm if bias is None else bias
        return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=bias)

    def normalization(self, channels: int) -> nn.Module:
        """Return BatchNorm, or nothing."""
        return nn.BatchNorm2d(channels) if self.batchnorm else nn.Identity()

    def nonlinearity(self) -> nn.Module:
        """Return ReLU or SELU (Klambauer et al. 2017)."""
        return nn.SELU() if self.activation == "selu" else nn.ReLU()

    def drop(self) -> nn.Module:
        """Return dropout; with SELU alpha dropout, which keeps mean and variance (Klambauer et al. 2017)."""
        if not self.dropout:
            return nn.Identity()
        return nn.AlphaDropout(self.dropout) if self.activation == "selu" else nn.Dropout(self.dropout)

    def initialize(self, model: nn.Module) -> None:
        """Draw all weights anew from the global generator: variance 2 / fan-in for ReLU, 1 / fan-in (LeCun) for SELU.

        Differs from the code of Li et al. in the linear layers, which start there with a standard deviation of 0.001.

        Args:
            model: Changed in place; biases become zero.

        Source:
            He, Zhang, Ren, Sun, *Delving Deep into Rectifiers*, 2015, section 2.2; Klambauer et al. 2017, section 2.
        """
        gain: Literal["linear", "relu"] = "linear" if self.activation == "selu" else "relu"
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity=gain)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def layers_of(batchnorm: Any, dropout: Any, activation: Any) -> Layers:
    """Return the layers for the switches of a family.

    Raises:
        ValueError: If ``batchnorm`` is no bool, ``dropout`` no probability, or the activation unknown.
    """
    switch("batchnorm", batchnorm, advice="True is BatchNorm")
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
        raise ValueError(f"expected dropout as a probability from 0 to below 1, got {dropout!r}; 0 is none")
    if activation not in get_args(Activation):
        raise ValueError(f"expected activation as one of {[*get_args(Activation)]}, got {activation!r}; try 'relu'")
    return Layers(batchnorm, dropout, activation)


def check_sizes(**sizes: Any) -> None:
    """Refuse numbers of classes, channels and pixels that are not whole numbers of at least 1.

    Raises:
        ValueError: If one is not.
    """
    usual = {"num_classes": "CIFAR-10 has 10", "channels": "color images have 3", "image_size": "CIFAR-10 has 32"}
    for name, value in sizes.items():
        whole_number(name, value, least=1, advice=usual.get(name, "leave it out for the paper's"))
