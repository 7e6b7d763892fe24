"""How a batch is linearized: computed once at a point, with all that its Hessian-vector products need."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from lljupyter.hessian.fast.layer_maps import apply, laid
from lljupyter.hessian.fast.layer_weights import LayerTensors
from lljupyter.hessian.fast.layerwise_model import LayerwiseModel, argument, has_relu
from lljupyter.hessian.fast.local_maps import CrossEntropyMap, LocalMap, ReshapedMap
from lljupyter.hessian.fast.passes import LinearizedBatch, reverse
from lljupyter.problem.batches import Batch
from lljupyter.problem.messages import calling
from lljupyter.problem.working_copy import Measure
from lljupyter.tracing.convolution import Convolution

RESHAPES = (torch.flatten, torch.reshape, "flatten", "reshape")


def linearize(
    model: LayerwiseModel, batch: Batch, measure: Measure, sums: LayerTensors | None, dtype: torch.dtype | None = None
) -> LinearizedBatch:
    """Compute a batch forward and in reverse, and keep what its products need.

    Args:
        model: Its weights are where they were at the last ``LayerWeights.move``.
        batch: On the device of the model.
        measure: The loss, see ``Measure``.
        sums: ``dL/dw`` of the batch is added to it, by layer; None to leave that out.
        dtype: What to keep it in; None for that of the model.
    """
    values, maps = _forward(model, batch)
    outputs = values[model.output].detach().requires_grad_()
    with torch.enable_grad(), calling("loss", (outputs, batch.targets)):
        totals, weights = measure(outputs, batch.targets, batch.n)
        total = totals.sum()
    loss: LocalMap | CrossEntropyMap | None = None
    if total.requires_grad and model.output in model.active:
        plainly = model.plain and outputs.dim() == 2
        loss = CrossEntropyMap(outputs, batch.targets) if plainly else LocalMap([total], [outputs])
    linearized = LinearizedBatch(
        model.weights.values, values, {}, maps, loss, float(total.detach()), float(weights.sum())
    )
    if loss is not None:
        reverse(model, linearized, loss.gradients([torch.ones_like(total)])[0], sums)
    return _kept(model, linearized, dtype)


def sample_scores(batch: LinearizedBatch, n: int) -> Tensor | None:
    """Return about how much of the Hessian comes from each of n samples, shape (n,); None if that is not known.

    That is the length of the gradient of its loss by the outputs, plus that of how it moves along a random direction.
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


def _forward(model: LayerwiseModel, batch: Batch) -> tuple[dict[fx.Node, Any], dict[fx.Node, LocalMap | ReshapedMap]]:
    """Return the value of every node, and the maps of the steps that are neither a layer nor a ReLU."""
    values: dict[fx.Node, Any] = {}
    maps: dict[fx.Node, LocalMap | ReshapedMap] = {}
    given = iter(batch.inputs if isinstance(batch.inputs, (list, tuple)) else (batch.inputs,))
    for node in model.steps:
        if node.op == "placeholder":
            values[node] = next(given, *node.args)
        elif node in model.layers:
            layer, source = model.layers[node], argument(node)
            x = values[source]
            if isinstance(layer, Convolution) and layer.patched and not model.takes_patches:
                x = layer.patches(x)
            x = values[source] = laid(x)
            y = apply(layer, x, *model.weights.values[layer])
            y = y if len(node.args) < 2 else y.add_(values[argument(node, 1)])
            values[node] = y.relu_() if has_relu(layer) else y
        elif node in model.relus:
            values[node] = functional.relu(values[argument(node)])
        elif node in model.active:
            leaves = [values[n].detach().requires_grad_() for n in model.active_inputs(node)]
            maps[node] = _map_of(model, node, values, leaves)
            values[node] = maps[node].outputs[0].detach()
        else:
            values[node] = model.run(node, values)
    return values, maps


def _map_of(
    model: LayerwiseModel, node: fx.Node, values: dict[fx.Node, Any], leaves: list[Tensor]
) -> LocalMap | ReshapedMap:
    named = node.op != "call_module" and node.target in RESHAPES  # a layer may have such a name, too
    if node.args and (named or type(model.module(node)) is nn.Flatten):
        return ReshapedMap(model.run(node, {**values, argument(node): leaves[0].detach()}), leaves[0])
    with torch.enable_grad():
        y = model.run(node, {**values, **dict(zip(model.active_inputs(node), leaves, strict=True))})
    return LocalMap([y], leaves)


def _kept(model: LayerwiseModel, batch: LinearizedBatch, dtype: torch.dtype | None) -> LinearizedBatch:
    """Return what products need of a batch, in a dtype (None: as it is)."""
    weights, maps = batch.weights, batch.maps
    if dtype is not None:
        for node in maps:
            leaves = [batch.values[n].detach().to(dtype).requires_grad_() for n in model.active_inputs(node)]
            maps[node] = _map_of(model, node, batch.values, leaves)
            if node in batch.adjoints:
                maps[node].gradients([batch.adjoints[node].to(dtype)])
        weights = {layer: [None if t is None else t.to(dtype) for t in pair] for layer, pair in weights.items()}
    used = {argument(node) for node in model.layers} | model.relus
    used |= {node for node, layer in model.layers.items() if has_relu(layer)}
    return batch._replace(
        weights=weights,
        values={node: x if dtype is None else x.to(dtype) for node, x in batch.values.items() if node in used},
        adjoints={n: u if dtype is None else u.to(dtype) for n, u in batch.adjoints.items() if n in model.layers},
    )
