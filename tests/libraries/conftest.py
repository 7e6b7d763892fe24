"""What has to happen before the libraries are imported."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch

# Kept, because the operators vanish with it.
_operators = torch.library.Library("torchvision", "FRAGMENT")


def _import_torchvision() -> None:
    """Import torchvision, also one that was built for another build of torch, such as one for CUDA beside one for CPU.

    Its compiled operators do not load there, and it fails because it registers something for two of them. Its models
    use none, so it is enough to declare the two. Here, because transformers and others import torchvision as well.
    """
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass  # the tests that need it fail
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        boxes = "Tensor dets, Tensor scores, float iou_threshold"
        for name in ("nms", "qnms"):
            _operators.define(f"{name}({boxes}) -> Tensor")
        importlib.import_module("torchvision")


_import_torchvision()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what lies in this folder."""
    item.add_marker("libraries")
