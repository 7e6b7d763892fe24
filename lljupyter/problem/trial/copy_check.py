"""The copy is checked before the first point: it computes what the model does, and with memory of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from torch import Tensor, nn

from lljupyter.geometry.shared_memory import memory_owners
from lljupyter.problem.batches import Batch
from lljupyter.problem.isolation.reachable import generators_of
from lljupyter.problem.isolation.rebinding import COMPILED
from lljupyter.problem.isolation.storages import StorageWatch
from lljupyter.problem.model import device_of
from lljupyter.problem.nested import copied
from lljupyter.problem.objective import Objective, read
from lljupyter.problem.trial.combination import Array, Close
from lljupyter.problem.trial.losses import SHARES
from lljupyter.problem.trial.rehearsal import Rehearsal
from lljupyter.process.randomness import fixed_randomness

# If a larger share of the parameters changes nothing, that is said.
LARGEST_UNREAD = 0.5
WAY_OUT = "pass objective=lambda model, batch: ..., which uses the model that it is given"


def check_copy(
    person: nn.Module, theirs: Objective, rehearsal: Rehearsal, few: Batch, center: Mapping[str, Tensor], close: Close
) -> list[str]:
    """Check a copy of a model on a few samples, and return warnings.

    Args:
        person: The model; called at most once, in the modes of the copy, and not changed.
        theirs: The objective as the person wrote it, which may use ``person``.
        rehearsal: The copy, at the center.
        few: A few samples, or a whole batch if they can't be told apart.
        center: What can move, ``{name: tensor}``.
        close: Compares two values.

    Raises:
        ValueError: If the copy is not what is evaluated, computes something else, or is not reproducible.
    """
    with StorageWatch(person) as of_theirs, StorageWatch(rehearsal.model) as of_ours:
        first = rehearsal.once(few).value
    _check_reads(of_theirs.read, theirs)
    if not np.array_equal(again := rehearsal.once(few).value, first, equal_nan=True) and not close(again, first):
        raise ValueError(
            f"expected a model and a loss with the same value for the same batch, got {_text(first)} and then "
            f"{_text(again)}; what they draw from or keep was not found: make it an attribute of the model, or use "
            "torch's generator"
        )
    if _can_be_called(person, rehearsal):
        there = _value_of(person, theirs, rehearsal.model, few)
        if not close(first, there):
            raise ValueError(
                f"expected a copy of the model that computes what the model does, got the loss {_text(first)} for "
                f"{_text(there)} on {few.n} samples; {_way_out(person)}"
            )
    return _warnings_of(rehearsal, few, of_ours, center, first)


def _check_reads(names: set[str], theirs: Objective) -> None:
    if not names:
        return
    several = f"{min(names)!r}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    raise ValueError(
        f"expected a model and a loss that read the weights that are moved, got one that reads {several} of the model "
        f"that was passed in, through something that can't be copied; {WAY_OUT}"
    )


def _way_out(person: nn.Module) -> str:
    shared = memory_owners(person)
    if not shared:
        return "load its weights into a fresh instance and pass that one"
    name, owner = next(iter(shared.items()))
    return f"{name!r} lies in the memory of {owner!r}: make them one parameter, or give each memory of its own"


def _can_be_called(person: nn.Module, rehearsal: Rehearsal) -> bool:
    """Return True if a call of the person's model leaves no traces, as far as the copy has shown."""
    conditions = rehearsal.conditions
    compiled = any(hasattr(value, COMPILED) for module in person.modules() for value in vars(module).values())
    there = next((parameter.device for parameter in rehearsal.model.parameters()), None)
    return not (conditions.keeps or conditions.gradients != "none" or compiled) and there == device_of(person)


def _value_of(person: nn.Module, theirs: Objective, ours: nn.Module, batch: Batch) -> Array:
    """Return the value that the person's model and loss have for a batch."""
    batch = batch._replace(inputs=copied(batch.inputs))
    generators = generators_of(person, theirs.forward, theirs.loss)
    with _same_modes(person, ours), fixed_randomness(generators, batch.seed):
        values = read(theirs.loss(theirs.forward(person, batch), batch.targets)).values
    return values.detach().double().cpu().numpy()


@contextmanager
def _same_modes(person: nn.Module, ours: nn.Module) -> Iterator[None]:
    """Give a model the modes of its copy, module by module, for a while; nothing else of it is called."""
    modes = {name: module.training for name, module in ours.named_modules()}
    before = [(module, module.training) for module in person.modules()]
    try:
        for name, module in person.named_modules():
            module.training = modes.get(name, False)
        yield
    finally:
        for module, mode in before:
            module.training = mode


def _warnings_of(
    rehearsal: Rehearsal, few: Batch, watch: StorageWatch, center: Mapping[str, Tensor], first: Array
) -> list[str]:
    """Return what is to be said of parameters that change nothing."""
    unread = watch.unread(center)
    share = sum(center[name].numel() for name in unread) / max(sum(theta.numel() for theta in center.values()), 1)
    for step in SHARES:
        rehearsal.move(step)
        try:
            moved = rehearsal.once(few).value
        except Exception:  # a scale that became negative
            continue
        finally:
            rehearsal.move(0)
        if np.array_equal(moved, first, equal_nan=True):
            return [
                "the loss does not change at all when the parameters move: "
                + ("none of them is used" if len(unread) == len(center) else "it may not depend on the model")
            ]
        break
    if share > LARGEST_UNREAD:
        return [
            f"{share:.0%} of the parameters are not used by the model in evaluation mode, such as {unread[0]!r}: "
            "they move, and change nothing"
        ]
    return []


def _text(value: Array) -> str:
    return f"{value.mean():.6g}"
