"""Batches of data, and how they are split, joined, converted and brought to a device."""

from __future__ import annotations

import copy
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """One batch as the model takes it.

    Attributes:
        inputs: A tensor, or a list, tuple or dict of tensors, each with the samples along the first axis.
        targets: What the loss function compares the outputs with, samples along the first axis.
        n: Number of samples.
    """

    inputs: Any
    targets: Any
    n: int


def take(batch: Batch, n: int) -> Batch:
    """Returns the first ``n`` samples of a batch, tensors as views."""
    targets = batch.targets
    if not tensors_of(targets) and hasattr(targets, "__getitem__") and hasattr(targets, "__len__"):
        targets = targets[:n] if len(targets) == batch.n else targets
    return Batch(_mapped(batch.inputs, lambda t: t[:n]), _mapped(targets, lambda t: t[:n]), n)


def picked(batch: Batch, rows: Tensor) -> Batch:
    """Returns some samples of a batch of tensors, ``rows`` as indices of shape (k,)."""

    def pick(tensor: Tensor) -> Tensor:
        return tensor[rows.to(tensor.device)]

    return Batch(_mapped(batch.inputs, pick), _mapped(batch.targets, pick), len(rows))


def are_tensors(batches: Sequence[Batch]) -> bool:
    """Says whether targets are tensors throughout, as inputs always are, so that samples can be chosen and joined."""
    return all(tensors_of(batch.targets) for batch in batches)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Returns a batch with all its tensors on a device; those that are there already are not copied."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    return Batch(_mapped(batch.inputs, move), _mapped(batch.targets, move), batch.n)


def pinned(batch: Batch) -> Batch:
    """Returns a batch in memory from which a CUDA device fetches by itself, or as it is where there is none left."""

    def pin(tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if tensor.device.type == "cpu" else tensor

    try:
        return Batch(_mapped(batch.inputs, pin), _mapped(batch.targets, pin), batch.n)
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
        batches = [_joined(batches)]
    return split(batches, size, multiple)


def split(batches: Sequence[Batch], size: int, multiple: int = 1) -> list[Batch]:
    """Returns the same samples in batches of at most ``size``, each split evenly, tensors as views; see ``resized``."""
    found = []
    for batch in batches:
        n_parts = -(-batch.n // size)
        bounds = [multiple * round(batch.n * k / n_parts / multiple) for k in range(n_parts)]
        for start, stop in itertools.pairwise([*bounds, batch.n]):
            part = partial(_rows, start=start, stop=stop)
            found.append(Batch(_mapped(batch.inputs, part), _mapped(batch.targets, part), stop - start))
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
    return Batch(_mapped(there.inputs, convert), there.targets, batch.n)


def n_bytes(batches: Sequence[Batch], elsewhere: torch.device | None = None) -> int:
    """Returns the memory that the tensors of some batches take, in bytes; those on ``elsewhere`` are not counted."""
    tensors = [t for batch in batches for t in (*tensors_of(batch.inputs), *tensors_of(batch.targets))]
    return sum(t.numel() * t.element_size() for t in tensors if t.device != elsewhere)


def _rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    return tensor[start:stop]


def _joined(batches: Sequence[Batch]) -> Batch:
    def join(parts: Sequence[Any]) -> Any:
        first = parts[0]
        if isinstance(first, Tensor):
            return torch.cat(list(parts))
        if isinstance(first, Mapping):
            return {key: join([part[key] for part in parts]) for key in first}
        return [join(column) for column in zip(*parts, strict=True)]

    inputs, targets = (join([part[k] for part in batches]) for k in (0, 1))
    return Batch(inputs, targets, sum(batch.n for batch in batches))


def tensors_of(tree: Any) -> list[Tensor]:
    """Returns the tensors of inputs or targets, in order; none where they are something else."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [t for part in tree.values() for t in tensors_of(part)]
    if isinstance(tree, (list, tuple)):
        return [t for part in tree for t in tensors_of(part)]
    return []


def _mapped(tree: Any, function: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _mapped(part, function) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_mapped(part, function) for part in tree]
    return tree


def copied(tree: Any) -> Any:
    """Returns inputs or targets with memory of their own."""
    return _mapped(tree, lambda t: t.detach().clone()) if tensors_of(tree) else copy.deepcopy(tree)


def versions(tree: Any) -> list[int]:
    """Returns how often each tensor was changed in place so far."""
    return [tensor._version for tensor in tensors_of(tree)]
