"""A model whose chosen parameters all belong to convolutions (BatchNorm behind them) and linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx, nn

from lljupyter.hessian.fast.layer_maps import laid
from lljupyter.hessian.fast.layer_weights import LayerWeights
from lljupyter.problem.batches import Batch, n_bytes
from lljupyter.problem.messages import calling
from lljupyter.tracing.convolution import PATCH
from lljupyter.tracing.trace import RELUS, Trace, trace_model

# Patches are cut once while they take no more than this.
PATCHES_BYTES = 256 << 20


class LayerwiseModel:
    """The traced graph of a model, every step of which is a layer, a ReLU, or a map that autograd differentiates.

    Args:
        model: In evaluation mode; not changed.
        example: A few inputs of it.
        live: All its states by name, which are moved in place.
        chosen: The parameters that the Hessian is over, by name.
        plain: Whether the loss is cross-entropy on class indices, without weights, smoothing or ignored targets.

    Attributes:
        steps: The nodes of the graph in the order of computation, without its output.
        layers: The convolutions and linear layers among them, ``{node: layer}``. A convolution may take a second
            argument, which it adds, and end in a ReLU.
        relus: The ReLUs among them.
        active: The nodes whose values depend on the chosen parameters.
        output: The node whose value the model returns.
        weights: Weight and bias of every layer.
        plain: As given.
        takes_patches: Whether batches hold patches in place of images, see ``cut_patches``.

    Raises:
        ValueError: If chosen parameters belong to other layers, or the model computes in another way. Tracing itself
            raises whatever the model raises.
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
        trace = trace_model(model, example)
        if any(c.source.padding_mode != "zeros" or isinstance(c.source.padding, str) for c in trace.convolutions):
            raise ValueError("a convolution pads in another way")
        self.plain, self.takes_patches = plain, False
        self._graph, self._first = trace.graph, trace.first
        names = _names_of_layers(trace, live, chosen)
        nodes: list[fx.Node] = list(trace.graph.graph.nodes)
        self.steps = nodes[:-1]
        self.layers: dict[fx.Node, nn.Module] = {n: m for n in nodes if (m := self.module(n)) in names}
        self.relus = {n for n in nodes if n.target in RELUS or type(self.module(n)) is nn.ReLU}
        self.output: Any = nodes[-1].args[0]
        if not isinstance(self.output, fx.Node):
            raise ValueError("it returns no tensor")
        if self._first is not None and next(iter(chosen.values())).device.type == "cpu":
            self._first.use_patches()
        self.weights = LayerWeights(names, live, chosen)
        self.active: set[fx.Node] = set()
        for node in self.steps:
            own = node in self.layers and (self.layers[node], 0) in self.weights.moving
            if own or self.active_inputs(node):
                self.active.add(node)

    def cut_patches(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Return batches with the patches that a first convolution sees, if it takes those and they fit.

        From then on, only batches made of these are understood.
        """
        if self._first is None or not self._first.patched or n_bytes(batches) * PATCH > PATCHES_BYTES:
            return batches
        self.takes_patches = True
        return [batch._replace(inputs=laid(self._first.patches(_only(batch.inputs)))) for batch in batches]

    def module(self, node: fx.Node) -> Any:
        """Return the module that a node calls, or None."""
        return self._graph.get_submodule(str(node.target)) if node.op == "call_module" else None

    def active_inputs(self, node: fx.Node) -> list[fx.Node]:
        """Return the inputs of a node that depend on the chosen parameters."""
        return [n for n in node.all_input_nodes if n in self.active]

    def run(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
        """Return the value of a node for those of its inputs."""
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "get_attr":
            return _attribute(self._graph, str(node.target))
        target: Any = self.module(node) if node.op == "call_module" else node.target
        with calling("model", args):
            if node.op == "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            return target(*args, **kwargs)


def has_relu(layer: nn.Module | None) -> bool:
    """Return True for a convolution that ends in a ReLU."""
    return bool(getattr(layer, "relu", False))


def argument(node: fx.Node, index: int = 0) -> Any:
    """Return a positional argument of a node: of a layer, its input (0) or what is added to its output (1)."""
    return node.args[index]


def _names_of_layers(
    trace: Trace, live: Mapping[str, Tensor], chosen: Mapping[str, Tensor]
) -> dict[nn.Module, dict[str, str]]:
    """Return the states that each layer is made from; put the live ones in the place of all others of the graph.

    Raises:
        ValueError: If a chosen parameter belongs to no layer.
    """
    names: dict[nn.Module, dict[str, str]] = {c: c.names for c in trace.convolutions}
    for module, kind, name in trace.slots:
        table: Any = module._parameters if kind in module._parameters else module._buffers
        table[kind] = live[name]
        if type(module) is nn.Linear:
            names.setdefault(module, {})[kind] = name
        elif name in chosen:
            raise ValueError(f"{name} belongs to no convolution and no linear layer")
    return names


def _only(inputs: Any) -> Any:
    return inputs[0] if isinstance(inputs, (list, tuple)) else inputs


def _attribute(graph: nn.Module, dotted: str) -> Any:
    found: Any = graph
    for name in dotted.split("."):
        found = getattr(found, name)
    return found
