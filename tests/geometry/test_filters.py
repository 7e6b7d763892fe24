"""A function that is rescaled, layer by layer, has the same filter-normalized surface."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.reference import grid_points, slow_mean
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from lljupyter import normalize_direction, random_direction
from lljupyter.geometry.filters import FilterAxis, filter_axes, filter_norms
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane

POINTS = grid_points([-1, 0, 0.7], [-0.5, 0, 0.5])


class Conv1D(nn.Module):
    """As in transformers, where it computes the projections of GPT-2."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


Conv1D.__module__ = "transformers.pytorch_utils"


class Pooled(nn.Module):
    """A layer whose outputs are at axis 1, averaged over what comes after, in front of a linear one."""

    def __init__(self, layer: nn.Module, between: nn.Module, n_out: int, call: Callable[..., Tensor] | None = None):
        super().__init__()
        self.layer, self.between, self.head = layer, between, nn.Linear(n_out, 3)
        self.call = call or (lambda layer, x: layer(x))

    def forward(self, x: Any) -> Tensor:
        between = self.between(self.call(self.layer, x))
        return self.head(between.flatten(2).mean(-1) if between.dim() > 2 else between)


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TOKENS = torch.arange(20).reshape(5, 4) % 7

# Layer, inputs, outputs, and how it is called where that is not layer(x).
LAYERS: dict[str, tuple[Callable[[], nn.Module], Tensor, int, Callable[..., Tensor] | None]] = {
    "Linear": (lambda: nn.Linear(4, 6), randn(5, 4), 6, None),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3), randn(5, 4, 9), 6, None),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 2), randn(5, 4, 3, 4), 6, None),
    "Conv2d, groups": (lambda: nn.Conv2d(4, 6, 2, groups=2), randn(5, 4, 3, 4), 6, None),
    "Conv3d": (lambda: nn.Conv3d(2, 6, 2), randn(5, 2, 3, 3, 3), 6, None),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3), randn(5, 4, 5), 6, None),
    "ConvTranspose1d, groups": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2), randn(5, 4, 5), 6, None),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 2, stride=2), randn(5, 4, 3, 3), 6, None),
    "ConvTranspose2d, groups": (lambda: nn.ConvTranspose2d(6, 9, 2, groups=3), randn(5, 6, 3, 3), 9, None),
    "ConvTranspose2d, depthwise": (lambda: nn.ConvTranspose2d(4, 4, 2, groups=4), randn(5, 4, 3, 3), 4, None),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 6, 2), randn(5, 2, 3, 3, 3), 6, None),
    "ConvTranspose3d, groups": (lambda: nn.ConvTranspose3d(4, 6, 2, groups=2), randn(5, 4, 3, 3, 3), 6, None),
    "Embedding": (lambda: nn.Embedding(7, 6), TOKENS, 6, lambda layer, x: layer(x).transpose(1, 2)),
    "Embedding, padding": (
        lambda: nn.Embedding(7, 6, padding_idx=2),
        TOKENS,
        6,
        lambda layer, x: layer(x).transpose(1, 2),
    ),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(7, 6), TOKENS, 6, None),
    "EmbeddingBag, sum": (lambda: nn.EmbeddingBag(7, 6, mode="sum", padding_idx=0), TOKENS, 6, None),
    "Bilinear": (lambda: nn.Bilinear(4, 4, 6), randn(5, 4), 6, lambda layer, x: layer(x, x.flip(0))),
    "Conv1D of transformers": (lambda: Conv1D(6, 4), randn(5, 4), 6, None),
    "LayerNorm, three axes": (lambda: nn.LayerNorm([4, 3, 2]), randn(5, 4, 3, 2), 4, None),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(4, 6)), randn(5, 4), 6, None),
    "weight norm, transposed": (
        lambda: parametrizations.weight_norm(nn.ConvTranspose2d(4, 6, 2), dim=1),
        randn(5, 4, 3, 3),
        6,
        None,
    ),
}


def scale_outputs(layer: nn.Module, factors: Tensor) -> None:
    """Scale each output of a layer by a factor, whatever the layer."""
    for name, parameter in layer.named_parameters():
        if name == "bias" or name.endswith("original0"):
            shape = [-1 if size == len(factors) else 1 for size in parameter.shape]
            parameter.data.mul_(factors.reshape(shape) if name != "bias" or parameter.dim() > 1 else factors)
        elif "original1" in name:
            continue  # a direction
        elif isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) or type(layer).__name__ == "Conv1D":
            parameter.data.mul_(factors)
        elif "ConvTranspose" in type(layer).__name__:
            for out, factor in enumerate(factors):  # the outputs of one group after the other
                group, column = divmod(out, parameter.shape[1])
                n_in = len(parameter) // layer.groups
                parameter.data[group * n_in : (group + 1) * n_in, column] *= factor
        else:
            parameter.data.mul_(factors.reshape(-1, *[1] * (parameter.dim() - 1)))


def batchnorm(n: int) -> nn.Module:
    norm = nn.BatchNorm1d(n, eps=0)
    norm._check_input_dim = lambda x: None  # any number of axes
    norm.weight.data.copy_(torch.linspace(0.5, 1.5, n))
    norm.running_var.copy_(torch.linspace(0.7, 2, n))
    return norm


def surface(model: nn.Module, inputs: Tensor, **options: Any) -> np.ndarray:
    plane = random_plane(parameters_of(model), 7, **{"filters": filter_axes(model), **options})
    targets = torch.arange(len(inputs)) % 3
    return slow_mean(model, [(inputs, targets)], (plane.delta, plane.eta), POINTS, nn.CrossEntropyLoss())


@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_scaled_in_front_of_batchnorm_leave_the_surface_as_it_is(kind):
    build, inputs, n_out, call = LAYERS[kind]
    torch.manual_seed(3)
    model = Pooled(build(), batchnorm(n_out), n_out, call).double().eval()
    scaled = copy.deepcopy(model)
    factors = torch.logspace(-1, 1, n_out, dtype=torch.float64)
    scale_outputs(scaled.layer, factors)
    scaled.between.running_var.mul_(factors**2)
    torch.testing.assert_close(scaled(inputs), model(inputs))  # the same function
    np.testing.assert_allclose(surface(scaled, inputs), surface(model, inputs), rtol=1e-8)
    if any(where.axis != 0 for where in filter_axes(model).values()) and "depthwise" not in kind:
        along_axis_0 = surface(scaled, inputs, filters=None) / surface(model, inputs, filters=None)
        assert np.abs(along_axis_0 - 1).max() > 1e-3


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("factor", [0.03, 40.0])
def test_a_layer_scaled_in_front_of_a_relu_leaves_the_surface_as_it_is(kind, factor):
    build, inputs, n_out, call = LAYERS[kind]
    torch.manual_seed(3)
    model = Pooled(build(), nn.ReLU(), n_out, call).double().eval()
    scaled = copy.deepcopy(model)
    scale_outputs(scaled.layer, torch.full((n_out,), factor, dtype=torch.float64))
    scaled.head.weight.data.div_(factor)
    torch.testing.assert_close(scaled(inputs), model(inputs))
    np.testing.assert_allclose(surface(scaled, inputs), surface(model, inputs), rtol=1e-8)


class Recurrent(nn.Module):
    """A recurrent layer between two linear ones."""

    def __init__(self, layer: nn.RNNBase, n_out: int) -> None:
        super().__init__()
        self.first, self.layer, self.head = nn.Linear(3, 4), layer, nn.Linear(n_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.first(x).relu())[0][:, -1])


def scale_inputs(model: Recurrent, c: float) -> None:
    """What comes in is c times as large, and weighs 1 / c."""
    for parameter in model.first.parameters():
        parameter.data.mul_(c)
    for name, parameter in model.layer.named_parameters():
        if name in ("weight_ih_l0", "weight_ih_l0_reverse"):
            parameter.data.div_(c)


def scale_relu_states(model: Recurrent, c: float) -> None:
    """The states of the first layer are c times as large, those of the second again as they were."""
    for name, parameter in model.layer.named_parameters():
        if name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            parameter.data.mul_(c)
    model.layer.weight_ih_l1.data.div_(c)


def scale_projections(model: Recurrent, c: float) -> None:
    """The projected states are c times as large."""
    model.layer.weight_hr_l0.data.mul_(c)
    for parameter in (model.layer.weight_hh_l0, model.head.weight):
        parameter.data.div_(c)


@pytest.mark.parametrize(
    ("layer", "n_out", "rescale"),
    [
        (lambda: nn.RNN(4, 5, batch_first=True), 5, scale_inputs),
        (lambda: nn.GRU(4, 5, batch_first=True), 5, scale_inputs),
        (lambda: nn.LSTM(4, 5, batch_first=True, bidirectional=True), 10, scale_inputs),
        (lambda: nn.RNN(4, 5, 2, nonlinearity="relu", batch_first=True), 5, scale_relu_states),
        (lambda: nn.LSTM(4, 5, batch_first=True, proj_size=2), 2, scale_projections),
    ],
    ids=["RNN", "GRU", "LSTM", "RNN, relu", "LSTM, projected"],
)
def test_recurrent_layers_rescaled_have_the_same_surface(layer, n_out, rescale):
    torch.manual_seed(3)
    model = Recurrent(layer(), n_out).double().eval()
    scaled = copy.deepcopy(model)
    rescale(scaled, 20.0)
    inputs = randn(5, 6, 3)
    torch.testing.assert_close(scaled(inputs), model(inputs))
    np.testing.assert_allclose(surface(scaled, inputs), surface(model, inputs), rtol=1e-8)


class Attending(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.layer, self.head = nn.MultiheadAttention(4, 2, batch_first=True, **options), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        other = x[..., : self.layer.kdim]
        return self.head(self.layer(x, other, other)[0].mean(1))


def scale_values(model: Attending, c: float) -> None:
    """The values are c times as large and weigh 1 / c where heads are joined; queries and keys likewise."""
    attention = model.layer
    if attention.in_proj_weight is not None:
        query, key, value = attention.in_proj_weight.data.chunk(3)
    else:
        query, key, value = (getattr(attention, f"{kind}_proj_weight").data for kind in "qkv")
    query_bias, key_bias, value_bias = attention.in_proj_bias.data.chunk(3)
    for part in (value, value_bias, query, query_bias):
        part.mul_(c)
    for part in (key, key_bias, attention.out_proj.weight.data):
        part.div_(c)
    if attention.bias_v is not None:
        attention.bias_v.data.mul_(c)
        attention.bias_k.data.div_(c)


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 3}, {"add_bias_kv": True}], ids=["one", "three", "biases"])
def test_attention_rescaled_has_the_same_surface(options):
    torch.manual_seed(3)
    model = Attending(**options).double().eval()
    scaled = copy.deepcopy(model)
    scale_values(scaled, 20.0)
    inputs = randn(5, 6, 4)
    torch.testing.assert_close(scaled(inputs), model(inputs))
    np.testing.assert_allclose(surface(scaled, inputs), surface(model, inputs), rtol=1e-8)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_norms_of_filters_with_groups_are_those_of_the_slow_loop(groups):
    weight = randn(6, 4, 3, 2)
    found = filter_norms(weight, FilterAxis(1, groups)).expand_as(weight)
    n_in = 6 // groups
    for group in range(groups):
        for column in range(4):
            rows = slice(group * n_in, (group + 1) * n_in)
            expected = float(sum(float(x) ** 2 for x in weight[rows, column].flatten()) ** 0.5)
            torch.testing.assert_close(found[rows, column], torch.full_like(found[rows, column], expected))


@pytest.mark.parametrize("norm", ["filter", "dfilter"])
def test_filters_of_a_transposed_convolution_are_as_long_as_they_should_be(norm):
    torch.manual_seed(0)
    model = nn.ConvTranspose2d(4, 6, 2, groups=2).double()
    where = filter_axes(model)["weight"]
    d = normalize_direction(random_direction(parameters_of(model), 0), model, norm)["weight"]
    wanted = filter_norms(model.weight.detach(), where)
    found = filter_norms(d, where)
    torch.testing.assert_close(found, wanted if norm == "filter" else torch.ones_like(wanted), rtol=1e-9, atol=0)


def test_a_model_gives_its_filters_a_dict_and_the_authors_rule_take_axis_0():
    model = nn.Sequential(nn.ConvTranspose1d(2, 3, 2), nn.Flatten(), nn.Linear(3, 2)).double()
    theta = parameters_of(model)
    drawn = random_direction(theta, 1)
    by_layer = normalize_direction(drawn, model)
    by_axis = normalize_direction(drawn, theta)
    assert not torch.allclose(by_layer["0.weight"], by_axis["0.weight"])
    assert torch.equal(by_layer["2.weight"], by_axis["2.weight"])
    for same, other in (
        (by_axis, normalize_direction(drawn, model, filters="axis0")),
        (by_layer, normalize_direction(drawn, theta, filters=filter_axes(model))),
        (by_layer, normalize_direction(drawn, torch.compile(model))),
    ):
        assert all(torch.equal(part, other[name]) for name, part in same.items())


def test_a_padding_row_stays_where_it_is():
    model = nn.Embedding(5, 3, padding_idx=-2)
    model.weight.data[3] = 7.0  # neither is it part of the norm
    theta = parameters_of(model)
    d = normalize_direction(random_direction(theta, 0), model)["weight"]
    assert not d[3].any()
    others = [0, 1, 2, 4]
    torch.testing.assert_close(d[others].norm(dim=0), theta["weight"][others].norm(dim=0))


def test_shared_weights_have_one_filter_per_row():
    embedding, head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
    head.weight = embedding.weight
    assert filter_axes(nn.Sequential(embedding, head)) == {"0.weight": FilterAxis()}
    again = nn.Embedding(7, 4, _weight=embedding.weight)
    again.weight = embedding.weight
    assert filter_axes(nn.Sequential(embedding, again)) == {"0.weight": FilterAxis(1)}


def test_where_the_filters_of_unusual_weights_are():
    conv = nn.ConvTranspose2d(4, 6, 2, groups=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old = nn.utils.weight_norm(nn.Linear(3, 2))
        old_axis1 = nn.utils.weight_norm(nn.ConvTranspose1d(3, 2, 1), dim=1)
        spectral = nn.utils.spectral_norm(nn.ConvTranspose1d(3, 2, 1))
    for module, expected in (
        (nn.ConvTranspose2d(4, 6, 2, groups=2), {"weight": FilterAxis(1, 2)}),
        (parametrizations.spectral_norm(conv), {"parametrizations.weight.original": FilterAxis(1, 2)}),
        (nn.Sequential(conv), {"0.parametrizations.weight.original": FilterAxis(1, 2)}),
        (prune.l1_unstructured(nn.ConvTranspose2d(4, 6, 2), "weight", 0.3), {"weight_orig": FilterAxis(1)}),
        (old, {"weight_g": FilterAxis(), "weight_v": FilterAxis()}),
        (old_axis1, {"weight_g": FilterAxis(1), "weight_v": FilterAxis(1)}),
        (spectral, {"weight_orig": FilterAxis(1)}),
        (nn.LSTM(2, 3), {"weight_ih_l0": FilterAxis(), "weight_hh_l0": FilterAxis()}),
        (nn.BatchNorm1d(3), {}),
    ):
        assert filter_axes(module) == expected


def test_conv1d_of_transformers_is_known():
    utils = pytest.importorskip("transformers.pytorch_utils")
    assert filter_axes(utils.Conv1D(3, 4)) == {"weight": FilterAxis(1)}


@pytest.mark.parametrize("filters", ["rows", None, 1])
def test_unknown_filters_are_refused(filters):
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=f"expected filters as 'output' or 'axis0', got {filters!r}; 'output' gives"):
        normalize_direction(random_direction(parameters_of(model), 0), model, filters=filters)
