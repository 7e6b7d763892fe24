from __future__ import annotations

import pytest
import torch
from support.reference import linear, network
from torch import nn
from torch.nn.utils import prune

from lljupyter.geometry.parameters import unwrapped
from lljupyter.problem.isolation.copying import private_copy
from lljupyter.problem.model import available_device, call, device_of, plain_evaluation

CPU = torch.device("cpu")


def test_wrappers_are_taken_off():
    model = linear()
    assert unwrapped(model) is model
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(nn.DataParallel(nn.DataParallel(model))) is model
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module as the model, got type"):
        unwrapped(nn.Linear)


def test_a_private_copy_shares_nothing_and_only_evaluates():
    model = network().train()
    private = private_copy(model, CPU)
    ours, theirs = private.state_dict(), model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not {t.data_ptr() for t in ours.values()} & {t.data_ptr() for t in theirs.values()}
    assert not any(module.training for module in private.modules())
    assert not any(parameter.requires_grad for parameter in private.parameters())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", ["weight_norm", "prune", "parametrize"])
def test_weights_that_are_computed_from_others_are_computed_again_in_the_copy(how):
    layer, x = nn.Linear(3, 2), torch.rand(4, 3)
    if how == "weight_norm":
        nn.utils.weight_norm(layer)
        moved = "weight_g"
    elif how == "prune":
        prune.l1_unstructured(layer, "weight", 0.5)
        moved = "weight_orig"
    else:
        nn.utils.parametrizations.weight_norm(layer)
        moved = "parametrizations.weight.original0"
    before = layer(x)
    private = private_copy(layer, CPU)
    torch.testing.assert_close(private(x), before.detach())
    private.get_parameter(moved).mul_(2)
    torch.testing.assert_close(private(x) - private.bias, 2 * (before - layer.bias).detach())
    torch.testing.assert_close(layer(x), before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_module_is_refused():
    with pytest.raises(ValueError, match=r"expected an eager module, got one compiled by torch.jit; pass the module"):
        private_copy(torch.jit.script(linear()), CPU)


def test_the_device_of_a_model_and_of_a_name():
    assert device_of(network()) == CPU
    assert available_device("cpu") == CPU
    with pytest.raises(ValueError, match=r"expected a model on one device, .* on \['cpu', 'meta'\]; move it"):
        device_of(nn.Sequential(linear(), nn.Linear(2, 2, device="meta")))
    with pytest.raises(ValueError, match=r"expected an available device, got 'meta' .*it holds no values"):
        available_device("meta")


def test_inputs_are_passed_as_the_batch_has_them():
    class Add(nn.Module):
        def forward(self, a, b=10):
            return a + b

    assert call(Add(), torch.tensor(1)) == 11
    assert call(Add(), [torch.tensor(1), torch.tensor(2)]) == 3
    assert call(Add(), {"b": torch.tensor(1), "a": torch.tensor(2)}) == 3


def test_plain_evaluation_is_plain_and_ends():
    weight = torch.ones(2, 2, requires_grad=True)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with plain_evaluation(CPU):
            result = weight @ weight
            assert not result.is_inference()
            assert result.dtype == torch.float32
            assert not result.requires_grad
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
    assert torch.is_grad_enabled()
