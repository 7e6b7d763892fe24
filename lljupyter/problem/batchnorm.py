"""The running statistics of BatchNorm, recomputed where the weights have moved away from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.problem.batches import Batch

BatchNorm = Literal["eval", "interpolate", "recalibrate"]


def check_batchnorm(batchnorm: str) -> None:
    """Checks the option that says how running statistics are treated.

    Raises:
        ValueError: If it is none of the known values.
    """
    if batchnorm not in get_args(BatchNorm):
        raise ValueError(
            f"expected batchnorm as one of {list(get_args(BatchNorm))}, got {batchnorm!r}; "
            "'eval' uses the running statistics of the model"
        )


def running_norms(model: nn.Module) -> list[Any]:
    """Returns the layers of a model that have running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and isinstance(m.running_mean, Tensor)]


def check_statistics(checkpoints: Iterable[Checkpoint], model: nn.Module) -> None:
    """Check that checkpoints have running statistics, without which their losses would be those of a mixture.

    Raises:
        ValueError: If one has none for some layer of the model, or has the model's names more than once.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = (name for name, m in model.named_modules() if any(m is norm for norm in running_norms(model)))
    first = next(layers, None)
    for checkpoint in checkpoints:
        checkpoint.match(names)
        if first is not None and not checkpoint.has(statistic := f"{first}.running_mean".removeprefix(".")):
            raise ValueError(
                f"expected checkpoint {checkpoint.label} with the running statistics of BatchNorm, got one without "
                f"{statistic!r}; save model.state_dict(), or recompute them with batchnorm='recalibrate'"
            )


def recalibrate(norms: list[Any], batches: Iterable[Batch], forward: Callable[[Batch], Any]) -> None:
    """Sets running statistics to the mean of those of the batches, each weighted with its number of samples.

    A last batch of one sample, which has no variance, is left out.

    Args:
        norms: The layers; in evaluation mode before and after.
        batches: The data.
        forward: Runs a batch through the model; may raise.
    """
    n_seen = largest = 0
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        for batch in batches:
            largest = max(largest, batch.n)
            if batch.n == 1 < largest:
                continue
            n_seen += batch.n
            for norm in norms:
                norm.momentum = batch.n / n_seen
            forward(batch)
    finally:
        for norm in norms:
            norm.eval()
