from __future__ import annotations

import pytest
import torch
from support.reference import linear, network
from torch import nn

from lljupyter.geometry.parameters import check_direction, fingerprint, parameters_of


def ones(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.ones_like(theta) for name, theta in parameters_of(model).items()}


def test_parameters_are_in_order_detached_and_share_memory():
    model = network()
    found = parameters_of(model)
    assert list(found) == [name for name, _ in model.named_parameters()]
    assert not any(theta.requires_grad for theta in found.values())
    found["5.bias"][0] = 7.0
    assert model[5].bias[0] == 7.0


def test_tied_parameters_appear_once():
    model = nn.Sequential(linear(2, 2), linear(2, 2))
    model[1].weight = model[0].weight
    assert list(parameters_of(model)) == ["0.weight", "0.bias", "1.bias"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.ReLU(), "expected a model with parameters, got ReLU with none"),
        (nn.LazyLinear(2), "got the lazy parameter 'weight'; call the model once"),
        (nn.Linear(2, 2, device="meta"), "got 'weight' on the meta device"),
    ],
    ids=["none", "lazy", "meta"],
)
def test_models_without_values_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        parameters_of(model)


def test_a_direction_that_fits_is_accepted():
    model = network()
    check_direction(ones(model), parameters_of(model))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda d: list(d.values()), TypeError, "expected delta as a dict of parameter name to tensor, got list"),
        (lambda d: {"weight": d["weight"]}, ValueError, r"missing: \['bias'\], unknown: none"),
        (lambda d: {**d, "scale": d["bias"]}, ValueError, r"missing: none, unknown: \['scale'\]"),
        (lambda d: {**d, "bias": [1.0, 2.0]}, TypeError, r"expected delta\['bias'\] as a torch.Tensor, got list"),
        (lambda d: {**d, "bias": d["bias"][:1]}, ValueError, r"delta\['bias'\] of shape \(2,\), got \(1,\)"),
        (lambda d: {**d, "bias": d["bias"] * torch.nan}, ValueError, r"finite values in delta\['bias'\]"),
        (lambda d: {**d, "weight": d["weight"] / 0}, ValueError, r"finite values in delta\['weight'\]"),
    ],
    ids=["list", "missing", "unknown", "no tensor", "shape", "nan", "inf"],
)
def test_directions_that_do_not_fit_are_refused(change, kind, message):
    model = linear()
    with pytest.raises(kind, match=message):
        check_direction(change(ones(model)), parameters_of(model), "delta")


def test_fingerprint_depends_on_parameters_buffers_and_names_only():
    model = network()
    before = fingerprint(model)
    assert len(before) == 32
    assert fingerprint(network().train()) == before
    model[1].running_mean[0] += 1e-12
    assert fingerprint(model) != before
    assert fingerprint(nn.Sequential(linear())) != fingerprint(linear())


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(1.5),
        torch.zeros(0, 3),
        torch.zeros(2, 3).T,
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.tensor([True, False]),
    ],
    ids=["0-d", "empty", "transposed", "complex", "bfloat16", "bool"],
)
def test_fingerprint_of_unusual_tensors(tensor):
    model = linear()
    plain = fingerprint(model)
    model.register_buffer("extra", tensor)
    assert fingerprint(model) != plain
    assert fingerprint(model) == fingerprint(model)


def test_fingerprint_changes_nothing():
    model = network().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fingerprint(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("sparse", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_the_fingerprint_of_a_model_with_a_sparse_buffer(sparse):
    def hashed(*entries):
        model, matrix = linear(2, 2), torch.zeros(3, 3)
        for row, column in entries:
            matrix[row, column] = 2.0
        model.register_buffer("edges", getattr(matrix, sparse)())
        return fingerprint(model)

    assert hashed((0, 1), (2, 2)) == hashed((2, 2), (0, 1)) != hashed((0, 1), (2, 1))
    assert hashed((0, 1)) != hashed((1, 0))
