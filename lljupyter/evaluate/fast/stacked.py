"""Many points at once through models of linear layers: their weights stacked, one product for all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lljupyter.evaluate.fast.cross_entropy import score_sums
from lljupyter.evaluate.fast.linear_chain import INPUTS, chain_of
from lljupyter.evaluate.fast.thread_pool import Workers
from lljupyter.evaluate.strategy import Moving, Tick, Values
from lljupyter.problem.averages import means_and_stderrs, means_of_sums
from lljupyter.problem.batches import Batch, resized
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.problem import Problem

# The widest intermediate result of all points that a core computes at once fills about this much memory.
STACK_BYTES = 4 << 20
MAX_GROUP = 63
# Samples are taken in slices of at most this many.
SLICE = 256
# A layer of the inputs is affine in alpha and beta; its three terms are kept while they take less than this.
TERMS_BYTES = 256 << 20


class Slice(NamedTuple):
    """Some samples of a loader.

    Attributes:
        prefix: Of the loader.
        n: How many samples.
        inputs: Shape (features, n).
        targets: Shape (n, ...).
        places: Shape (n,), where the targets are among the scores; anything where the loss is not plain.
        hidden: Shape (classes, n): minus infinity at the targets, else zero; anything where the loss is not plain.
        terms: By layer of the inputs: theta, delta and eta of its outputs, see ``_combined``.
    """

    prefix: str
    n: int
    inputs: Tensor
    targets: Any
    places: Tensor
    hidden: Tensor
    terms: dict[str, Tensor]


class Stacked:
    """Evaluates many points at once; results of a step have the shape (points, features, samples).

    Args:
        problem: What is evaluated.

    Raises:
        ValueError: If the model is no chain of linear layers and elementwise functions, or the loss is known as the
            mean over a batch only.
        Exception: Of whatever kind, if the model can't be traced.
    """

    label, reduced = "stacked", False

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        example, device = problem.example(), problem.device
        problem.dtype()  # raises if there are several
        if problem.obstacle or not problem.resident:
            raise ValueError(problem.obstacle or "the data are not on the device")
        if not isinstance(example, Tensor) or not problem.per_sample:
            raise ValueError("it takes more than one tensor, or the loss is known as the mean over a batch only")
        model = problem.working_copy().model  # tracing leaves its marks
        self._steps, self._result = chain_of(model, example)
        self._layers: dict[str, nn.Linear] = {step.result: step.what for step in self._steps if step.kind == "linear"}
        self._plain = problem.classifies_plainly
        self._names = {id(tensor): name for name, tensor in model.named_parameters()}
        with plain_evaluation(device):
            n_classes = model(example).shape[1]
        self._slices = [
            self._slice(prefix, batch, n_classes)
            for prefix, batches in problem.batches.items()
            for batch in resized(batches, SLICE)
        ]
        self._workers = Workers(torch.get_num_threads() if device.type == "cpu" else 1)
        width = max(layer.out_features for layer in self._layers.values())
        n = max(part.n for part in self._slices)
        each = int(min(max(STACK_BYTES // (width * n * example.element_size()), 1), MAX_GROUP))
        # An odd number: rows of an even number of points would fall on the same few places in the cache.
        self._each = each - 1 | 1 if each > 2 else each
        self.group = self._each * self._workers.n
        self._lock = threading.Lock()
        # Where weight and bias of a layer are in the row of all: (start, shape).
        self._pieces: dict[str, list[tuple[int, torch.Size]]] = {}
        self._row = torch.zeros(3, 0)

    def halve_batches(self) -> bool:
        """Take half as many points at once."""
        before, self._each = self._each, max(self._each // 2, 1)
        self.group = self._each * self._workers.n
        return self._each < before

    def set_plane(self, moving: Moving) -> None:
        """Stack theta, delta and eta of all layers; computes the three terms of those of the inputs."""
        self._pieces, rows, start = {}, [torch.zeros(3, 0)], 0
        with plain_evaluation(self._problem.device):
            for part in self._slices:
                part.terms.clear()
            for step in self._steps:
                if step.kind != "linear":
                    continue
                parts = self._rows_of(step.result, moving)
                if step.sources == [INPUTS] and self._has_room(parts[0]):
                    self._keep_terms(step.result, *parts)
                    continue
                self._pieces[step.result] = []
                for row in parts:
                    self._pieces[step.result].append((start, row[0].shape))
                    start += row[0].numel()
                    rows.append(row.flatten(1))
            self._row = torch.cat([row.to(self._slices[0].inputs) for row in rows], dim=1)

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measure points, see ``Strategy.evaluate``."""
        size = min(self._each, max(-(-len(points) // self._workers.n), 1))
        groups = [points[start : start + size] for start in range(0, len(points), size)]
        found: list[dict[str, Any]] = [{} for _ in groups]

        def work(_: int, k: int, check: Tick) -> None:
            with plain_evaluation(self._problem.device):
                found[k] = self._measured(torch.from_numpy(groups[k]).to(self._row), check)

        self._workers.share(work, len(groups), tick)
        values: Values = {}
        if not groups:
            return {name: np.zeros(0) for name in self._problem.names}
        for prefix, kinds in self._problem.kinds.items():
            n = sum(part.n for part in self._slices if part.prefix == prefix)
            for name in (prefix + kind for kind in kinds):
                if self._plain:
                    sums = np.concatenate([measured[name] for measured in found], axis=1)
                    values[name], values[f"{name}_stderr"] = means_of_sums(sums, n)
                    continue
                pairs = [tuple(torch.cat(c, dim=1) for c in zip(*measured[name], strict=True)) for measured in found]
                columns = zip(*(means_and_stderrs(*pair) for pair in pairs), strict=True)
                values[name], values[f"{name}_stderr"] = (np.concatenate(column) for column in columns)
        return values

    def _slice(self, prefix: str, batch: Batch, n_classes: int) -> Slice:
        inputs, targets = batch.inputs.flatten(1).T.contiguous(), batch.targets
        if not self._plain:
            return Slice(prefix, batch.n, inputs, targets, inputs, inputs, {})
        targets = targets.long()
        hidden = inputs.new_zeros(n_classes, batch.n).scatter_(0, targets[None], -torch.inf)
        places = targets * batch.n + torch.arange(batch.n, device=targets.device)
        return Slice(prefix, batch.n, inputs, targets, places, hidden, {})

    def _rows_of(self, layer: str, moving: Moving) -> list[Tensor]:
        """Return theta, delta and eta of the weight of a layer, shape (3, out, in), and of its bias, (3, out)."""
        module, rows = self._layers[layer], []
        for name in (self._names[id(t)] for t in (module.weight, module.bias) if t is not None):
            theta = self._problem.states[name]
            rows.append(torch.stack(moving.get(name, (theta, torch.zeros_like(theta), torch.zeros_like(theta)))))
        return rows

    def _has_room(self, weight: Tensor) -> bool:
        return weight[:, :, 0].numel() * self._problem.n_samples * weight.element_size() <= TERMS_BYTES

    def _keep_terms(self, layer: str, weight: Tensor, bias: Tensor | None = None) -> None:
        for part in self._slices:
            terms = weight @ part.inputs
            part.terms[layer] = terms if bias is None else terms.add_(bias[:, :, None])

    def _measured(self, group: Tensor, tick: Tick) -> dict[str, Any]:
        """Return what is measured at a group of points, shape (k, 2), by quantity.

        Where the loss is plain that is the sums of totals and of their squares, shape (2, k); else totals and weights
        of every slice.
        """
        where, *weights = self._weights(group, self._row)
        tensors = [(where, part.inputs, *weights, *part.terms.values()) for part in self._slices]
        if self._plain:
            return self._scored(tensors, tick)
        found: dict[str, list[Any]] = {name: [] for name in self._problem.quantities}
        for part, these in zip(self._slices, tensors, strict=True):
            tick()
            for kind, value in self._measure(part, these).items():
                found[part.prefix + kind].append(value)
        return found

    def _weights(self, group: Tensor, row: Tensor) -> tuple[Tensor, ...]:
        """Return alpha and beta after a one, (k, 3), and all weights and biases that move."""
        theta, delta, eta = row.unbind()
        k = group.shape[0]
        at = torch.addcmul(theta, delta, group[:, :1]).addcmul_(eta, group[:, 1:])
        where = torch.cat([torch.ones_like(group[:, :1]), group], dim=1)
        weights = [
            at[:, start : start + shape.numel()].view(k, *shape, *[1] * (2 - len(shape)))
            for pieces in self._pieces.values()
            for start, shape in pieces
        ]
        return where, *weights

    def _outputs(self, where: Tensor, inputs: Tensor, *tensors: Tensor) -> Tensor:
        """Return outputs of shape (k, features, n); its arguments are as ``_measured`` makes them."""
        k, n = where.shape[0], inputs.shape[1]
        n_weights = sum(map(len, self._pieces.values()))
        weights, affine = iter(tensors[:n_weights]), iter(tensors[n_weights:])
        known: dict[str, Tensor] = {INPUTS: inputs}
        for step in self._steps:
            if step.kind == "method":
                out = getattr(known[step.sources[0]], step.what)()
            elif step.kind != "linear":
                out = step.what(*(known[source] for source in step.sources), **step.options)
            elif step.result not in self._pieces:
                out = _combined(where, next(affine), step.options["relu"])
            else:
                weight, *bias = (next(weights) for _ in self._pieces[step.result])
                source = known[step.sources[0]]
                if source.dim() == 2:
                    out = (weight.flatten(0, 1) @ source).view(k, -1, n)
                    out = out.add_(bias[0]) if bias else out
                else:
                    out = torch.baddbmm(bias[0], weight, source) if bias else weight.bmm(source)
                out = out.relu_() if step.options["relu"] else out
            known[step.result] = out
        return known[self._result]

    def _scored(self, tensors: Sequence[tuple[Tensor, ...]], tick: Tick) -> dict[str, NDArray[np.float64]]:
        """Add up the results of ``score_sums`` for all slices."""
        rows, found = [], {}
        for part, these in zip(self._slices, tensors, strict=True):
            tick()
            with torch.inference_mode():  # spares what only gradients need at every operation
                scores = self._outputs(*these)
                rows.append(score_sums(self._problem.kinds[part.prefix], scores, part.places, part.hidden))
        for prefix, kinds in self._problem.kinds.items():
            which = [i for i, part in enumerate(self._slices) if part.prefix == prefix]
            table = torch.stack([rows[i] for i in which], dim=1).cpu().numpy()
            if "loss" in kinds:
                found[f"{prefix}loss"] = np.stack([table[0].sum(0), (table[1] ** 2).sum(0)])
            if "accuracy" in kinds:
                balance, either = table[-2:]
                right = (balance + either) / 2
                for j, i in enumerate(which):
                    part, undecided = self._slices[i], np.flatnonzero(either[j] != self._slices[i].n)
                    if len(undecided):  # ties and NaN: the first of them counts
                        outputs = self._outputs(*tensors[i])[torch.from_numpy(undecided)]
                        right[j, undecided] = (outputs.argmax(1) == part.targets).sum(1).cpu().numpy()
                found[f"{prefix}accuracy"] = np.stack([right.sum(0)] * 2)
        return found

    def _measure(self, part: Slice, tensors: tuple[Tensor, ...]) -> dict[str, tuple[Tensor, Tensor]]:
        outputs, kinds = self._outputs(*tensors), self._problem.kinds[part.prefix]
        k, n = len(outputs), part.n
        flat = outputs.transpose(1, 2).reshape(k * n, -1)
        repeated = part.targets.repeat(k, *[1] * (part.targets.dim() - 1))
        with self._lock:  # the loss of the user need not be fit for two threads
            measures = self._problem.measures[part.prefix]
            measured = {kind: measures[kind](flat, repeated, k * n) for kind in kinds}
        return {kind: (totals.view(k, n), weights.view(k, n)) for kind, (totals, weights) in measured.items()}


def _combined(where: Tensor, terms: Tensor, relu: bool) -> Tensor:
    """Return ``theta + alpha * delta + beta * eta`` of terms of shape (3, features, n), shape (k, features, n)."""
    out = where @ terms.flatten(1)
    out = out.relu_() if relu else out
    return out.view(where.shape[0], *terms.shape[1:])
