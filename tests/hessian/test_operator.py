from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
from support.data import tiny
from support.hessians import LOSS, dense, matrix_parameters
from support.problems import make_problem
from support.reference import NIGHTLY, SHARED, TESTS, batches_of, linear, network, samples
from torch import nn

from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.process.attention import unfused_attention


@pytest.mark.parametrize("n_kept", [0, 1, 9])
@pytest.mark.parametrize("size", [8, 23])
@pytest.mark.parametrize("over", ["weights", "all"])
def test_products_and_gradient_equal_the_dense_ones(over, size, n_kept):
    problem = make_problem(network(), batches_of(size), loss_fn=LOSS, per_sample=False)  # keeps the batches
    evaluator = HessianEvaluator(problem, over=over)
    evaluator._factory.n_kept = n_kept
    expected = dense(network(), over)
    with evaluator.hessian_at(None) as hessian:
        columns = torch.stack([hessian.product(unit) for unit in torch.eye(len(expected), dtype=torch.float64)])
        gradient, loss = hessian.gradient, hessian.loss
    torch.testing.assert_close(columns, expected, rtol=1e-9, atol=1e-12)
    model = network().eval()
    x, y = samples()
    value = LOSS(model(x), y)
    chosen = [p for p in model.parameters() if over == "all" or p.dim() > 1]
    torch.testing.assert_close(gradient, torch.cat([g.reshape(-1) for g in torch.autograd.grad(value, chosen)]))
    assert loss == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize("over", ["weights", "all"])
def test_both_ends_agree_with_a_dense_hessian_in_float64_away_from_the_center(over):
    problem = make_problem(network(), batches_of(8), loss_fn=LOSS)
    evaluator = HessianEvaluator(problem, over=over, tol=1e-4)
    plane = random_plane(problem.center, 3)
    evaluator.set_plane(plane)
    points = np.array([(0, 0), (0.5, -0.7), (-1, 1)])
    values = evaluator.evaluate(points)
    for k, (alpha, beta) in enumerate(points):
        moved = network()
        moved.load_state_dict(plane.at(alpha, beta), strict=False)
        expected = torch.linalg.eigvalsh(dense(moved, over))
        assert values["lambda_min"][k] == pytest.approx(float(expected[0]), rel=1e-6)
        assert values["lambda_max"][k] == pytest.approx(float(expected[-1]), rel=1e-6)
        assert values["convexity"][k] == pytest.approx(abs(float(expected[0] / expected[-1])), rel=1e-6)


def test_products_agree_with_curvlinops():
    curvlinops = pytest.importorskip("curvlinops")
    model = network().eval()
    theirs = curvlinops.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(matrix_parameters(model).values()), batches_of(8)
    )
    evaluator = HessianEvaluator(make_problem(network(), batches_of(8)))
    vector = torch.randn(theirs.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with evaluator.hessian_at(None) as hessian:
        torch.testing.assert_close(hessian.product(vector), theirs @ vector, rtol=1e-10, atol=1e-12)


def tiny_evaluator() -> HessianEvaluator:
    problem = make_problem(tiny.network(), tiny.digits()[:2])
    evaluator = HessianEvaluator(problem)
    evaluator.set_plane(random_plane(problem.center, 123))
    return evaluator


def test_the_dense_eigenvalues_of_the_tiny_network_are_met_to_one_percent():
    expected = json.loads((TESTS / "data" / "hessian_exact.json").read_text())
    values = tiny_evaluator().evaluate(np.array([(row["alpha"], row["beta"]) for row in expected]))
    for k, row in enumerate(expected):
        assert values["lambda_min"][k] == pytest.approx(row["min_eig"], rel=0.01)
        assert values["lambda_max"][k] == pytest.approx(row["max_eig"], rel=0.01)


def test_the_authors_map_is_met_to_two_percent_where_it_is_accurate():
    with h5py.File(TESTS / "data" / "hessian_filter_biasbn.h5") as file:
        axis, low, high = file["xcoordinates"][()], file["min_eig"][()].T, file["max_eig"][()].T
    evaluator = tiny_evaluator()
    points = np.array([(a, b) for b in axis for a in axis])
    values = {name: v.reshape(5, 5) for name, v in evaluator.evaluate(points).items()}
    np.testing.assert_allclose(values["lambda_max"], high, rtol=0.02)
    apart = np.argwhere(np.abs(values["lambda_min"] / low - 1) > 0.02)
    assert len(apart) <= 3
    for row, column in apart:
        # Theirs is the inaccurate one: no eigenvalue is below the smallest, so one that is further down is nearer to
        # it; and ours is an eigenvalue to 2 %, as its residual shows.
        assert values["lambda_min"][row, column] < low[row, column]
        assert values["residual_min"][row, column] <= 0.02 * abs(values["lambda_min"][row, column])
        assert abs(low[row, column] - values["lambda_min"][row, column]) > values["residual_min"][row, column]
    assert values["hvps"].sum() < 0.5 * 44 * 25


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 3] if NIGHTLY else [3])
def test_points_of_the_resnet(index):
    path = SHARED / "reference" / "resnet20_hessian.json"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    from safetensors.torch import load_file
    from support.data.cifar import cifar_images

    from lljupyter.zoo import resnet

    told = json.loads(path.read_text())
    model = resnet(20)
    model.load_state_dict(load_file(SHARED / "data" / "resnet20_cifar10.safetensors"))
    problem = make_problem(model, cifar_images(np.array(told["images"])))
    evaluator = HessianEvaluator(problem)
    evaluator.set_plane(random_plane(problem.center, told["seed"]))
    theirs = told["points"][index]
    ends = evaluator.ends_at(theirs["alpha"], theirs["beta"])
    assert ends.lambda_max == pytest.approx(theirs["max_eig"], rel=0.01)
    # At the last, theirs is 0.02 % further down, which is what float32 leaves: their code gave -182.67 here, too.
    assert 1.15 * theirs["min_eig"] <= ends.lambda_min <= theirs["min_eig"] * (1 - 1e-3)


def test_a_quadratic_saddle_has_its_eigenvalues_with_their_signs():
    model = nn.Linear(2, 1, bias=False).double()
    sign = torch.tensor([3.0, -2.0], dtype=torch.float64)
    problem = make_problem(
        model, [(torch.eye(2, dtype=torch.float64), sign)], loss_fn=lambda o, t: t[: len(o)] * o[:, 0] ** 2
    )
    evaluator = HessianEvaluator(problem, tol=1e-8)
    with evaluator.hessian_at(None) as hessian:
        ends = evaluator.ends(hessian)
    assert (ends.lambda_min, ends.lambda_max) == (pytest.approx(-2), pytest.approx(3))


def test_a_convex_loss_is_told_from_a_small_negative_curvature():
    problem = make_problem(
        linear(3, 2), [(torch.eye(3).double()[:2], torch.zeros(2, 2).double())], loss_fn=nn.MSELoss()
    )
    evaluator = HessianEvaluator(problem)
    evaluator.set_plane(random_plane(problem.center, 0))
    values = evaluator.evaluate(np.array([(0.5, 0.5)]))
    assert np.isnan(values["lambda_min"][0])
    assert np.isnan(values["convexity"][0])
    assert values["residual_min"][0] < 0.01 * values["lambda_max"][0]


def test_a_linear_loss_has_no_curvature():
    problem = make_problem(linear(3, 2), [(torch.eye(3).double(), None)], loss_fn=lambda o, t: o.mean())
    evaluator = HessianEvaluator(problem)
    with evaluator.hessian_at(None) as hessian:
        ends = evaluator.ends(hessian)
    assert (ends.lambda_min, ends.lambda_max) == (0, 0)


def test_derivatives_that_are_not_finite_are_a_result():
    model = network()
    problem = make_problem(model, batches_of(8))
    evaluator = HessianEvaluator(problem)
    huge = {name: torch.full_like(p, 1e200) for name, p in problem.center.items()}
    evaluator.set_plane(Plane(problem.center, huge, huge))
    values = evaluator.evaluate(np.array([(1.0, 1.0), (0.0, 0.0)]))
    assert np.isnan(values["lambda_max"][0])
    assert np.isfinite(values["lambda_max"][1])


def test_wrong_options_are_refused():
    problem = make_problem(network(), batches_of(8))
    with pytest.raises(ValueError, match="expected over as one of"):
        HessianEvaluator(problem, over="biases")
    for tol, kind in ((0, ValueError), (2.0, ValueError), ("small", TypeError), (True, TypeError)):
        with pytest.raises(kind, match="expected tol"):
            HessianEvaluator(problem, tol=tol)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = linear(5, 12), linear(4, 4)

    def forward(self, x):
        q, k, v = self.inner(x[:, 0]).view(len(x), 1, 5, 3, 4).unbind(3)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v)[:, 0].mean(1))


def test_attention_is_differentiated_twice_without_being_asked():
    torch.manual_seed(0)
    model = Attention().double()
    evaluator = HessianEvaluator(make_problem(model, batches_of(8), loss_fn=LOSS))
    with unfused_attention():
        expected = dense(model)
    with evaluator.hessian_at(None) as hessian:
        columns = torch.stack([hessian.product(unit) for unit in torch.eye(len(expected), dtype=torch.float64)])
    torch.testing.assert_close(columns, expected, rtol=1e-9, atol=1e-12)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()


def test_a_model_that_can_not_be_differentiated_twice_is_refused_with_no_word_on_attention():
    class Sine(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear(3, 2).float()

        def forward(self, x):
            return Once.apply(self.inner(x))

    problem = make_problem(Sine(), [(torch.eye(3), torch.zeros(3, 2))], loss_fn=nn.MSELoss())
    with pytest.raises(ValueError, match=r"differentiated twice.*once_differentiable.*'convexity'") as caught:
        HessianEvaluator(problem)
    assert "attention" not in str(caught.value)


def test_a_network_of_vectors_only_needs_all_parameters():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x * self.scale

    problem = make_problem(Scale(), [(torch.eye(3), torch.zeros(3, 3))], loss_fn=nn.MSELoss())
    with pytest.raises(ValueError, match="more than one axis"):
        HessianEvaluator(problem)
    with HessianEvaluator(problem, over="all").hessian_at(None) as hessian:
        torch.testing.assert_close(hessian.product(torch.ones(3)), torch.full((3,), 2 / 9))
