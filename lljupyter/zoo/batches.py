"""Check the batches of a loader, and move them to the device of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Batch(NamedTuple):
    """Images, (n, ...), their labels, (n,) int64, both on the device, and the highest label."""

    images: Tensor
    labels: Tensor
    highest: int

    def checked(self, outputs: Any) -> Tensor:
        """Return the outputs of the model if they are scores of enough classes.

        Raises:
            ValueError: If they are not: cross-entropy would stop without a reason, on a GPU for good.
        """
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(self.labels):
            shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"expected class scores of shape ({len(self.labels)}, classes) from the model, got {shape}; "
                "try zoo.resnet(20)"
            )
        if outputs.shape[1] <= self.highest:
            raise ValueError(
                f"expected a model with a class for each label up to {self.highest}, got {outputs.shape[1]} classes; "
                f"build it with num_classes={self.highest + 1}"
            )
        return outputs


def batches_of(loader: Iterable[Any], device: torch.device, dtype: torch.dtype) -> Iterator[Batch]:
    """Yield the batches of a loader on a device, images in a precision.

    Raises:
        TypeError: If a batch is no pair of tensors.
        ValueError: If its labels are no class numbers, one an image.
    """
    for batch in loader:
        pair = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        if len(pair) != 2 or not all(isinstance(part, Tensor) for part in pair):
            kinds = ", ".join(type(part).__name__ for part in pair)
            raise TypeError(
                f"expected batches of two tensors, (images, labels), got {type(batch).__name__} of {kinds}; "
                "pass a DataLoader over zoo.digits().train"
            )
        images, labels = pair
        if not len(images) or labels.shape != images.shape[:1] or labels.is_floating_point():
            raise ValueError(
                "expected a class number for each image of a batch, got images of shape "
                f"{tuple(images.shape)} and {labels.dtype} labels of shape {tuple(labels.shape)}; "
                "pass a DataLoader over pairs of an image and a whole number"
            )
        if (lowest := int(labels.min())) < 0:
            raise ValueError(f"expected class numbers from 0, got {lowest}; leave samples without a label out")
        highest = int(labels.max())
        yield Batch(
            images.to(device, dtype, non_blocking=True), labels.to(device, torch.int64, non_blocking=True), highest
        )


def n_batches(loader: Any) -> int:
    """Return how many batches a loader yields.

    Raises:
        TypeError: If it does not know.
        ValueError: If there is none.
    """
    try:
        n = len(loader)
    except TypeError as error:  # also from a DataLoader over a stream
        raise TypeError(
            f"expected a loader that knows its number of batches, got {type(loader).__name__}; "
            "pass a DataLoader or a list"
        ) from error
    if not n:
        raise ValueError("expected a loader with at least one batch, got an empty one; check its dataset and drop_last")
    return n


def augmented(images: Tensor) -> Tensor:
    """Return images moved by up to 4 pixels into either direction, over zeros, and half of them mirrored.

    Zero is black in images from 0 to 1, and the mean color in normalized ones.

    Args:
        images: (n, channels, height, width). Not changed.

    Raises:
        ValueError: If the images have another shape.

    Source:
        He et al. 2016, section 4.2. Differs from the code of Li et al., who move images over black before they
        normalize them.
    """
    if images.dim() != 4:
        raise ValueError(
            "expected images of shape (n, channels, height, width) to move and mirror, got "
            f"{tuple(images.shape)}; pass augment=False"
        )
    n, _, height, width = images.shape
    down, right, mirror = (torch.randint(high, (n, 1), device=images.device) for high in (9, 9, 2))
    rows = down + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = right + torch.where(mirror == 1, columns.flip(0), columns)
    padded = functional.pad(images, (4, 4, 4, 4)).permute(0, 2, 3, 1)
    samples = torch.arange(n, device=images.device)[:, None, None]
    return padded[samples, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
