"""Models that are a chain of linear layers and elementwise functions, as a list of steps."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from lljupyter.tracing.capture import capture_graph, changes_in_place
from lljupyter.tracing.shapes import note_shapes
from lljupyter.tracing.trace import ADDITIONS, IDENTITIES, RELUS

INPUTS = "inputs"
ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Hardtanh)
FUNCTIONS: tuple[Any, ...] = (torch.tanh, torch.sigmoid, functional.tanh, functional.sigmoid, functional.gelu)
FUNCTIONS = (*FUNCTIONS, functional.silu, functional.elu, functional.leaky_relu)
METHODS = ("tanh", "sigmoid")


class Step(NamedTuple):
    """One step of the model, of the given ``kind``.

    Attributes:
        kind: "linear", "add", "module", "function" or "method".
        result: Name of what it computes.
        sources: Names of what it is computed from.
        what: The layer, function or name of the method.
        options: Keyword arguments; for a layer, whether a ``relu`` follows it.
    """

    kind: str
    result: str
    sources: list[str]
    what: Any
    options: dict[str, Any]


def chain_of(model: nn.Module, example: Tensor) -> tuple[list[Step], str]:
    """Return the steps of a model of linear layers, and the name of its result.

    Args:
        model: In evaluation mode; not changed.
        example: A few of its inputs, shape (n, ...).

    Raises:
        ValueError: If it is no chain of linear layers and elementwise functions, or a hook would be passed over.
        Exception: Of whatever kind, if it can't be traced.
    """
    if any(m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m) for m in model.modules()):
        raise ValueError("it has forward hooks, or a layer has a forward of its own")
    if not example.is_floating_point():
        raise ValueError("its inputs are no floating-point numbers")
    graph = capture_graph(model)
    note_shapes(graph, example)
    same: dict[fx.Node, str] = {}
    steps: list[Step] = []
    order = {node: k for k, node in enumerate(graph.graph.nodes)}
    for node in graph.graph.nodes:
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        sources = [same.get(a, a.name) for a in node.args if isinstance(a, fx.Node)]
        function = node.target if node.op == "call_function" else None
        if node.op == "placeholder":
            same[node] = INPUTS
        elif node.op == "output":
            if not steps or not isinstance(node.args[0], fx.Node) or not _is_matrix(node.args[0]):
                break
            return steps, same.get(node.args[0], node.args[0].name)
        elif changes_in_place(graph, node) and any(
            order[user] > order[node] for alias in _aliases(sources[:1], same, order) for user in alias.users
        ):
            break  # what else is computed from it would not see the change
        elif isinstance(module, IDENTITIES):
            same[node] = sources[0]
        elif _flattens(node, module) and _is_matrix(node) and sources[0] == INPUTS:
            same[node] = INPUTS
        elif _counts(node) and sources[:1] == [INPUTS]:
            continue  # a number that the inputs are reshaped with
        elif type(module) is nn.Linear and (sources[0] != INPUTS or module.in_features == example[0].numel()):
            steps.append(Step("linear", node.name, sources, module, {"relu": False}))
        elif INPUTS in sources:
            break
        elif function in ADDITIONS and len(sources) == len(node.args) == 2 and not node.kwargs:
            steps.append(Step("add", node.name, sources, torch.add, {}))
        elif _rectifies(node, module):
            alone = _used_once(node.args[0], same)
            if alone and steps[-1].kind == "linear" and steps[-1].result == sources[0]:
                steps[-1].options["relu"] = True
                same[node] = sources[0]
            else:
                steps.append(Step("function", node.name, sources, torch.relu_ if alone else torch.relu, {}))
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


def _used_once(node: fx.Node, same: dict[fx.Node, str]) -> bool:
    """Return True if nothing else uses the value of a node, so that it may be changed in place."""
    while len(node.users) == 1:
        if node not in same or not isinstance(node.args[0], fx.Node):
            return True
        node = node.args[0]
    return False


def _aliases(names: list[str], same: dict[fx.Node, str], nodes: Iterable[fx.Node]) -> list[fx.Node]:
    """Return all that is the same tensor as those of these names."""
    return [node for node in nodes if same.get(node, node.name) in names]


def _counts(node: fx.Node) -> bool:
    """Return True if a node is a size, or several sizes."""
    named = node.target in ("size", len, getattr, operator.getitem)
    return named and node.meta.get("tensor_meta") is None


def _flattens(node: fx.Node, module: nn.Module | None) -> bool:
    return isinstance(module, nn.Flatten) or node.target in (torch.flatten, "flatten", "view", "reshape")


def _is_matrix(node: fx.Node) -> bool:
    meta = node.meta.get("tensor_meta")
    return meta is not None and len(meta.shape) == 2
