"""Reads the data once, so that every point of a landscape sees the same samples."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lljupyter.problem.batches import Batch, n_bytes, take
from lljupyter.problem.nested import copied, tensors_of
from lljupyter.process.randomness import batch_seed, fixed_randomness

Loader = Iterable[Any] | Mapping[str, Iterable[Any]]
# Batches are kept; a loader that yields more than this share of the memory, or for ever, is refused.
HOST_BUDGET = 0.5


def read_loaders(loader: Loader, device: torch.device, max_samples: int | None = None) -> dict[str, list[Batch]]:
    """Reads one loader, or several by name, see ``read_batches``.

    Returns:
        ``{prefix: batches}``: what the names of the quantities of a loader begin with, "" where it has no name.

    Raises:
        TypeError: As ``read_batches``.
        ValueError: As ``read_batches``, with the name of the loader; or if a name is none that quantities can have.
    """
    read = {}
    for position, (prefix, part) in enumerate(_by_prefix(loader).items()):
        try:
            read[prefix] = read_batches(part, device, max_samples, position)
        except ValueError as error:
            if not prefix:
                raise
            raise ValueError(f"the loader {prefix.removesuffix('_')!r}: {error}") from error
    return read


def read_batches(
    loader: Iterable[Any], device: torch.device, max_samples: int | None = None, position: int = 0
) -> list[Batch]:
    """Reads a loader once, from start to end, and keeps copies of its batches.

    Whatever the loader draws at random (order, augmentation) is drawn here with a fixed seed, once. The global
    generators of torch, NumPy and Python and the loader's own are left as they were. Called on the main thread:
    a loader's worker processes must not be forked from the engine's.

    Args:
        loader: Yields pairs ``(inputs, targets)``. ``inputs`` is a tensor, a list or tuple of tensors (passed to
            the model as positional arguments) or a dict of tensors (keyword arguments).
        device: The device of the model. Batches may come from the CPU or from this device.
        max_samples: Stop after this many samples; None reads all.
        position: The number of the loader among several, from which the seeds of its batches are made.

    Returns:
        The batches, on the CPU or on the device they came from. The last may be smaller than the others.

    Raises:
        TypeError: If the loader can't be iterated, or yields batches of another form.
        ValueError: If it is empty or does not fit the memory, inputs and targets differ in length, ``max_samples`` is
            below 1, or a batch lies on another accelerator than the model.
    """
    if max_samples is not None:
        if isinstance(max_samples, bool) or not isinstance(max_samples, (int, np.integer)):
            raise TypeError(f"expected max_samples as a whole number or None, got {max_samples!r}; try 1000")
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
            seed = batch_seed(position, len(batches))
            batches.append(batch._replace(inputs=copied(batch.inputs), targets=copied(batch.targets), seed=seed))
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


def _by_prefix(loader: Loader) -> dict[str, Iterable[Any]]:
    if not isinstance(loader, Mapping):
        return {"": loader}
    if not loader or not all(isinstance(name, str) and name.isidentifier() for name in loader):
        raise ValueError(
            f"expected loaders with names, got the keys {list(loader)[:6]}; try {{'train': loader, 'test': other}}"
        )
    if "trajectory" in loader:
        raise ValueError(
            "expected loaders of other names than 'trajectory', got one: what is measured at checkpoints has it; "
            "try 'train'"
        )
    return {f"{name}_": part for name, part in loader.items()}


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
    found = tensors_of(inputs)
    if not found:
        raise TypeError(
            f"expected inputs as a tensor, or a tuple or dict of tensors, got {type(inputs).__name__} "
            f"in batch {index}; convert them with torch.as_tensor"
        )
    for tensor in (*found, *tensors_of(targets)):
        if tensor.device != device and tensor.device.type != "cpu":
            raise ValueError(
                f"expected data on the model's device {device} or on the CPU, got a tensor on {tensor.device} in "
                f"batch {index}; move one of them, or pass device={str(tensor.device)!r} to evaluate there"
            )
    lengths = {len(t) if t.dim() else 0 for t in (*found, *tensors_of(targets))}
    if lengths == {0} and all(t.dim() for t in (*found, *tensors_of(targets))):
        raise ValueError(
            f"expected batches with at least one sample, got none in batch {index}; "
            "leave empty batches out: [(x, y) for x, y in loader if len(x)]"
        )
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            f"expected inputs and targets with the same number of samples along the first axis, got "
            f"{sorted(lengths)} in batch {index}; every tensor of a batch starts with the sample axis"
        )
    return Batch(inputs, targets, lengths.pop())


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
