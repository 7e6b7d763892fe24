"""A whole point as one CUDA graph: weights, forward passes and means are replayed with no word from the host."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.fast.cross_entropy import measure_scores
from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.strategy import Moving, Tick, Values
from lljupyter.problem.averages import means_and_stderrs_there
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.problem import Problem

# So many points are replayed before their values are read back at once.
GROUP = 64
# Runs before the capture, in which libraries choose their algorithms and allocate.
WARMUPS = 3


class Graphs:
    """Evaluates points by replaying one graph, which takes alpha and beta from a table on the device.

    Args:
        problem: What is evaluated; cross-entropy with nothing special about it, data on the device.
        dtype: What to compute in; None for the model's own.
        capture: Whether to capture a graph; without, the same steps are run one by one, on any device.

    Raises:
        ValueError: If loss or data do not fit.
        Exception: Of whatever kind, if the model can't be traced or captured.
    """

    group = GROUP

    def __init__(self, problem: Problem, *, dtype: torch.dtype | None = None, capture: bool = True) -> None:
        if not (problem.classifies_plainly and problem.per_sample and problem.resident):
            raise ValueError("its loss is no plain cross-entropy, or its data are not on the device")
        self._problem, self._capture = problem, capture
        self._folded = Folded(problem, dtype=dtype)
        self.reduced = self._folded.reduced
        self.label = self._folded.label.replace("folded", "graphs").replace("traced", "graphs")
        device, n_values = problem.device, 2 * len(problem.quantities)
        self._points = torch.zeros(GROUP, 2, dtype=problem.dtype(), device=device)
        self._index = torch.zeros(1, dtype=torch.int64, device=device)
        self._values = torch.zeros(GROUP, n_values, dtype=torch.float64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def set_plane(self, moving: Moving) -> None:
        """Folds theta, delta and eta; the graph is captured when the first point is asked for."""
        self._graph = None
        self._folded.set_plane(moving)

    def halve_batches(self) -> bool:
        """Splits every batch in two, and captures anew."""
        self._graph = None
        return self._folded.halve_batches()

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measures points, see ``Strategy.evaluate``."""
        found = []
        with plain_evaluation(self._problem.device):
            for start in range(0, len(points), GROUP):
                tick()
                part = torch.from_numpy(points[start : start + GROUP])
                if self._capture and self._graph is None:
                    self._graph = self._captured()
                self._points[: len(part)].copy_(part)
                self._index.zero_()
                for _ in range(len(part)):
                    if self._graph is None:
                        self._step()
                    else:
                        self._graph.replay()
                found.append(self._values[: len(part)].cpu().numpy().copy())
        table = np.concatenate(found) if found else np.zeros((0, self._values.shape[1]))
        return {name: table[:, column] for column, name in enumerate(self._problem.names)}

    def _captured(self) -> torch.cuda.CUDAGraph:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUPS):
                self._index.zero_()
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as that of the user's training, may go on allocating meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._step()
        return graph

    def _step(self) -> None:
        """Measures the point that the index says, and moves on to the next; nothing in it waits for the device."""
        problem, program = self._problem, self._folded.program
        program.move_to(self._points.index_select(0, self._index)[0])
        found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in problem.quantities}
        for prefix, batch, outputs in self._folded.outputs(program):
            scores = outputs.T.contiguous()[None]
            measured = measure_scores(problem.kinds[prefix], scores, batch.targets, waiting=False)
            for kind, pair in measured.items():
                found[prefix + kind].append(pair)
        row: list[Tensor] = []
        for pairs in found.values():
            totals, weights = (torch.cat(column, dim=1) for column in zip(*pairs, strict=True))
            row += means_and_stderrs_there(totals, weights)
        self._values.index_copy_(0, self._index, torch.cat(row)[None])
        self._index.add_(1)
