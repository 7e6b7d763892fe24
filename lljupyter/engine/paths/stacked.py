"""Many points at once through models of linear layers: their weights stacked, one matrix product for all."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from lljupyter.engine.batches import resized
from lljupyter.engine.model import plain_evaluation
from lljupyter.engine.paths import Moving, Tick, Values
from lljupyter.engine.paths.shapes import note_shapes
from lljupyter.engine.paths.traced import ADDITIONS, IDENTITIES, RELUS
from lljupyter.engine.paths.tracing import trace_graph
from lljupyter.engine.quantities import means_and_stderrs, measure_scores

if TYPE_CHECKING:
    from lljupyter.engine.evaluator import Evaluator

# The widest intermediate result of all points that are computed at once fills about this much memory a core.
STACK_BYTES = 1 << 20
MAX_GROUP = 256
# Samples are taken in slices of this many.
SLICE = 2048
# The first layer is affine in alpha and beta; its three terms are kept while they take less than this.
TERMS_BYTES = 256 << 20
ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Hardtanh)
FUNCTIONS: tuple[Any, ...] = (torch.tanh, torch.sigmoid, functional.tanh, functional.sigmoid, functional.gelu)
FUNCTIONS = (*FUNCTIONS, functional.silu, functional.elu, functional.leaky_relu)
METHODS = ("tanh", "sigmoid")


class Step(NamedTuple):
    """One step of the model: ``kind`` says which.

    Attributes:
        kind: "linear", "add", "module", "function" or "method".
        result: Name of what it computes.
        sources: Names of what it is computed from.
        what: The layer, function or name of the method.
        options: Keyword arguments.
    """

    kind: str
    result: str
    sources: list[str]
    what: Any
    options: dict[str, Any]


class Stacked:
    """Evaluates many points at once; features come before samples, so that sums over classes are vectorized.

    Args:
        evaluator: What is evaluated.

    Raises:
        ValueError: If the model is no chain of linear layers and elementwise functions, or the loss is known as the
            mean over a batch only.
        Exception: Of whatever kind, if the model can't be traced.
    """

    label = "stacked"
    reduced = False

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        example = evaluator.example()
        evaluator.dtype()
        if evaluator.draws or not evaluator.resident:
            raise ValueError("the model draws random numbers, or the data are not on the device")
        if not isinstance(example, Tensor) or not evaluator.per_sample:
            raise ValueError("it takes more than one tensor, or the loss is known as the mean over a batch only")
        self._steps, self._result = _steps(evaluator.model, example)
        self._layers: dict[str, nn.Linear] = {step.result: step.what for step in self._steps if step.kind == "linear"}
        names = {id(tensor): name for name, tensor in evaluator.model.named_parameters()}
        self._names = {
            layer: [names[id(t)] for t in (module.weight, module.bias) if t is not None]
            for layer, module in self._layers.items()
        }
        self._slices = [
            (prefix, batch.inputs.flatten(1).T.contiguous(), batch.targets, batch.n)
            for prefix, batches in evaluator.parts().items()
            for batch in resized(batches, SLICE)
        ]
        width = max(max(layer.in_features, layer.out_features) for layer in self._layers.values())
        n, cores = max(slice[-1] for slice in self._slices), torch.get_num_threads()
        bytes_each = width * n * example.element_size()
        self.group = int(min(max(STACK_BYTES * cores // bytes_each, cores), MAX_GROUP))
        self._rows: dict[str, list[Tensor]] = {}
        self._terms: dict[tuple[str, int], Tensor] = {}

    def halve(self) -> bool:
        """Takes half as many points at once."""
        self.group, before = max(self.group // 2, 1), self.group
        return self.group < before

    def set_plane(self, moving: Moving) -> None:
        """Stacks theta, delta and eta of every layer; computes the three terms of the first one."""
        with plain_evaluation(self._evaluator.device):
            self._rows = {layer: [self._row(name, moving) for name in names] for layer, names in self._names.items()}
            self._terms = {}
            n_samples = self._evaluator.n_samples
            for step in self._steps:
                layer = self._layers.get(step.result)
                if layer is None or step.sources != [INPUTS]:
                    continue
                if 3 * layer.out_features * n_samples * self._rows[step.result][0].element_size() > TERMS_BYTES:
                    continue
                weight, *bias = (rows.view(3, *shape) for rows, shape in self._shaped(step.result))
                for k, (_, inputs, _, _) in enumerate(self._slices):
                    terms = weight @ inputs
                    self._terms[step.result, k] = (terms + bias[0][:, :, None] if bias else terms).view(3, -1)

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measures points, see ``Evaluator.evaluate``."""
        evaluator = self._evaluator
        found: dict[str, list[NDArray[np.float64]]] = {}
        with plain_evaluation(evaluator.device):
            for start in range(0, len(points), self.group):
                group = torch.from_numpy(points[start : start + self.group]).to(next(iter(evaluator.states.values())))
                where = torch.cat([torch.ones_like(group[:, :1]), group], dim=1)
                for name, values in self._measured(where, tick).items():
                    found.setdefault(name, []).append(values)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _row(self, name: str, moving: Moving) -> Tensor:
        theta = self._evaluator.states[name]
        parts = moving.get(name, (theta, torch.zeros_like(theta), torch.zeros_like(theta)))
        return torch.stack([part.reshape(-1) for part in parts])

    def _shaped(self, layer: str) -> list[tuple[Tensor, torch.Size]]:
        module = self._layers[layer]
        tensors = [t for t in (module.weight, module.bias) if t is not None]
        return [(row, tensor.shape) for row, tensor in zip(self._rows[layer], tensors, strict=True)]

    def _measured(self, where: Tensor, tick: Tick) -> Values:
        k = len(where)
        weights = {
            layer: [(where @ row).view(k, *shape) for row, shape in self._shaped(layer)] for layer in self._layers
        }
        parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self._evaluator.quantities}
        for index, (prefix, inputs, targets, n) in enumerate(self._slices):
            tick()
            outputs = self._outputs(where, weights, inputs, index)
            for kind in self._evaluator.kinds[prefix]:
                parts[prefix + kind].append(self._measure(kind, outputs, targets, n))
        values: Values = {}
        for name, pairs in parts.items():
            totals, counts = (torch.cat(column, dim=1) for column in zip(*pairs, strict=True))
            values[name], values[f"{name}_stderr"] = means_and_stderrs(totals, counts)
        return values

    def _outputs(self, where: Tensor, weights: dict[str, list[Tensor]], inputs: Tensor, index: int) -> Tensor:
        """Returns outputs of shape (k, features, n)."""
        k, n = len(where), inputs.shape[1]
        known: dict[str, Tensor] = {INPUTS: inputs}
        for step in self._steps:
            if step.kind == "linear":
                weight, *bias = weights[step.result]
                source = known[step.sources[0]]
                if (terms := self._terms.get((step.result, index))) is not None:
                    out = (where @ terms).view(k, -1, n)
                elif source.dim() == 2:
                    out = (weight.flatten(0, 1) @ source).view(k, -1, n)
                    out = out.add_(bias[0][:, :, None]) if bias else out
                else:
                    out = torch.baddbmm(bias[0][:, :, None], weight, source) if bias else torch.bmm(weight, source)
            elif step.kind == "method":
                out = getattr(known[step.sources[0]], step.what)()
            else:
                out = step.what(*(known[source] for source in step.sources), **step.options)
            known[step.result] = out
        return known[self._result]

    def _measure(self, kind: str, outputs: Tensor, targets: Any, n: int) -> tuple[Tensor, Tensor]:
        k = len(outputs)
        if self._evaluator.classifies_plainly:
            return measure_scores(kind, outputs, targets)
        flat = outputs.transpose(1, 2).reshape(k * n, -1)
        repeated = targets.repeat(k, *[1] * (targets.dim() - 1))
        totals, weights = self._evaluator.measures[kind](flat, repeated, k * n)
        return totals.view(k, n), weights.view(k, n)


INPUTS = "inputs"


def _steps(model: nn.Module, example: Tensor) -> tuple[list[Step], str]:
    """Returns the steps of a model of linear layers, and the name of its result."""
    if any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()):
        raise ValueError("it has forward hooks")
    if not example.is_floating_point():
        raise ValueError("its inputs are no floating-point numbers")
    graph = trace_graph(model)
    note_shapes(graph, example)
    same: dict[fx.Node, str] = {}
    steps: list[Step] = []
    for node in graph.graph.nodes:
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        sources = [same.get(a, a.name) for a in node.args if isinstance(a, fx.Node)]
        function = node.target if node.op == "call_function" else None
        if node.op == "placeholder":
            same[node] = INPUTS
        elif node.op == "output":
            if not steps or not isinstance(node.args[0], fx.Node):
                break
            return steps, same.get(node.args[0], node.args[0].name)
        elif isinstance(module, IDENTITIES):
            same[node] = sources[0]
        elif _flattens(node, module) and _is_matrix(node) and sources[0] == INPUTS:
            same[node] = INPUTS
        elif (node.target in ("size", len) or function in (getattr, operator.getitem)) and sources[:1] == [INPUTS]:
            continue  # a number that the inputs are reshaped with
        elif type(module) is nn.Linear and (sources[0] != INPUTS or module.in_features == example[0].numel()):
            steps.append(Step("linear", node.name, sources, module, {}))
        elif INPUTS in sources:
            break
        elif function in ADDITIONS and len(sources) == len(node.args) == 2 and not node.kwargs:
            steps.append(Step("add", node.name, sources, torch.add, {}))
        elif _rectifies(node, module) and len(node.args[0].users) == 1:
            steps.append(Step("function", node.name, sources, torch.relu_, {}))
        elif type(module) in ELEMENTWISE:
            steps.append(Step("module", node.name, sources, module, {}))
        elif function in FUNCTIONS and len(node.args) == 1:
            steps.append(Step("function", node.name, sources, function, dict(node.kwargs)))
        elif node.op == "call_method" and node.target in METHODS and len(node.args) == 1:
            steps.append(Step("method", node.name, sources, node.target, {}))
        else:
            break
    raise ValueError("it is no chain of linear layers and elementwise functions")


def _rectifies(node: fx.Node, module: nn.Module | None) -> bool:
    return type(module) is nn.ReLU or node.target in ("relu", *RELUS)


def _flattens(node: fx.Node, module: nn.Module | None) -> bool:
    return isinstance(module, nn.Flatten) or node.target in (torch.flatten, "flatten", "view", "reshape")


def _is_matrix(node: fx.Node) -> bool:
    meta = node.meta.get("tensor_meta")
    return meta is not None and len(meta.shape) == 2
