"""The Hessian at a point, with products layer by layer, and rougher ones over the samples that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lljupyter.hessian.fast.layerwise_model import LayerwiseModel
from lljupyter.hessian.fast.linearization import linearize, sample_scores
from lljupyter.hessian.fast.local_maps import OptionalTensors
from lljupyter.hessian.fast.passes import LinearizedBatch, add_product
from lljupyter.problem.batches import Batch, picked, resized, to_device
from lljupyter.problem.working_copy import Measure

# Rough products are over the samples that have this share in the Hessian, as far as the outputs tell: samples that a
# network classifies with certainty add nothing to it.
SHARE = 0.999


class LayerwiseHessian:
    """As ``Hessian``, for a ``LayerwiseModel``: each product is one pass forward and one in reverse, see ``passes``.

    Args:
        model: The model; its weights are read where it is now.
        parameters: ``{name: leaf}``, those that H is over, N numbers in all.
        measure: The loss of the outputs, see ``Measure``.
        batches: All samples, on their device or elsewhere.
        n_kept: How many batches are kept linearized.
        tick: Called before every batch; may wait, or raise to abandon the point.
        rough: What rough products are computed in; None for none.

    Attributes:
        gradient: The gradient of the mean loss, shape (N,).
        loss: The mean loss.
        depends: Whether the loss of any batch depends on the parameters, as far as torch can tell.
        rough: Rough products, see ``extreme_eigenvalues``; None if there are none.
    """

    def __init__(
        self,
        model: LayerwiseModel,
        parameters: Mapping[str, Tensor],
        measure: Measure,
        batches: Sequence[Batch],
        n_kept: int,
        tick: Callable[[], None] = lambda: None,
        rough: torch.dtype | None = None,
    ) -> None:
        self._model, self._measure, self._tick = model, measure, tick
        self._leaves = list(parameters.values())
        self._device = self._leaves[0].device
        self._kept: list[LinearizedBatch] = []
        self._others = list(batches[n_kept:])
        self._rough: list[LinearizedBatch] = []
        self.depends = False
        model.weights.move()
        sums, weight, total = model.weights.zeros(), 0.0, 0.0
        scored: list[tuple[Batch, Tensor | None]] = []
        for index, batch in enumerate(batches):
            tick()
            there = to_device(batch, self._device)
            linearized = linearize(model, there, measure, sums)
            self.depends |= linearized.loss is not None
            total, weight = total + linearized.total, weight + linearized.weight
            if rough is not None:
                scored.append((there, sample_scores(linearized, batch.n)))
            if index < n_kept:
                self._kept.append(linearized)
        self._weight = weight
        self.gradient = self._flat(model.weights.gradients(sums)).div_(weight)
        self.loss = total / weight
        if rough is not None:
            self._linearize_roughly(scored, rough)
        self.rough = self._rough_product if self._rough else None

    def product(self, vector: Tensor) -> Tensor:
        """Return ``H v`` for ``v`` of shape (N,)."""
        return self._product(vector, self._kept, self._others)

    def _rough_product(self, vector: Tensor) -> Tensor:
        return self._product(vector, self._rough, [])

    def _linearize_roughly(self, scored: list[tuple[Batch, Tensor | None]], dtype: torch.dtype) -> None:
        known = [scores for _, scores in scored if scores is not None]
        if len(known) < len(scored) or not bool(torch.isfinite(self.gradient).all()):
            return
        ordered = torch.cat(known).double().sort(descending=True).values
        share = ordered.cumsum(0) / ordered.sum()
        least = ordered[int((share < SHARE).sum().clamp(max=len(ordered) - 1))]
        parts = [picked(batch, (scores >= least).nonzero()[:, 0]) for batch, scores in scored if scores is not None]
        parts = [part for part in parts if part.n]
        for batch in resized(parts, 2 * max(batch.n for batch, _ in scored)):
            self._tick()
            self._rough.append(linearize(self._model, batch, self._measure, None, dtype))

    def _product(self, vector: Tensor, kept: Sequence[LinearizedBatch], others: Sequence[Batch]) -> Tensor:
        model, weights = self._model, self._model.weights
        sizes = [leaf.numel() for leaf in self._leaves]
        parts = [part.view_as(leaf) for part, leaf in zip(torch.split(vector, sizes), self._leaves, strict=True)]
        moves, sums = weights.tangents(parts), weights.zeros()
        for batch in kept:
            self._tick()
            add_product(model, batch, moves, sums)
        for other in others:
            self._tick()
            there = to_device(other, self._device)
            add_product(model, linearize(model, there, self._measure, None), moves, sums)
        return self._flat(weights.tangents_of_gradients(sums)).div_(self._weight)

    def _flat(self, parts: OptionalTensors) -> Tensor:
        whole = [
            torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, self._leaves, strict=True)
        ]
        return torch.cat([part.detach().reshape(-1) for part in whole])
