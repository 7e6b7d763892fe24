"""The paper's test models, data to train them on, and a small trainer."""

from lljupyter.zoo.alexnet import alexnet
from lljupyter.zoo.data import CIFAR, IMAGENET, cifar10, digits, jpeg_archive
from lljupyter.zoo.densenet import densenet
from lljupyter.zoo.resnet import resnet
from lljupyter.zoo.training import score, train
from lljupyter.zoo.vgg import vgg
from lljupyter.zoo.wide_resnet import wide_resnet

__all__ = [
    "CIFAR",
    "IMAGENET",
    "alexnet",
    "cifar10",
    "densenet",
    "digits",
    "jpeg_archive",
    "resnet",
    "score",
    "train",
    "vgg",
    "wide_resnet",
]
