"""The test models: numbers of parameters as published, and the tricks of the trade as switches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

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
def test_selu_drops_with_alpha_dropout(name):
    model = SMALL[name](activation="selu", dropout=0.1)
    assert {m.p for m in model.modules() if isinstance(m, nn.AlphaDropout)} == {0.1}
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())


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


def settled(model: nn.Module) -> nn.Module:
    """In double precision and evaluation mode, with running statistics and scales as after a training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                nn.init.uniform_(tensor, 0.5, 1.5)
            nn.init.uniform_(module.bias, -1, 1)
    return model.double().eval()


def bn(x: torch.Tensor, layer: nn.BatchNorm2d) -> torch.Tensor:
    scale = layer.weight / torch.sqrt(layer.running_var + 1e-5)
    return (x - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]


def conv(x: torch.Tensor, layer: nn.Conv2d, stride: int = 1) -> torch.Tensor:
    return functional.conv2d(x, layer.weight, None, stride, layer.weight.shape[-1] // 2)


@pytest.mark.parametrize("shortcut", ["projection", None])
def test_a_residual_block_normalizes_after_convolutions_and_activates_the_sum(shortcut):
    block = settled(resnet(8, shortcut=shortcut)).layer2[0]
    x = torch.randn(2, 16, 7, 7, dtype=torch.float64)
    expected = bn(conv(bn(conv(x, block.conv1, 2), block.bn1).relu(), block.conv2), block.bn2)
    if shortcut:
        expected = expected + bn(conv(x, block.shortcut[0], 2), block.shortcut[1])
    torch.testing.assert_close(block(x), expected.relu())


@pytest.mark.parametrize("shortcuts", [True, False])
def test_a_wide_block_activates_before_convolutions_and_projects_the_activated_input(shortcuts):
    model = settled(wide_resnet(10, 2, shortcuts=shortcuts))
    block, x = model.layer2[0], torch.randn(2, 32, 7, 7, dtype=torch.float64)
    activated = bn(x, block.bn1).relu()
    expected = conv(bn(conv(activated, block.conv1, 2), block.bn2).relu(), block.conv2)
    if shortcuts:
        expected = expected + conv(activated, block.shortcut, 2)
    torch.testing.assert_close(block(x), expected)
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    last = model.layer3(model.layer2(model.layer1(conv(images, model.conv1))))
    torch.testing.assert_close(model(images), model.linear(bn(last, model.bn).relu().mean((2, 3))))


def test_a_dense_layer_appends_channels_and_a_transition_halves_channels_and_pixels():
    model = settled(densenet(16, growth=4))
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    layer = model.stages[0]
    y = conv(bn(conv(bn(x, layer.bn1).relu(), layer.conv1), layer.bn2).relu(), layer.conv2)
    torch.testing.assert_close(layer(x), torch.cat([x, y], 1))
    transition, x = model.stages[2], torch.randn(2, 16, 6, 6, dtype=torch.float64)
    y = conv(bn(x, transition.bn).relu(), transition.conv)
    assert y.shape[1] == 8
    torch.testing.assert_close(transition(x), y.reshape(2, 8, 3, 2, 3, 2).mean((3, 5)))


@pytest.mark.parametrize(
    ("model", "order"),
    [
        (vgg(9), "cbrcbrp cbrcbrp cbrcbrcbrp lbr l"),
        (vgg(9, batchnorm=False, dropout=0.5), "crcrp crcrp crcrcrp dlr dl"),
        (vgg(16, width=4), "cbrcbrp cbrcbrp cbrcbrcbrp cbrcbrcbrp cbrcbrcbrp lbr l"),
        (alexnet(), "crpn crpn lr lr l"),
        (alexnet(batchnorm=True, dropout=0.5), "crpb crpb dlr dlr l"),
    ],
)
def test_order_of_the_layers(model, order):
    letters = {
        nn.Conv2d: "c",
        nn.BatchNorm2d: "b",
        nn.BatchNorm1d: "b",
        nn.ReLU: "r",
        nn.MaxPool2d: "p",
        nn.LocalResponseNorm: "n",
        nn.Linear: "l",
        nn.Dropout: "d",
    }
    assert "".join(letters.get(type(module), "") for module in model.modules()) == order.replace(" ", "")


def test_alexnet_normalizes_over_nine_channels():
    layer = next(module for module in alexnet().modules() if isinstance(module, nn.LocalResponseNorm))
    x = 20 * torch.randn(1, 16, 1, 1, dtype=torch.float64)
    around = [x[:, max(0, c - 4) : c + 5].square().sum(1, keepdim=True) for c in range(16)]
    torch.testing.assert_close(layer(x), x / (1 + 0.001 / 9 * torch.cat(around, 1)) ** 0.75)


def test_dropout_is_between_the_convolutions_of_a_wide_block_and_after_those_of_a_dense_layer():
    x = torch.randn(2, 8, 4, 4)
    wide = wide_resnet(10, 1, width=8, dropout=0.5).layer1[0]
    dense = densenet(10, growth=4, dropout=0.5).stages[0]
    dropped = []
    for block in (wide, dense):
        block.drop.register_forward_hook(lambda _, given, __: dropped.append(given[0]))
        block(x)
    assert (dropped[0] >= 0).all()  # behind the activation
    assert [part.shape[1] for part in dropped] == [8, 16, 4]
    assert (dropped[2] < 0).any()  # behind the convolution


@pytest.mark.parametrize("name", SMALL)
def test_weights_start_with_variance_two_over_fan_in_for_relu(name):
    torch.manual_seed(0)
    for switches, gain in (({}, 2), ({"activation": "selu"}, 1)):
        model = SMALL[name](**switches)
        pairs = [(p.detach().square().sum() * p[0].numel(), p.numel()) for p in model.parameters() if p.dim() > 1]
        assert float(sum(s for s, _ in pairs) / sum(n for _, n in pairs)) == pytest.approx(gain, rel=0.15)
        assert not any(p.any() for n, p in model.named_parameters() if n.endswith("bias"))


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
        (lambda: vgg([9]), r"expected a depth of 9 or 16, got \[9\]; try vgg"),
        (lambda: vgg(9, image_size=0), "expected image_size as a whole number of at least 1, got 0; CIFAR-10 has 32"),
        (lambda: alexnet(image_size=8.0), "expected image_size as a whole number of at least 1, got 8.0; CIFAR-10 has"),
        (lambda: alexnet(channels=0), "expected channels as a whole number of at least 1, got 0; color images have 3"),
        (lambda: resnet(8, channels="3"), "expected channels as a whole number of at least 1, got '3'; color images"),
        (lambda: densenet(10, channels=-1), "expected channels as a whole number of at least 1, got -1; color"),
        (lambda: wide_resnet(10, 1, True), "expected num_classes as a whole number of at least 1, got True; CIFAR-10"),
        (lambda: wide_resnet(8, True), "expected k as a whole number of at least 1, got True; Li et al. use"),
        (lambda: wide_resnet(10, 2, shortcuts="no"), "expected shortcuts as True or False, got 'no'; zoo.resnet"),
        (lambda: wide_resnet(8, 2, shortcuts=None), "expected shortcuts as True or False, got None; zoo.resnet"),
        (lambda: vgg(9, batchnorm="off"), "expected batchnorm as True or False, got 'off'; True is BatchNorm"),
        (lambda: densenet("121"), "expected a depth of 121, 169, 201 or 6n .* got '121'; try densenet"),
        (lambda: wide_resnet(30, 2), r"expected a depth of 6n \+ 4 or 6n \+ 2, .* got 30; try wide_resnet\(28, 10\)"),
        (lambda: wide_resnet(28, 0), "expected k as a whole number of at least 1, got 0; Li et al. use 1, 2, 4 and 8"),
        (lambda: densenet(122), r"expected a depth of 121, 169, 201 or 6n \+ 4 .* got 122; try densenet\(121\)"),
        (lambda: densenet(10, growth=0), "expected growth as a whole number of at least 1, got 0; leave it out"),
        (lambda: resnet(8, shortcut="B"), r"expected shortcut as one of \['A', 'projection', None\], got 'B'; try 'A'"),
        (lambda: resnet(8, width=0), "expected width as a whole number of at least 1, got 0; leave it out"),
        (lambda: resnet(8, dropout=1.0), "expected dropout as a probability from 0 to below 1, got 1.0; 0 is none"),
        (lambda: resnet(8, dropout="0.1"), "expected dropout as a probability from 0 to below 1, got '0.1'; 0 is"),
        (lambda: resnet(8, dropout=float("nan")), "expected dropout as a probability from 0 to below 1, got nan; 0"),
        (lambda: resnet(8, activation="elu"), r"expected activation as one of \['relu', 'selu'\], got 'elu'; try"),
    ],
)
def test_wrong_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
