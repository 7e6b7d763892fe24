"""Points one by one through the traced model: BatchNorm folded, larger batches, two points on two cores."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.fast.cross_entropy import measure_scores
from lljupyter.evaluate.fast.flat_weights import Flat
from lljupyter.evaluate.fast.thread_pool import Workers
from lljupyter.evaluate.strategy import Moving, Tick, Values
from lljupyter.problem.averages import Measured, means_of
from lljupyter.problem.batches import Batch, converted, n_bytes, resized, split
from lljupyter.problem.model import call, plain_evaluation
from lljupyter.problem.problem import Problem
from lljupyter.tracing.convolution import PATCH
from lljupyter.tracing.trace import Trace, trace_model

# A batch is so large that its widest intermediate result fills about this much memory: with more, a processor waits
# for memory (measured: a ResNet-56 point takes 0.63 s in batches of 500, 0.34 s in batches of 64), with less for calls.
BATCH_BYTES = {"cpu": 4 << 20, "cuda": 256 << 20}
# Data up to this size are kept a second time, as the model takes them.
CONVERTED_BYTES = 256 << 20


class MovableModel:
    """A traced model and its weights on a plane; one thread at a time works with it.

    Attributes:
        is_defined: False where weights are not finite, as those of BatchNorm with a negative running variance, and the
            outputs are not to be trusted: they are NaN.
    """

    def __init__(self, trace: Trace, dtype: torch.dtype, device: torch.device) -> None:
        self.trace = trace
        self.graph: Any = trace.graph
        self._dtype = dtype
        for convolution in trace.convolutions:
            convolution.use_one_step(dtype, device)
        # oneDNN's ReLU makes zero of NaN, where torch's keeps it.
        self._hides_nan = any(c.one_step and c.relu for c in trace.convolutions)
        self.is_defined = True
        self._flat: Flat | None = None

    def set_plane(self, flat: Flat) -> None:
        """Use the weights of a plane from now on."""
        self._flat = flat.copy(self._dtype)
        self.move(0.0, 0.0)

    def move(self, alpha: float, beta: float) -> None:
        """Set the weights to those of a point."""
        assert self._flat is not None
        self._flat.move(alpha, beta)
        finite = self._flat.fill(self.trace)
        self.is_defined = finite or not self._hides_nan


class Folded:
    """Evaluates points one by one with the traced model, as many at a time as there are workers.

    Args:
        problem: What is evaluated.
        dtype: What to compute in; None for the model's own.
        n_workers: How many threads of one core each; with 1, all cores work on one point.
        batch_bytes: See ``BATCH_BYTES``.
        sideways: Whether convolutions take samples as the width, see ``Convolution``.

    Raises:
        ValueError: If there is no convolution that could do so, or the strategy does not fit otherwise.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        dtype: torch.dtype | None = None,
        n_workers: int = 1,
        batch_bytes: int | None = None,
        sideways: bool = False,
    ) -> None:
        if problem.obstacle:
            raise ValueError(problem.obstacle)
        self._problem, device = problem, problem.device
        own = problem.dtype()
        self._dtype = own if dtype is None else dtype
        self.reduced = self._dtype != own
        self.group = n_workers
        with plain_evaluation(device):
            traces = [trace_model(problem.model, problem.example()) for _ in range(n_workers)]
            self._models = [MovableModel(trace, self._dtype, device) for trace in traces]
        room = BATCH_BYTES.get(device.type, 64 << 20) if batch_bytes is None else batch_bytes
        size = max(8, room // (traces[0].widest * self._dtype.itemsize) // 8 * 8)
        one_step = any(convolution.one_step for convolution in traces[0].convolutions)
        self._sideways = sideways
        if sideways and not sum(c.use_samples_as_width() for trace in traces for c in trace.convolutions):
            raise ValueError("it has no convolution over images for oneDNN")
        self._ready = problem.resident and n_bytes(problem.all_batches) < CONVERTED_BYTES
        first = [trace.first for trace in traces if trace.first is not None]
        few = n_bytes(problem.all_batches) * PATCH < CONVERTED_BYTES
        patched = [c for c in first if self._ready and few and c.one_step and c.use_patches()]
        self._first = patched[0] if patched else None
        self._batches: dict[str, Sequence[Batch]] = {}
        for prefix, batches in problem.batches.items():
            fitting = resized(batches, size) if problem.per_sample and self._ready else batches
            self._batches[prefix] = [self._prepared(b) for b in fitting] if self._ready else fitting
        self._workers = Workers(n_workers)
        self._lock = threading.Lock()
        name = "folded" if any(c.eps for c in traces[0].convolutions) else "traced"
        image = ", samples as width" if sideways else ", channels-last" if one_step else ""
        self.label = name + image + (f", {n_workers} at once" if n_workers > 1 else "")
        if self.reduced:
            self.label += f", {str(self._dtype).removeprefix('torch.')}"

    def set_plane(self, moving: Moving) -> None:
        """Fold theta, delta and eta."""
        with plain_evaluation(self._problem.device):
            flat = Flat(self._models[0].trace, self._problem.states, moving)
            for model in self._models:
                model.set_plane(flat)

    def halve_batches(self) -> bool:
        """Split every batch in two."""
        largest = max(batch.n for batches in self._batches.values() for batch in batches)
        if not self._problem.per_sample or largest == 1:
            return False
        self._batches = {prefix: split(batches, largest // 2) for prefix, batches in self._batches.items()}
        return True

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measure points, see ``Strategy.evaluate``."""
        found: list[dict[str, Measured]] = [{} for _ in points]

        def work(worker: int, i: int, check: Tick) -> None:
            found[i] = self._point(self._models[worker], float(points[i, 0]), float(points[i, 1]), check)

        self._workers.share(work, len(points), tick)
        names = self._problem.quantities
        return means_of({name: [measured[name] for measured in found] for name in names})

    def _point(self, model: MovableModel, alpha: float, beta: float, check: Tick) -> dict[str, Measured]:
        problem = self._problem
        found: dict[str, Measured] = {name: [] for name in problem.quantities}
        with plain_evaluation(problem.device):
            model.move(alpha, beta)
            for prefix, batch, outputs in self._outputs(model, check):
                # Sums over classes are vectorized when the samples come last.
                plainly = problem.classifies_plainly and outputs.dim() == 2
                scores = outputs.T.contiguous()[None] if plainly else None
                with self._lock:  # the loss of the user need not be fit for two threads
                    kinds = problem.kinds[prefix]
                    if scores is not None:
                        measured = measure_scores(kinds, scores, batch.targets)
                    else:
                        measures = problem.measures[prefix]
                        measured = {k: measures[k](outputs, batch.targets, batch.n) for k in kinds}
                    for kind in kinds:
                        found[prefix + kind].append(measured[kind])
        return found

    def _outputs(self, model: MovableModel, check: Tick) -> Iterator[tuple[str, Batch, Any]]:
        """Yield what a model makes of every batch: ``(prefix, batch, outputs)``; ``check`` is called before each."""
        forward = model.graph.forward  # called as a module, it prints a traceback where it can't be run
        for prefix, batches in self._batches.items():
            for batch in batches:
                check()
                ready = batch if self._ready else self._prepared(batch)
                outputs = _widened(call(forward, ready.inputs), self._problem.dtype())
                yield prefix, ready, outputs if model.is_defined else torch.full_like(outputs, torch.nan)

    def _prepared(self, batch: Batch) -> Batch:
        if self._first is not None:
            batch = batch._replace(inputs=self._first.patches(batch.inputs))
        return converted(batch, self._problem.device, self._dtype, self._sideways)


def _widened(outputs: Any, dtype: torch.dtype) -> Any:
    return outputs.to(dtype) if isinstance(outputs, Tensor) and outputs.is_floating_point() else outputs
