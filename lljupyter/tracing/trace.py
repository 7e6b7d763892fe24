"""A model seen as a graph: which convolutions a BatchNorm follows, and what can be computed along with them."""

from __future__ import annotations

import copy
import math
import operator
from typing import Any, NamedTuple, cast

import torch
from torch import fx, nn
from torch.nn import functional

from lljupyter.tracing.capture import capture_graph, changes_in_place
from lljupyter.tracing.convolution import Convolution
from lljupyter.tracing.memory_layout import keep_order
from lljupyter.tracing.shapes import note_shapes

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
RELUS = (functional.relu, functional.relu_, torch.relu, torch.relu_)
ADDITIONS = (operator.add, operator.iadd, torch.add)


class Slot(NamedTuple):
    """Where a tensor of the model sits that belongs to no ``Convolution``."""

    module: nn.Module
    kind: str
    name: str


class Trace(NamedTuple):
    """A model as a graph.

    Attributes:
        graph: Called like the model.
        convolutions: Its convolutions, in the order of the graph.
        slots: All other floating-point tensors that it uses.
        widest: Elements of the largest intermediate result, a sample.
        first: The convolution that takes the inputs, if nothing else does.
    """

    graph: fx.GraphModule
    convolutions: list[Convolution]
    slots: list[Slot]
    widest: int
    first: Convolution | None


def trace_model(model: nn.Module, example: Any) -> Trace:
    """Trace a model and draws BatchNorm, addition and ReLU into its convolutions.

    Args:
        model: In evaluation mode; not changed.
        example: A few inputs of it: a tensor, or several in a list or tuple.

    Raises:
        ValueError: If a hook would be passed over, or a change in place. Tracing itself raises whatever the model
            raises on it.
    """
    if any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules()):
        raise ValueError("it has forward hooks, or a layer has a forward of its own")
    private = copy.deepcopy(model)
    tensors = (*private.named_parameters(), *private.named_buffers())
    names = {id(tensor): name for name, tensor in tensors if tensor.is_floating_point()}
    graph = capture_graph(private)
    inputs = example if isinstance(example, (list, tuple)) else (example,)
    note_shapes(graph, *inputs)
    _check_flat(graph)
    metas = [node.meta.get("tensor_meta") for node in graph.graph.nodes]
    widest = max(math.prod(m.shape) for m in metas if hasattr(m, "shape")) // len(inputs[0])
    _drop_identities(graph)
    _allow_copies(graph)
    convolutions = []
    for node in list(graph.graph.nodes):
        module = _module(graph, node)
        if type(module) in CONVOLUTIONS and _uses(graph, node.target) == 1:
            convolutions.append(_convolution(graph, node, module, names))
            graph.add_submodule(name := f"convolution_{node.name}", convolutions[-1])
            node.target = name
    for node in list(graph.graph.nodes):
        if type(_module(graph, node)) is nn.Linear and _uses(graph, node.target) == 1:
            convolutions += _convolved(graph, node, names)
    for node in list(graph.graph.nodes):
        if isinstance(_module(graph, node), Convolution):
            _draw_in(graph, node)
    _free_summands(graph)
    keep_order(graph)
    graph.graph.lint()
    graph.delete_all_unused_submodules()
    graph.recompile()
    slots = [
        Slot(module, kind, names[id(tensor)])
        for module in graph.modules()
        for kind, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None and tensor.is_floating_point()
    ]
    placed = [node for node in graph.graph.nodes if node.op == "placeholder"]
    reader = _only_user(placed[0]) if len(placed) == 1 else None
    first = None if reader is None else _module(graph, reader)
    return Trace(graph, convolutions, slots, widest, first if isinstance(first, Convolution) else None)


def _module(graph: fx.GraphModule, node: fx.Node) -> Any:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _uses(graph: fx.GraphModule, target: Any) -> int:
    module = graph.get_submodule(target)
    return sum(_module(graph, node) is module for node in graph.graph.nodes)


def _check_flat(graph: fx.GraphModule) -> None:
    """Refuse what changes in place a tensor that is flattened elsewhere: with channels last, that would be a copy."""
    for node in graph.graph.nodes:
        changed = node.args[0] if changes_in_place(graph, node) and node.args else None
        if isinstance(changed, fx.Node) and any(_flattens(graph, user) for user in changed.users if user is not node):
            raise ValueError("it changes in place what it flattens")


def _allow_copies(graph: fx.GraphModule) -> None:
    """Reshape what was viewed: in memory, channels may come last."""
    for node in graph.graph.nodes:
        if node.op == "call_method" and node.target == "view" and not isinstance(node.args[1], torch.dtype):
            node.target = "reshape"


def _drop_identities(graph: fx.GraphModule) -> None:
    for node in list(graph.graph.nodes):
        if isinstance(_module(graph, node), IDENTITIES):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _convolution(graph: fx.GraphModule, node: fx.Node, module: nn.Module, names: dict[int, str]) -> Convolution:
    own = {kind: names[id(tensor)] for kind, tensor in module._parameters.items() if tensor is not None}
    norm_node = _only_user(node)
    norm: Any = None if norm_node is None else _module(graph, norm_node)
    if norm_node is None or type(norm) not in NORMS or norm.running_mean is None or _uses(graph, norm_node.target) > 1:
        return Convolution(module, own)
    tensors = {**norm._parameters, **norm._buffers}
    own |= {f"norm.{kind}": names[id(t)] for kind, t in tensors.items() if t is not None and id(t) in names}
    norm_node.replace_all_uses_with(node)
    graph.graph.erase_node(norm_node)
    return Convolution(module, own, norm.eps)


def _convolved(graph: fx.GraphModule, node: fx.Node, names: dict[int, str]) -> list[Convolution]:
    """Make a linear layer of flattened images a convolution as large as they are, if it is one.

    Images lie in memory with the channels last, from where they would be copied to be flattened.
    """
    flat = node.args[0] if node.args else None
    if not isinstance(flat, fx.Node) or not _flattens(graph, flat) or not _may_move(graph, flat, node):
        return []
    if not flat.args or not isinstance(flat.args[0], fx.Node):
        return []
    image, linear = flat.args[0], _module(graph, node)
    meta = image.meta.get("tensor_meta")
    if meta is None or len(meta.shape) != 4 or min(meta.shape[2:]) < 2 or len(flat.users) > 1:
        return []
    _, channels, *size = meta.shape
    if linear.in_features != channels * math.prod(size):
        return []
    own = {kind: names[id(tensor)] for kind, tensor in linear._parameters.items() if tensor is not None}
    # Not initialized: its weights are those of the linear layer, and to draw others would move the global generator.
    sizes = channels, linear.out_features, tuple(size)
    source = nn.utils.skip_init(nn.Conv2d, *sizes, bias="bias" in own)  # type: ignore[no-untyped-call]
    convolution = Convolution(source, own, shape=source.weight.shape)
    graph.add_submodule(name := f"convolution_{node.name}", convolution)
    with graph.graph.inserting_before(node):
        whole = graph.graph.call_module(name, (image,))
        whole.meta = {}
        again = graph.graph.call_function(torch.flatten, (whole, 1))
    node.replace_all_uses_with(again)
    graph.graph.erase_node(node)
    graph.graph.erase_node(flat)
    return [convolution]


def _flattens(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node makes rows of images, (n, channels, height, width) to (n, features)."""
    meta = node.meta.get("tensor_meta")
    named = node.target in (torch.flatten, torch.reshape, "flatten", "view", "reshape")
    named = named or type(_module(graph, node)) is nn.Flatten
    return named and meta is not None and len(meta.shape) == 2


def _draw_in(graph: fx.GraphModule, node: fx.Node) -> None:
    """Compute an addition and a ReLU that only this convolution feeds along with it."""
    convolution = cast(Convolution, _module(graph, node))
    user = _only_user(node)
    if user is not None and _is(user, ADDITIONS, ("add", "add_")) and len(user.args) == 2 and not user.kwargs:
        others = [a for a in user.args if a is not node]
        # Where the other summand is changed in place, it may have other names.
        fits = len(others) == 1 and (user.args[0] is node or not changes_in_place(graph, user))
        if fits and isinstance(others[0], fx.Node) and _alike(node, others[0]) and _may_move(graph, node, user):
            # It moves to where the sum is, because the other summand may be known only there.
            with graph.graph.inserting_before(user):
                merged = graph.graph.call_module(str(node.target), (node.args[0], others[0]))
            merged.meta = dict(node.meta)
            user.replace_all_uses_with(merged)
            graph.graph.erase_node(user)
            graph.graph.erase_node(node)
            node = merged
    user = _only_user(node)
    if user is not None and (_is(user, RELUS, ("relu", "relu_")) or isinstance(_module(graph, user), nn.ReLU)):
        convolution.relu = True
        user.replace_all_uses_with(node)
        graph.graph.erase_node(user)


def _free_summands(graph: fx.GraphModule) -> None:
    """Let a convolution add in place where its second summand came from one, and only they have read it before."""
    place = {node: i for i, node in enumerate(graph.graph.nodes)}
    for node in graph.graph.nodes:
        module = _module(graph, node)
        if not isinstance(module, Convolution) or len(node.args) < 2:
            continue
        image, other = node.args
        readers = [user for user in other.users if user is not node]
        fresh = all(isinstance(_module(graph, n), Convolution) for n in (other, *readers))
        module.in_place = fresh and image is not other and all(place[user] < place[node] for user in readers)


def _may_move(graph: fx.GraphModule, node: fx.Node, to: fx.Node) -> bool:
    """Whether nothing that a step may be computed from is changed in place on the way to another step."""
    between = node.next
    while between is not to:
        if changes_in_place(graph, between):
            changed = between.args[0] if between.args else None
            made = _module(graph, changed) if isinstance(changed, fx.Node) else None
            fresh = isinstance(made, Convolution) or type(made) in (nn.Linear, *CONVOLUTIONS, *NORMS)
            if not fresh or _only_user(cast(fx.Node, changed)) is not between:
                return False
        between = between.next
    return True


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is(node: fx.Node, functions: tuple[Any, ...], methods: tuple[str, ...]) -> bool:
    return (node.op == "call_function" and node.target in functions) or (
        node.op == "call_method" and node.target in methods
    )


def _alike(a: fx.Node, b: fx.Node) -> bool:
    first, second = a.meta.get("tensor_meta"), b.meta.get("tensor_meta")
    return (
        first is not None
        and getattr(second, "shape", None) == first.shape
        and getattr(second, "dtype", None) == first.dtype
    )
