"""Traces models while other threads run theirs.

While ``torch.fx`` traces, it puts itself in the place of ``nn.Module.__call__`` and ``nn.Module.__getattr__`` for the
whole process. A model that another thread runs meanwhile, such as one that is being trained in the next cell, would
end in a NameError; and two traces at once would leave the replacement behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn

_one_at_a_time = threading.Lock()


class _Tracer(fx.Tracer):
    """Passes over everything that other threads do."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

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


def trace_graph(model: nn.Module) -> fx.GraphModule:
    """Returns the graph of a model as ``torch.fx.symbolic_trace`` does; other threads may run models meanwhile.

    Raises:
        Exception: Of whatever kind, if it can't be traced.
    """
    with _one_at_a_time:
        tracer = _Tracer()
        graph = tracer.trace(model)
        return fx.GraphModule(tracer.root, graph, type(model).__name__)
