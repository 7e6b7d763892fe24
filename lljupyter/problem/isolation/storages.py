"""See whose memory the operators of a call read: that of the private copy, or still that of the person's model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lljupyter.geometry.shared_memory import address_of


class StorageWatch(TorchDispatchMode):
    """While it is active, records the parameters and buffers whose memory is an input of any operator.

    Args:
        model: Whose parameters and buffers, frozen ones included. Those that share memory are recorded together.

    Attributes:
        read: The names of those that were read so far.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.read: set[str] = set()
        self._names: dict[int, list[str]] = {}
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if place := address_of(tensor):
                self._names.setdefault(place, []).append(name)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: to hide the method below from torch's compiler, torch imports that, which takes two seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Record the inputs of an operator and run it."""
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor) and (names := self._names.get(address_of(leaf))):
                self.read.update(names)
        return func(*args, **(kwargs or {}))

    def unread(self, names: Iterable[str]) -> list[str]:
        """Return those of some parameters that were not read."""
        return [name for name in names if name not in self.read]
