from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import tiny
from torch import nn

from lljupyter.geometry.directions import between, normalize_direction, orthogonalize, random_direction
from lljupyter.geometry.parameters import inner, parameters_of, states_of
from lljupyter.geometry.plane import plane_through
from lljupyter.geometry.projection import project


def shifted(model: nn.Module, seed: int) -> nn.Module:
    other = tiny.network()
    for name, part in random_direction(parameters_of(model), seed).items():
        other.get_parameter(name).data.add_(part)
    return other


def test_states_are_the_parameters_and_the_running_statistics_in_the_order_of_state_dict():
    names = [name for name in tiny.network().state_dict() if "num_batches" not in name]
    assert list(states_of(tiny.network())) == names


def test_states_of_a_model_with_tied_weights_and_hidden_buffers():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    model.register_buffer("hidden", torch.ones(3), persistent=False)
    assert list(states_of(model)) == ["a.weight", "a.bias", "b.bias", "hidden"]


@pytest.mark.parametrize("over", ["parameters", "states"])
def test_between_two_models(over):
    a, b = tiny.network("a"), tiny.network("b")
    d = between(a, b, over)
    assert ("bn1.running_var" in d) == (over == "states")
    for name, part in (states_of(a) if over == "states" else parameters_of(a)).items():
        assert torch.equal(d[name], b.state_dict()[name] - part)


def test_infinite_masks_do_not_move():
    models = [nn.Linear(2, 2), nn.Linear(2, 2)]
    for model in models:
        model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    assert between(*models, "states")["mask"].tolist() == [0, 0]


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"expected models with the same names and shapes, got none and \(2,\) for 'bias'"
    ):
        between(tiny.network(), nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"expected two models as torch.nn.Modules, got OrderedDict; load a state dict"):
        between(tiny.network(), tiny.network("b").state_dict())
    with pytest.raises(TypeError, match=r"expected two models as torch.nn.Modules, got NoneType"):
        plane_through(tiny.network(), tiny.network("b"), None)
    with pytest.raises(
        ValueError, match="expected three different models, got the same weights in model_a and model_b"
    ):
        plane_through(tiny.network(), tiny.network(), tiny.network("b"))
    with pytest.raises(ValueError, match="expected over as 'parameters' or 'states', got 'weights'"):
        between(tiny.network(), tiny.network(), "weights")


@settings(deadline=None)
@given(st.integers(0, 2**40), st.floats(1e-3, 1e3), st.floats(0.01, math.pi - 0.01))
def test_an_orthogonalized_direction_is_orthogonal_and_spans_the_same_plane(seed, length, angle):
    theta = {"w": torch.zeros(20, 5, dtype=torch.float64)}
    delta, other = random_direction(theta, seed), random_direction(theta, seed + 1)
    eta = {"w": length * (math.cos(angle) * delta["w"] + math.sin(angle) * other["w"])}
    left = orthogonalize(eta, delta)
    cosine = inner(left, delta) / math.sqrt(inner(left, left) * inner(delta, delta))
    assert abs(cosine) < 1e-12
    expected = eta["w"] - inner(eta, delta) / inner(delta, delta) * delta["w"]
    torch.testing.assert_close(left["w"], expected, rtol=1e-8, atol=1e-10 * length)


def test_what_cannot_be_orthogonalized_is_refused():
    d = random_direction({"w": torch.zeros(3, 2)}, 0)
    with pytest.raises(ValueError, match="expected two directions that are not parallel, got parallel ones"):
        orthogonalize({"w": 2 * d["w"]}, d)
    with pytest.raises(ValueError, match="expected a direction to orthogonalize against, got zeros"):
        orthogonalize(d, {"w": torch.zeros(3, 2)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_in_every_precision_parallel_directions_are_refused_and_others_made_orthogonal(dtype):
    delta, other = ({"w": torch.randn(40, 30, generator=torch.Generator().manual_seed(k))} for k in (0, 1))
    delta = {"w": delta["w"].to(dtype)}
    with pytest.raises(ValueError, match="expected two directions that are not parallel, got parallel ones"):
        orthogonalize({"w": 1.37 * delta["w"]}, delta)
    eta = orthogonalize({"w": (delta["w"] + 0.3 * other["w"]).to(dtype)}, delta)
    assert eta["w"].dtype == dtype
    cosine = inner(eta, delta) / math.sqrt(inner(eta, eta) * inner(delta, delta))
    assert abs(cosine) < torch.finfo(dtype).eps


def test_directions_of_compiled_models_have_the_names_of_the_model():
    a, b = tiny.network("a"), tiny.network("b")
    compiled = between(torch.compile(a), torch.nn.DataParallel(b), "states")
    assert all(torch.equal(compiled[name], part) for name, part in between(a, b, "states").items())


@pytest.mark.parametrize("over", ["parameters", "states"])
def test_the_plane_through_three_models_is_orthonormal_and_holds_them(over):
    a, b = tiny.network("a"), tiny.network("b")
    c = shifted(a, 3)
    plane = plane_through(a, b, c, over)
    assert inner(plane.delta, plane.delta) == pytest.approx(1, abs=1e-6)
    assert inner(plane.eta, plane.eta) == pytest.approx(1, abs=1e-6)
    assert inner(plane.delta, plane.eta) == pytest.approx(0, abs=1e-6)
    for name, model in (("a", a), ("b", b), ("c", c)):
        found = project(states_of(model), plane)
        np.testing.assert_allclose(found[:2], plane.marks[name], atol=1e-4)
        assert found.outside < 1e-3
        for key, part in plane.at(*plane.marks[name]).items():
            torch.testing.assert_close(part, states_of(model)[key], rtol=1e-4, atol=1e-4)


def test_three_models_on_a_line_are_refused():
    a, b = tiny.network("a"), tiny.network("b")
    with pytest.raises(ValueError, match="not parallel"):
        plane_through(a, b, b)


@settings(deadline=None, max_examples=20)
@given(st.integers(200, 2000), st.integers(0, 2**30))
def test_random_directions_have_the_expected_cosine(n, seed):
    theta = {"w": torch.zeros(n, dtype=torch.float64)}
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([random_direction(theta, generator)["w"] for _ in range(400)])
    drawn = drawn / drawn.norm(dim=1, keepdim=True)
    cosines = (drawn[0::2] * drawn[1::2]).sum(1).abs().numpy()
    # Five standard errors of the mean of 200 half-normal variables, and the terms of higher order in 1 / n.
    expected = math.sqrt(2 / (math.pi * n))
    assert cosines.mean() == pytest.approx(expected, rel=5 * math.sqrt(math.pi / 2 - 1) / math.sqrt(200) + 0.01)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-3, 1e3), st.integers(0, 99), st.sampled_from([(-1.0, 0.5), (0.7, -0.3), (1.0, 1.0)]))
def test_rescaling_a_relu_layer_leaves_the_filter_normalized_plane_as_it_is(c, seed, point):
    generator = torch.Generator().manual_seed(seed)
    theta = {
        "first": torch.randn(6, 3, generator=generator, dtype=torch.float64),
        "second": torch.randn(2, 6, generator=generator, dtype=torch.float64),
    }
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)

    def outputs(scale: float, norm: str | None) -> torch.Tensor:
        center = {"first": theta["first"] * scale, "second": theta["second"] / scale}
        drawn = torch.Generator().manual_seed(seed)
        d, e = (normalize_direction(random_direction(center, drawn), center, norm) for _ in range(2))
        w = {name: center[name] + point[0] * d[name] + point[1] * e[name] for name in center}
        return torch.relu(x @ w["first"].T) @ w["second"].T

    torch.testing.assert_close(outputs(c, "filter"), outputs(1, "filter"), rtol=1e-6, atol=1e-6)
    if not 0.5 < c < 2:
        assert not torch.allclose(outputs(c, None), outputs(1, None), rtol=1e-3)
