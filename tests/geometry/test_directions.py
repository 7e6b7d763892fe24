from __future__ import annotations

import pytest
import torch
from support.reference import grid_points, network, slow_mean
from torch import nn

from lljupyter.geometry.directions import check_norm, normalize_direction, random_direction
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane

NORMS = ["filter", "layer", "weight", "dfilter", "dlayer"]


def filter_norms(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(len(tensor), -1).norm(dim=1)


def normalized(norm, ignore="biasbn"):
    theta = parameters_of(network())
    drawn = random_direction(theta, 3)
    return theta, drawn, normalize_direction(drawn, theta, norm, ignore)


def test_filters_of_a_normalized_direction_are_as_long_as_those_of_theta():
    theta, drawn, d = normalized("filter")
    for name in ("0.weight", "5.weight"):
        torch.testing.assert_close(filter_norms(d[name]), filter_norms(theta[name]), rtol=1e-9, atol=0)
        cosine = (d[name] * drawn[name]).sum(-1) / (d[name].norm(dim=-1) * drawn[name].norm(dim=-1))
        torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_layers_of_a_layer_normalized_direction_are_as_long_as_those_of_theta():
    theta, _, d = normalized("layer")
    for name in ("0.weight", "5.weight"):
        torch.testing.assert_close(d[name].norm(), theta[name].norm(), rtol=1e-9, atol=0)
        assert not torch.allclose(filter_norms(d[name]), filter_norms(theta[name]), rtol=1e-3)


def test_the_other_norms():
    theta, drawn, by_weight = normalized("weight")
    torch.testing.assert_close(by_weight["0.weight"], drawn["0.weight"] * theta["0.weight"])
    unit_filters = filter_norms(normalized("dfilter")[2]["0.weight"])
    torch.testing.assert_close(unit_filters, torch.ones_like(unit_filters), rtol=1e-9, atol=0)
    assert normalized("dlayer")[2]["5.weight"].norm() == pytest.approx(1, rel=1e-9)
    assert torch.equal(normalized(None)[2]["5.weight"], drawn["5.weight"])


@pytest.mark.parametrize("norm", [*NORMS, None])
def test_biases_and_batchnorm_stay_or_move_by_themselves(norm):
    theta, _, still = normalized(norm, "biasbn")
    _, _, moving = normalized(norm, None)
    for name in ("1.weight", "1.bias", "5.bias"):
        assert not still[name].any()
        assert torch.equal(moving[name], theta[name])
        assert moving[name].data_ptr() != theta[name].data_ptr()


def relu_network(c: float) -> nn.Module:
    """Scaling a ReLU layer by c and the next by 1 / c does not change the function."""
    generator = torch.Generator().manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False)).double()
    with torch.no_grad():
        for layer, factor in ((model[0], c), (model[2], 1 / c)):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * factor)
    return model


def surface_of(model: nn.Module, norm) -> torch.Tensor:
    plane = random_plane(parameters_of(model), 7, norm)
    data = [(torch.linspace(-1, 1, 30).double().reshape(10, 3), torch.arange(10) % 2)]
    points = grid_points([-1, 0, 1], [-0.5, 0.5])
    return torch.as_tensor(slow_mean(model, data, (plane.delta, plane.eta), points, nn.CrossEntropyLoss()))


def test_rescaling_a_relu_layer_leaves_the_filter_normalized_surface_and_changes_the_raw_one():
    torch.testing.assert_close(surface_of(relu_network(1), "filter"), surface_of(relu_network(10), "filter"))
    raw, scaled = surface_of(relu_network(1), None), surface_of(relu_network(10), None)
    assert (raw - scaled).abs().max() > 0.1


def test_a_seed_gives_the_same_numbers_whatever_the_dtype():
    single = random_direction(parameters_of(network(torch.float32)), 4)
    double = random_direction(parameters_of(network()), 4)
    for name, part in single.items():
        assert part.dtype == torch.float32
        assert double[name].dtype == torch.float64
        assert torch.equal(part.double(), double[name])
    other = random_direction(parameters_of(network()), 5)
    assert not torch.equal(other["0.weight"], double["0.weight"])


def test_the_numbers_are_those_of_torch_randn_and_the_global_generator_is_not_touched():
    theta = parameters_of(network(torch.float32))
    torch.manual_seed(11)
    expected = {name: torch.randn(part.shape) for name, part in theta.items()}
    before = torch.get_rng_state()
    drawn = random_direction(theta, 11)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(drawn[name], expected[name]) for name in theta)


def test_a_generator_is_advanced_from_delta_to_eta():
    theta = parameters_of(network())
    plane = random_plane(theta, 11, None, None)
    generator = torch.Generator().manual_seed(11)
    delta, eta = random_direction(theta, generator), random_direction(theta, generator)
    assert torch.equal(plane.delta["0.weight"], delta["0.weight"])
    assert torch.equal(plane.eta["0.weight"], eta["0.weight"])
    assert not torch.equal(delta["0.weight"], eta["0.weight"])


def test_another_default_device_does_not_matter():
    theta = parameters_of(network())
    with torch.device("meta"):
        drawn = random_direction(theta, 3)
    assert torch.equal(drawn["0.weight"], random_direction(theta, 3)["0.weight"])


@pytest.mark.parametrize("norm", [*NORMS, None])
def test_parameters_of_unusual_shapes(norm):
    theta = {
        "scalar": torch.tensor(2.0),
        "complex": torch.randn(3, 2, dtype=torch.complex64),
        "empty": torch.zeros(0, 3),
        "hollow": torch.zeros(3, 0),
        "zero": torch.zeros(2, 2),
        "half": torch.ones(2, 2, dtype=torch.float16),
    }
    d = normalize_direction(random_direction(theta, 0), theta, norm)
    assert {name: (part.shape, part.dtype) for name, part in d.items()} == {
        name: (part.shape, part.dtype) for name, part in theta.items()
    }
    assert all(bool(torch.isfinite(part).all()) for part in d.values())
    if norm == "filter":
        torch.testing.assert_close(filter_norms(d["complex"]), filter_norms(theta["complex"]))
        assert not d["zero"].any()


def test_a_filter_of_zeros_in_the_direction_stays_zero():
    theta = {"w": torch.ones(2, 2)}
    d = normalize_direction({"w": torch.tensor([[0.0, 0.0], [3.0, 4.0]])}, theta)
    torch.testing.assert_close(d["w"], torch.tensor([[0.0, 0.0], [0.6, 0.8]]) * 2**0.5)


def test_normalizing_changes_neither_argument():
    theta = {name: part.clone() for name, part in parameters_of(network()).items()}
    drawn = random_direction(theta, 1)
    copies = [{name: part.clone() for name, part in d.items()} for d in (theta, drawn)]
    d = normalize_direction(drawn, theta, None, None)
    for part in d.values():
        part.add_(1)
    for now, before in zip((theta, drawn), copies, strict=True):
        assert all(torch.equal(now[name], before[name]) for name in now)


@pytest.mark.parametrize(
    ("norm", "ignore", "message"),
    [
        ("filtre", "biasbn", "expected norm as one of .*'dlayer', None.*, got 'filtre'; the paper uses 'filter'"),
        ("filter", "bn", "expected ignore as 'biasbn' or None, got 'bn'"),
    ],
)
def test_unknown_options_are_refused(norm, ignore, message):
    with pytest.raises(ValueError, match=message):
        check_norm(norm, ignore)
    with pytest.raises(ValueError, match=message):
        normalize_direction({}, {}, norm, ignore)


def test_a_direction_of_another_model_is_refused():
    with pytest.raises(ValueError, match="missing"):
        normalize_direction({}, parameters_of(network()))
