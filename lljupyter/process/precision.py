"""Turn off TF32 and similar modes (process-wide settings of torch) during evaluation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

_one_at_a_time = threading.Lock()
_found: list[tuple[str, bool]] = []  # by all that are within ``exact_products``, the first of them first
Precision = Literal["float32", "auto"]


def check_precision(precision: str) -> None:
    """Check the option ``precision``.

    Raises:
        ValueError: If it is none of the known values.
    """
    if precision not in get_args(Precision):
        raise ValueError(
            f"expected precision as one of {list(get_args(Precision))}, got {precision!r}; "
            "'float32' computes in the model's own precision, 'auto' in a lower one where it pays"
        )


def has_bfloat16(device: torch.device) -> bool:
    """Return True if a device computes convolutions and matrix products in bfloat16.

    A processor without the units raises in oneDNN's own operators, and is slower elsewhere.
    """
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def onednn_takes(dtype: torch.dtype, device: torch.device) -> bool:
    """Return True if oneDNN's own operators compute in a dtype on a device."""
    if device.type != "cpu":
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16(device))


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute products of float32 in float32 inside the block, and restore the settings of the process afterwards.

    The settings belong to the process: products of other threads are also exact meanwhile. Where several threads are
    in here, the last to leave puts back what the first has found.
    """
    with _one_at_a_time:
        matmul = torch.get_float32_matmul_precision()
        cudnn = torch.cuda.is_available() and torch.backends.cudnn.allow_tf32
        _found.append((matmul, cudnn))
        if matmul != "highest":
            torch.set_float32_matmul_precision("highest")
        if cudnn:
            torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        with _one_at_a_time:
            matmul, cudnn = _found[0]
            _found.pop()
            if not _found and matmul != "highest":
                torch.set_float32_matmul_precision(matmul)
            if not _found and cudnn:
                torch.backends.cudnn.allow_tf32 = True
