"""The private copy is what is evaluated, whatever a model keeps functions of itself in."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from lljupyter.problem.isolation.copying import aliases_of, copied_together

CPU = torch.device("cpu")
X = torch.linspace(-1, 1, 12).reshape(4, 3)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def compiled():
    model = net()
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def compiled_class_of_ones_own():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            return self.net(x)

    model = Net()
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def with_a_lambda():
    model = net()
    forward = model.forward
    model.forward = lambda x: forward(x) * 2
    return model


def wrapped():
    def doubled(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs) * 2

        return inner

    model = net()
    model.forward = doubled(doubled(model.forward))
    return model


def with_a_partial_in_a_submodule():
    def scaled(layer, x, by):
        return functional.linear(x, layer.weight, layer.bias) * by

    model = net()
    model[2].forward = functools.partial(scaled, model[2], by=3)
    return model


def with_a_hook():
    model = net()
    model[1].register_forward_hook(lambda module, inputs, outputs: outputs * model[0].weight.sum())
    return model


def with_a_hook_over_a_list():
    model = net()
    weights = [p for p in model.parameters() if p.dim() > 1]
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0] * sum(w.mean() for w in weights),))
    return model


def with_functions_that_call_each_other():
    model = net()

    def first(x, n):
        return model[0](x) if n == 0 else second(x, n - 1)

    def second(x, n):
        return first(x, n)

    model[1].register_forward_hook(lambda module, inputs, outputs: outputs + first(X, 2))
    return model


MODELS = [
    compiled,
    compiled_class_of_ones_own,
    with_a_lambda,
    wrapped,
    with_a_partial_in_a_submodule,
    with_a_hook,
    with_a_hook_over_a_list,
    with_functions_that_call_each_other,
]


def move(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)


@pytest.mark.parametrize("make", MODELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("generations", [1, 2])
def test_a_copy_moves_as_the_model_does_and_without_it(make, generations):
    model, copied = make(), make()
    before = model(X).detach().clone()
    for _ in range(generations):
        copied, _ = copied_together(copied, None, CPU)
    torch.testing.assert_close(copied(X), before)
    move(copied)
    torch.testing.assert_close(model(X), before, rtol=0, atol=0)
    moved = copied(X)
    move(model)
    torch.testing.assert_close(moved, model(X))
    assert not torch.allclose(moved, before)


MODEL = net()


def penalty(model):
    return sum(p.square().sum() for p in model.parameters())


def residual():
    return penalty(MODEL)


class Penalized(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.models = [model]

    def forward(self, outputs, targets):
        return outputs.sum() + penalty(self.models[0])


class Callable:
    def __init__(self, model):
        self.model, self.rows = model, X

    def __call__(self, outputs, targets):
        return outputs.sum() + penalty(self.model)

    def loss(self, outputs, targets):
        return self(outputs, targets)


def through_a_closure(model):
    return lambda outputs, targets: outputs.sum() + penalty(model)


def through_a_list_of_parameters(model):
    parameters = list(model.parameters())
    return lambda outputs, targets: outputs.sum() + sum(p.square().sum() for p in parameters)


def through_a_default(model):
    def loss(outputs, targets, model=model):
        return outputs.sum() + penalty(model)

    return loss


def through_a_loss_in_a_closure(model):
    loss = Penalized(model)
    return lambda outputs, targets: loss(outputs, targets)


LOSSES = [
    through_a_closure,
    through_a_list_of_parameters,
    through_a_default,
    through_a_loss_in_a_closure,
    lambda model: functools.partial(lambda model, outputs, targets: outputs.sum() + penalty(model), model),
    Penalized,
    Callable,
    lambda model: Callable(model).loss,
]


@pytest.mark.parametrize("make", LOSSES)
def test_a_loss_that_reads_the_model_reads_the_copy(make):
    model = net()
    loss = make(model)
    before = loss(model(X), None)
    copied, bound = copied_together(model, loss, CPU)
    torch.testing.assert_close(bound(copied(X), None), before)
    move(copied)
    moved = bound(copied(X), None)
    torch.testing.assert_close(loss(model(X), None), before, rtol=0, atol=0)
    move(model)
    torch.testing.assert_close(moved, loss(model(X), None))
    assert not torch.allclose(moved, before)


def test_a_loss_that_reads_a_global_through_another_function_reads_the_copy():
    copied, bound = copied_together(MODEL, lambda outputs, targets: residual(), CPU)
    before = residual().detach()
    move(copied)
    assert float(bound(None, None)) == pytest.approx(float(penalty(copied)))
    assert float(bound(None, None)) != pytest.approx(float(before))
    assert float(residual()) == float(before)


def test_a_loss_that_does_not_use_the_model_is_returned_as_it_is():
    teacher = net()
    for loss in (functional.mse_loss, nn.MSELoss(), lambda o, y: functional.mse_loss(o, teacher(X)), Callable(teacher)):
        assert copied_together(net(), loss, CPU)[1] is loss


class Tied(nn.Module):
    def __init__(self, tie):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        tie(self.a, self.b)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def tie_data(a, b):
    b.weight.data = a.weight.data


def tie_transposed(a, b):
    b.weight.data = a.weight.data.T


def tie_parameters(a, b):
    b.weight = a.weight


@pytest.mark.parametrize("tie", [tie_data, tie_transposed, tie_parameters])
def test_parameters_that_share_memory_share_it_in_the_copy(tie):
    model = Tied(tie)
    copied, _ = copied_together(model, None, CPU)
    torch.testing.assert_close(copied(X), model(X), rtol=0, atol=0)
    for either in (model, copied):
        with torch.no_grad():
            either.a.weight.mul_(1.5)
    torch.testing.assert_close(copied(X), model(X), rtol=0, atol=0)
    assert copied.a.weight.data_ptr() == copied.b.weight.data_ptr() != model.a.weight.data_ptr()


def test_parameters_that_are_the_same_numbers_become_one():
    copied, _ = copied_together(Tied(tie_data), None, CPU)
    assert copied.a.weight is copied.b.weight


def with_a_view_that_needs_a_gradient(model):
    model.view = model.a.weight.t()


def with_a_detached_view(model):
    model.view = model.a.weight.detach()[:, :3].t()


def with_a_buffer(model):
    model.register_buffer("view", model.a.weight.data.t())


def within_one_flat_buffer(model):
    model.register_buffer("view", torch.randn(3, 4))
    model.a.weight.data, model.b.weight.data = model.view[:, :3], model.view[:, 3:].expand(3, 3).contiguous()
    model.view = model.view[:, :3]


@pytest.mark.parametrize(
    "tie", [with_a_view_that_needs_a_gradient, with_a_detached_view, with_a_buffer, within_one_flat_buffer]
)
def test_what_lies_in_the_memory_of_a_parameter_moves_with_its_copy(tie):
    model = Tied(lambda a, b: None)
    tie(model)
    copied, bound = copied_together(model, lambda: None, CPU)
    before = copied.view.clone()
    with torch.no_grad():
        copied.a.weight.add_(1)
    torch.testing.assert_close(copied.view, before + 1)
    torch.testing.assert_close(model.view, before)
    assert aliases_of(copied, bound) == ["view"]


def test_a_small_part_of_something_large_is_copied_alone():
    whole = torch.zeros(1000)
    model = nn.Module()
    model.small = nn.Parameter(whole[10:13])
    copied, _ = copied_together(model, None, CPU)
    assert copied.small.untyped_storage().nbytes() == 12
    assert aliases_of(copied) == []
