"""The CIFAR VGGs that Li et al. trained."""

from __future__ import annotations

from torch import Tensor, nn

from lljupyter.zoo.layers import Activation, check_switches, convolution, dropout_layer, initialize, nonlinearity

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
    """Builds a VGG for small images: stages of 3 x 3 convolutions, each followed by max pooling, and two linear layers.

    Args:
        depth: 9, three stages of 2, 2 and 3 convolutions; or 16, the five stages of VGG-16, whose three linear layers
            Li et al. replace by two.
        num_classes: Number of outputs.
        width: Channels of the first stage.
        channels: Channels of the images.
        image_size: Height and width of the images, for the first linear layer.
        batchnorm: Whether convolutions and the hidden linear layer are followed by BatchNorm, as Li et al. have it.
        dropout: Probability of dropout before each linear layer.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout.

    Returns:
        An untrained network; takes (n, channels, image_size, image_size), returns (n, num_classes).

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Simonyan, Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, 2015, table 1
        (column D for 16); the CIFAR form is that of Li et al. 2018, in the code they published.
    """
    if depth not in STAGES:
        raise ValueError(f"expected a depth of {' or '.join(map(str, STAGES))}, got {depth!r}; try vgg(9)")
    check_switches(num_classes, width, dropout, activation)
    if image_size < 1:
        raise ValueError(f"expected image_size of at least 1 pixel, got {image_size}; CIFAR-10 has 32")
    model = VGG(depth, num_classes, width, channels, image_size, batchnorm, dropout, activation)
    initialize(model, activation)
    return model


class VGG(nn.Module):
    """See ``vgg``."""

    def __init__(
        self,
        depth: int,
        num_classes: int,
        width: int,
        channels: int,
        image_size: int,
        batchnorm: bool,
        dropout: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in, size = channels, image_size
        for index, n_convolutions in enumerate(STAGES[depth]):
            c_out = width * min(2**index, 8)
            for _ in range(n_convolutions):
                layers.append(convolution(c_in, c_out, 3, bias=True))
                layers += [nn.BatchNorm2d(c_out)] if batchnorm else []
                layers.append(nonlinearity(activation))
                c_in = c_out
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            size = -(-size // 2)
        self.features = nn.Sequential(*layers)
        hidden: list[nn.Module] = [nn.Linear(c_in * size * size, c_in)]
        hidden += [nn.BatchNorm1d(c_in)] if batchnorm else []
        self.fc = nn.Sequential(dropout_layer(dropout, activation), *hidden, nonlinearity(activation))
        self.classifier = nn.Sequential(dropout_layer(dropout, activation), nn.Linear(c_in, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Returns class scores, (n, num_classes), of images, (n, channels, image_size, image_size)."""
        scores: Tensor = self.classifier(self.fc(self.features(images).flatten(1)))
        return scores
