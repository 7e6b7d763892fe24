"""What shares memory with a parameter moves with it, wherever it is looked at; or it is refused by name."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from support.trust import ALPHAS, batches, check, direction_for, measured, truth, weighted
from torch import nn
from torch.nn import functional

from lljupyter import TrajectoryRecorder, convexity_map, gradient_direction, loss_line, loss_surface, pca_directions
from lljupyter.evaluate.plain import Plain
from lljupyter.problem.files import load_problem, save_problem
from lljupyter.problem.problem import build_problem

DATA = batches()
QUIET = {"progress": False}


class Tied(nn.Module):
    """Three layers of one size."""

    def __init__(self, tie=None):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        if tie is not None:
            tie(self)

    def forward(self, x):
        return self.head(torch.tanh(self.b(torch.tanh(self.a(x)))))


def same(model):
    model.b.weight.data = model.a.weight.data


def transposed(model):
    model.b.weight.data = model.a.weight.data.t()


def weight_and_bias(model):
    model.b.bias.data = model.a.weight.data[0]


def after_load_state_dict(model):
    same(model)
    other = copy.deepcopy(model.state_dict())
    model.load_state_dict({name: tensor * 1.25 for name, tensor in other.items()})


class Scaled(Tied):
    """Has a buffer that is a row of a weight."""

    def __init__(self):
        super().__init__()
        self.register_buffer("row", self.a.weight.data[0])

    def forward(self, x):
        return super().forward(x * self.row)


class Viewed(Tied):
    """Keeps a view of a weight as an attribute."""

    def __init__(self):
        super().__init__()
        self.view = self.a.weight.t()

    def forward(self, x):
        return self.head(torch.tanh(x @ self.view) @ self.view)


class Flat(Tied):
    """Keeps its weights in one buffer that it looks at as a whole."""

    def __init__(self):
        super().__init__()
        self.register_buffer("whole", torch.cat([self.a.weight.data, self.b.weight.data]))
        self.a.weight.data, self.b.weight.data = self.whole[:6], self.whole[6:]

    def forward(self, x):
        return super().forward(x) * self.whole.abs().mean()


EXACT = {"the same": lambda: Tied(same), "after load_state_dict": lambda: Tied(after_load_state_dict)}
PARTS = {
    "transposed": lambda: Tied(transposed),
    "a bias that is a row of a weight": lambda: Tied(weight_and_bias),
    "a buffer that is a row of a weight": Scaled,
    "a view kept as an attribute": Viewed,
    "a buffer of all weights": Flat,
}
MODELS = EXACT | PARTS


def loss_of(model, data=DATA):
    return weighted((functional.cross_entropy(model(x), y) for x, y in data), (len(x) for x, _ in data))


def in_float64(make):
    """In double precision; ``model.double()`` would untie it."""
    torch.set_default_dtype(torch.float64)
    try:
        return make()
    finally:
        torch.set_default_dtype(torch.float32)


WIDE = [(x.double(), y) for x, y in DATA]


@pytest.mark.parametrize("kind", MODELS)
def test_every_strategy_moves_it_once(kind):
    model = in_float64(MODELS[kind])
    check(model, WIDE, lambda: loss_of(model, WIDE), rtol=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_it_stays_together_in_a_file(kind, tmp_path):
    model = in_float64(MODELS[kind])
    path = save_problem(build_problem(model, WIDE), tmp_path)
    problem = load_problem(path)
    direction = direction_for(model)
    zeros = {name: torch.zeros_like(part) for name, part in direction.items()}
    plain = Plain(problem)
    plain.set_plane({name: (problem.states[name], direction[name], zeros[name]) for name in direction})
    found = plain.evaluate(np.array([[alpha, 0.0] for alpha in ALPHAS]))["loss"]
    np.testing.assert_allclose(found, truth(model, lambda: loss_of(model, WIDE)), rtol=1e-9)
    assert problem.aliases == build_problem(model, WIDE).aliases


@pytest.mark.parametrize("kind", MODELS)
def test_checkpoints_in_memory_and_in_files_are_the_models_they_were(kind, tmp_path):
    model = in_float64(MODELS[kind])
    optimizer = torch.optim.SGD([p for n, p in model.named_parameters() if n in direction_for(model)], lr=0.05)
    states, expected = [], []
    with TrajectoryRecorder(model, optimizer, tmp_path / "run"):
        for step in range(4):
            states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
            expected.append(loss_of(model, WIDE))
            if step < 3:
                optimizer.zero_grad()
                functional.cross_entropy(model(WIDE[0][0]), WIDE[0][1]).backward()
                optimizer.step()
    for trajectory in (tmp_path / "run", states):
        plane = pca_directions(trajectory, model)
        surface = loss_surface(model, WIDE, trajectory=trajectory, directions=plane, resolution=2, **QUIET)
        np.testing.assert_allclose(surface.trajectory_loss, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", EXACT)
def test_derivatives_are_those_of_all_uses(kind):
    model = in_float64(EXACT[kind])
    gradient = gradient_direction(model, WIDE)
    direction = direction_for(model)
    h, slopes = 1e-5, []
    parameters = dict(model.named_parameters())
    for sign in (1, -1):
        with torch.no_grad():
            for name, part in direction.items():
                parameters[name].add_(sign * h * part)
            slopes.append(loss_of(model, WIDE))
            for name, part in direction.items():
                parameters[name].sub_(sign * h * part)
    found = sum(float((gradient[name] * part).sum()) for name, part in direction.items())
    assert found == pytest.approx((slopes[0] - slopes[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("kind", EXACT)
def test_the_hessian_is_that_of_all_uses(kind):
    model = in_float64(EXACT[kind])
    options = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "tol": 1e-6, **QUIET}
    found = convexity_map(model, WIDE, **options)
    names = [name for name, part in direction_for(model).items() if part.dim() > 1]
    parameters = dict(model.named_parameters())

    def loss(*weights):
        states = dict(zip(names, weights, strict=True))
        states["b.weight"] = states["a.weight"]
        return sum(
            functional.cross_entropy(torch.func.functional_call(model, states, (x,)), y, reduction="sum")
            for x, y in WIDE
        ) / sum(len(x) for x, _ in WIDE)

    weights = tuple(parameters[name].detach() for name in names)
    blocks = torch.autograd.functional.hessian(loss, weights)
    sizes = [w.numel() for w in weights]
    rows = [torch.cat([blocks[i][j].reshape(n, m) for j, m in enumerate(sizes)], 1) for i, n in enumerate(sizes)]
    exact = torch.linalg.eigvalsh(torch.cat(rows))
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], exact[[0, -1]], rtol=1e-4)


@pytest.mark.parametrize("kind", PARTS)
def test_derivatives_that_are_not_known_are_refused_by_name(kind):
    for verb in (gradient_direction, convexity_map):
        with pytest.raises(ValueError, match=r"of their own to differentiate by, got '\w+(\.\w+)?' in the memory"):
            verb(PARTS[kind](), DATA)


@pytest.mark.parametrize("start", [1, 3, 5])
def test_what_overlaps_in_part_is_refused_by_name(start):
    model = Tied()
    whole = torch.randn(6 + start, 6)
    model.a.weight.data, model.b.weight.data = whole[:6], whole[start:]
    with pytest.raises(ValueError, match=r"got 'b\.weight' with a part of 'a\.weight'; make one of them"):
        loss_line(model, DATA, **QUIET)


def test_a_loss_that_counts_what_is_tied_twice_is_refused_with_the_names():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight.data = model[0].weight.data

    def penalized(net, batch):
        penalty = sum(p.square().sum() for p in net.parameters())
        return nn.functional.cross_entropy(net(batch[0]), batch[1]) + 0.1 * penalty

    batches = [(torch.randn(8, 4), torch.arange(8) % 4)]
    with pytest.raises(ValueError, match=r"'2\.weight' lies in the memory of '0\.weight': make them one parameter"):
        loss_surface(model, batches, objective=penalized, resolution=3, progress=False)
    model[2].weight = model[0].weight
    surface = loss_surface(model, batches, objective=penalized, resolution=3, progress=False)
    assert surface.loss.values[1, 1] == pytest.approx(float(penalized(model, batches[0])), rel=1e-6)


def test_a_copy_that_the_person_made_is_untied_as_deepcopy_left_it():
    model = copy.deepcopy(Tied(same))
    line = check(model, DATA, lambda: loss_of(model))
    assert len(direction_for(model)) == 6
    assert not np.allclose(line.loss, measured(Tied(same), DATA).loss)
