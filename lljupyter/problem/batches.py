"""Batches of data, and how they are split, joined, converted and brought to a device."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lljupyter.problem.nested import joined, mapped, moved, rows_of, slice_of, tensors_of


class Batch(NamedTuple):
    """One batch as the model takes it.

    Attributes:
        inputs: What the model is called with: a tensor, or a list, tuple or dict of tensors; or anything else, if an
            objective takes the batch as a whole.
        targets: What the loss function compares the outputs with.
        n: Number of samples.
        axis: The axis of the samples in all tensors; None if the samples can't be told apart.
        seed: What random numbers are seeded with for this batch, at every point.
    """

    inputs: Any
    targets: Any
    n: int
    axis: int | None = 0
    seed: int = 0


class Labeled(dict[str, Any]):
    """The inputs of a batch that the loader gave as a dict; its labels are the targets."""


def take(batch: Batch, n: int) -> Batch:
    """Return the first ``n`` samples of a batch, tensors as views."""
    assert batch.axis is not None
    return _narrowed(batch, 0, n)


def picked(batch: Batch, rows: Tensor) -> Batch:
    """Return some samples of a batch, ``rows`` as indices of shape (k,)."""
    assert batch.axis is not None
    inputs, targets = (rows_of(tree, rows, batch.axis, batch.n) for tree in (batch.inputs, batch.targets))
    return batch._replace(inputs=inputs, targets=targets, n=len(rows))


def together(batches: Sequence[Batch]) -> Batch:
    """Return the samples of several batches in one.

    Raises:
        ValueError: If they do not fit.
        RuntimeError: If their shapes differ.
    """
    first = batches[0]
    assert first.axis is not None
    inputs, targets = (joined([getattr(b, part) for b in batches], first.axis) for part in ("inputs", "targets"))
    return first._replace(inputs=inputs, targets=targets, n=sum(batch.n for batch in batches))


def are_tensors(batches: Sequence[Batch]) -> bool:
    """Return True if targets are tensors throughout, as inputs always are, so that samples can be chosen and joined."""
    return all(tensors_of(batch.targets) for batch in batches)


def of_several_sizes(batches: Sequence[Batch]) -> bool:
    """Return True if targets have several shapes, beside the number of samples."""
    return len({t.shape[1:] for batch in batches for t in tensors_of(batch.targets)[:1]}) > 1


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return a batch with all its tensors on a device; those that are there already are not copied."""
    return batch._replace(inputs=moved(batch.inputs, device), targets=moved(batch.targets, device))


def pinned(batch: Batch) -> Batch:
    """Return a batch in pinned memory, or unchanged if no pinned memory is left."""

    def pin(tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if tensor.device.type == "cpu" else tensor

    try:
        return batch._replace(inputs=mapped(batch.inputs, pin), targets=mapped(batch.targets, pin))
    except RuntimeError:
        return batch


def brought(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yields batches on a device; to a CUDA device, the next one is on its way while the last is worked on.

    Args:
        batches: Batches, see ``pinned``.
        device: Where to.
    """
    if device.type != "cuda":
        yield from (to_device(batch, device) for batch in batches)
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    on_their_way: deque[tuple[Batch, torch.cuda.Event]] = deque()
    for batch in itertools.chain(batches, [None]):
        if batch is not None:
            with torch.cuda.stream(side):
                there = to_device(batch, device)
                on_their_way.append((there, side.record_event()))
        if on_their_way and (batch is None or len(on_their_way) > 1):
            there, arrived = on_their_way.popleft()
            stream = torch.cuda.current_stream(device)
            stream.wait_event(arrived)
            for tensor in (*tensors_of(there.inputs), *tensors_of(there.targets)):
                if tensor.device.type == "cuda":  # its memory is not given away before this stream is done with it
                    tensor.record_stream(stream)
            yield there


def resized(batches: Sequence[Batch], size: int, multiple: int = 1) -> list[Batch]:
    """Returns the same samples in batches of at most ``size``, all about equally large.

    Batches whose tensors have other shapes than those of the first are split at most, never joined.

    Args:
        batches: Tensors throughout, samples along the first axis.
        size: The largest number of samples.
        multiple: All numbers of samples but the last are multiples of it; the last may be larger than ``size`` by
            less than that.
    """
    if not are_tensors(batches):
        return list(batches)
    shapes = {tuple((t.shape[1:], t.dtype) for t in tensors_of((batch.inputs, batch.targets))) for batch in batches}
    if len(shapes) == 1 and len(batches) > 1:
        batches = [together(batches)]
    return split(batches, size, multiple)


def split(batches: Sequence[Batch], size: int, multiple: int = 1) -> list[Batch]:
    """Returns the same samples in batches of at most ``size``, each split evenly, tensors as views; see ``resized``."""
    found = []
    for batch in batches:
        n_parts = -(-batch.n // size)
        bounds = [multiple * round(batch.n * k / n_parts / multiple) for k in range(n_parts)]
        for start, stop in itertools.pairwise([*bounds, batch.n]):
            found.append(_narrowed(batch, start, stop - start))
    return found


def converted(batch: Batch, device: torch.device, dtype: torch.dtype, samples_inside: bool = False) -> Batch:
    """Returns a batch on a device whose floating-point inputs are of a dtype, images with the channels last.

    Args:
        batch: The batch.
        device: Where to.
        dtype: The dtype.
        samples_inside: Whether images lie in memory as height, width, samples, channels; else samples come first.
    """

    def convert(tensor: Tensor) -> Tensor:
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        if samples_inside and tensor.dim() == 4:
            return tensor.to(kind).permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
        form = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
        return tensor.to(kind).contiguous(memory_format=form)

    there = to_device(batch, device)
    return there._replace(inputs=mapped(there.inputs, convert))


def n_bytes(batches: Sequence[Batch], elsewhere: torch.device | None = None) -> int:
    """Returns the memory that the tensors of some batches take, in bytes; those on ``elsewhere`` are not counted."""
    tensors = [t for batch in batches for t in (*tensors_of(batch.inputs), *tensors_of(batch.targets))]
    return sum(t.numel() * t.element_size() for t in tensors if t.device != elsewhere)


def _narrowed(batch: Batch, start: int, n: int) -> Batch:
    """Return ``n`` samples of a batch from ``start`` on, tensors as views."""
    inputs, targets = (slice_of(tree, start, n, batch.axis or 0, batch.n) for tree in (batch.inputs, batch.targets))
    return batch._replace(inputs=inputs, targets=targets, n=n)


def versions(tree: Any) -> list[int]:
    """Returns how often each tensor was changed in place so far."""
    return [tensor._version for tensor in tensors_of(tree)]
