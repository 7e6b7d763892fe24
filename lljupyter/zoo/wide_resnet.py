"""Wide residual networks: those of Zagoruyko and Komodakis, and the widened CIFAR ResNet of Li et al."""

from __future__ import annotations

from torch import Tensor, nn

from lljupyter.zoo.checks import switch, whole_number
from lljupyter.zoo.layers import Activation, Layers, check_sizes, layers_of
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
    """Build a wide residual network, k times as wide as a ResNet.

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
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout; made to
            do without BatchNorm.

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
    whole_number("k", k, least=1, advice="Li et al. use 1, 2, 4 and 8")
    switch("shortcuts", shortcuts, advice="zoo.resnet(56, shortcut='A') has those without parameters")
    check_sizes(num_classes=num_classes, width=width, channels=channels)
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
    layers = layers_of(batchnorm, dropout, activation)
    model = WideResNet(layers, (depth - 4) // 6, k, num_classes, shortcuts, width, channels)
    layers.initialize(model)
    return model


class WideResNet(nn.Module):
    """See ``wide_resnet``; the form of Zagoruyko and Komodakis."""

    def __init__(
        self,
        layers: Layers,
        n_blocks: int,
        k: int,
        num_classes: int,
        shortcuts: bool,
        width: int,
        channels: int,
    ) -> None:
        super().__init__()

        def stage(c_in: int, c_out: int, stride: int) -> nn.Sequential:
            steps = [(c_in, stride), *[(c_out, 1)] * (n_blocks - 1)]
            return nn.Sequential(*(WideBlock(layers, c, c_out, s, shortcuts) for c, s in steps))

        self.conv1 = layers.convolution(channels, width, 3)
        self.layer1 = stage(width, width * k, 1)
        self.layer2 = stage(width * k, 2 * width * k, 2)
        self.layer3 = stage(2 * width * k, 4 * width * k, 2)
        self.bn = layers.normalization(4 * width * k)
        self.act = layers.nonlinearity()
        self.linear = nn.Linear(4 * width * k, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (n, num_classes), of images, (n, channels, height, width)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        scores: Tensor = self.linear(self.act(self.bn(x)).mean((2, 3)))
        return scores


class WideBlock(nn.Module):
    """Twice normalization, activation and a 3 x 3 convolution; the shortcut is a 1 x 1 one where the shape changes."""

    def __init__(self, layers: Layers, c_in: int, c_out: int, stride: int, shortcuts: bool) -> None:
        super().__init__()
        self.bn1 = layers.normalization(c_in)
        self.conv1 = layers.convolution(c_in, c_out, 3, stride=stride)
        self.bn2 = layers.normalization(c_out)
        self.conv2 = layers.convolution(c_out, c_out, 3)
        self.act = layers.nonlinearity()
        self.drop = layers.drop()
        self.has_shortcut = shortcuts
        changes = c_in != c_out or stride > 1
        self.shortcut = layers.convolution(c_in, c_out, 1, stride=stride, bias=False) if shortcuts and changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return F(a) + shortcut, where a is the activated input; the identity passes x itself."""
        activated = self.act(self.bn1(x))
        y: Tensor = self.drop(self.act(self.bn2(self.conv1(activated))))
        y = self.conv2(y)
        if not self.has_shortcut:
            return y
        return y + (x if self.shortcut is None else self.shortcut(activated))
