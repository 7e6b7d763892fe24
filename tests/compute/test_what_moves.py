"""Options on what moves and how it is scaled, from the verb to the file and back."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
import xarray
from support.reference import batches_of, grid_points, network, slow_mean
from torch import nn

from lljupyter import (
    TrajectoryRecorder,
    between,
    convexity_map,
    gradient_direction,
    hessian_directions,
    interpolate,
    load,
    load_directions,
    loss_line,
    loss_surface,
    normalize_direction,
    pca_directions,
    plane_through,
    project,
    random_direction,
    save,
)
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane, random_plane

QUIET = {"progress": False, "resolution": 3, "evaluation": "plain"}


class Upsampling(nn.Module):
    """A transposed convolution in front of a BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.head = nn.ConvTranspose2d(3, 8, 2, 2), nn.BatchNorm2d(8, eps=1e-12), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.up(x)).relu()).mean((2, 3))


def upsampling() -> tuple[nn.Module, nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A network, the same function with its outputs rescaled, and data."""
    torch.manual_seed(0)
    model = Upsampling().double().eval()
    scaled = copy.deepcopy(model)
    factors = torch.logspace(-1, 1, 8, dtype=torch.float64)
    scaled.up.weight.data.mul_(factors[:, None, None])
    scaled.up.bias.data.mul_(factors)
    scaled.norm.running_var.mul_(factors**2)
    scaled.norm.running_mean.mul_(factors)
    return model, scaled, [(torch.randn(12, 3, 4, 4, dtype=torch.float64), torch.arange(12) % 4)]


def test_filters_lie_along_the_outputs_unless_the_rule_of_the_authors_is_asked_for():
    model, scaled, data = upsampling()
    one, other = (loss_surface(m, data, **QUIET) for m in (model, scaled))
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-8)
    theirs = [loss_surface(m, data, filters="axis0", **QUIET) for m in (model, scaled)]
    assert float(np.abs(theirs[0].loss / theirs[1].loss - 1).max()) > 0.01
    assert (one.attrs["filters"], theirs[0].attrs["filters"]) == ("output", "axis0")
    with pytest.raises(ValueError, match="expected filters as 'output' or 'axis0', got 'rows'"):
        loss_surface(model, data, filters="rows", **QUIET)


def half(surface: xarray.Dataset) -> xarray.Dataset:
    """The first row only, as after an interruption."""
    row = surface.alpha < surface.alpha[1]
    return surface.where(row).assign(evaluated=surface.evaluated & row)


@pytest.mark.parametrize("filters", ["output", "axis0"])
def test_a_result_is_resumed_with_its_own_filters(tmp_path, filters):
    model, _, data = upsampling()
    for compute in (loss_surface, loss_line):
        whole = compute(model, data, filters=filters, **QUIET)
        save(half(whole), tmp_path / "half.nc")
        found = compute(model, data, resume=tmp_path / "half.nc", progress=False, evaluation="plain")
        xarray.testing.assert_equal(found.loss, whole.loss)
        assert found.attrs["filters"] == filters
        assert load(tmp_path / "half.nc").attrs["filters"] == filters


def test_results_of_before_there_was_an_option_have_their_filters_along_axis_0():
    model, _, data = upsampling()
    whole = loss_surface(model, data, filters="axis0", **QUIET)
    earlier = half(whole)
    del earlier.attrs["filters"]
    found = loss_surface(model, data, resume=earlier, progress=False, evaluation="plain")
    xarray.testing.assert_equal(found.loss, whole.loss)
    assert found.attrs["filters"] == "axis0"
    earlier.attrs["filters"] = "rows"
    with pytest.raises(ValueError, match="expected filters as 'output' or 'axis0', got 'rows'"):
        loss_surface(model, data, resume=earlier, progress=False)


HEAD = ("5.weight", "5.bias")
CHOICES = {
    "pattern": lambda model: "5.*",
    "list": lambda model: ["5.bias", "5.weight"],
    "function": lambda model: lambda name, parameter: name in HEAD,
    "module": lambda model: model[5],
}
TEXTS = {"pattern": "5.*", "list": '["5.weight", "5.bias"]', "function": '["5.weight", "5.bias"]', "module": "5"}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("evaluation", ["plain", "folded"])
def test_a_surface_of_chosen_parameters_is_that_of_the_slow_loop(choice, evaluation):
    model, data = network(), batches_of(8)
    surface = loss_surface(
        model, data, parameters=CHOICES[choice](model), ignore=None, resolution=3, progress=False, evaluation=evaluation
    )
    theta = {name: parameters_of(model)[name] for name in HEAD}
    plane = random_plane(theta, 0, ignore=None)
    points = grid_points([-1, 0, 1], [-1, 0, 1])
    expected = slow_mean(model, data, (plane.delta, plane.eta), points, nn.CrossEntropyLoss())
    np.testing.assert_allclose(surface.loss.values.ravel(), expected, rtol=1e-10)
    assert surface.attrs["parameters"] == TEXTS[choice]


def mlp(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).double()


DATA = [(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)).double(), torch.arange(20) % 2)]


@pytest.mark.parametrize("evaluation", ["plain", "stacked"])
def test_a_layer_in_the_middle_moves_alone_in_every_verb(evaluation):
    model, other = mlp(0), mlp(1)
    options = {"parameters": "2", "progress": False, "evaluation": evaluation}
    line = interpolate(model, other, DATA, resolution=3, alpha=(0, 1), **options)
    mixed = copy.deepcopy(model)
    mixed[2].load_state_dict(other[2].state_dict())
    expected = [nn.functional.cross_entropy(m(DATA[0][0]), DATA[0][1]).item() for m in (model, mixed)]
    np.testing.assert_allclose(line.loss.values[[0, 2]], expected, rtol=1e-12)
    direction = between(model, other, parameters="2")
    same = loss_line(model, DATA, direction=direction, resolution=3, alpha=(0, 1), **options)
    np.testing.assert_allclose(same.loss, line.loss, rtol=1e-12)
    whole = between(model, other)  # of which only the part that was chosen is used
    same = loss_line(model, DATA, direction=whole, resolution=3, alpha=(0, 1), **options)
    np.testing.assert_allclose(same.loss, line.loss, rtol=1e-12)


def exact_hessian(model: nn.Module, names: tuple[str, ...]) -> torch.Tensor:
    theta = {name: parameters_of(model)[name] for name in names}

    def loss(vector: torch.Tensor) -> torch.Tensor:
        parts = torch.split(vector, [part.numel() for part in theta.values()])
        moved = {n: part.reshape(theta[n].shape) for n, part in zip(theta, parts, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(model, moved, DATA[0][0]), DATA[0][1])

    return torch.autograd.functional.hessian(loss, torch.cat([part.reshape(-1) for part in theta.values()]))


@pytest.mark.parametrize("names", [("2.weight", "2.bias"), ("0.weight", "4.weight"), ("0.bias",)])
def test_hessian_and_gradient_are_those_of_the_chosen_parameters(names):
    model = mlp(0)
    exact = exact_hessian(model, names)
    values = torch.linalg.eigvalsh(exact)
    found = convexity_map(
        model, DATA, parameters=names, over="all", tol=1e-6, resolution=1, alpha=(0, 0), beta=(0, 0), progress=False
    )
    assert found.lambda_max.item() == pytest.approx(values[-1].item(), rel=1e-5)
    assert found.lambda_min.item() == pytest.approx(values[0].item(), rel=1e-4, abs=1e-7)
    gradient = gradient_direction(model, DATA, parameters=names)
    loss = nn.functional.cross_entropy(model(DATA[0][0]), DATA[0][1])
    expected = torch.autograd.grad(loss, [model.get_parameter(name) for name in names])
    assert list(gradient) == list(names)
    for part, g in zip(gradient.values(), expected, strict=True):
        torch.testing.assert_close(part, g)
    if len(names) == 2:
        delta, eta = hessian_directions(model, DATA, parameters=names, over="all", tol=1e-6)
        assert list(delta) == list(eta) == list(names)
        v = torch.cat([part.reshape(-1) for part in delta.values()])
        torch.testing.assert_close(v @ exact @ v, values[-1], rtol=1e-5, atol=0)
        loss_surface(model, DATA, directions=(delta, eta), parameters=list(names), **QUIET)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_result_of_chosen_parameters_is_resumed(tmp_path, choice):
    model, data = network(), batches_of(8)
    chosen = CHOICES[choice](model)
    for compute, directions in ((loss_surface, None), (loss_line, None), (loss_surface, (0, 1))):
        options = {"parameters": chosen, **QUIET}
        if directions is not None:
            options["directions"] = tuple(
                normalize_direction(random_direction({n: parameters_of(model)[n] for n in HEAD}, seed), model)
                for seed in directions
            )
        whole = compute(model, data, **options)
        save(half(whole), tmp_path / "half.nc", directions=options.get("directions"))
        for asked in ({}, {"parameters": chosen}):
            found = compute(model, data, resume=tmp_path / "half.nc", progress=False, evaluation="plain", **asked)
            xarray.testing.assert_equal(found.loss, whole.loss)
            assert found.attrs["parameters"] == TEXTS[choice]
        with pytest.raises(ValueError, match=r"expected parameters=... as in the result to resume, where .* moved"):
            compute(model, data, resume=tmp_path / "half.nc", progress=False, parameters="0.*")
    everything = half(loss_surface(model, data, **QUIET))
    with pytest.raises(ValueError, match="where all moved, got a choice of others; pass what it was computed with"):
        loss_surface(model, data, resume=everything, progress=False, parameters=chosen)
    loss_surface(model, data, resume=everything, progress=False, parameters="*")


def test_what_is_trainable_may_have_changed_when_a_result_is_resumed():
    model, data = network(), batches_of(8)
    model[0].requires_grad_(False)
    part = half(loss_surface(model, data, parameters="trainable", **QUIET))
    model[0].requires_grad_(True)
    with pytest.raises(ValueError, match=r"expected parameters=... as in the result to resume, where 'trainable' mo"):
        loss_surface(model, data, resume=part, progress=False)
    part.attrs["parameters"] = "a long list of names"
    with pytest.raises(ValueError, match="where 'a long list of names' moved, got none of others; pass what it was"):
        loss_surface(model, data, resume=part, progress=False)


def test_a_trajectory_concerns_the_chosen_parameters_alone(tmp_path):
    model = mlp(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    states = []
    with TrajectoryRecorder(model, optimizer, tmp_path):
        for _ in range(5):
            states.append(copy.deepcopy(model.state_dict()))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(DATA[0][0]), DATA[0][1]).backward()
            optimizer.step()
    surface = loss_surface(model, DATA, trajectory=tmp_path, parameters="4.*", ignore=None, **QUIET)
    mixed = copy.deepcopy(model)
    for k, state in enumerate(states):
        mixed[4].load_state_dict({"weight": state["4.weight"], "bias": state["4.bias"]})
        expected = nn.functional.cross_entropy(mixed(DATA[0][0]), DATA[0][1]).item()
        assert surface.trajectory_loss[k].item() == pytest.approx(expected, rel=1e-12)
    pca = pca_directions(tmp_path, model, parameters="4.*", ignore=None)
    plane = Plane({name: parameters_of(model)[name] for name in ("4.weight", "4.bias")}, *pca.directions)
    first = project(states[0], plane)
    assert surface.trajectory_alpha[0].item() == pytest.approx(first.alpha, rel=1e-9)
    assert surface.trajectory_outside[0].item() == pytest.approx(first.outside, rel=1e-9)
    head = [{name: state[name] for name in ("4.weight", "4.bias")} for state in [*states, model.state_dict()]]
    only = loss_surface(model, DATA, trajectory=head, parameters="4.*", ignore=None, **QUIET)
    np.testing.assert_array_equal(only.trajectory_loss, surface.trajectory_loss)


def test_planes_of_chosen_parameters(tmp_path):
    a, b, c = (mlp(seed) for seed in range(3))
    plane = plane_through(a, b, c, parameters="2")
    surface = loss_surface(a, DATA, directions=plane, parameters="2", **QUIET)
    mixed = copy.deepcopy(a)
    mixed[2].load_state_dict(c[2].state_dict())
    at_c = loss_surface(
        a, DATA, directions=plane, parameters="2", resolution=1, alpha=(plane.marks["c"][0],) * 2,
        beta=(plane.marks["c"][1],) * 2, progress=False,
    )  # fmt: skip
    assert at_c.loss.item() == pytest.approx(nn.functional.cross_entropy(mixed(DATA[0][0]), DATA[0][1]).item())
    save(surface, tmp_path / "a.nc", directions=plane)
    delta, _ = load_directions(tmp_path / "a.nc", a)
    assert list(delta) == ["2.weight", "2.bias"]
    with pytest.raises(ValueError, match="expected a plane over the chosen parameters, got one that reaches its named"):
        loss_surface(a, DATA, directions=plane_through(a, b, c), parameters="2", **QUIET)
    with pytest.raises(ValueError, match=r"expected delta with the model's 6 parameter names.* with parameters=..."):
        loss_surface(a, DATA, directions=plane, **QUIET)


def test_running_statistics_are_not_interpolated_for_a_part_of_the_weights():
    model, data = network(), batches_of(8)
    with pytest.raises(ValueError, match="expected batchnorm='eval' or 'recalibrate' for chosen parameters, got"):
        interpolate(model, network(), data, parameters="5.*", progress=False)
    interpolate(model, network(), data, parameters="5.*", batchnorm="eval", resolution=2, progress=False)


def test_choices_are_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"got none for parameters='7.\*': no name matches; "):
        loss_surface(network(), batches_of(8), parameters="7.*", **QUIET)
    model = mlp(0)
    model[2].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"inf or NaN in '2\.weight'"):
        loss_surface(model, DATA, parameters=["2", "4"], **QUIET)


def adapted() -> nn.Module:
    """A linear layer with a fresh low-rank adapter."""

    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.lora_A = nn.Linear(3, 2), nn.Linear(3, 1, bias=False)
            self.lora_B = nn.Linear(1, 2, bias=False)
            nn.init.zeros_(self.lora_B.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + self.lora_B(self.lora_A(x))

    torch.manual_seed(0)
    return Adapted().double()


def test_what_cannot_move_is_named():
    model = adapted()
    message = "1 tensor does not move, of which the picture shows nothing: 'lora_B.weight' is all zero"
    for compute in (loss_surface, loss_line):
        for parameters in (None, "lora"):
            with pytest.warns(UserWarning, match=message) as told:
                result = compute(model, DATA, parameters=parameters, **QUIET)
            assert told[0].filename == __file__
            assert result.attrs["warnings"].startswith(message)
    assert float(result.loss.max() - result.loss.min()) == 0  # flat indeed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moved = loss_surface(model, DATA, parameters="lora", norm=None, **QUIET)
        nn.init.ones_(model.lora_B.weight)
        trained = loss_surface(model, DATA, parameters="lora", **QUIET)
    for surface in (moved, trained):
        assert "warnings" not in surface.attrs
        assert float(surface.loss.max() - surface.loss.min()) > 0


def test_a_given_direction_that_leaves_zeros_alone_is_named():
    model = adapted()
    theta = parameters_of(model)
    d = normalize_direction(random_direction(theta, 0), model)
    other = random_direction(theta, 1)
    with pytest.warns(UserWarning, match="'lora_B.weight' is all zero"):
        loss_line(model, DATA, direction=d, **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss_surface(model, DATA, directions=(d, other), **QUIET)
