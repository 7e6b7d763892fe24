"""Transposes of convolutions, against autograd in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lljupyter.hessian.fast import layer_maps as layers
from lljupyter.hessian.fast.layer_maps import input_gradient, laid, weight_gradient
from lljupyter.tracing.convolution import Convolution


def transposed(source, terms, like):
    """The sum of ``w^T u`` by autograd."""
    x = like.double().requires_grad_()
    outputs = [
        nn.functional.conv2d(x, w.double(), None, source.stride, source.padding, source.dilation) for _, w in terms
    ]
    return torch.autograd.grad(outputs, x, [u.double() for u, _ in terms])[0]


@pytest.mark.parametrize("n_terms", [1, 2])
@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 4, "stride": 3},
        {"kernel_size": (3, 2), "stride": (1, 2), "padding": (0, 1)},
        {"kernel_size": 2, "stride": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1},
    ],
)
def test_the_gradient_of_the_inputs_is_that_of_autograd(options, size, n, n_terms):
    generator = torch.Generator().manual_seed(0)
    source = nn.Conv2d(3, 5, **options)
    shape = source(torch.zeros(n, 3, *size)).shape
    terms = [
        (torch.randn(shape, generator=generator), torch.randn(source.weight.shape, generator=generator))
        for _ in range(n_terms)
    ]
    like = laid(torch.zeros(n, 3, *size))
    found = input_gradient(Convolution(source, {}), [(laid(u), laid(w)) for u, w in terms], like)
    torch.testing.assert_close(found.double(), transposed(source, terms, like), rtol=1e-5, atol=1e-5)


def test_many_small_images_with_a_stride_are_transposed_along_the_samples(monkeypatch):
    seen = []
    whole = layers._deconvolved
    monkeypatch.setattr(layers, "_deconvolved", lambda *args: seen.append(1) or whole(*args))
    source = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    for n in (31, 32):
        u, w, like = torch.ones(n, 5, 4, 4), torch.ones(5, 3, 3, 3), torch.zeros(n, 3, 8, 8)
        input_gradient(Convolution(source, {}), [(laid(u), laid(w))], laid(like))
    assert len(seen) == 1


@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize("stride", [2, (3, 1)])
def test_the_gradient_of_a_strided_kernel_of_one_pixel_is_that_of_autograd(stride, channels):
    generator = torch.Generator().manual_seed(0)
    source = nn.Conv2d(channels, 8, 1, stride, bias=False)
    x = laid(torch.randn(50, channels, 8, 7, generator=generator))
    u = laid(torch.randn(source(x).shape, generator=generator))
    weight = source.weight.detach()
    w = weight.double().requires_grad_()
    expected = torch.autograd.grad(nn.functional.conv2d(x.double(), w, None, stride), w, u.double())[0]
    found = weight_gradient(Convolution(source, {}), u, x, laid(weight))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)
