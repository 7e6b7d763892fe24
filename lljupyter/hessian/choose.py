"""How the Hessian of a model is multiplied with vectors: the fastest way that gives the same products."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from lljupyter.hessian.fast.layerwise_model import LayerwiseModel
from lljupyter.hessian.fast.layerwise_operator import LayerwiseHessian
from lljupyter.hessian.operator import Hessian, bytes_kept
from lljupyter.problem.batches import Batch, resized, take, to_device
from lljupyter.problem.messages import shortened
from lljupyter.problem.model import plain_evaluation, tensors_by_name
from lljupyter.problem.problem import Problem
from lljupyter.problem.working_copy import WorkingCopy
from lljupyter.process.attention import unfused_attention
from lljupyter.process.precision import exact_products, has_bfloat16

# What is kept differentiated stays below this share of the memory.
KEPT_BUDGET = 0.3
# Larger batches gain nothing more and leave the caches.
LARGEST_BATCH, BATCH_BYTES = 512, 256 << 20
# Rough products pay if about this much is kept of all samples together; smaller ones are fast anyway.
ROUGH_BYTES = 64 << 20
# Products of single precision with so many other vectors are symmetric to 1e-6, those under autocast to about 1 %.
ASYMMETRY, N_SYMMETRIC, ROUNDINGS = 0.05, 3, 100.0
# So many of the person's batches are compared with the same samples joined or split.
N_COMPARED = 8
# Two ways to compute the same thing round in another order, and to another side at a kink of the loss.
SAME = 10.0


class HessianFactory:
    """Makes the Hessian of the mean loss of the first loader, wherever the model is.

    Args:
        problem: Holds data and loss.
        working: A copy of its model, whose layers may get another ``forward``; at the center.
        parameters: Those of the copy that the Hessian is over, N numbers in all.
        vector: Shape (N,), to try products with.
        room: How many bytes there are.

    Attributes:
        batches: All samples, as they are differentiated.
        n_kept: How many batches are kept differentiated.
        layerwise: The model layer by layer; None if products are taken by double backward.
        rough: The dtype of rough products; None for none.

    Raises:
        ValueError: If the loss can't be differentiated twice.
    """

    def __init__(
        self, problem: Problem, working: WorkingCopy, parameters: Mapping[str, Tensor], vector: Tensor, room: float
    ) -> None:
        self._model, self._parameters, self._vector = working.model, parameters, vector
        prefix = next(iter(problem.batches))
        self._loss, self._measure = partial(working.loss, prefix), problem.measures[prefix]["loss"]
        self._device = problem.device
        self.batches: Sequence[Batch] = problem.first_batches
        self.layerwise: LayerwiseModel | None = None
        self.rough: torch.dtype | None = None
        self.n_kept = self._keep(problem.per_sample, self._try(problem), KEPT_BUDGET * room)

    @contextmanager
    def differentiable(self) -> Iterator[None]:
        """Let the parameters require gradients meanwhile."""
        with plain_evaluation(self._device), exact_products(), unfused_attention():
            for theta in self._parameters.values():
                theta.requires_grad_(True)
            try:
                yield
            finally:
                for theta in self._parameters.values():
                    theta.requires_grad_(False)

    def hessian(self, tick: Callable[[], None] = lambda: None) -> Hessian | LayerwiseHessian:
        """Return the Hessian where the model is now; within ``differentiable``."""
        return self._hessian(self.batches, self.n_kept, tick)

    def _hessian(
        self, batches: Sequence[Batch], n_kept: int, tick: Callable[[], None] = lambda: None
    ) -> Hessian | LayerwiseHessian:
        if self.layerwise is None:
            return Hessian(self._parameters, self._loss, batches, n_kept, tick)
        return LayerwiseHessian(self.layerwise, self._parameters, self._measure, batches, n_kept, tick, self.rough)

    def _try(self, problem: Problem) -> float:
        """Try two samples, and products layer by layer; return how many bytes a sample takes that is kept."""
        first = self.batches[0]
        first = to_device(take(first, min(2, first.n)) if problem.per_sample else first, self._device)
        with self.differentiable():  # random numbers are fixed around each batch
            try:
                per_sample = bytes_kept(self._parameters, self._loss, first) / first.n
                hessian = Hessian(self._parameters, self._loss, [first], 1)
                image = hessian.product(self._vector)
                asymmetry = _asymmetry(hessian, self._vector, image)
                self._use_layerwise(problem, first, hessian, image)
            except Exception as error:
                advice = "pass quantities without 'convexity' to see its loss"
                if "attention" in str(error):
                    advice = "build its attention from matrix products (attn_implementation='eager' in transformers)"
                raise ValueError(
                    f"expected a model and a loss that can be differentiated twice, got {shortened(error)}; {advice}"
                ) from error
        if not hessian.depends:
            raise ValueError(
                "expected a loss that torch can differentiate, got one that does not depend on the parameters "
                "(a number or a detached tensor); return a tensor computed from the outputs, without .item(), "
                ".detach() or no_grad"
            )
        if asymmetry > max(ASYMMETRY, SAME * float(torch.finfo(image.dtype).eps)):
            raise ValueError(
                f"expected second derivatives that are symmetric, got some {asymmetry:.0%} away from it: a backward in "
                "the model or the loss is not the derivative of its forward, or cannot be differentiated again, as "
                "that of adjoint solvers; let torch differentiate through the steps of the solver, or pass quantities "
                "without 'convexity' to see the loss"
            )
        return per_sample

    def _keep(self, joins: bool, per_sample: float, left: float) -> int:
        """Join or split batches, if that changes nothing; return how many of them can be kept in ``left`` bytes."""
        if joins:
            size = max(1, min(LARGEST_BATCH, int(min(left, BATCH_BYTES) / max(per_sample, 1))))
            if joins := self._same_resized(size):
                self.batches = resized(self.batches, size)
            else:
                self.layerwise = None  # it was tried with two samples, not with the batches
        kept = per_sample * sum(batch.n for batch in self.batches)
        if self.layerwise is not None and joins and ROUGH_BYTES <= kept <= left / 2:
            self.rough = _rough_dtype(self._vector)
        if self.layerwise is not None:
            self.batches = self.layerwise.cut_patches(self.batches)
        ends = itertools.accumulate(per_sample * batch.n for batch in self.batches)
        return sum(end <= left for end in ends)

    def _same_resized(self, size: int) -> bool:
        """Return True if gradient and product are those of the person's batches also if these are joined or split."""
        own = [take(batch, min(batch.n, size)) for batch in self.batches[:N_COMPARED]]
        n = sum(batch.n for batch in own)
        others = resized(own, size if len(own) > 1 else max(1, n // 2))
        with self.differentiable():
            theirs, ours = Hessian(self._parameters, self._loss, own, 0), self._hessian(others, 0)
            if not _near(ours.gradient, theirs.gradient):
                return not bool(torch.isfinite(theirs.gradient).all())
            image = theirs.product(self._vector)
            return _near(ours.product(self._vector), image) or not bool(torch.isfinite(image).all())

    def _agrees(self, first: Batch, other: Hessian) -> bool:
        """Return True if loss and gradient of two samples are those of another way to compute them."""
        ours = self._hessian([first], 0)
        return _close(ours.loss, other.loss, self._vector) and _near(ours.gradient, other.gradient)

    def _use_layerwise(self, problem: Problem, first: Batch, hessian: Hessian, image: Tensor) -> None:
        """Take products layer by layer from now on, if the model allows it and they are the same."""
        if problem.obstacle or not bool(torch.isfinite(image).all()):
            return
        live = {**tensors_by_name(self._model, problem.states), **self._parameters}
        try:
            plain = problem.classifies_plainly
            self.layerwise = LayerwiseModel(problem.model, problem.example(), live, self._parameters, plain)
            same = self._agrees(first, hessian) and _near(self._hessian([first], 1).product(self._vector), image)
        except Exception:  # whatever the model does that can't be traced
            same = False
        if not same:
            self.layerwise = None


def _asymmetry(hessian: Hessian, vector: Tensor, image: Tensor) -> float:
    """Return the largest ``abs(u . H v - v . H u)`` for random u, as a share of what unrelated images would give."""
    generator, shares = torch.Generator("cpu").manual_seed(1), [0.0]
    v, hv = vector.double(), image.double()
    for _ in range(N_SYMMETRIC):
        other = torch.randn(len(vector), generator=generator, device="cpu").to(vector)
        u, hu = other.double(), hessian.product(other).double()
        scale = float(u.norm() * hv.norm() + v.norm() * hu.norm()) / len(vector) ** 0.5
        difference = abs(float(u @ hv - v @ hu))
        # Where a loss has hardly any curvature, what is left of it is rounding.
        rounding = ROUNDINGS * float(torch.finfo(image.dtype).eps * u.norm() * v.norm())
        shares.append(difference / scale if difference > rounding else 0.0)
    return max(shares)


def _near(a: Tensor, b: Tensor) -> bool:
    close = SAME * float(torch.finfo(b.dtype).eps) ** 0.5
    return bool((a - b).double().norm() <= close * b.double().norm())


def _close(a: float, b: float, like: Tensor) -> bool:
    return a == b or abs(a - b) <= SAME * float(torch.finfo(like.dtype).eps) ** 0.5 * abs(b) or (a != a and b != b)


def _rough_dtype(like: Tensor) -> torch.dtype:
    """Return the dtype of rough products: bfloat16 only pays on a processor with units for it."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    able = like.device.type == "cpu" and like.dtype == torch.float32 and supported()
    return torch.bfloat16 if able and has_bfloat16(like.device) else like.dtype
