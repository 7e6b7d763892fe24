"""The weights of layers as functions of the parameters of a model: BatchNorm is folded into the convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lljupyter.hessian.fast.layer_maps import laid
from lljupyter.hessian.fast.local_maps import LocalMap, OptionalTensors, ScaledMap
from lljupyter.tracing.convolution import Convolution

# Weight and bias of every layer, or what belongs to them: derivatives by them, or how they move. None: zeros.
LayerTensors = dict[nn.Module, "list[Tensor | None]"]

KINDS = ("weight", "bias")
# The states that the weight and the bias of a layer are computed from.
SOURCES = (("weight", "norm.weight"), ("bias", "norm.bias", "norm.weight"))


class LayerWeights:
    """Weight and bias ``w(theta)`` of every layer, where theta are the parameters that the Hessian is over.

    A convolution with a BatchNorm behind it has ``w = s W`` and ``b = s (b_0 - mean) + shift``, with
    ``s = scale / sqrt(variance + eps)``. If no parameter of a BatchNorm is chosen, s is constant, and w
    linear in theta.

    Args:
        names: The states that each layer is made from, ``{layer: {kind: name}}``; see ``Convolution.names``.
        live: All states of the model by name, which are moved in place.
        chosen: Those that the Hessian is over, by name, in order.

    Attributes:
        values: Weight and bias of every layer where the model was at the last ``move``, without gradients.
        moving: The weights (0) and biases (1) that depend on theta, as ``(layer, 0 or 1)``.
        dtype: That of theta.
    """

    def __init__(
        self, names: Mapping[nn.Module, Mapping[str, str]], live: Mapping[str, Tensor], chosen: Mapping[str, Tensor]
    ) -> None:
        self._names, self._live, self._chosen = names, live, list(chosen.values())
        self._order = {name: index for index, name in enumerate(chosen)}
        kinds = (item for own in names.values() for item in own.items())
        self._norms_move = any(kind.startswith("norm.") and name in chosen for kind, name in kinds)
        self.moving = [
            (layer, k) for layer, own in names.items() for k in (0, 1) if any(own.get(s) in chosen for s in SOURCES[k])
        ]
        self._map: LocalMap | ScaledMap = ScaledMap([], [])
        self.values: LayerTensors = {}
        self.dtype = self._chosen[0].dtype

    def move(self) -> None:
        """Read the weights where the model is now; with gradients enabled for theta."""
        states = {m: {kind: self._live[name] for kind, name in own.items()}.get for m, own in self._names.items()}
        folded: LayerTensors = {}
        with torch.set_grad_enabled(self._norms_move):
            for layer, get in states.items():
                pair = layer.fold(get) if isinstance(layer, Convolution) else (get("weight"), get("bias"))
                folded[layer] = list(pair)
        outputs: list[Any] = [folded[layer][k] for layer, k in self.moving]
        if self._norms_move:
            self._map = LocalMap(outputs, self._chosen)
        else:
            factors = [m.scale(states[m]) if isinstance(m, Convolution) else None for m, _ in self.moving]
            inputs = [self._order[self._names[layer][KINDS[k]]] for layer, k in self.moving]
            self._map = ScaledMap(list(zip(inputs, outputs, factors, strict=True)), self._chosen)
        self.values = {m: [None if t is None else laid(t.detach()) for t in pair] for m, pair in folded.items()}

    def zeros(self) -> LayerTensors:
        """Return None for weight and bias of every layer: a sum to add to."""
        return {layer: [None, None] for layer in self._names}

    def gradients(self, by_weights: LayerTensors) -> OptionalTensors:
        """Return ``w'(theta)^T dL/dw``, one tensor per parameter, for the derivatives by the weights of the layers."""
        pairs: list[Any] = [(by_weights[layer][k], self.values[layer][k]) for layer, k in self.moving]
        return self._map.gradients([torch.zeros_like(w) if s is None else s for s, w in pairs])

    def tangents(self, moves: OptionalTensors) -> LayerTensors:
        """Return ``Rw = w'(theta) v`` for v, one tensor per parameter."""
        found = self.zeros()
        for (layer, k), part in zip(self.moving, self._map.tangents(moves), strict=True):
            found[layer][k] = None if part is None else laid(part)
        return found

    def tangents_of_gradients(self, by_weights: LayerTensors) -> OptionalTensors:
        """Return ``R(w'(theta)^T dL/dw)``, which is H v, for ``R(dL/dw)``, and for the v of the last ``tangents``."""
        return self._map.tangents_of_gradients([by_weights[layer][k] for layer, k in self.moving])
