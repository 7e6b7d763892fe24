"""The paper's test models."""

from lljupyter.zoo.resnet import resnet

__all__ = ["resnet"]
