"""The extreme eigenvalues of the Hessian at points of a plane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.failures import Failures, PointsFailed, naming
from lljupyter.evaluate.strategy import Interruptible, Values
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane
from lljupyter.hessian.choose import HessianFactory
from lljupyter.hessian.fast.layerwise_operator import LayerwiseHessian
from lljupyter.hessian.lanczos import Ends, Product, extreme_eigenvalues
from lljupyter.hessian.operator import Hessian
from lljupyter.problem.messages import Failure
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.problem import Problem
from lljupyter.process.memory import available_bytes, keep_freed_memory
from lljupyter.surface.frame import HESSIAN_QUANTITIES

Hessians = Literal["weights", "all"]
# The vectors of one point stay below this share of the memory.
BASIS_BUDGET = 0.2
MAX_PRODUCTS = 100
# A point starts from the eigenvectors of the nearest of the last few, and from noise of this length beside them, so
# that an eigenvector that has come in from elsewhere is found.
REMEMBERED, NOISE = 24, 1.0


class HessianEvaluator:
    """Computes ``lambda_min`` and ``lambda_max`` of the Hessian of the mean loss of the first loader.

    It works on a copy of the model, in evaluation mode and in the model's own precision.

    Args:
        problem: Holds model, data and loss.
        over: "weights" for the parameters with more than one axis, the authors' choice; "all" for all of them.
        tol: See ``extreme_eigenvalues``.

    Attributes:
        quantities: What is measured at a point.
        names: The same: nothing here has a standard error.
        group: One point is measured at a time.
        n_samples: How many samples the loss is the mean over.

    Raises:
        ValueError: If an option is out of range, the loss can't be differentiated twice, or the vectors have no room.
    """

    quantities: tuple[str, ...] = HESSIAN_QUANTITIES
    names: tuple[str, ...] = HESSIAN_QUANTITIES
    group = 1

    def __init__(self, problem: Problem, *, over: Hessians = "weights", tol: float = 0.01) -> None:
        check_hessian_options(over, tol)
        problem.check_derivatives()
        keep_freed_memory()
        self.tol, self.over, self.device = tol, over, problem.device
        self.center = problem.center
        self.states = problem.states
        self.n_samples = sum(batch.n for batch in problem.first_batches)
        working = self._working = problem.working_copy()
        self.model, self._live = working.model, working.states
        parameters = dict(self.model.named_parameters())
        chosen = [name for name, theta in problem.center.items() if over == "all" or theta.dim() > 1]
        self.parameters = {name: parameters[name] for name in chosen}
        if not chosen:
            raise ValueError(
                "expected parameters with more than one axis to differentiate by, got none; pass over='all'"
            )
        if len({(theta.dtype, theta.is_complex()) for theta in self.parameters.values()}) > 1 or any(
            theta.is_complex() for theta in self.parameters.values()
        ):
            raise ValueError("expected real parameters of one precision, got several kinds; convert with model.float()")
        size = sum(theta.numel() for theta in self.parameters.values())
        example = next(iter(self.parameters.values()))
        room = available_bytes(self.device)
        self.max_products = int(min(MAX_PRODUCTS, BASIS_BUDGET * room / (size * example.element_size())))
        if self.max_products < 10:
            raise ValueError(
                f"expected room for 10 vectors of {size:,} numbers, got {self.max_products}; look at a smaller model"
            )
        self._generator = torch.Generator("cpu").manual_seed(0)
        self._noise = torch.randn(size, generator=self._generator).to(example)
        self._near: deque[tuple[float, float, Tensor, Tensor]] = deque(maxlen=REMEMBERED)
        self._moving: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._directions: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        self.load(self.states)
        self._factory = HessianFactory(problem, working, self.parameters, self._noise, room)

    def leave_plane(self) -> None:
        """Free the directions, and forget the eigenvectors of points."""
        self._moving, self._directions = [], ({}, {})
        self._near.clear()

    def set_plane(self, plane: Plane) -> None:
        """Choose the plane that the next points belong to; its center is that of the problem."""
        self.leave_plane()
        self.load(self.states)
        with plain_evaluation(self.device):
            for name, delta in plane.delta.items():
                theta, eta = self.states[name], plane.eta[name]
                self._moving.append((self._live[name], theta, delta.to(theta), eta.to(theta)))
                self._directions[0][name], self._directions[1][name] = self._moving[-1][2:]

    def load(self, states: Parameters) -> None:
        """Move to given parameters (and buffers)."""
        with plain_evaluation(self.device):
            for name, tensor in self._live.items():
                tensor.copy_(states[name])

    def evaluate(self, points: NDArray[np.float64], tick: Callable[[], None] = lambda: None) -> Values:
        """Return the extreme eigenvalues at some points of the plane.

        Args:
            points: Shape (k, 2), float64, columns alpha and beta.
            tick: Called before every batch; may wait, or raise to abandon the points.

        Returns:
            ``{quantity: values}`` with values of shape (k,), float64. ``lambda_min`` and ``convexity`` are NaN where
            the smallest eigenvalue can't be told from zero. ``residual_min`` and ``residual_max`` are the bounds
            of ``Ends``. All
            but ``hvps`` are NaN where the loss has no finite derivatives.

        Raises:
            PointsFailed: If the model or the loss raises at some points, or their derivatives do; has the values of the
                others, with 0 as ``hvps`` of those that failed.
            RuntimeError: If they raise at the center, or something else fails.

        Both name the point and have the error as their cause.
        """
        rows, failures = [], Failures()
        for index, (alpha, beta) in enumerate(points.tolist()):
            place, is_center = f"the Hessian at (alpha, beta) = ({alpha:g}, {beta:g})", alpha == beta == 0
            try:
                with _naming(place, tick, passes=not is_center) as tick_there:
                    rows.append(self._row(self.ends_at(alpha, beta, tick_there)))
            except Failure as failure:
                self._start_over()
                failures.add(index, place, failure)
        return self._values(rows, failures)

    def evaluate_states(
        self, states: Parameters, label: str = "a checkpoint", tick: Callable[[], None] = lambda: None
    ) -> Values:
        """Return the extreme eigenvalues for given parameters (and buffers); as ``Plain.evaluate_states``."""
        rows, failures = [], Failures()
        try:
            self.load({**self.states, **states})
            with (
                _naming(f"the Hessian of {label}", tick, passes=True) as tick_there,
                self.hessian_at(None, tick=tick_there) as hessian,
            ):
                rows.append(self._row(self.ends(hessian)))
        except Failure as failure:
            self._start_over()
            failures.add(0, f"the Hessian of {label}", failure)
        finally:
            self.load(self.states)
        return self._values(rows, failures)

    def ends_at(self, alpha: float, beta: float, tick: Callable[[], None] = lambda: None) -> Ends | None:
        """Return both ends of the spectrum at a point of the plane, or None where derivatives are not finite."""
        with self.hessian_at(alpha, beta, tick) as hessian:
            ends = self.ends(hessian, *self._start(alpha, beta))
        if ends is not None:
            self._near.append((alpha, beta, ends.vector_min, ends.vector_max))
        return ends

    def inspect(self, alpha: float, beta: float, tick: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Return all that is known of one point of the plane.

        Returns:
            ``gradient_norm``, over the parameters of the Hessian; what ``evaluate`` measures; and where nothing else
            moves on the plane, the second derivatives ``f_aa``, ``f_ab`` and ``f_bb`` of the surface.
        """
        with self.hessian_at(alpha, beta, tick) as hessian:
            found = {"gradient_norm": float(torch.linalg.vector_norm(hessian.gradient, dtype=torch.float64))}
            row = self._row(self.ends(hessian, *self._start(alpha, beta)))
            found |= dict(zip(HESSIAN_QUANTITIES, row, strict=True))
            others = (d[name] for d in self._directions for name in d if name not in self.parameters)
            if not any(bool(part.any()) for part in others):
                within = self.within(hessian)
                found |= {
                    name: float(within[at]) for name, at in (("f_aa", (0, 0)), ("f_ab", (0, 1)), ("f_bb", (1, 1)))
                }
        return found

    def ends(self, hessian: Hessian | LayerwiseHessian, start: Tensor | None = None, share: float = 1.0) -> Ends | None:
        """Return both ends of the spectrum of a Hessian, or None where derivatives are not finite."""
        if not bool(torch.isfinite(hessian.gradient).all()):
            return None
        try:
            return self.ends_of(hessian.product, start, share, hessian.rough)
        except FloatingPointError:
            return None

    def ends_of(
        self, product: Product, start: Tensor | None = None, share: float = 1.0, rough: Product | None = None
    ) -> Ends:
        """Return both ends of the spectrum of a symmetric map over the same parameters, see ``extreme_eigenvalues``."""
        start = self._noise if start is None else start
        return extreme_eigenvalues(
            product, start, share=share, tol=self.tol, max_products=self.max_products, rough=rough
        )

    def within(self, hessian: Hessian | LayerwiseHessian) -> NDArray[np.float64]:
        """Return ``[[f_aa, f_ab], [f_ab, f_bb]]``, the second derivatives within the plane, shape (2, 2)."""
        directions = [torch.cat([d[name].reshape(-1) for name in self.parameters]) for d in self._directions]
        images = [hessian.product(d).double() for d in directions]
        return np.array([[float(torch.dot(d.double(), image)) for image in images] for d in directions])

    @contextmanager
    def hessian_at(
        self, alpha: float | None, beta: float = 0.0, tick: Callable[[], None] = lambda: None
    ) -> Iterator[Hessian | LayerwiseHessian]:
        """Lend the Hessian at a point of the plane, or (None) where the model is now."""
        with self._factory.differentiable():
            if alpha is not None:
                with torch.no_grad():
                    for tensor, theta, delta, eta in self._moving:
                        torch.mul(delta, alpha, out=tensor)
                        tensor.add_(eta, alpha=beta).add_(theta)
            yield self._factory.hessian(tick)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return a vector, shape (N,), as ``{name: tensor}`` over all parameters, zeros where H is not over them."""
        sizes = [theta.numel() for theta in self.parameters.values()]
        named = dict(zip(self.parameters, torch.split(vector, sizes), strict=True))
        return {
            name: named[name].view_as(theta) if name in named else torch.zeros_like(theta)
            for name, theta in self.center.items()
        }

    def _start_over(self) -> None:
        """Put the model back to the center, after it was left in the middle of a call."""
        self._working.put_back()
        self.load(self.states)

    def _values(self, rows: list[list[float]], failures: Failures) -> Values:
        """Return the values of points, those that failed left out of ``rows``, or raise with them."""
        values = _columns(rows)
        try:
            failures.raise_with(len(rows) + len(failures.reasons), values)
        except PointsFailed as failed:
            failed.values["hvps"][list(failed.reasons)] = 0.0  # known not to be there
            raise
        return values

    def _start(self, alpha: float, beta: float) -> tuple[Tensor, float]:
        """Return the start vector of a point, and how much of its length is random."""
        if not self._near:
            return self._noise, 1.0
        nearest = min(self._near, key=lambda known: (known[0] - alpha) ** 2 + (known[1] - beta) ** 2)
        start = nearest[2] + nearest[3] + self._noise * (NOISE / float(self._noise.norm()))
        return start, NOISE / float(start.norm())

    def _row(self, ends: Ends | None) -> list[float]:
        if ends is None:
            return [np.nan, np.nan, np.nan, 0.0, np.nan, np.nan]
        low = ends.lambda_min if ends.separated() else np.nan
        convexity = abs(low / ends.lambda_max) if ends.lambda_max else np.nan
        return [low, ends.lambda_max, convexity, ends.n_products, ends.bound_min, ends.bound_max]


def _columns(rows: list[list[float]]) -> Values:
    table = np.array(rows, dtype=np.float64).reshape(-1, len(HESSIAN_QUANTITIES))
    return {name: table[:, k] for k, name in enumerate(HESSIAN_QUANTITIES)}


@contextmanager
def _naming(place: str, tick: Callable[[], None], passes: bool) -> Iterator[Callable[[], None]]:
    """Name the place in errors, unless it is ``tick`` that abandons the point; see ``naming``."""
    interruptible = Interruptible(tick)
    try:
        with naming(place, passes):
            yield interruptible
    except RuntimeError:
        if interruptible.interruption:
            raise interruptible.interruption from None
        raise


def check_hessian_options(over: str, tol: float, batchnorm: str = "eval") -> None:
    """Check the options of Hessians.

    Raises:
        TypeError: If ``tol`` is no number.
        ValueError: If an option is unknown or out of range.
    """
    if over not in get_args(Hessians):
        raise ValueError(f"expected over as one of {list(get_args(Hessians))}, got {over!r}; the paper's is 'weights'")
    if batchnorm == "recalibrate":
        raise ValueError(
            "expected batchnorm='eval' or 'interpolate' for the convexity, got 'recalibrate', with which the loss of a "
            "point depends on the data in another way than its Hessian says; pass batchnorm='eval'"
        )
    if isinstance(tol, bool) or not isinstance(tol, (int, float)):
        raise TypeError(f"expected tol as a number, got {tol!r}; try tol=0.01")
    if not 0 < tol < 1:
        raise ValueError(f"expected tol between 0 and 1, got {tol}; try tol=0.01")
