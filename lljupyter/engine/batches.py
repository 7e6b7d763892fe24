"""Reads the data once, so that every point of a landscape sees the same samples."""

from __future__ import annotations

import copy
import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lljupyter.randomness import fixed_randomness

# Batches are kept; a loader that yields more than this share of the memory, or for ever, is refused.
HOST_BUDGET = 0.5


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


def read_batches(loader: Iterable[Any], device: torch.device, max_samples: int | None = None) -> list[Batch]:
    """Reads a loader once, from start to end, and keeps copies of its batches.

    Whatever the loader draws at random (order, augmentation) is drawn here with a fixed seed, once. The global
    generators of torch, NumPy and Python and the loader's own are left as they were. Called on the main thread:
    a loader's worker processes must not be forked from the engine's.

    Args:
        loader: Yields pairs ``(inputs, targets)``. ``inputs`` is a tensor, a list or tuple of tensors (passed to
            the model as positional arguments) or a dict of tensors (keyword arguments).
        device: The device of the model. Batches may come from the CPU or from this device.
        max_samples: Stop after this many samples; None reads all.

    Returns:
        The batches, on the CPU or on the device they came from. The last may be smaller than the others.

    Raises:
        TypeError: If the loader can't be iterated, or yields batches of another form.
        ValueError: If it is empty or does not fit the memory, inputs and targets differ in length, ``max_samples`` is
            below 1, or a batch lies on another accelerator than the model.
    """
    if max_samples is not None:
        if isinstance(max_samples, bool) or not isinstance(max_samples, (int, np.integer)):
            raise TypeError(f"expected max_samples as a whole number or None, got {max_samples!r}")
        if max_samples < 1:
            raise ValueError(f"expected max_samples of at least 1, got {max_samples}; None reads the whole loader")
    if isinstance(loader, (Tensor, Mapping, str)) or not isinstance(loader, Iterable):
        raise TypeError(
            f"expected a loader that yields (inputs, targets) batches, got {type(loader).__name__}; "
            "pass a DataLoader, or a list such as [(inputs, targets)]"
        )
    batches: list[Batch] = []
    left, room = max_samples, _host_budget()
    with fixed_randomness(_generators_of(loader)):
        for item in _with_own_workers(loader):
            batch = _batch(item, device, len(batches))
            if left is not None and batch.n > left:
                batch = take(batch, left)
            # A loader may hand out views of one buffer that it fills again for the next batch.
            batches.append(Batch(copied(batch.inputs), copied(batch.targets), batch.n))
            room -= n_bytes(batches[-1:])
            if room < 0:
                raise ValueError(
                    f"expected data that fit {HOST_BUDGET:.0%} of this machine's memory, got more after "
                    f"{sum(batch.n for batch in batches):,} samples; pass max_samples=... to use the first of them"
                )
            left = None if left is None else left - batch.n
            if left == 0:
                break
    if not batches:
        raise ValueError(
            "expected a loader with at least one batch, got an empty one; "
            "check its dataset and drop_last, or pass a list (a generator is used up after one pass)"
        )
    return batches


def take(batch: Batch, n: int) -> Batch:
    """Returns the first ``n`` samples of a batch, tensors as views."""
    targets = batch.targets
    if not _tensors(targets) and hasattr(targets, "__getitem__") and hasattr(targets, "__len__"):
        targets = targets[:n] if len(targets) == batch.n else targets
    return Batch(_mapped(batch.inputs, lambda t: t[:n]), _mapped(targets, lambda t: t[:n]), n)


def picked(batch: Batch, rows: Tensor) -> Batch:
    """Returns some samples of a batch of tensors, ``rows`` as indices of shape (k,)."""

    def pick(tensor: Tensor) -> Tensor:
        return tensor[rows.to(tensor.device)]

    return Batch(_mapped(batch.inputs, pick), _mapped(batch.targets, pick), len(rows))


def are_tensors(batches: Sequence[Batch]) -> bool:
    """Says whether targets are tensors throughout, as inputs always are, so that samples can be chosen and joined."""
    return all(_tensors(batch.targets) for batch in batches)


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
            for tensor in (*_tensors(there.inputs), *_tensors(there.targets)):
                if tensor.device.type == "cuda":  # its memory is not given away before this stream is done with it
                    tensor.record_stream(stream)
            yield there


def resized(batches: Sequence[Batch], size: int) -> list[Batch]:
    """Returns the same samples in batches of at most ``size``, all about equally large.

    Batches whose tensors have other shapes than those of the first are split at most, never joined.

    Args:
        batches: Tensors throughout, samples along the first axis.
        size: The largest number of samples.
    """
    if not are_tensors(batches):
        return list(batches)
    shapes = {tuple((t.shape[1:], t.dtype) for t in _tensors((batch.inputs, batch.targets))) for batch in batches}
    if len(shapes) == 1 and len(batches) > 1:
        batches = [_joined(batches)]
    return split(batches, size)


def split(batches: Sequence[Batch], size: int) -> list[Batch]:
    """Returns the same samples in batches of at most ``size``, each split evenly, tensors as views."""
    found = []
    for batch in batches:
        n_parts = -(-batch.n // size)
        bounds = [round(batch.n * k / n_parts) for k in range(n_parts + 1)]
        for start, stop in itertools.pairwise(bounds):
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
    tensors = [t for batch in batches for t in (*_tensors(batch.inputs), *_tensors(batch.targets))]
    return sum(t.numel() * t.element_size() for t in tensors if t.device != elsewhere)


def _batch(item: Any, device: torch.device, index: int) -> Batch:
    if isinstance(item, Mapping) or not isinstance(item, Sequence) or len(item) != 2:
        got = f"{type(item).__name__}" + (f" of length {len(item)}" if isinstance(item, (Sequence, Mapping)) else "")
        if isinstance(item, Mapping):
            got = f"a dict with the keys {sorted(map(str, item))[:6]}"
        raise TypeError(
            f"expected batches of the form (inputs, targets), got {got} as batch {index}; wrap the loader, "
            "for example [((a, b), y) for a, b, y in loader] for a model called as model(a, b)"
        )
    inputs, targets = item
    found = _tensors(inputs)
    if not found:
        raise TypeError(
            f"expected inputs as a tensor, or a tuple or dict of tensors, got {type(inputs).__name__} "
            f"in batch {index}; convert them with torch.as_tensor"
        )
    for tensor in (*found, *_tensors(targets)):
        if tensor.device != device and tensor.device.type != "cpu":
            raise ValueError(
                f"expected data on the model's device {device} or on the CPU, got a tensor on {tensor.device} in "
                f"batch {index}; move one of them, or pass device={str(tensor.device)!r} to evaluate there"
            )
    lengths = {len(t) if t.dim() else 0 for t in (*found, *_tensors(targets))}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            f"expected inputs and targets with the same number of samples along the first axis, got "
            f"{sorted(lengths)} in batch {index}; every tensor of a batch starts with the sample axis"
        )
    return Batch(inputs, targets, lengths.pop())


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


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [t for part in tree.values() for t in _tensors(part)]
    if isinstance(tree, (list, tuple)):
        return [t for part in tree for t in _tensors(part)]
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
    return _mapped(tree, lambda t: t.detach().clone()) if _tensors(tree) else copy.deepcopy(tree)


def versions(tree: Any) -> list[int]:
    """Returns how often each tensor was changed in place so far."""
    return [tensor._version for tensor in _tensors(tree)]


def _host_budget() -> float:
    try:
        return HOST_BUDGET * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not known on this system
        return math.inf


def _with_own_workers(loader: Iterable[Any]) -> Iterable[Any]:
    """A loader's persistent workers hold random states that belong to the user's next epoch."""
    if not isinstance(loader, DataLoader) or not loader.persistent_workers:
        return loader
    private = copy.copy(loader)
    vars(private).update(_iterator=None, persistent_workers=False)
    return private


def _generators_of(loader: Any) -> list[torch.Generator]:
    """The generators that a DataLoader draws its order from."""
    samplers = [getattr(loader, "sampler", None), batches := getattr(loader, "batch_sampler", None)]
    parts = [loader, *samplers, getattr(batches, "sampler", None)]
    found = [getattr(part, "generator", None) for part in parts]
    return [generator for generator in found if isinstance(generator, torch.Generator)]
