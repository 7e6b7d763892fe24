from __future__ import annotations

import threading

import torch
from torch.nn import functional

from lljupyter.process.attention import unfused_attention


def flags() -> list[bool]:
    cuda = torch.backends.cuda
    return [cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()]


def test_attention_can_be_differentiated_twice_and_the_settings_are_put_back():
    before = flags()
    q = torch.randn(1, 2, 3, 4, requires_grad=True)
    with unfused_attention():
        assert flags() == [False, False, True]
        (gradient,) = torch.autograd.grad(functional.scaled_dot_product_attention(q, q, q).sum(), q, create_graph=True)
        assert torch.autograd.grad(gradient.square().sum(), q)[0].abs().max() > 0
    assert flags() == before


def test_the_settings_stay_until_the_last_thread_is_done():
    before = flags()
    leave, entered = threading.Event(), threading.Event()

    def first():
        with unfused_attention():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with unfused_attention():
        leave.set()
        thread.join(10)
        assert flags() == [False, False, True]
    assert flags() == before
