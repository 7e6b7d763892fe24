"""AlexNet in its CIFAR form."""

from __future__ import annotations

from torch import Tensor, nn

from lljupyter.zoo.layers import Activation, Layers, check_sizes, layers_of


def alexnet(
    num_classes: int = 10,
    *,
    width: int = 64,
    channels: int = 3,
    image_size: int = 32,
    batchnorm: bool = False,
    dropout: float = 0.0,
    activation: Activation = "relu",
) -> AlexNet:
    """Build the small AlexNet: two 5 x 5 convolutions, pooling and local response normalization; three linear layers.

    Args:
        num_classes: Number of outputs.
        width: Channels of both convolutions; the hidden linear layers have six times and three times as many units.
        channels: Channels of the images.
        image_size: Height and width of the images; 28, a crop, in the paper.
        batchnorm: Whether BatchNorm takes the place of local response normalization.
        dropout: Probability of dropout before the hidden linear layers; 0.5 in the AlexNet for ImageNet.
        activation: "selu" for self-normalizing units, with LeCun's initialization and alpha dropout; local
            response normalization stays.

    Returns:
        An untrained network; takes (n, channels, image_size, image_size), returns (n, num_classes).

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Krizhevsky, Sutskever, Hinton, *ImageNet Classification with Deep Convolutional Neural Networks*, 2012; the
        CIFAR form is that of Zhang, Bengio, Hardt, Recht, Vinyals, *Understanding deep learning requires rethinking
        generalization*, 2017, appendix A. The constants of the normalization, which Zhang et al. leave open, are those
        of TensorFlow's CIFAR-10 tutorial. Li et al. 2018 do not say which form they used.
    """
    check_sizes(num_classes=num_classes, width=width, channels=channels, image_size=image_size)
    layers = layers_of(batchnorm, dropout, activation)
    model = AlexNet(layers, num_classes, width, channels, image_size)
    layers.initialize(model)
    return model


class AlexNet(nn.Module):
    """See ``alexnet``."""

    def __init__(self, layers: Layers, num_classes: int, width: int, channels: int, image_size: int) -> None:
        super().__init__()

        def module(c_in: int) -> nn.Sequential:
            return nn.Sequential(
                layers.convolution(c_in, width, 5, bias=True),
                layers.nonlinearity(),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.BatchNorm2d(width) if layers.batchnorm else nn.LocalResponseNorm(9, alpha=0.001, k=1.0),
            )

        self.features = nn.Sequential(module(channels), module(width))
        size = (image_size + 3) // 4  # two poolings that round up
        self.classifier = nn.Sequential(
            layers.drop(),
            nn.Linear(width * size * size, 6 * width),
            layers.nonlinearity(),
            layers.drop(),
            nn.Linear(6 * width, 3 * width),
            layers.nonlinearity(),
            nn.Linear(3 * width, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (n, num_classes), of images, (n, channels, image_size, image_size)."""
        scores: Tensor = self.classifier(self.features(images).flatten(1))
        return scores
