"""Optimizers of every kind: when one of their steps is complete, and the weights that they evaluate."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor


class StepListener:
    """Calls a function after each complete step of an optimizer, until it is closed.

    An optimizer may be wrapped around others, as those of accelerate, Lookahead and SAM (Foret et al. 2021) are. A step
    is complete when an innermost optimizer has made a step and every ``step`` around it has returned: calls that only
    accumulate gradients do not count, and what a wrapper then does to the weights is included. A step of the innermost
    optimizer that comes by other means, such as ``second_step`` of SAM, counts as well.

    Args:
        optimizer: Anything with a method ``step``. It has a hook, or another ``step`` if it calls no hooks, for as long
            as the listener is open.
        on_step: The function.

    Raises:
        TypeError: If the steps of the optimizer cannot be followed.
    """

    def __init__(self, optimizer: Any, on_step: Callable[[], None]) -> None:
        self._on_step = on_step
        self._n_active, self._stepped, self._closed = 0, False, False
        with ExitStack() as undo:
            for one in nested_optimizers(optimizer):
                innermost = not _inner(one)
                if innermost and _calls_hooks_once(one):
                    undo.callback(one.register_step_post_hook(self._innermost_stepped).remove)
                else:
                    undo.callback(self._replace_step(one, innermost))
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Leave the optimizer as it was."""
        self._closed = True  # a scheduler that was made meanwhile may have wrapped the ``step`` of ours
        self._undo.close()

    def _innermost_stepped(self, *_: Any) -> None:
        self._stepped = True
        self._report()

    def _report(self) -> None:
        if self._stepped and not self._n_active and not self._closed:
            self._stepped = False
            self._on_step()

    def _replace_step(self, optimizer: Any, innermost: bool) -> Callable[[], None]:
        """Put a ``step`` in the place of that of an optimizer; return what undoes it."""
        original = optimizer.step

        @functools.wraps(original)
        def step(_: Any, *args: Any, **options: Any) -> Any:
            if not self._n_active:
                self._stepped = False  # what a step that failed left behind
            self._n_active += 1
            try:
                result = original(*args, **options)
            finally:
                self._n_active -= 1
            self._stepped |= innermost
            self._report()
            return result

        return replace_step(optimizer, step)


def replace_step(optimizer: Any, step: Callable[..., Any]) -> Callable[[], None]:
    """Put a function in the place of the ``step`` of an optimizer; return what undoes it.

    Args:
        optimizer: The optimizer.
        step: Takes the optimizer, and what its ``step`` takes.

    Raises:
        TypeError: If its ``step`` cannot be replaced.
    """
    ours = MethodType(step, optimizer)  # schedulers expect a method
    try:
        attributes = vars(optimizer)
        former = attributes.get("step")
        optimizer.step = ours
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"expected an optimizer whose steps can be followed, got {type(optimizer).__name__}, which has no "
            "hooks and whose step cannot be replaced; pass the torch.optim.Optimizer within it"
        ) from error

    def undo() -> None:
        if attributes.get("step") is ours:
            if former is None:
                del optimizer.step
            else:
                optimizer.step = former

    return undo


def _calls_hooks_once(optimizer: Any) -> bool:
    """Return True if an optimizer calls its hooks once in a step.

    Those that do not call ``Optimizer.__init__`` have none, and where a subclass calls ``super().step()`` both of the
    methods may call them.
    """
    if not isinstance(optimizer, torch.optim.Optimizer) or not hasattr(optimizer, "_optimizer_step_post_hooks"):
        return False
    steps = [kind.__dict__["step"] for kind in type(optimizer).__mro__ if "step" in kind.__dict__]
    return sum(getattr(step, "hooked", False) for step in steps) == 1 and getattr(steps[0], "hooked", False)


def is_optimizer(value: Any) -> bool:
    """Return True if a value can be stepped as an optimizer is."""
    return isinstance(value, torch.optim.Optimizer) or (
        callable(getattr(value, "step", None)) and hasattr(value, "param_groups")
    )


def nested_optimizers(optimizer: Any) -> list[Any]:
    """Return an optimizer and all that it is wrapped around, from the outside to the inside."""
    found = [optimizer]
    for one in found:  # grows meanwhile
        found += [inner for inner in _inner(one) if all(inner is not other for other in found)]
    return found


def _inner(optimizer: Any) -> list[Any]:
    found = []
    for value in getattr(optimizer, "__dict__", {}).values():
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
        found += [part for part in parts if part is not optimizer and is_optimizer(part)]
    return found


@contextmanager
def evaluation_weights(optimizer: Any) -> Iterator[None]:
    """Set the parameters to the values that a schedule-free optimizer evaluates; restore them bitwise on exit.

    While such an optimizer trains, the model does not hold the weights that training is for, which ``optimizer.eval()``
    puts in place. Going there and back by ``eval()`` and ``train()`` alone would leave rounding errors in training.

    Args:
        optimizer: Any optimizer; one that knows no such mode is left alone.

    Source:
        Defazio et al. 2024, The Road Less Scheduled: gradients are taken at y, the loss is evaluated at x.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    switched = []
    for one in nested_optimizers(optimizer):
        if _is_training(one) and all(callable(getattr(one, mode, None)) for mode in ("eval", "train")):
            kept += [(p, p.detach().clone()) for group in one.param_groups for p in group["params"]]
            one.eval()
            switched.append(one)
    try:
        yield
    finally:
        for one in switched:
            one.train()
        with torch.no_grad():
            for parameter, values in kept:
                parameter.copy_(values)


def _is_training(optimizer: Any) -> bool:
    """Return True if an optimizer has a training mode and is in it."""
    groups = getattr(optimizer, "param_groups", ())
    return getattr(optimizer, "train_mode", False) is True or any(group.get("train_mode") is True for group in groups)
