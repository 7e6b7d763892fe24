"""The test models: numbers of parameters as published, and the tricks of the trade as switches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lljupyter.zoo import alexnet, densenet, resnet, vgg, wide_resnet

SMALL = {
    "alexnet": lambda **switches: alexnet(width=4, image_size=8, **switches),
    "vgg": lambda **switches: vgg(9, width=4, image_size=8, **switches),
    "resnet": lambda **switches: resnet(8, width=4, **switches),
    "wrn56": lambda **switches: wide_resnet(8, 2, width=2, **switches),
    "wrn": lambda **switches: wide_resnet(10, 2, width=2, **switches),
    "densenet": lambda **switches: densenet(10, growth=4, **switches),
}


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_alexnet_has_the_parameters_of_zhang_et_al():
    assert n_parameters(alexnet(image_size=28)) == 1_387_786  # Zhang et al. 2017, table 1


def test_vgg_16_has_the_convolutions_of_simonyan_and_zisserman():
    # 138 million (2015, table 2) with the linear layers for 1000 classes and images of 224 pixels.
    linear = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
    n = n_parameters(vgg(16, batchnorm=False).features) + linear
    assert n / 1e6 == pytest.approx(138, abs=0.5)


def test_vgg_9_has_nine_weighted_layers_as_in_the_code_of_li_et_al():
    model = vgg(9)
    assert [p.shape[0] for p in model.parameters() if p.dim() > 1] == [64, 64, 128, 128, 256, 256, 256, 256, 10]
    assert model.fc[1].in_features == 256 * 4 * 4


@pytest.mark.parametrize(("depth", "k", "millions"), [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (16, 8, 11.0)])
def test_wide_resnets_have_the_parameters_of_zagoruyko_and_komodakis(depth, k, millions):
    assert n_parameters(wide_resnet(depth, k)) / 1e6 == pytest.approx(millions, abs=0.05)  # 2016, tables 4 and 5


def test_wrn_28_10_has_36_5_million_parameters():
    with torch.device("meta"):
        assert n_parameters(wide_resnet(28, 10)) / 1e6 == pytest.approx(36.5, abs=0.05)  # 2016, table 4


def test_wrn_56_is_the_resnet_56_with_k_times_the_channels():
    narrow, wide = resnet(56, shortcut="projection"), wide_resnet(56, 2)
    filters = [p for p in narrow.parameters() if p.dim() > 1][:-1]  # all but the linear layer double
    assert [p.shape[0] for p in wide.parameters() if p.dim() > 1][:-1] == [2 * p.shape[0] for p in filters]
    # The published weights of Li et al. hold 860,026 numbers, of which 4,256 are running statistics.
    assert n_parameters(narrow) == 860_026 - 4_256
    assert sum(b.numel() for b in narrow.buffers() if b.is_floating_point()) == 4_256


@pytest.mark.parametrize(("depth", "growth", "millions"), [(100, 12, 0.8), (250, 24, 15.3), (190, 40, 25.6)])
def test_densenet_bc_has_the_parameters_of_huang_et_al(depth, growth, millions):
    with torch.device("meta"):
        model = densenet(depth, growth=growth)
    assert n_parameters(model) / 1e6 == pytest.approx(millions, abs=0.05)  # 2017, table 2


def test_densenet_121_is_that_for_imagenet_but_for_its_ends():
    # torchvision's has 7,978,856: a 7 x 7 convolution with BatchNorm before, 1000 classes behind.
    difference = 64 * 3 * (7 * 7 - 3 * 3) + 2 * 64 + (1024 + 1) * (1000 - 10)
    with torch.device("meta"):
        model = densenet(121)
    assert n_parameters(model) == 7_978_856 - difference
    assert sum(p.dim() > 1 for p in model.parameters()) == 121


@pytest.mark.parametrize("depth", [20, 56])
def test_shortcuts_of_kind_a_and_none_have_no_parameters(depth):
    assert n_parameters(resnet(depth, shortcut=None)) == n_parameters(resnet(depth))
    assert n_parameters(resnet(depth, shortcut="projection")) - n_parameters(resnet(depth)) == 16 * 32 + 32 * 64 + 192


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("switches", [{}, {"batchnorm": False}, {"dropout": 0.5}, {"activation": "selu"}])
def test_every_family_takes_every_switch(name, switches):
    model = SMALL[name](channels=1, num_classes=7, **switches)
    kinds = {type(module) for module in model.modules()}
    expected = {"batchnorm": True, "dropout": 0.0, "activation": "relu"} | switches
    if name == "alexnet":
        expected["batchnorm"] = False  # local response normalization, as in its paper
    assert bool(kinds & {nn.BatchNorm2d, nn.BatchNorm1d}) == expected["batchnorm"]
    assert (nn.Dropout in kinds) == (expected["dropout"] > 0)
    assert (nn.SELU in kinds) != (nn.ReLU in kinds) == (expected["activation"] == "relu")
    assert model(torch.rand(3, 1, 8, 8)).shape == (3, 7)


@pytest.mark.parametrize("name", SMALL)
def test_selu_starts_with_variance_one_over_fan_in_and_drops_with_alpha_dropout(name):
    model = SMALL[name](activation="selu", dropout=0.1)
    weight = max((p.detach() for p in model.parameters() if p.dim() > 1), key=lambda p: p.numel())
    assert float(weight.var() * weight[0].numel()) == pytest.approx(1, rel=0.3)
    assert any(isinstance(module, nn.AlphaDropout) for module in model.modules())


@pytest.mark.parametrize(
    "build", [lambda on: resnet(8, shortcut="A" if on else None), lambda on: wide_resnet(10, 1, shortcuts=on)]
)
def test_a_block_with_zero_weights_passes_its_input_only_with_shortcuts(build):
    for on in (True, False):
        block = build(on).eval().layer1[0]
        for parameter in block.parameters():
            nn.init.zeros_(parameter)
        x = torch.rand(1, 16, 4, 4)
        assert torch.equal(block(x), x if on else torch.zeros_like(x))


def test_weights_come_from_the_global_seed():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(resnet(8, width=4).conv1.weight)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: vgg(11), "expected a depth of 9 or 16, got 11; try vgg"),
        (lambda: vgg(9, image_size=0), "expected image_size of at least 1 pixel, got 0; CIFAR-10 has 32"),
        (lambda: alexnet(image_size=0), "expected image_size of at least 1 pixel, got 0; CIFAR-10 has 32"),
        (lambda: wide_resnet(30, 2), r"expected a depth of 6n \+ 4 or 6n \+ 2, .* got 30; try wide_resnet\(28, 10\)"),
        (lambda: wide_resnet(28, 0), "expected k as a whole number of at least 1, got 0; Li et al. use 1, 2, 4 and 8"),
        (lambda: densenet(122), r"expected a depth of 121, 169, 201 or 6n \+ 4 .* got 122; try densenet\(121\)"),
        (lambda: densenet(10, growth=0), "expected a width of at least 1 channel, got 0; leave it out"),
        (lambda: resnet(8, shortcut="B"), r"expected shortcut as one of \['A', 'projection', None\], got 'B'; try 'A'"),
        (lambda: resnet(8, width=0), "expected a width of at least 1 channel, got 0; leave it out"),
        (lambda: resnet(8, dropout=1.0), "expected dropout as a probability from 0 to below 1, got 1.0; 0 is none"),
        (lambda: resnet(8, activation="elu"), r"expected activation as one of \['relu', 'selu'\], got 'elu'; try"),
    ],
)
def test_wrong_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
