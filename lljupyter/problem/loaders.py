"""Reads the data once, so that every point of a landscape sees the same samples."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lljupyter.problem.batches import Batch, Labeled, n_bytes, take
from lljupyter.problem.nested import copied, size_along, tensors_of
from lljupyter.process.memory import total_bytes, used_bytes
from lljupyter.process.randomness import batch_seed, fixed_randomness

LABELS = "labels"  # of a batch that is a dict, what transformers calls the targets
Loader = Iterable[Any] | Mapping[str, Iterable[Any]]
# Batches are kept; a loader that yields more than this share of the memory, or for ever, is refused.
HOST_BUDGET = 0.5
# A loader without a length that has not ended after so many seconds is taken for endless.
ENDLESS_SECONDS = 8.0
# From so many batches it is estimated what all of them will take.
N_ESTIMATED = 8


class Read(NamedTuple):
    """What was read of a loader.

    Attributes:
        batches: The batches. The last has fewer samples than the loader gave if ``max_samples`` ends within it.
        last: The last batch as the loader gave it, if it was cut; not copied.
    """

    batches: list[Batch]
    last: Batch | None = None

    @property
    def whole(self) -> list[Batch]:
        """The batches as the loader gave them."""
        return self.batches if self.last is None else [*self.batches[:-1], _copied(self.last)]


def read_loaders(
    loader: Loader, device: torch.device, max_samples: int | None = None, whole: bool = False
) -> dict[str, Read]:
    """Read one loader, or several by name, see ``read_batches``.

    Returns:
        ``{prefix: what was read}``: what the names of the quantities of a loader begin with, "" if it has no name.

    Raises:
        TypeError: As ``read_batches``.
        ValueError: As ``read_batches``, with the name of the loader; or if a name is not a valid prefix.
    """
    read = {}
    for position, (prefix, part) in enumerate(_by_prefix(loader).items()):
        try:
            read[prefix] = read_batches(part, device, max_samples, whole, position)
        except ValueError as error:
            if not prefix:
                raise
            raise ValueError(f"the loader {prefix.removesuffix('_')!r}: {error}") from error
    return read


def read_batches(
    loader: Iterable[Any],
    device: torch.device,
    max_samples: int | None = None,
    whole: bool = False,
    position: int = 0,
) -> Read:
    """Read a loader once, from start to end, and keep copies of its batches.

    Whatever the loader draws at random (order, augmentation) is drawn here with a fixed seed, once. The global
    generators of torch, NumPy and Python and the loader's own are left as they were. Called on the main thread:
    a loader's worker processes must not be forked from the engine's.

    Args:
        loader: Yields pairs ``(inputs, targets)``, or dicts with the keywords of the model. ``inputs`` is a tensor, a
            list or tuple of tensors (passed to the model as positional arguments) or a dict of tensors (keywords).
        device: The device of the model. Batches may come from the CPU or from this device.
        max_samples: Stop after this many samples; None reads all.
        whole: Whether batches may be anything, because an objective takes them as they are.
        position: The number of the loader among several, from which the seeds of its batches are made.

    Raises:
        TypeError: If the loader can't be iterated, or yields batches of another form.
        ValueError: If it is empty, does not end or does not fit the memory, ``max_samples`` is below 1, or a batch lies
            on another accelerator than the model.
    """
    _check_loader(loader, max_samples)
    batches: list[Batch] = []
    last: Batch | None = None
    budget = _Budget(loader, max_samples)
    with fixed_randomness(_generators_of(loader)):
        for item in _with_own_workers(loader):
            batch = _batch(item, device, len(batches), whole)._replace(seed=batch_seed(position, len(batches)))
            _check_like_first(batch, batches)
            left = None if max_samples is None else max_samples - sum(b.n for b in batches)
            if left is not None and batch.n > left and batch.axis is not None:
                last, batch = batch, take(batch, left)
            # A loader may hand out views of one buffer that it fills again for the next batch.
            batches.append(_copied(batch))
            budget.check(batches)
            if left is not None and batch.n >= left:
                break
    if not batches:
        raise ValueError(
            "expected a loader with at least one batch, got an empty one; "
            "check its dataset and drop_last, or pass a list (a generator is used up after one pass)"
        )
    return Read(batches, last)


class _Budget:
    """Refuses what is read from a loader if it is too much, or does not end."""

    def __init__(self, loader: Iterable[Any], max_samples: int | None) -> None:
        try:
            self._n_batches: int | None = len(loader)  # type: ignore[arg-type]
        except TypeError:
            self._n_batches = None
        self._limited = max_samples is not None
        self._began, self._used, self._total = time.monotonic(), used_bytes(), HOST_BUDGET * total_bytes()
        self._read = 0

    def check(self, batches: list[Batch]) -> None:
        """Raise a ValueError if the batches so far are too much."""
        self._read += n_bytes(batches[-1:])
        used = max(self._read, used_bytes() - self._used if self._read else 0)
        n = len(batches)
        if used > self._total:
            raise ValueError(f"{self._expected()}, got {self._so_far(batches)}; {self._advice(batches)}")
        if self._limited:
            return
        if n == N_ESTIMATED and self._n_batches is not None and (all_ := used / n * self._n_batches) > self._total:
            raise ValueError(
                f"{self._expected()}, got {self._n_batches:,} batches that take about {all_ / 1e9:,.0f} GB as far as "
                f"the first {n} tell; {self._advice(batches)}"
            )
        if self._n_batches is None and time.monotonic() - self._began > ENDLESS_SECONDS:
            raise ValueError(
                f"expected a loader that ends, got {self._so_far(batches)} in {ENDLESS_SECONDS:.0f} s from one without "
                f"a length; {self._advice(batches)}"
            )

    def _expected(self) -> str:
        return f"expected data that fit {HOST_BUDGET:.0%} of the memory, {self._total / 1e9:,.1f} GB"

    def _so_far(self, batches: list[Batch]) -> str:
        return f"{sum(batch.n for batch in batches):,} samples ({self._read / 1e9:,.2g} GB)"

    def _advice(self, batches: list[Batch]) -> str:
        return f"pass max_samples={min(1000, sum(batch.n for batch in batches))} to use the first of them"


def _check_loader(loader: Any, max_samples: Any) -> None:
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


def _batch(item: Any, device: torch.device, index: int, whole: bool) -> Batch:
    _check_devices(item, device, index)
    if whole:
        return _sized(Batch(item, None, 0))
    if isinstance(item, Mapping):
        inputs, targets = Labeled({key: part for key, part in item.items() if key != LABELS}), item.get(LABELS)
    elif isinstance(item, Sequence) and len(item) == 2:
        inputs, targets = item
    else:
        got = f"{type(item).__name__}" + (f" of length {len(item)}" if isinstance(item, Sequence) else "")
        raise TypeError(
            f"expected batches of the form (inputs, targets), got {got} as batch {index}; wrap the loader, "
            "for example [((a, b), y) for a, b, y in loader] for a model called as model(a, b), or pass "
            "objective=f(model, batch), which takes any batch"
        )
    if not tensors_of(inputs) and not callable(getattr(inputs, "to", None)):
        raise TypeError(
            f"expected inputs as a tensor, or a tuple or dict of tensors, got {type(inputs).__name__} "
            f"in batch {index}; convert them with torch.as_tensor, or pass objective=f(model, batch), which takes any "
            "batch"
        )
    return _sized(Batch(inputs, targets, 0))


def _sized(batch: Batch) -> Batch:
    """Return a batch with its number of samples, as far as its tensors or an object of the data tell."""
    tree = (batch.inputs, batch.targets)
    n = size_along(tree, 0)
    if n or not tensors_of(tree):
        return batch._replace(n=n or _told_size(batch.inputs) or 1, axis=0 if n else None)
    targets = tensors_of(batch.targets)
    sizes = {len(t) for t in targets if t.dim()}
    if not sizes and isinstance(batch.inputs, (list, tuple)):  # a batch of lists, one entry per sample
        sizes = {len(part) for part in batch.inputs if isinstance(part, (list, tuple))}
    return batch._replace(n=max(sizes.pop(), 1) if len(sizes) == 1 else 1, axis=None)


def _told_size(data: Any) -> int:
    """Return the ``batch_size`` that an object says it has, as batches of graphs do; 0 if it says nothing."""
    size = getattr(data, "batch_size", 0)
    size = size[0] if isinstance(size, tuple) and size else size  # one for each axis of the samples
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 0


def _check_like_first(batch: Batch, earlier: list[Batch]) -> None:
    """Check that a batch has samples, along the same axis as the first one."""
    index, tensors = len(earlier), tensors_of((batch.inputs, batch.targets))
    if tensors and all(t.dim() and not len(t) for t in tensors):
        raise ValueError(
            f"expected batches with at least one sample, got none in batch {index}; "
            "leave empty batches out: [(x, y) for x, y in loader if len(x)]"
        )
    if earlier and earlier[0].axis is not None and batch.axis is None:
        lengths = sorted({len(t) if t.dim() else 0 for t in tensors})
        raise ValueError(
            f"expected inputs and targets with the same number of samples along the first axis, as in batch 0, got "
            f"{lengths} in batch {index}"
        )


def _check_devices(item: Any, device: torch.device, index: int) -> None:
    for tensor in tensors_of(item):
        if tensor.device != device and tensor.device.type != "cpu":
            raise ValueError(
                f"expected data on the model's device {device} or on the CPU, got a tensor on {tensor.device} in "
                f"batch {index}; move one of them, or pass device={str(tensor.device)!r} to evaluate there"
            )


def _copied(batch: Batch) -> Batch:
    return batch._replace(inputs=copied(batch.inputs), targets=copied(batch.targets))


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
