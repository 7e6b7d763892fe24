"""The CIFAR ResNet of He et al. 2016 with option-A shortcuts."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def resnet(depth: int, num_classes: int = 10) -> ResNet:
    """Builds a CIFAR ResNet: three stages of n basic blocks with 16, 32 and 64 channels, depth 6n + 2.

    Shortcuts are of option A: where the shape changes, every second pixel, padded with zero channels, no parameters.
    Parameter names are ``conv1, bn1, layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}, linear``.

    Args:
        depth: Number of weighted layers, 6n + 2: 8, 14, 20, 32, 44, 56, 110 and so on.
        num_classes: Number of outputs.

    Returns:
        An untrained network, Kaiming-initialized; takes (n, 3, height, width), returns (n, num_classes).

    Raises:
        ValueError: If ``depth`` is not 6n + 2 with n >= 1, or ``num_classes`` is below 1.

    Source:
        He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, 2016, section 4.2.
    """
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise ValueError(f"expected a depth of 6n + 2, such as 20, 32, 44, 56 or 110, got {depth!r}; try resnet(20)")
    if num_classes < 1:
        raise ValueError(f"expected at least 1 class, got num_classes={num_classes}; CIFAR-10 has 10")
    return ResNet((depth - 2) // 6, num_classes)


class ResNet(nn.Module):
    """See ``resnet``."""

    def __init__(self, n_blocks: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, n_blocks, stride=1)
        self.layer2 = _stage(16, 32, n_blocks, stride=2)
        self.layer3 = _stage(32, 64, n_blocks, stride=2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Returns class scores, (n, num_classes), of images, (n, 3, height, width)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        scores: Tensor = self.linear(x.mean((2, 3)))
        return scores


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm and an option-A shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.new_channels = stride, channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        """Returns relu(F(x) + shortcut(x))."""
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        half = self.new_channels // 2
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, half, self.new_channels - half))
        return functional.relu(residual + shortcut)


def _stage(channels_in: int, channels: int, n_blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(n_blocks - 1)))
