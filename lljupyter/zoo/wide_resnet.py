"""Wide residual networks: those of Zagoruyko and Komodakis, and the widened CIFAR ResNet of Li et al."""

from __future__ import annotations

from torch import Tensor, nn

from lljupyter.zoo.layers import (
    Activation,
    check_switches,
    convolution,
    dropout_layer,
    initialize,
    nonlinearity,
    normalization,
)
from lljupyter.zoo.resnet import ResNet, resnet


def wide_resnet(
    depth: int,
    k: int,
    num_classes: int = 10,
    *,
    shortcuts: bool = True,
    width: int = 16,
    channels: int = 3,
    batchnorm: bool = True,
    dropout: float = 0.0,
    activation: Activation = "relu",
) -> ResNet | WideResNet:
    """Builds a wide residual network, k times as wide as a ResNet.

    The depth says which: 6n + 4, such as ``wide_resnet(28, 10)``, is Zagoruyko and Komodakis' WRN-28-10 (activation
    before convolution, a first layer that is not widened); 6n + 2, such as ``wide_resnet(56, 8)``, is Li et al.'s
    WRN-56, their ResNet-56 with projection shortcuts and k times the channels in every layer.

    Args:
        depth: Number of weighted layers on the longest path, 6n + 4 or 6n + 2.
        k: How many times wider than a ResNet.
        num_classes: Number of outputs.
        shortcuts: Whether there are shortcuts; without them it is the "noshort" of Li et al.
        width: Channels of the first stage at k = 1.
        channels: Channels of the images.
        batchnorm: Whether there is BatchNorm.
        dropout: Probability of dropout between the two convolutions of a block; Zagoruyko and Komodakis use 0.3.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout.

    Returns:
        An untrained network; takes (n, channels, height, width), returns (n, num_classes).

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Zagoruyko, Komodakis, *Wide Residual Networks*, 2016, section 2; Li et al. 2018, section 6, in the code they
        published.
    """
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6 not in (0, 2):
        raise ValueError(
            f"expected a depth of 6n + 4 or 6n + 2, such as 28 or 56, got {depth!r}; try wide_resnet(28, 10)"
        )
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"expected k as a whole number of at least 1, got {k!r}; Li et al. use 1, 2, 4 and 8")
    if (depth - 2) % 6 == 0:
        return resnet(
            depth,
            num_classes,
            shortcut="projection" if shortcuts else None,
            width=width * k,
            channels=channels,
            batchnorm=batchnorm,
            dropout=dropout,
            activation=activation,
        )
    check_switches(num_classes, width, dropout, activation)
    n_blocks = (depth - 4) // 6
    model = WideResNet(n_blocks, k, num_classes, shortcuts, width, channels, batchnorm, dropout, activation)
    initialize(model, activation)
    return model


class WideResNet(nn.Module):
    """See ``wide_resnet``; the form of Zagoruyko and Komodakis."""

    def __init__(
        self,
        n_blocks: int,
        k: int,
        num_classes: int,
        shortcuts: bool,
        width: int,
        channels: int,
        batchnorm: bool,
        dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()

        def stage(c_in: int, c_out: int, stride: int) -> nn.Sequential:
            steps = [(c_in, stride), *[(c_out, 1)] * (n_blocks - 1)]
            return nn.Sequential(*(WideBlock(c, c_out, s, shortcuts, batchnorm, dropout, activation) for c, s in steps))

        self.conv1 = convolution(channels, width, 3, bias=not batchnorm)
        self.layer1 = stage(width, width * k, 1)
        self.layer2 = stage(width * k, 2 * width * k, 2)
        self.layer3 = stage(2 * width * k, 4 * width * k, 2)
        self.bn = normalization(4 * width * k, batchnorm)
        self.act = nonlinearity(activation)
        self.linear = nn.Linear(4 * width * k, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns class scores, (n, num_classes), of images, (n, channels, height, width)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        scores: Tensor = self.linear(self.act(self.bn(x)).mean((2, 3)))
        return scores


class WideBlock(nn.Module):
    """Twice normalization, activation and a 3 x 3 convolution; the shortcut is a 1 x 1 one where the shape changes."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        shortcuts: bool,
        batchnorm: bool,
        dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.bn1 = normalization(c_in, batchnorm)
        self.conv1 = convolution(c_in, c_out, 3, stride=stride, bias=not batchnorm)
        self.bn2 = normalization(c_out, batchnorm)
        self.conv2 = convolution(c_out, c_out, 3, bias=not batchnorm)
        self.act = nonlinearity(activation)
        self.drop = dropout_layer(dropout, activation)
        self.has_shortcut = shortcuts
        changes = c_in != c_out or stride > 1
        self.shortcut = convolution(c_in, c_out, 1, stride=stride) if shortcuts and changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns F(a) + shortcut, where a is the activated input; the identity passes x itself."""
        activated = self.act(self.bn1(x))
        y: Tensor = self.drop(self.act(self.bn2(self.conv1(activated))))
        y = self.conv2(y)
        if not self.has_shortcut:
            return y
        return y + (x if self.shortcut is None else self.shortcut(activated))
