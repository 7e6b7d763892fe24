"""The Hessian at a point, with products layer by layer, and rougher ones of the samples that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from lljupyter.hessian.fast.layerwise_model import Linearized, Program
from lljupyter.hessian.fast.local_maps import Parts
from lljupyter.problem.batches import Batch, picked, resized, to_device
from lljupyter.problem.working_copy import Measure

# Rough products are over the samples that have this share in the Hessian, as far as the outputs tell: a network that
# classifies most samples with certainty has no curvature from them.
SHARE = 0.999


class ExplicitHessian:
    """As ``Hessian``, for a model that a ``Program`` understands.

    Args:
        program: The model.
        parameters: See ``Hessian``.
        measure: The loss of the outputs, see ``Measure``.
        batches: All samples, on their device or elsewhere.
        n_kept: How many batches are kept linearized.
        tick: Called before every batch; may wait, or raise to give the point up.
        rough: What rough products are computed in; None for none.

    Attributes:
        gradient: The gradient of the mean loss, shape (N,).
        loss: The mean loss.
        depends: Whether the loss of any batch depends on the parameters, as far as torch can tell.
        rough: Rough products, see ``extreme_eigenvalues``; None if there are none.
    """

    def __init__(
        self,
        program: Program,
        parameters: Mapping[str, Tensor],
        measure: Measure,
        batches: Sequence[Batch],
        n_kept: int,
        tick: Callable[[], None] = lambda: None,
        rough: torch.dtype | None = None,
    ) -> None:
        self._program, self._measure, self._tick = program, measure, tick
        self._leaves = list(parameters.values())
        self._device = self._leaves[0].device
        self._kept: list[Linearized] = []
        self._others = list(batches[n_kept:])
        self._rough: list[Linearized] = []
        self.depends = False
        program.move()
        sums, weight, total = program.none(), 0.0, 0.0
        picked_batches: list[tuple[Batch, Tensor | None]] = []
        for index, batch in enumerate(batches):
            tick()
            there = to_device(batch, self._device)
            found = program.linearize(there, measure, sums)
            self.depends |= found.loss is not None
            total, weight = total + found.total, weight + found.weight
            if rough is not None:
                picked_batches.append((there, program.scores(found, batch.n)))
            if index < n_kept:
                self._kept.append(found)
        self._weight = weight
        self.gradient = self._flat(program.gradient(sums)).div_(weight)
        self.loss = total / weight
        if rough is not None:
            self._linearize_roughly(picked_batches, rough)
        self.rough = self._rough_product if self._rough else None

    def product(self, vector: Tensor) -> Tensor:
        """Returns ``H v`` for ``v`` of shape (N,)."""
        return self._contracted(vector, self._kept, self._others)

    def _rough_product(self, vector: Tensor) -> Tensor:
        return self._contracted(vector, self._rough, [])

    def _linearize_roughly(self, batches: list[tuple[Batch, Tensor | None]], dtype: torch.dtype) -> None:
        known = [scores for _, scores in batches if scores is not None]
        if len(known) < len(batches) or not bool(torch.isfinite(self.gradient).all()):
            return
        ordered = torch.cat(known).double().sort(descending=True).values
        share = ordered.cumsum(0) / ordered.sum()
        least = ordered[int((share < SHARE).sum().clamp(max=len(ordered) - 1))]
        parts = [picked(batch, (scores >= least).nonzero()[:, 0]) for batch, scores in batches if scores is not None]
        parts = [part for part in parts if part.n]
        for batch in resized(parts, 2 * max(batch.n for batch, _ in batches)):
            self._tick()
            self._rough.append(self._program.linearize(batch, self._measure, None, dtype))

    def _contracted(self, vector: Tensor, kept: Sequence[Linearized], others: Sequence[Batch]) -> Tensor:
        program = self._program
        sizes = [leaf.numel() for leaf in self._leaves]
        parts = [part.view_as(leaf) for part, leaf in zip(torch.split(vector, sizes), self._leaves, strict=True)]
        moves, sums = program.moved(parts), program.none()
        for batch in kept:
            self._tick()
            program.contract(batch, moves, sums)
        for other in others:
            self._tick()
            there = to_device(other, self._device)
            program.contract(program.linearize(there, self._measure, None), moves, sums)
        return self._flat(program.product(sums)).div_(self._weight)

    def _flat(self, parts: Parts) -> Tensor:
        whole = [
            torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, self._leaves, strict=True)
        ]
        return torch.cat([part.detach().reshape(-1) for part in whole])
