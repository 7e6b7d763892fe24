"""A close look at one point of a plane: the quantities there, the gradient and the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from lljupyter.evaluate.strategy import Interruptible, Values
from lljupyter.geometry.plane import Plane
from lljupyter.hessian.evaluator import HessianEvaluator


class OnPlane(Protocol):
    """An evaluator that is set to one plane at a time."""

    def leave_plane(self) -> None:
        """Free the directions."""

    def set_plane(self, plane: Plane) -> None:
        """Choose the plane that the next points belong to."""


class LossEvaluator(OnPlane, Protocol):
    """Evaluates the quantities of points."""

    def evaluate(self, points: Any, tick: Callable[[], None]) -> Values:
        """Return ``{name: values}`` of points, shape (k, 2), each of shape (k,)."""


def inspector(
    losses: LossEvaluator | None, hessian_evaluator: Callable[[], HessianEvaluator] | None
) -> Callable[[Callable[[OnPlane], Any], float, float, Callable[[], None]], dict[str, Any]]:
    """Return a function that looks closely at one point of a plane.

    Args:
        losses: Evaluates the quantities; None leaves them out.
        hessian_evaluator: Makes the evaluator of the Hessian when it is needed first; None leaves the Hessian out.

    Returns:
        ``inspect(on_plane, alpha, beta, tick)``, with a function that puts an evaluator on the plane; ``tick`` is
        called before every batch and may raise to abandon the point. It returns ``alpha`` and ``beta``, the
        quantities, what ``HessianEvaluator.inspect`` returns, and ``error`` if something failed: a model without
        second derivatives still has a loss.
    """
    made: list[HessianEvaluator] = []

    def inspect(
        on_plane: Callable[[OnPlane], Any], alpha: float, beta: float, tick: Callable[[], None]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"alpha": alpha, "beta": beta}
        interruptible = Interruptible(tick)
        try:
            if losses is not None:
                on_plane(losses)
                values = losses.evaluate(np.array([[alpha, beta]]), interruptible)
                answer |= {name: float(column[0]) for name, column in values.items()}
            if hessian_evaluator is not None:
                if not made:
                    made.append(hessian_evaluator())
                on_plane(made[0])
                answer |= made[0].inspect(alpha, beta, interruptible)
        except Exception as error:
            if interruptible.interruption:
                raise interruptible.interruption from None
            answer["error"] = str(error)
        return answer

    return inspect
