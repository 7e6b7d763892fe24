"""Products layer by layer, against double backward, and rough ones that exact ones put right."""

from __future__ import annotations

import pytest
import torch
from support.hessians import dense
from support.problems import make_problem
from support.reference import batches_of, linear, network
from torch import nn

from lljupyter.hessian import choose
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.hessian.fast.layerwise_operator import LayerwiseHessian
from lljupyter.hessian.operator import Hessian
from lljupyter.zoo import resnet

CROSS = nn.CrossEntropyLoss()


class Twice(nn.Module):
    """Uses a layer twice, other functions than ReLU, and tensors of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = nn.Conv2d(2, 6, 3, stride=2, padding=1), nn.Linear(6, 6), nn.Linear(6, 3)
        self.norm = nn.LayerNorm(6)
        self.shift = nn.Parameter(torch.ones(6))

    def forward(self, x):
        h = nn.functional.gelu(nn.functional.max_pool2d(self.first(x), 2)).mean((2, 3)) * self.shift
        h = torch.relu(self.middle(self.norm(h)))
        return self.last(torch.tanh(self.middle(h)) + h)


class Named(nn.Module):
    """Has a layer whose name is that of a method of tensors, and passes a tensor by name."""

    def __init__(self):
        super().__init__()
        self.first, self.reshape, self.last = nn.Conv2d(2, 4, 3, stride=4), nn.Sigmoid(), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.flatten(input=self.reshape(self.first(x)), start_dim=1))


def images(n, channels, size=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, channels, size, size, dtype=torch.float64, generator=generator)
    return [(part, torch.arange(len(part)) % 3) for part in x.split(5)]


def models():
    torch.manual_seed(0)
    grouped = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU(),
        nn.Conv2d(4, 6, 2, stride=2, groups=2, bias=False), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    perceptron = nn.Sequential(
        nn.Flatten(), nn.Linear(128, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Linear(6, 5, bias=False),
        nn.Sigmoid(), nn.Linear(5, 3),
    )  # fmt: skip
    whole = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    found = {
        "whole": whole,
        "resnet": resnet(14, 3, width=2, channels=2),
        "projection": resnet(14, 3, width=2, channels=2, shortcut="projection"),
        "grouped": grouped,
        "perceptron": perceptron,
        "twice": Twice(),
        "named": Named(),
    }
    for model in found.values():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return {name: model.double().eval() for name, model in found.items()}


def evaluator_of(model, batches, over="weights", loss_fn=CROSS):
    problem = make_problem(model, batches, loss_fn=loss_fn, per_sample=False)  # keeps the batches as they are
    return HessianEvaluator(problem, over=over)


def test_the_data_are_cut_into_patches_once():
    found = evaluator_of(models()["whole"], images(12, 2))
    with found.hessian_at(None) as hessian:
        assert isinstance(hessian, LayerwiseHessian)
        first, last = found._factory.layerwise.layers.values()
        kept = [[tuple(x.shape[1:]) for x in batch.values.values()] for batch in hessian._kept]
    assert first.patched
    assert not last.patched
    assert len(kept) == 3
    assert all((18, 4, 4) in shapes and (2, 8, 8) not in shapes for shapes in kept)


def compare(monkeypatch, model, over="weights", loss_fn=CROSS, n_kept=9):
    found = evaluator_of(model, images(12, 2), over, loss_fn)
    found._factory.n_kept = n_kept
    vector = torch.linspace(-1, 1, len(found._noise), dtype=torch.float64)
    with found.hessian_at(None) as hessian:
        assert isinstance(hessian, LayerwiseHessian)
        ours = hessian.product(vector), hessian.gradient, torch.tensor(hessian.loss)
        again = hessian.product(vector)
    monkeypatch.setattr(choose, "LayerwiseModel", None)  # which is no model layer by layer
    with evaluator_of(model, images(12, 2), over, loss_fn).hessian_at(None) as hessian:
        assert isinstance(hessian, Hessian)
        theirs = hessian.product(vector), hessian.gradient, torch.tensor(hessian.loss)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(again, ours[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_kept", [1, 9])
@pytest.mark.parametrize("over", ["weights", "all"])
@pytest.mark.parametrize("name", models())
def test_products_equal_those_by_double_backward(monkeypatch, name, over, n_kept):
    if over == "all" and name in ("perceptron", "twice"):
        pytest.skip("BatchNorm and LayerNorm that follow no convolution are not differentiated by")
    compare(monkeypatch, models()[name], over, n_kept=n_kept)


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)),
        lambda outputs, targets: nn.functional.mse_loss(outputs[:, 0], targets.double()),
        None,
    ],
    ids=["smoothed", "weighted", "squares", "none"],
)
def test_products_for_other_losses_equal_those_by_double_backward(monkeypatch, loss_fn):
    compare(monkeypatch, models()["whole"], loss_fn=loss_fn)


def hooked(model):
    model[0].register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return model


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def parametrized(model):
    nn.utils.parametrize.register_parametrization(model[0], "weight", Doubled())
    return model


@pytest.mark.parametrize("change", [hooked, parametrized])
def test_what_is_no_plain_layer_is_differentiated_as_it_is(change):
    model = change(nn.Sequential(linear(3, 5), nn.Tanh(), linear(5, 2)))
    x = torch.eye(3).double()
    found = evaluator_of(model, [(x, torch.tensor([0, 1, 0]))])
    assert found._factory.layerwise is None
    with found.hessian_at(None) as hessian:
        assert hessian.loss == pytest.approx(float(CROSS(model(x), torch.tensor([0, 1, 0])).detach()), rel=1e-12)


def test_layers_that_were_changed_by_hand_compute_as_they_were_changed():
    model = network().eval()
    convolution = model[0]
    convolution.forward = lambda x: 2 * convolution._conv_forward(x, convolution.weight, convolution.bias)
    x, y = batches_of(8)[0]
    found = evaluator_of(model, [(x, y)])
    with found.hessian_at(None) as hessian:
        assert hessian.loss == pytest.approx(float(CROSS(model(x), y).detach()), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_rough_products_lead_to_the_exact_ends(dtype, monkeypatch):
    monkeypatch.setattr(choose, "ROUGH_BYTES", 0)
    monkeypatch.setattr(choose, "_rough_dtype", lambda like: dtype)
    rough: list[int] = []
    contracted = LayerwiseHessian._rough_product
    monkeypatch.setattr(LayerwiseHessian, "_rough_product", lambda self, v: rough.append(1) or contracted(self, v))
    found = HessianEvaluator(make_problem(network(), batches_of(8), loss_fn=CROSS), tol=1e-3)
    ends = found.ends_at(0.0, 0.0)
    expected = torch.linalg.eigvalsh(dense(network(), loss_fn=CROSS))
    assert ends.lambda_min == pytest.approx(float(expected[0]), rel=1e-4)
    assert ends.lambda_max == pytest.approx(float(expected[-1]), rel=1e-4)
    assert ends.residual_min <= 1e-3 * abs(ends.lambda_min)
    assert 0 < len(rough) < ends.n_products
    with found.hessian_at(0.0, 0.0) as hessian:
        off = hessian.product(ends.vector_min) - ends.lambda_min * ends.vector_min
    assert float(off.norm()) == pytest.approx(ends.residual_min, rel=1e-3, abs=1e-9)


def test_samples_that_are_classified_with_certainty_are_left_out_of_rough_products(monkeypatch):
    monkeypatch.setattr(choose, "ROUGH_BYTES", 0)
    monkeypatch.setattr(choose, "_rough_dtype", lambda like: like.dtype)
    model = nn.Sequential(linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    certain = torch.tensor([[40.0, 0.0]] * 6).double()
    open_ones = torch.tensor([[0.3, 0.1], [0.0, 0.2]]).double()
    found = HessianEvaluator(make_problem(model, [(torch.cat([certain, open_ones]), torch.zeros(8).long())]))
    with found.hessian_at(None) as hessian:
        assert sum(batch.weight for batch in hessian._rough) == 2
        vector = torch.linspace(-1, 1, len(found._noise), dtype=torch.float64)
        torch.testing.assert_close(hessian.rough(vector), hessian.product(vector), rtol=1e-6, atol=1e-12)
