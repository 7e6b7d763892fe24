"""The CIFAR VGGs that Li et al. trained."""

from __future__ import annotations

from torch import Tensor, nn

from lljupyter.zoo.layers import Activation, Layers, check_sizes, layers_of

# Convolutions of each stage; the widths double from stage to stage up to eight times the first.
STAGES = {9: (2, 2, 3), 16: (2, 2, 3, 3, 3)}


def vgg(
    depth: int,
    num_classes: int = 10,
    *,
    width: int = 64,
    channels: int = 3,
    image_size: int = 32,
    batchnorm: bool = True,
    dropout: float = 0.0,
    activation: Activation = "relu",
) -> VGG:
    """Build a VGG for small images: stages of 3 x 3 convolutions, each followed by max pooling, and two linear layers.

    Args:
        depth: 9, three stages of 2, 2 and 3 convolutions; or 16, the five stages of VGG-16, whose three linear layers
            Li et al. replace by two, so that 15 layers have weights.
        num_classes: Number of outputs.
        width: Channels of the first stage.
        channels: Channels of the images.
        image_size: Height and width of the images, for the first linear layer.
        batchnorm: Whether convolutions and the hidden linear layer are followed by BatchNorm, as Li et al. have it.
        dropout: Probability of dropout before each linear layer.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout; made to
            do without BatchNorm.

    Returns:
        An untrained network; takes (n, channels, image_size, image_size), returns (n, num_classes).

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Simonyan, Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, 2015, table 1
        (column D for 16); the CIFAR form is that of Li et al. 2018, in the code they published.
    """
    if not isinstance(depth, int) or depth not in STAGES:
        raise ValueError(f"expected a depth of {' or '.join(map(str, STAGES))}, got {depth!r}; try vgg(9)")
    check_sizes(num_classes=num_classes, width=width, channels=channels, image_size=image_size)
    layers = layers_of(batchnorm, dropout, activation)
    model = VGG(layers, STAGES[depth], num_classes, width, channels, image_size)
    layers.initialize(model)
    return model


class VGG(nn.Module):
    """See ``vgg``."""

    def __init__(
        self,
        layers: Layers,
        stages: tuple[int, ...],
        num_classes: int,
        width: int,
        channels: int,
        image_size: int,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        c_in, size = channels, image_size
        for index, n_convolutions in enumerate(stages):
            c_out = width * min(2**index, 8)
            for _ in range(n_convolutions):
                features.append(layers.convolution(c_in, c_out, 3, bias=True))
                features += [nn.BatchNorm2d(c_out)] if layers.batchnorm else []
                features.append(layers.nonlinearity())
                c_in = c_out
            features.append(nn.MaxPool2d(2, ceil_mode=True))
            size = -(-size // 2)
        self.features = nn.Sequential(*features)
        hidden: list[nn.Module] = [nn.Linear(c_in * size * size, c_in)]
        hidden += [nn.BatchNorm1d(c_in)] if layers.batchnorm else []
        self.fc = nn.Sequential(layers.drop(), *hidden, layers.nonlinearity())
        self.classifier = nn.Sequential(layers.drop(), nn.Linear(c_in, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (n, num_classes), of images, (n, channels, image_size, image_size)."""
        scores: Tensor = self.classifier(self.fc(self.features(images).flatten(1)))
        return scores
