"""The shapes of what a traced model computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx


class Shapes(fx.Interpreter):
    """Runs a traced model and notes the shape and dtype of each tensor as ``node.meta["tensor_meta"]``.

    As ``torch.fx.passes.shape_prop.ShapeProp`` does, which prints a traceback where a model can't be run that way; to
    the user who never asked for tracing, that is noise.
    """

    def run_node(self, node: fx.Node) -> Any:
        """Runs one step."""
        result = super().run_node(node)
        if isinstance(result, Tensor):
            node.meta["tensor_meta"] = torch.empty_like(result, device="meta")
        return result


def note_shapes(graph: fx.GraphModule, *inputs: Any) -> None:
    """Runs a traced model on a few inputs, see ``Shapes``.

    A model that can't be run that way raises an error of any kind.
    """
    with torch.no_grad():
        Shapes(graph).run(*inputs)
