"""What a model and a loss keep between calls: counters, running statistics, hidden state; found, and put back."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lljupyter.problem.isolation.reachable import LONGEST, Place, places
from lljupyter.process.randomness import GENERATORS

# Larger tensors and arrays are not watched: they are data.
LARGEST_BYTES = 64 << 20
CONTAINERS = (list, deque, set, dict)
NUMBERS = (int, float, complex, str, bytes)  # these are compared by value


class Kept(NamedTuple):
    """A place as it was.

    Attributes:
        place: Where it is, with its value then.
        content: A copy of the content of a tensor, an array or a container; None for anything else.
        version: How often a tensor had been changed in place then.
    """

    place: Place
    content: Any
    version: int


class State(NamedTuple):
    """What some models, losses and other callables can reach, as it was at some time.

    Attributes:
        kept: The places.
        attributes: Of every module the name of its class, its attributes, and which of them there were.
    """

    kept: list[Kept]
    attributes: list[tuple[str, dict[str, Any], set[str]]]

    def changed(self) -> State:
        """Return the part that has changed since."""
        attributes = [entry for entry in self.attributes if set(entry[1]) != entry[2]]
        return State([kept for kept in self.kept if _has_changed(kept)], attributes)

    def names(self) -> list[str]:
        """Return what it is made of, and the attributes that are new."""
        new = [f"{kind}.{key}" for kind, held, keys in self.attributes for key in held if key not in keys]
        return list(dict.fromkeys([kept.place.name for kept in self.kept] + new))

    def renewed(self) -> State:
        """Return the same places as they are now."""
        return State([_kept(kept.place._replace(value=kept.place.now())) for kept in self.kept], self.attributes)

    def put_back(self) -> None:
        """Set all of it to what it was."""
        for _, attributes, keys in self.attributes:
            for key in set(attributes) - keys:
                del attributes[key]
        for kept in self.kept:  # containers come before what they hold
            if kept.content is not None:
                _fill(kept.place.value, kept.content)
            kept.place.put(kept.place.value)


def state_of(*roots: Any) -> State:
    """Return what some models, losses and other callables can reach, as it is now.

    Args:
        *roots: Modules or callables, see ``places``. Parameters and generators are left out.
    """
    found = (place for place in places(*roots) if not isinstance(place.value, (nn.Parameter, *GENERATORS)))
    kept = [_kept(place) for place in found]
    modules = [m for root in roots if isinstance(root, nn.Module) for m in root.modules()]
    return State(kept, [(type(m).__name__, vars(m), set(vars(m))) for m in modules])


def _kept(place: Place) -> Kept:
    version = place.value._version if isinstance(place.value, Tensor) else 0
    return Kept(place, _content(place.value), version)


def _content(value: Any) -> Any:
    if isinstance(value, Tensor):
        plain = not (value.is_sparse or value.is_nested or value.is_quantized)
        return value.detach().clone() if plain and value.numel() * value.element_size() <= LARGEST_BYTES else None
    if isinstance(value, np.ndarray):
        return value.copy() if value.nbytes <= LARGEST_BYTES else None
    return value.copy() if type(value) in CONTAINERS and len(value) <= LONGEST else None


def _fill(value: Any, content: Any) -> None:
    if isinstance(value, Tensor):
        value.detach().copy_(content)
    elif isinstance(value, np.ndarray):
        value[...] = content
    else:
        value.clear()
        value.extend(content) if isinstance(value, (list, deque)) else value.update(content)


def _has_changed(kept: Kept) -> bool:
    before, now = kept.place.value, kept.place.now()
    if isinstance(before, Tensor):
        if now is before and before._version == kept.version:
            return False
        return now is not before or kept.content is None or not torch.equal(before, kept.content)
    if not _is(now, before):
        return True
    if kept.content is None:
        return False
    if isinstance(before, np.ndarray):
        return not np.array_equal(before, kept.content, equal_nan=before.dtype.kind in "fc")
    if isinstance(before, dict):
        return list(before) != list(kept.content) or not all(map(_is, before.values(), kept.content.values()))
    return len(before) != len(kept.content) or not all(map(_is, before, kept.content))


def _is(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_is, a, b))
    return a is b or (type(a) is type(b) and isinstance(a, NUMBERS) and bool(a == b))
