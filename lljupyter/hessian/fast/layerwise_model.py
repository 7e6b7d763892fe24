"""Hessian-vector products layer by layer: how activations and gradients move when the weights do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from lljupyter.hessian.fast.layer_maps import apply, apply_all, input_gradient, laid, weight_gradient
from lljupyter.hessian.fast.local_maps import CrossEntropy, Local, Parts, Reshaped, Scaled
from lljupyter.problem.batches import Batch, n_bytes
from lljupyter.problem.working_copy import Measure
from lljupyter.tracing.convolution import PATCH, Convolution
from lljupyter.tracing.traced import RELUS, traced

_masked = torch.ops.aten.threshold_backward  # (gradient, y, 0): the gradient where y > 0

# Weight and bias of every layer, BatchNorm folded in, or what belongs to them.
Layers = dict[nn.Module, "list[Tensor | None]"]
Tensors = dict[fx.Node, Tensor]

KINDS = ("weight", "bias")
# Patches are cut once while they take no more than this.
PATCHES_BYTES = 256 << 20
RESHAPES = (torch.flatten, torch.reshape, "flatten", "reshape")


class Linearized(NamedTuple):
    """All that products need of one batch, in one precision.

    Attributes:
        weights: Those of the layers.
        values: The inputs of layers, and the outputs of ReLUs.
        adjoints: The derivatives of the loss by what layers compute, before a ReLU.
        others: What is neither a layer nor a ReLU.
        loss: The loss as a function of the outputs of the model; None if it does not depend on them.
        total: The loss, summed over the samples.
        weight: How much the samples weigh together.
    """

    weights: Layers
    values: Tensors
    adjoints: Tensors
    others: dict[fx.Node, Local | Reshaped]
    loss: Local | CrossEntropy | None
    total: float
    weight: float


class Program:
    """The graph of a model whose chosen parameters belong to convolutions (BatchNorm behind them) and linear layers.

    Args:
        model: In evaluation mode; not changed.
        example: A few inputs of it.
        live: All its states, which are moved in place.
        chosen: Those that the Hessian is over.
        plain: Whether the loss is cross-entropy with nothing special about it.

    Raises:
        Exception: Of whatever kind, if it can't be traced, or other parameters are chosen.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Any,
        live: Mapping[str, Tensor],
        chosen: Mapping[str, Tensor],
        plain: bool = False,
    ) -> None:
        if isinstance(example, dict):
            raise ValueError("it takes keywords")
        trace = traced(model, example)
        self._plain = plain
        self._first, self._cut = trace.first, False
        self._graph, self._live, self._chosen = trace.graph, live, list(chosen.values())
        self._order = {name: index for index, name in enumerate(chosen)}
        self._names: dict[nn.Module, dict[str, str]] = {c: c.names for c in trace.convolutions}
        if any(c.source.padding_mode != "zeros" or isinstance(c.source.padding, str) for c in trace.convolutions):
            raise ValueError("a convolution pads in another way")
        for module, kind, name in trace.slots:
            table: Any = module._parameters if kind in module._parameters else module._buffers
            table[kind] = live[name]
            if type(module) is nn.Linear:
                self._names.setdefault(module, {})[kind] = name
            elif name in chosen:
                raise ValueError(f"{name} belongs to no convolution and no linear layer")
        self._nodes: list[fx.Node] = list(trace.graph.graph.nodes)
        self._layer: dict[fx.Node, nn.Module] = {n: m for n in self._nodes if (m := self._module(n)) in self._names}
        self._relus = {n for n in self._nodes if n.target in RELUS or type(self._module(n)) is nn.ReLU}
        self._output: Any = self._nodes[-1].args[0]
        if not isinstance(self._output, fx.Node):
            raise ValueError("it returns no tensor")
        if trace.first is not None and self._chosen[0].device.type == "cpu":
            trace.first.use_patches()
        kinds = (item for names in self._names.values() for item in names.items())
        self._scales = not any(kind.startswith("norm.") and name in chosen for kind, name in kinds)
        self._fold: Local | Scaled = Local([], [])
        self._moving: list[tuple[nn.Module, int]] = []
        self._active: set[fx.Node] = set()
        self._weights: Layers = {}

    def cut(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Returns batches with the patches that a first convolution sees, if it takes those and they fit.

        From then on, only batches made of these are understood.
        """
        if self._first is None or not self._first.patched or n_bytes(batches) * PATCH > PATCHES_BYTES:
            return batches
        self._cut = True
        return [batch._replace(inputs=laid(self._first.patches(_only(batch.inputs)))) for batch in batches]

    def _module(self, node: fx.Node) -> Any:
        return self._graph.get_submodule(str(node.target)) if node.op == "call_module" else None

    def move(self) -> None:
        """Takes over the weights where the model is now."""
        gets = {m: {kind: self._live[name] for kind, name in names.items()}.get for m, names in self._names.items()}
        with torch.set_grad_enabled(not self._scales):
            folded: Layers = {}
            for module, get in gets.items():
                pair = module.fold(get) if isinstance(module, Convolution) else (get("weight"), get("bias"))
                folded[module] = list(pair)
        # How the weights of the layers hang on the parameters: where no BatchNorm moves, by factors.
        if self._scales:
            scales = {m: m.scale(get) if isinstance(m, Convolution) else None for m, get in gets.items()}
            indices = {
                (m, k): self._order.get(names.get(KINDS[k], "")) for m, names in self._names.items() for k in (0, 1)
            }
            self._moving = [place for place, index in indices.items() if index is not None]
            outputs = [(indices[m, k], folded[m][k], scales[m]) for m, k in self._moving]
            self._fold = Scaled(outputs, self._chosen)  # type: ignore[arg-type]
        else:
            self._moving = [
                (m, k) for m, pair in folded.items() for k, t in enumerate(pair) if t is not None and t.requires_grad
            ]
            self._fold = Local([folded[m][k] for m, k in self._moving], self._chosen)  # type: ignore[misc]
        self._weights = {m: [None if t is None else laid(t.detach()) for t in pair] for m, pair in folded.items()}
        self._active = set()
        for node in self._nodes:
            if (self._layer.get(node), 0) in self._moving or any(n in self._active for n in node.all_input_nodes):
                self._active.add(node)

    def none(self) -> Layers:
        """Returns nothing for every layer: a sum to add to."""
        return {m: [None, None] for m in self._names}

    def gradient(self, sums: Layers) -> Parts:
        """Returns the derivatives by the parameters for those by the weights of the layers."""
        zeros = ((sums[m][k], self._weights[m][k]) for m, k in self._moving)
        return self._fold.gradients([torch.zeros_like(w) if s is None else s for s, w in zeros])  # type: ignore[arg-type]

    def moved(self, moves: Parts) -> Layers:
        """Returns how the weights of the layers move when the parameters do."""
        found = self.none()
        for (m, k), part in zip(self._moving, self._fold.tangents(moves), strict=True):
            found[m][k] = None if part is None else laid(part)
        return found

    def product(self, sums: Layers) -> Parts:
        """Returns the product for its part in the weights of the layers; ``moved`` was called for the same one."""
        return self._fold.tangents_of_gradients([sums[m][k] for m, k in self._moving])

    def linearize(
        self, batch: Batch, measure: Measure, sums: Layers | None, dtype: torch.dtype | None = None
    ) -> Linearized:
        """Computes a batch, adds the derivatives by the weights to ``sums``, and keeps what it takes in ``dtype``."""
        values: dict[fx.Node, Any] = {}
        others: dict[fx.Node, Local | Reshaped] = {}
        given = iter(batch.inputs if isinstance(batch.inputs, (list, tuple)) else (batch.inputs,))
        for node in self._nodes[:-1]:
            if node.op == "placeholder":
                values[node] = next(given, *node.args)
            elif node in self._layer:
                module, source = self._layer[node], _node(node)
                x = values[source]
                if isinstance(module, Convolution) and module.patched and not self._cut:
                    x = module.patches(x)
                x = values[source] = laid(x)
                y = apply(module, x, *self._weights[module])
                y = y if len(node.args) < 2 else y.add_(values[_node(node, 1)])
                values[node] = y.relu_() if getattr(module, "relu", False) else y
            elif node in self._relus:
                values[node] = functional.relu(values[_node(node)])
            elif node in self._active:
                leaves = [values[n].detach().requires_grad_() for n in self._inputs(node)]
                others[node] = self._local(node, values, leaves)
                values[node] = others[node].outputs[0].detach()
            else:
                values[node] = self._run(node, values)
        outputs = values[self._output].detach().requires_grad_()
        with torch.enable_grad():
            totals, weights = measure(outputs, batch.targets, batch.n)
            total = totals.sum()
        loss: Local | CrossEntropy | None = None
        if total.requires_grad and self._output in self._active:
            plainly = self._plain and outputs.dim() == 2
            loss = CrossEntropy(outputs, batch.targets) if plainly else Local([total], [outputs])
        adjoints: Tensors = {}
        weights_there = self._weights
        kept = Linearized(weights_there, values, adjoints, others, loss, float(total.detach()), float(weights.sum()))
        if loss is not None:
            self._reverse(loss.gradients([torch.ones_like(total)])[0], kept, sums)
        if dtype is not None:
            for node in others:
                leaves = [values[n].detach().to(dtype).requires_grad_() for n in self._inputs(node)]
                others[node] = self._local(node, values, leaves)
                if node in adjoints:
                    others[node].gradients([adjoints[node].to(dtype)])
            weights_there = {m: [_to(t, dtype) for t in pair] for m, pair in self._weights.items()}
        used = {n if n in self._relus else _node(n) for n in self._nodes if n in self._layer or n in self._relus}
        used |= {n for n, module in self._layer.items() if getattr(module, "relu", False)}
        at = ({n: _to(x, dtype) for n, x in t.items()} for t in ({n: values[n] for n in used}, adjoints))
        return kept._replace(
            weights=weights_there, values=next(at), adjoints={n: x for n, x in next(at).items() if n in self._layer}
        )

    def _local(self, node: fx.Node, values: dict[fx.Node, Any], leaves: list[Tensor]) -> Local | Reshaped:
        named = node.op != "call_module" and node.target in RESHAPES  # a layer may have such a name, too
        if node.args and (named or type(self._module(node)) is nn.Flatten):
            return Reshaped(self._run(node, {**values, _node(node): leaves[0].detach()}), leaves[0])
        with torch.enable_grad():
            y = self._run(node, {**values, **dict(zip(self._inputs(node), leaves, strict=True))})
        return Local([y], leaves)

    def scores(self, batch: Linearized, n: int) -> Tensor | None:
        """Returns how much each sample has to do with the Hessian, shape (n,); None if that is not known.

        The gradient of its loss by the outputs, and how that moves in a random direction.
        """
        if batch.loss is None:
            return None
        gradient = batch.loss.gradient(0)
        noise = torch.randn(gradient.shape, generator=torch.Generator("cpu").manual_seed(0)).to(gradient)
        batch.loss.tangents([noise])
        moved = batch.loss.tangents_of_gradients([None])[0]
        parts = [part for part in (gradient, moved) if part is not None]
        if gradient.dim() == 0 or len(gradient) != n:
            return None
        return torch.stack([part.flatten(1).norm(dim=1) for part in parts]).sum(0)

    def contract(self, batch: Linearized, moves: Layers, sums: Layers) -> None:
        """Adds the product of a batch to ``sums``, for weights that move as ``moved`` says."""
        if batch.loss is None:
            return
        dtype = _dtype(batch)
        moves = {m: [_to(t, dtype) for t in pair] for m, pair in moves.items()}
        tangents: Tensors = {}
        for node in (n for n in self._nodes[:-1] if n in self._active):
            if node in self._layer:
                module, source = self._layer[node], _node(node)
                move, shift = moves[module]
                terms: list[Any] = [] if move is None else [(batch.values[source], move)]
                if source in tangents:
                    terms.append((tangents[source], batch.weights[module][0]))
                t = apply_all(module, terms, shift) if terms else None
                other = tangents.get(_node(node, 1)) if len(node.args) == 2 else None
                if other is not None:
                    t = other.clone() if t is None else t.add_(other)
                if t is not None and getattr(module, "relu", False):
                    t = _masked.grad_input(t, batch.values[node], 0, grad_input=t)
            elif node in self._relus:
                t = tangents.get(_node(node))
                t = None if t is None else _masked(t, batch.values[node], 0)
            else:
                t = batch.others[node].tangents([tangents.get(n) for n in self._inputs(node)])[0]
            if t is not None:
                tangents[node] = t
        if self._output not in tangents:
            return
        batch.loss.tangents([tangents[self._output].to(self._dtype)])
        self._reverse(batch.loss.tangents_of_gradients([None])[0], batch, sums, (moves, tangents))

    def _reverse(
        self, seed: Tensor | None, batch: Linearized, sums: Layers | None, moving: tuple[Layers, Tensors] | None = None
    ) -> None:
        """Goes from the loss to the inputs, with its gradients, which are noted, or (``moving``) their tangents."""
        flowing: Tensors = {} if seed is None else {self._output: seed.to(_dtype(batch))}

        def flow(to: fx.Node, part: Tensor | None) -> None:
            if part is not None and to in self._active:
                flowing[to] = part if to not in flowing else flowing[to] + part

        for node in (n for n in reversed(self._nodes[:-1]) if n in self._active):
            u = flowing.pop(node, None)
            module = self._layer.get(node)
            u = u if u is None else laid(u)
            if u is not None and (node in self._relus or getattr(module, "relu", False)):
                u = _masked(u, batch.values[node], 0)
            if u is not None and moving is None:
                batch.adjoints[node] = u
            if node in self._relus:
                flow(_node(node), u)
            elif module is None:
                local = batch.others[node]
                parts: Parts = []
                if moving is not None:
                    parts = local.tangents_of_gradients([u])
                elif u is not None:
                    parts = local.gradients([u])
                for n, part in zip(self._inputs(node), parts, strict=False):
                    flow(n, part)
            else:
                source = _node(node)
                terms: list[Any] = [] if u is None else [(u, batch.values[source], batch.weights[module][0])]
                if moving is not None and node in batch.adjoints:
                    terms.append((batch.adjoints[node], moving[1].get(source), moving[0][module][0]))
                if sums is not None and (module, 0) in self._moving:
                    for dw in (
                        weight_gradient(module, g, x, self._weights[module][0]) for g, x, _ in terms if x is not None
                    ):
                        _add(sums[module], 0, dw.to(self._dtype))
                if source in self._active:
                    flow(
                        source,
                        input_gradient(module, [(g, w) for g, _, w in terms if w is not None], batch.values[source]),
                    )
                if sums is not None and u is not None and (module, 1) in self._moving:
                    axes = [0, *range(2, u.dim())] if isinstance(module, Convolution) else [*range(u.dim() - 1)]
                    _add(sums[module], 1, u.to(self._dtype).sum(axes))
                if u is not None and len(node.args) == 2:
                    flow(_node(node, 1), u)

    @property
    def _dtype(self) -> torch.dtype:
        return self._chosen[0].dtype

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        return [n for n in node.all_input_nodes if n in self._active]

    def _run(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "get_attr":
            return _attribute(self._graph, str(node.target))
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        target: Any = self._module(node) if node.op == "call_module" else node.target
        return target(*args, **kwargs)


def _only(inputs: Any) -> Any:
    return inputs[0] if isinstance(inputs, (list, tuple)) else inputs


def _node(node: fx.Node, index: int = 0) -> Any:
    return node.args[index]


def _attribute(graph: nn.Module, path: str) -> Any:
    found: Any = graph
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _add(pair: list[Tensor | None], index: int, part: Tensor) -> None:
    known = pair[index]
    pair[index] = part if known is None else known.add_(part)


def _to(tensor: Any, dtype: torch.dtype | None) -> Any:
    return tensor if tensor is None or dtype is None else tensor.to(dtype)


def _dtype(batch: Linearized) -> torch.dtype:
    return next(t.dtype for pair in batch.weights.values() for t in pair if t is not None)
