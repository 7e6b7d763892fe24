"""Densely connected networks: DenseNet-121 as Li et al. trained it, and the DenseNet-BC for CIFAR."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lljupyter.zoo.layers import Activation, Layers, check_sizes, layers_of

# Layers of each block of the networks for ImageNet (Huang et al. 2017, table 1).
BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def densenet(
    depth: int = 121,
    num_classes: int = 10,
    *,
    growth: int | None = None,
    channels: int = 3,
    batchnorm: bool = True,
    dropout: float = 0.0,
    activation: Activation = "relu",
) -> DenseNet:
    """Build a DenseNet with bottlenecks and compression by half.

    Args:
        depth: 121, 169 or 201 have the four blocks of the networks for ImageNet, behind a 3 x 3 convolution in place
            of the 7 x 7 one with pooling, as Li et al. have it. Others, 6n + 4 such as 100, are the DenseNet-BC for
            CIFAR: three blocks of n layers.
        num_classes: Number of outputs.
        growth: Channels that each layer adds; None for 32 in the former and 12 in the latter.
        channels: Channels of the images.
        batchnorm: Whether there is BatchNorm.
        dropout: Probability of dropout after each convolution; Huang et al. use 0.2 where they do not augment.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout; made to
            do without BatchNorm.

    Returns:
        An untrained network; takes (n, channels, height, width), returns (n, num_classes).

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Huang, Liu, van der Maaten, Weinberger, *Densely Connected Convolutional Networks*, 2017, section 3; Li et al.
        2018, in the code they published.
    """
    n_layers = (depth - 4) // 6 if isinstance(depth, int) and depth >= 10 and (depth - 4) % 6 == 0 else 0
    if not n_layers and not (isinstance(depth, int) and depth in BLOCKS):
        raise ValueError(
            f"expected a depth of {', '.join(map(str, BLOCKS))} or 6n + 4 such as 100, got {depth!r}; try densenet(121)"
        )
    growth = (32 if depth in BLOCKS else 12) if growth is None else growth
    check_sizes(num_classes=num_classes, growth=growth, channels=channels)
    layers = layers_of(batchnorm, dropout, activation)
    model = DenseNet(layers, BLOCKS.get(depth, (n_layers,) * 3), growth, num_classes, channels)
    layers.initialize(model)
    return model


class DenseNet(nn.Module):
    """See ``densenet``."""

    def __init__(self, layers: Layers, blocks: tuple[int, ...], growth: int, num_classes: int, channels: int) -> None:
        super().__init__()
        c = 2 * growth
        self.conv1 = layers.convolution(channels, c, 3)
        stages: list[nn.Module] = []
        for index, n_layers in enumerate(blocks):
            for _ in range(n_layers):
                stages.append(DenseLayer(layers, c, growth))
                c += growth
            if index < len(blocks) - 1:
                stages.append(Transition(layers, c, c // 2))
                c //= 2
        self.stages = nn.Sequential(*stages)
        self.bn = layers.normalization(c)
        self.act = layers.nonlinearity()
        self.linear = nn.Linear(c, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (n, num_classes), of images, (n, channels, height, width)."""
        x = self.act(self.bn(self.stages(self.conv1(images))))
        scores: Tensor = self.linear(x.mean((2, 3)))
        return scores


class DenseLayer(nn.Module):
    """Adds ``growth`` channels to its input, through a bottleneck of four times as many and a 3 x 3 convolution."""

    def __init__(self, layers: Layers, c_in: int, growth: int) -> None:
        super().__init__()
        self.bn1 = layers.normalization(c_in)
        self.conv1 = layers.convolution(c_in, 4 * growth, 1)
        self.bn2 = layers.normalization(4 * growth)
        self.conv2 = layers.convolution(4 * growth, growth, 3)
        self.act = layers.nonlinearity()
        self.drop = layers.drop()

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the new channels behind it."""
        y = self.drop(self.conv1(self.act(self.bn1(x))))
        y = self.drop(self.conv2(self.act(self.bn2(y))))
        return torch.cat([x, y], 1)


class Transition(nn.Module):
    """A 1 x 1 convolution to fewer channels, and average pooling by 2."""

    def __init__(self, layers: Layers, c_in: int, c_out: int) -> None:
        super().__init__()
        self.bn = layers.normalization(c_in)
        self.conv = layers.convolution(c_in, c_out, 1)
        self.act = layers.nonlinearity()
        self.drop = layers.drop()

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, c_out, height / 2, width / 2), rounded up."""
        return functional.avg_pool2d(self.drop(self.conv(self.act(self.bn(x)))), 2, ceil_mode=True)
