"""The model as it is evaluated: where it is, how it is called, and that it is without gradients and autocast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


def tensors_by_name(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """Return parameters and buffers of a model by name; the tensors share memory with it and need no gradient."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: tensors[name].detach() for name in names}


def device_of(model: nn.Module) -> torch.device:
    """Returns the one device that all parameters and buffers of a model are on.

    Raises:
        ValueError: If there is more than one.
    """
    devices = sorted({str(t.device) for t in (*model.parameters(), *model.buffers())})
    if len(devices) != 1:
        raise ValueError(
            f"expected a model on one device, got parameters and buffers on {devices}; move it with model.to(device)"
        )
    return torch.device(devices[0])


def available_device(device: torch.device | str) -> torch.device:
    """Returns a device as its tensors name it ("cuda" becomes "cuda:0").

    Raises:
        ValueError: If there is none of that name, or it can't compute.
    """
    try:
        chosen = torch.empty(0, device=torch.device(device)).device  # a missing device raises here
        if chosen.type == "meta":
            raise RuntimeError("it holds no values")
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"expected an available device, got {device!r} ({error}); try device='cpu'") from error
    return chosen


def call(model: nn.Module, inputs: Any) -> Any:
    """Call a model with the inputs of a batch: one, several in a list or tuple, or keywords in a dict."""
    if isinstance(inputs, dict):
        return model(**inputs)
    several = isinstance(inputs, (list, tuple)) and not isinstance(inputs, PackedSequence)
    return model(*inputs) if several else model(inputs)


@contextmanager
def plain_evaluation(device: torch.device) -> Iterator[None]:
    """Evaluates without gradients, whatever is set around it: no autocast, no inference mode."""
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield
