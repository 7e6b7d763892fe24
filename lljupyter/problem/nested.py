"""Data in any form: tensors in nested dicts, lists and tuples, beside None, strings, numbers and other objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

Function = Callable[[Tensor], Any]


def tensors_of(tree: Any) -> list[Tensor]:
    """Return the tensors of nested data, in order; those inside other objects, such as graphs, are not found."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [t for part in tree.values() for t in tensors_of(part)]
    if isinstance(tree, (list, tuple)):
        return [t for part in tree for t in tensors_of(part)]
    return []


def mapped(tree: Any, function: Function, other: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
    """Return nested data of the same form with other leaves.

    Args:
        tree: Dicts, lists and tuples keep their types where these can be built anew; other mappings become dicts.
        function: What to do with a tensor.
        other: What to do with what is neither a tensor nor a container.
    """
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, PackedSequence):
        return other(tree)
    if isinstance(tree, Mapping):
        return _like(tree, {key: mapped(part, function, other) for key, part in tree.items()})
    if isinstance(tree, (list, tuple)):
        return _like(tree, [mapped(part, function, other) for part in tree])
    return other(tree)


def _like(tree: Any, content: Any) -> Any:
    kind = type(tree)
    if kind in (list, dict):
        return content
    try:
        return kind(*content) if hasattr(kind, "_fields") else kind(content)
    except Exception:  # a class with a constructor of its own
        return dict(content) if isinstance(tree, Mapping) else type(content)(content)


def copied(tree: Any) -> Any:
    """Return nested data with memory of its own."""
    return mapped(tree, lambda t: t.detach().clone(), copy.deepcopy)


def moved(tree: Any, device: torch.device) -> Any:
    """Return nested data on a device; tensors that are there already are not copied. Other objects have a ``to``."""

    def move(leaf: Any) -> Any:
        if isinstance(leaf, type) or not callable(getattr(leaf, "to", None)):
            return leaf
        try:
            return leaf.to(device)
        except TypeError:  # another method of that name
            return leaf

    return mapped(tree, lambda t: t.to(device, non_blocking=True), move)


def size_along(tree: Any, axis: int) -> int:
    """Return the number of samples along an axis of all tensors; 0 if one has no such axis, or they disagree."""
    sizes = {t.shape[axis] if t.dim() > axis and not (t.is_sparse or t.is_nested) else 0 for t in tensors_of(tree)}
    return sizes.pop() if len(sizes) == 1 else 0


def rows_of(tree: Any, rows: Tensor, axis: int, n: int) -> Any:
    """Return some samples of nested data, in memory of their own.

    Args:
        tree: Tensors with ``n`` samples along ``axis``; lists and tuples of ``n`` other things have one per sample.
        rows: Indices of shape (k,).
        axis: The axis of the samples.
        n: How many samples there are.
    """
    return _chosen(tree, lambda t: t.index_select(axis, rows.to(t.device)), lambda part: [part[k] for k in rows], n)


def slice_of(tree: Any, start: int, k: int, axis: int, n: int) -> Any:
    """Return ``k`` samples of nested data from ``start`` on, tensors as views; see ``rows_of``."""
    return _chosen(tree, lambda t: t.narrow(axis, start, k), lambda part: part[start : start + k], n)


def _chosen(tree: Any, of_tensor: Function, of_list: Callable[[Any], Any], n: int) -> Any:
    if isinstance(tree, Tensor):
        return of_tensor(tree)
    if isinstance(tree, Mapping):
        return _like(tree, {key: _chosen(part, of_tensor, of_list, n) for key, part in tree.items()})
    if isinstance(tree, (list, tuple)):
        if len(tree) == n and not tensors_of(tree):
            return _like(tree, of_list(tree))
        return _like(tree, [_chosen(part, of_tensor, of_list, n) for part in tree])
    return of_list(tree) if isinstance(tree, np.ndarray) and len(tree) == n else tree


def joined(trees: Sequence[Any], axis: int) -> Any:
    """Return the samples of several nested data of one form in one.

    Raises:
        ValueError: If their forms differ, or there is something that belongs to no sample and differs.
        RuntimeError: If their shapes differ.
    """
    first = trees[0]
    if any(type(tree) is not type(first) for tree in trees):
        raise ValueError("they are of several types")
    if isinstance(first, Tensor):
        return torch.cat(list(trees), dim=axis)
    if isinstance(first, Mapping):
        if any(list(tree) != list(first) for tree in trees):
            raise ValueError("they have several sets of keys")
        return _like(first, {key: joined([tree[key] for tree in trees], axis) for key in first})
    if isinstance(first, np.ndarray):
        return np.concatenate(list(trees))
    if isinstance(first, (list, tuple)):
        if not tensors_of(first):
            return _like(first, [part for tree in trees for part in tree])
        if len({len(tree) for tree in trees}) > 1:
            raise ValueError("they have several lengths")
        return _like(first, [joined(column, axis) for column in zip(*trees, strict=True)])
    if any(tree != first for tree in trees):
        raise ValueError("there is something that belongs to no sample")
    return first
