"""Let attention be computed from matrix products, which can be differentiated twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Fused kernels have no second derivative. torch.nn.attention.sdpa_kernel sets the same flags, but needs torch 2.3.
_FUSED = [kind for kind in ("flash", "mem_efficient", "cudnn") if hasattr(torch.backends.cuda, f"enable_{kind}_sdp")]
_one_at_a_time = threading.Lock()
_before: list[dict[str, bool]] = []  # by all that are within ``unfused_attention``, the first of them first


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Compute ``scaled_dot_product_attention`` without its fused kernels, which are put back afterwards.

    The settings belong to the process. If several threads are in here, the last to leave restores what the first found.
    """
    cuda = torch.backends.cuda
    with _one_at_a_time:
        _before.append({kind: getattr(cuda, f"{kind}_sdp_enabled")() for kind in (*_FUSED, "math")})
        _set({**dict.fromkeys(_FUSED, False), "math": True})
    try:
        yield
    finally:
        with _one_at_a_time:
            first = _before[0]
            _before.pop()
            if _before:
                _before[0] = first
            else:
                _set(first)


def _set(enabled: dict[str, bool]) -> None:
    for kind, value in enabled.items():
        getattr(torch.backends.cuda, f"enable_{kind}_sdp")(value)
