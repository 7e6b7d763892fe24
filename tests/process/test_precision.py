"""Products are exact during evaluation, whatever is set for the process, and the settings are put back."""

from __future__ import annotations

import threading

import torch

from lljupyter.process.precision import exact_products


def test_products_are_exact_meanwhile_and_the_setting_is_put_back():
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_products_stay_exact_until_the_last_thread_is_done():
    torch.set_float32_matmul_precision("medium")
    try:
        leave, left = threading.Event(), threading.Event()

        def first():
            with exact_products():
                leave.wait(10)
            left.set()

        thread = threading.Thread(target=first)
        thread.start()
        while torch.get_float32_matmul_precision() != "highest":
            pass
        with exact_products():
            leave.set()
            assert left.wait(10)
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
        thread.join()
    finally:
        torch.set_float32_matmul_precision("highest")
