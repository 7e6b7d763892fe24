"""The CIFAR ResNet of He et al. 2016, with shortcuts of two kinds and without any."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from lljupyter.zoo.layers import Activation, Layers, check_sizes, layers_of

Shortcut = Literal["A", "projection"]


def resnet(
    depth: int,
    num_classes: int = 10,
    *,
    shortcut: Shortcut | None = "A",
    width: int = 16,
    channels: int = 3,
    batchnorm: bool = True,
    dropout: float = 0.0,
    activation: Activation = "relu",
) -> ResNet:
    """Build a CIFAR ResNet: three stages of n basic blocks with 16, 32 and 64 channels, depth 6n + 2.

    Parameter names are ``conv1, bn1, layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}, linear``, with projections also
    ``layer{2,3}.0.shortcut.{0,1}``.

    Args:
        depth: Number of weighted layers, 6n + 2: 8, 14, 20, 32, 44, 56, 110 and so on.
        num_classes: Number of outputs.
        shortcut: How a shortcut goes where the shape changes. "A": every second pixel, padded with zero channels, no
            parameters (He et al. for CIFAR). "projection": a 1 x 1 convolution with BatchNorm (option B, and what Li
            et al. trained). None: no shortcut at all, the "noshort" of Li et al.
        width: Channels of the first stage; the others have twice and four times as many.
        channels: Channels of the images.
        batchnorm: Whether convolutions are followed by BatchNorm; they have biases otherwise.
        dropout: Probability of dropout between the two convolutions of a block.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout; made to
            do without BatchNorm.

    Returns:
        An untrained network; takes (n, channels, height, width), returns (n, num_classes).

    Raises:
        ValueError: If ``depth`` is not 6n + 2 with n >= 1, or another argument is out of range.

    Source:
        He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, 2016, section 4.2; Li et al. 2018,
        section 6 for the networks without shortcuts. Differs from He et al. in that weight decay and learning
        rate are those of the trainer.
    """
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise ValueError(f"expected a depth of 6n + 2, such as 20, 32, 44, 56 or 110, got {depth!r}; try resnet(20)")
    if shortcut not in (*get_args(Shortcut), None):
        raise ValueError(f"expected shortcut as one of {[*get_args(Shortcut), None]}, got {shortcut!r}; try 'A'")
    check_sizes(num_classes=num_classes, width=width, channels=channels)
    layers = layers_of(batchnorm, dropout, activation)
    model = ResNet(layers, (depth - 2) // 6, num_classes, shortcut, width, channels)
    layers.initialize(model)
    return model


class ResNet(nn.Module):
    """See ``resnet``."""

    def __init__(
        self, layers: Layers, n_blocks: int, num_classes: int, shortcut: Shortcut | None, width: int, channels: int
    ) -> None:
        super().__init__()

        def stage(c_in: int, c_out: int, stride: int) -> nn.Sequential:
            steps = [(c_in, stride), *[(c_out, 1)] * (n_blocks - 1)]
            return nn.Sequential(*(BasicBlock(layers, c, c_out, s, shortcut) for c, s in steps))

        self.conv1 = layers.convolution(channels, width, 3)
        self.bn1 = layers.normalization(width)
        self.act = layers.nonlinearity()
        self.layer1 = stage(width, width, 1)
        self.layer2 = stage(width, 2 * width, 2)
        self.layer3 = stage(2 * width, 4 * width, 2)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (n, num_classes), of images, (n, channels, height, width)."""
        x = self.act(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: Tensor = self.linear(x.mean((2, 3)))
        return scores


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm, and a shortcut round them or none."""

    def __init__(self, layers: Layers, c_in: int, c_out: int, stride: int, shortcut: Shortcut | None) -> None:
        super().__init__()
        self.conv1 = layers.convolution(c_in, c_out, 3, stride=stride)
        self.bn1 = layers.normalization(c_out)
        self.conv2 = layers.convolution(c_out, c_out, 3)
        self.bn2 = layers.normalization(c_out)
        self.act = layers.nonlinearity()
        self.drop = layers.drop()
        self.kind, self.stride, self.new_channels = shortcut, stride, c_out - c_in
        if shortcut == "projection" and (stride > 1 or self.new_channels):
            projection = layers.convolution(c_in, c_out, 1, stride=stride)
            self.shortcut: nn.Module = nn.Sequential(projection, layers.normalization(c_out))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return act(F(x) + shortcut(x)), or act(F(x))."""
        y: Tensor = self.drop(self.act(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(y))
        if self.kind is not None:
            y = y + self._padded(x) if self.kind == "A" else y + self.shortcut(x)
        activated: Tensor = self.act(y)
        return activated

    def _padded(self, x: Tensor) -> Tensor:
        if self.stride == 1 and not self.new_channels:
            return x
        half = self.new_channels // 2
        passed = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(passed, (0, 0, 0, 0, half, self.new_channels - half))
