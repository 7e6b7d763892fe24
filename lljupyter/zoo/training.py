"""A small trainer: the paper's recipe and a short one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

if TYPE_CHECKING:
    import xarray

Recipe = Literal["paper", "short"]
Precision = Literal["float32", "float64"]
EPOCHS = {"paper": 300, "short": 5}
LR, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4


class Score(NamedTuple):
    """Mean cross-entropy, and the share of correct predictions, 0 to 1."""

    loss: float
    accuracy: float


def train(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    recipe: Recipe = "short",
    epochs: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    augment: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
    precision: Precision | None = None,
    threads: int | None = 1,
    progress: bool = True,
) -> xarray.Dataset:
    """Trains a classifier in place, with cross-entropy, and leaves it in evaluation mode.

    The recipe "paper" is SGD with Nesterov momentum of 0.9, learning rate 0.1, weight decay 0.0005, 300 epochs, and a
    tenth of the rate after 1/2, 3/4 and 11/12 of them. "short" is the same optimizer for 5 epochs, with a rate that
    rises linearly over the first third and falls to zero as a half cosine. Batches are what the loader yields; the
    paper's have 128 samples. Everything random (order, dropout, augmentation) is drawn from ``seed``; the global
    generators are as they were afterwards.

    Args:
        model: Trained in place, and brought to ``device``.
        loader: Yields ``(images, labels)``, once for every epoch: a DataLoader that shuffles.
        recipe: "paper" or "short".
        epochs: Passes over the data; None for those of the recipe, whose schedule is stretched to others.
        lr: Highest learning rate; None for 0.1.
        weight_decay: None for 0.0005.
        optimizer: Another optimizer of the model's parameters, whose learning rates are the highest ones. A
            ``TrajectoryRecorder`` needs it, too.
        augment: Whether images are moved by up to 4 pixels and mirrored, at random, as in the paper.
        seed: Of everything random.
        device: Where to train; None for the model's device.
        precision: What to compute in, before the weights are rounded to what they were in; None for that. Training
            amplifies rounding, which differs between machines: after some hundred steps in "float32" the weights differ
            visibly, in "float64" they do not.
        threads: Processor threads. 1, so that the weights do not depend on how many a machine has; None for all.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension ``epoch``: ``loss`` and ``accuracy``, means over the epoch in training mode, and the
        ``learning_rate`` at its end.

    Raises:
        TypeError: If the model or the optimizer is of another kind than expected.
        ValueError: If an argument is out of range, or the loader is empty.
        RuntimeError: If training diverges.

    Example:
        >>> train, test = zoo.digits()  # doctest: +SKIP
        >>> history = zoo.train(model, DataLoader(train, 128, shuffle=True))  # doctest: +SKIP

    Source:
        Li et al. 2018, section 5 and appendix A, in the code they published.
    """
    import xarray

    n_epochs, n_batches = _checked_epochs(model, recipe, epochs, threads), _n_batches(loader)
    if precision not in (*get_args(Precision), None):
        raise ValueError(f"expected precision as one of {[*get_args(Precision), None]}, got {precision!r}; try None")
    if optimizer is None:
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=LR if lr is None else lr,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=WEIGHT_DECAY if weight_decay is None else weight_decay,
        )
    elif not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"expected a torch.optim.Optimizer, got {type(optimizer).__name__}; None takes SGD")
    elif lr is not None or weight_decay is not None:
        raise ValueError("expected lr and weight_decay within the optimizer that is passed, got them beside it")
    where = torch.device(device) if device is not None else next(model.parameters()).device
    kept = next(model.parameters()).dtype
    kind = kept if precision is None else getattr(torch, precision)
    model.to(where, kind).train()
    factor = _paper if recipe == "paper" else _short
    highest = [group["lr"] for group in optimizer.param_groups]
    rows: list[tuple[float, float, float]] = []
    with _randomness(seed, where), _threads(threads), tqdm(total=n_epochs, disable=not progress, unit="epoch") as bar:
        for epoch in range(n_epochs):
            total = correct = n = 0.0
            for index, (images, labels) in enumerate(loader):
                for group, rate in zip(optimizer.param_groups, highest, strict=True):
                    group["lr"] = rate * factor((epoch + index / n_batches) / n_epochs)
                loss, right = _step(model, optimizer, images.to(where, kind), labels.to(where), augment)
                total, correct, n = total + loss * len(labels), correct + right, n + len(labels)
            if not math.isfinite(total):
                raise RuntimeError(
                    f"expected a finite loss, got {total / n} in epoch {epoch + 1}: training diverged; "
                    "try a smaller lr, such as 0.01"
                )
            rows.append((total / n, correct / n, float(optimizer.param_groups[0]["lr"])))
            bar.update()
            bar.set_postfix(loss=f"{total / n:.3g}", accuracy=f"{correct / n:.3f}")
    for group, rate in zip(optimizer.param_groups, highest, strict=True):
        group["lr"] = rate
    model.to(kept).eval()
    losses, accuracies, rates = zip(*rows, strict=True)
    columns = {"loss": losses, "accuracy": accuracies, "learning_rate": rates}
    return xarray.Dataset(
        {name: ("epoch", list(column)) for name, column in columns.items()},
        coords={"epoch": range(1, n_epochs + 1)},
        attrs={"recipe": recipe, "seed": seed},
    )


def score(model: nn.Module, loader: Iterable[Any]) -> Score:
    """Returns the mean cross-entropy and the accuracy of a classifier, in evaluation mode; the model is not changed.

    Args:
        model: Its mode is as it was afterwards.
        loader: Yields ``(images, labels)``.

    Raises:
        ValueError: If the loader is empty.
    """
    where, was_training = next(model.parameters()).device, model.training
    total = correct = n = 0.0
    model.eval()
    try:
        with torch.no_grad():
            for images, labels in loader:
                outputs, labels = model(images.to(where)), labels.to(where)
                total += float(functional.cross_entropy(outputs, labels, reduction="sum"))
                correct += float((outputs.argmax(1) == labels).sum())
                n += len(labels)
    finally:
        model.train(was_training)
    if not n:
        raise ValueError("expected a loader with at least one batch, got an empty one")
    return Score(total / n, correct / n)


def augmented(images: Tensor) -> Tensor:
    """Returns images moved by up to 4 pixels into either direction, over black, and half of them mirrored.

    Args:
        images: (n, channels, height, width). Not changed.

    Source:
        He et al. 2016, section 4.2.
    """
    n, _, height, width = images.shape
    down, right, mirror = (torch.randint(high, (n, 1), device=images.device) for high in (9, 9, 2))
    rows = down + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = right + torch.where(mirror == 1, columns.flip(0), columns)
    padded = functional.pad(images, (4, 4, 4, 4)).permute(0, 2, 3, 1)
    samples = torch.arange(n, device=images.device)[:, None, None]
    return padded[samples, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _checked_epochs(model: Any, recipe: str, epochs: int | None, threads: int | None) -> int:
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}; try zoo.resnet(20)")
    if recipe not in get_args(Recipe):
        raise ValueError(f"expected recipe as one of {[*get_args(Recipe)]}, got {recipe!r}; try 'short'")
    n_epochs = EPOCHS[recipe] if epochs is None else epochs
    for name, value in (("epochs", n_epochs), ("threads", 1 if threads is None else threads)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"expected {name} as a whole number of at least 1, got {value!r}; leave it out")
    return n_epochs


def _n_batches(loader: Any) -> int:
    if not hasattr(loader, "__len__"):
        raise TypeError(
            f"expected a loader that knows its number of batches, got {type(loader).__name__}; "
            "pass a DataLoader or a list"
        )
    if not len(loader):
        raise ValueError("expected a loader with at least one batch, got an empty one; check its dataset and drop_last")
    return len(loader)


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, augment: bool
) -> tuple[float, float]:
    """One step of the optimizer; returns the mean loss and the number of correct predictions."""
    outputs = model(augmented(images) if augment else images)
    loss = functional.cross_entropy(outputs, labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach()), float((outputs.argmax(1) == labels).sum())


def _paper(done: float) -> float:
    """The learning rate as a share of the highest one, when so much of the training is done."""
    return 0.1 ** sum(done >= share for share in (1 / 2, 3 / 4, 11 / 12))


def _short(done: float) -> float:
    return 0.1 + 2.7 * done if done < 1 / 3 else (1 + math.cos(math.pi * (done - 1 / 3) * 1.5)) / 2


@contextmanager
def _randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Draws from a seed within, and puts the generators of the processor and of the device back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if n is None else n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
