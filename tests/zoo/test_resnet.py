"""The residual networks for CIFAR: sizes, names and shortcuts."""

from __future__ import annotations

import pytest
import torch

from lljupyter.zoo import resnet


@pytest.mark.parametrize(
    ("depth", "n", "millions"),
    [(20, 269_722, 0.27), (32, 464_154, 0.46), (44, 658_586, 0.66), (56, 853_018, 0.85), (110, 1_727_962, 1.7)],
)
def test_numbers_of_parameters_are_those_of_the_paper(depth, n, millions):
    counted = sum(parameter.numel() for parameter in resnet(depth).parameters())
    assert counted == n
    assert counted / 1e6 == pytest.approx(millions, rel=0.02)


def test_weighted_layers_add_up_to_the_depth():
    for depth in (8, 14, 20):
        assert sum(p.dim() > 1 for p in resnet(depth).parameters()) == depth


def test_names_of_parameters():
    names = set(resnet(20).state_dict())
    expected = {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"}
    assert expected <= names
    assert len(names) == 1 + 5 + 9 * (2 + 2 * 5) + 2


@pytest.mark.parametrize(("n_classes", "size"), [(10, 32), (100, 32), (2, 17)])
def test_shape_of_the_outputs(n_classes, size):
    assert resnet(8, n_classes)(torch.zeros(3, 3, size, size)).shape == (3, n_classes)


def test_shortcuts_pass_every_second_pixel_and_pad_with_zero_channels():
    model = resnet(8).eval()
    block = model.layer2[0]
    torch.nn.init.zeros_(block.bn2.weight)  # leaves the shortcut alone
    x = torch.rand(1, 16, 6, 6)
    y = block(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


@pytest.mark.parametrize("depth", [0, 2, 7, 21, -4, 20.5])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=rf"expected a depth of 6n \+ 2, such as 20, .* got {depth}"):
        resnet(depth)


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="expected num_classes as a whole number of at least 1, got 0; CIFAR-10"):
        resnet(20, 0)
