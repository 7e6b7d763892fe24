"""The passes through a linearized batch: tangents forward, gradients and their tangents in reverse.

With inputs x of a layer ``y = w x + b``, adjoints ``u = dL / dy``, and R for the derivative along a direction of the
parameters, a Hessian-vector product is one pass forward and one in reverse:

    forward     Ry = w Rx + Rw x + Rb               relu: Ry = Rx where y > 0
    reverse     u_x = w^T u                         R u_x = w^T Ru + Rw^T u
                dL/dw = u x^T                       R dL/dw = Ru x^T + u Rx^T
                dL/db = u                           R dL/db = Ru
    loss        u = dL / dz                         Ru = (d^2 L / dz^2) Rz

with sums over samples and positions. Other steps are differentiated by autograd, see ``LocalMap``.

Source:
    Pearlmutter 1994, Fast exact multiplication by the Hessian, section 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from lljupyter.hessian.fast.layer_maps import apply_all, input_gradient, laid, weight_gradient
from lljupyter.hessian.fast.layer_weights import LayerTensors
from lljupyter.hessian.fast.layerwise_model import LayerwiseModel, argument, has_relu
from lljupyter.hessian.fast.local_maps import CrossEntropyMap, LocalMap, OptionalTensors, ReshapedMap
from lljupyter.tracing.convolution import Convolution

_masked = torch.ops.aten.threshold_backward  # (gradient, y, 0): the gradient where y > 0

NodeTensors = dict[fx.Node, Tensor]


class LinearizedBatch(NamedTuple):
    """All that products need of one batch, in one precision.

    Attributes:
        weights: Weight and bias of every layer.
        values: The inputs x of layers, and the outputs y of ReLUs.
        adjoints: u for every layer, before its ReLU.
        maps: Those of the steps that are neither a layer nor a ReLU.
        loss: The loss as a function of the outputs of the model; None if it does not depend on the parameters.
        total: The loss, summed over the samples.
        weight: The weights of the samples, summed; the mean loss of several batches is the sum of ``total`` by that
            of ``weight``.
    """

    weights: LayerTensors
    values: NodeTensors
    adjoints: NodeTensors
    maps: dict[fx.Node, LocalMap | ReshapedMap]
    loss: LocalMap | CrossEntropyMap | None
    total: float
    weight: float

    @property
    def dtype(self) -> torch.dtype:
        """The precision of values, adjoints and weights."""
        return next(t.dtype for pair in self.weights.values() for t in pair if t is not None)


class Moving(NamedTuple):
    """How a batch moves along a direction of the parameters.

    Attributes:
        weights: Rw and Rb of every layer.
        values: Ry of the nodes that move.
    """

    weights: LayerTensors
    values: NodeTensors


def add_product(model: LayerwiseModel, batch: LinearizedBatch, moves: LayerTensors, sums: LayerTensors) -> None:
    """Add ``R(dL/dw)`` of a batch to ``sums``.

    Args:
        model: The model.
        batch: The batch.
        moves: Rw of every layer, see ``LayerWeights.tangents``.
        sums: By the weights of every layer, changed in place.
    """
    if batch.loss is None:
        return
    weights = {layer: [_to(t, batch.dtype) for t in pair] for layer, pair in moves.items()}
    moving = Moving(weights, tangents(model, batch, weights))
    if model.output in moving.values:
        batch.loss.tangents([moving.values[model.output].to(model.weights.dtype)])
        reverse(model, batch, batch.loss.tangents_of_gradients([None])[0], sums, moving)


def tangents(model: LayerwiseModel, batch: LinearizedBatch, moves: LayerTensors) -> NodeTensors:
    """Return Ry of every node that moves; the pass forward."""
    found: NodeTensors = {}
    for node in (n for n in model.steps if n in model.active):
        if node in model.layers:
            t = _layer_tangent(model.layers[node], node, batch, moves, found)
        elif node in model.relus:
            source = found.get(argument(node))
            t = None if source is None else _masked(source, batch.values[node], 0)
        else:
            t = batch.maps[node].tangents([found.get(n) for n in model.active_inputs(node)])[0]
        if t is not None:
            found[node] = t
    return found


def _layer_tangent(
    layer: nn.Module, node: fx.Node, batch: LinearizedBatch, moves: LayerTensors, known: NodeTensors
) -> Tensor | None:
    """Return ``w Rx + Rw x + Rb``, with what is added, where the ReLU of the layer lets it pass."""
    source, (move, shift) = argument(node), moves[layer]
    terms: list[Any] = [] if move is None else [(batch.values[source], move)]
    if source in known:
        terms.append((known[source], batch.weights[layer][0]))
    t = apply_all(layer, terms, shift) if terms else None
    other = known.get(argument(node, 1)) if len(node.args) == 2 else None
    if other is not None:
        t = other.clone() if t is None else t.add_(other)
    if t is not None and has_relu(layer):
        t = _masked.grad_input(t, batch.values[node], 0, grad_input=t)
    return t


def reverse(
    model: LayerwiseModel,
    batch: LinearizedBatch,
    seed: Tensor | None,
    sums: LayerTensors | None,
    moving: Moving | None = None,
) -> None:
    """Go from the loss to the inputs with u, or, if something is moving, with Ru.

    Args:
        model: The model.
        batch: The batch. Without ``moving``, its ``adjoints`` are filled.
        seed: u or Ru of the outputs of the model, of their shape; None for zeros.
        sums: ``dL/dw`` or ``R(dL/dw)`` is added to it; None to leave that out.
        moving: How the batch moves.
    """
    flowing: NodeTensors = {} if seed is None else {model.output: seed.to(batch.dtype)}

    def flow(to: fx.Node, part: Tensor | None) -> None:
        if part is not None and to in model.active:
            flowing[to] = part if to not in flowing else flowing[to] + part

    for node in (n for n in reversed(model.steps) if n in model.active):
        u, layer = flowing.pop(node, None), model.layers.get(node)
        u = u if u is None else laid(u)
        if u is not None and (node in model.relus or has_relu(layer)):
            u = _masked(u, batch.values[node], 0)
        if u is not None and moving is None:
            batch.adjoints[node] = u
        if node in model.relus:
            flow(argument(node), u)
        elif layer is not None:
            _reverse_layer(model, layer, node, batch, u, sums, moving, flow)
        else:
            parts: OptionalTensors = []
            if moving is not None:
                parts = batch.maps[node].tangents_of_gradients([u])
            elif u is not None:
                parts = batch.maps[node].gradients([u])
            for n, part in zip(model.active_inputs(node), parts, strict=False):
                flow(n, part)


def _reverse_layer(
    model: LayerwiseModel,
    layer: nn.Module,
    node: fx.Node,
    batch: LinearizedBatch,
    u: Tensor | None,
    sums: LayerTensors | None,
    moving: Moving | None,
    flow: Callable[[fx.Node, Tensor | None], None],
) -> None:
    """Pass u, or Ru, through a layer to its inputs, and add what belongs to its weights to ``sums``."""
    source, weights = argument(node), model.weights
    # (adjoint, input, weight): u with x and w, and if something is moving, Ru with x and w and u with Rx and Rw.
    terms: list[Any] = [] if u is None else [(u, batch.values[source], batch.weights[layer][0])]
    if moving is not None and node in batch.adjoints:
        terms.append((batch.adjoints[node], moving.values.get(source), moving.weights[layer][0]))
    if sums is not None and (layer, 0) in weights.moving:
        for adjoint, x, _ in terms:
            if x is not None:
                dw = weight_gradient(layer, adjoint, x, weights.values[layer][0])
                _add(sums[layer], 0, dw.to(weights.dtype))
    if source in model.active:
        pairs = [(adjoint, w) for adjoint, _, w in terms if w is not None]
        flow(source, input_gradient(layer, pairs, batch.values[source]))
    if u is None:
        return
    if sums is not None and (layer, 1) in weights.moving:
        axes = [0, *range(2, u.dim())] if isinstance(layer, Convolution) else [*range(u.dim() - 1)]
        _add(sums[layer], 1, u.to(weights.dtype).sum(axes))
    if len(node.args) == 2:
        flow(argument(node, 1), u)


def _add(pair: list[Tensor | None], index: int, part: Tensor) -> None:
    known = pair[index]
    pair[index] = part if known is None else known.add_(part)


def _to(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)
