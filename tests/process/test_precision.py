"""Products are exact during evaluation, whatever is set for the process, and the settings are put back."""

from __future__ import annotations

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
