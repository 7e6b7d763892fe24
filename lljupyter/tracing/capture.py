"""Trace models while other threads run theirs.

While ``torch.fx`` traces, it puts itself in the place of ``nn.Module.__call__`` and ``nn.Module.__getattr__`` for the
whole process. A model that another thread runs meanwhile, such as one that is being trained in the next cell, would
end in a NameError; and two traces at once would leave the replacement behind.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn

_one_at_a_time = threading.Lock()
IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.setitem)


class _Proxy(fx.Proxy):
    """Knows that ``x += y`` changes what else is called x, which torch traces as ``x = x + y``."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})


class _Tracer(fx.Tracer):
    """Passes over everything that other threads do."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def changes_in_place(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a step changes the tensor that it is given first."""
    if node.op == "call_module":
        return bool(getattr(graph.get_submodule(str(node.target)), "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    named = name.endswith("_") and not name.endswith("__")
    called = node.op in ("call_function", "call_method")
    return called and (named or node.target in IN_PLACE or bool(node.kwargs.get("inplace")))


def capture_graph(model: nn.Module) -> fx.GraphModule:
    """Return the graph of a model as ``torch.fx.symbolic_trace`` does; other threads may run models meanwhile.

    A model that can't be traced raises an error of any kind.
    """
    with _one_at_a_time:
        tracer = _Tracer()
        graph = tracer.trace(model)
        return fx.GraphModule(tracer.root, graph, type(model).__name__)
