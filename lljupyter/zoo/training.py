"""A small trainer: the paper's recipe and a short one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from lljupyter.process.randomness import fixed_randomness
from lljupyter.zoo.batches import augmented, batches_of, n_batches
from lljupyter.zoo.checks import available, first_parameter, number, switch, whole_number
from lljupyter.zoo.restored import limited_threads, rates, training

if TYPE_CHECKING:
    import xarray

Recipe = Literal["paper", "short"]
Precision = Literal["float32", "float64"]
EPOCHS = {"paper": 300, "short": 5}
LR, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4
Step = tuple[Tensor, Tensor, int]  # of a batch: mean loss, number of correct predictions, number of samples


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
    """Train a classifier in place, with cross-entropy, and leave it in evaluation mode.

    The recipe "paper" is SGD with Nesterov momentum of 0.9, learning rate 0.1, weight decay 0.0005, 300 epochs, and a
    tenth of the rate after 1/2, 3/4 and 11/12 of them. "short" is the same optimizer for 5 epochs, with a rate that
    rises linearly over the first third and falls to zero as a half cosine. Weight decay is on all parameters, biases
    and BatchNorm included. Batches are what the loader yields; the paper's have 128 samples.

    Everything drawn from the global generators of torch, NumPy and Python (order, dropout, augmentation) comes from
    ``seed``; they are as they were afterwards. The same seed gives the same weights, bitwise, on the same machine; on a
    GPU as far as its kernels are deterministic. A loader with a generator of its own goes on with that.

    An interrupt or an error leaves the weights of the last step, and everything else as at the regular end.

    Args:
        model: Trained in place, and brought to ``device``.
        loader: Yields ``(images, labels)``, (n, channels, height, width) and (n,), once for every epoch: a DataLoader
            that shuffles.
        recipe: "paper" or "short".
        epochs: Passes over the data; None for those of the recipe, whose schedule is stretched to others.
        lr: Highest learning rate; None for 0.1.
        weight_decay: None for 0.0005.
        optimizer: Another optimizer of the model's parameters, whose learning rates are the highest ones. A
            ``TrajectoryRecorder`` also needs it.
        augment: Whether images are moved by up to 4 pixels and mirrored, at random, as in the paper.
        seed: Of everything random.
        device: Where to train, and where the model stays; None for the model's device.
        precision: What to compute in, before the weights are rounded to what they were in; None for that. Training
            amplifies rounding, which differs between machines: after some hundred steps in "float32" the weights differ
            visibly, in "float64" they do not.
        threads: Processor threads. 1, so that the weights do not depend on how many a machine has; None for as many as
            torch uses now.
        progress: Whether to show a progress bar.

    Returns:
        A Dataset on the dimension ``epoch``: ``loss`` and ``accuracy``, means over the epoch in training mode, and the
        ``learning_rate`` at its end.

    Raises:
        TypeError: If the model or the optimizer is of another kind than expected, or a batch no pair of tensors.
        ValueError: If an argument is out of range, the loader is empty, the labels are no class numbers, the model has
            fewer classes, or the optimizer is that of another model.
        RuntimeError: If training diverges.

    Example:
        >>> train, test = zoo.digits()  # doctest: +SKIP
        >>> history = zoo.train(model, DataLoader(train, 128, shuffle=True))  # doctest: +SKIP

    Source:
        Li et al. 2018, section 6, in the code they published.
    """
    import xarray

    where = first_parameter(model).device if device is None else available(device)
    if recipe not in get_args(Recipe):
        raise ValueError(f"expected recipe as one of {[*get_args(Recipe)]}, got {recipe!r}; try 'short'")
    n_epochs = whole_number("epochs", EPOCHS[recipe] if epochs is None else epochs, least=1, advice="leave it out")
    seed = whole_number("seed", seed, least=0, advice="try seed=0")
    switch("augment", augment, advice="True moves and mirrors images")
    optimizer, kind = _optimizer(model, optimizer, lr, weight_decay), _precision(model, precision)
    n_steps, factor = n_batches(loader), _paper if recipe == "paper" else _short
    rows: list[tuple[float, float, float]] = []
    with (
        limited_threads(threads),
        training(model, where, kind),
        rates(optimizer) as highest,
        fixed_randomness(seed=seed),  # after the model came to its device, whose generator is also seeded
        tqdm(total=n_epochs, disable=not progress, unit="epoch") as bar,
    ):
        for epoch in range(n_epochs):
            steps: list[Step] = []  # read once an epoch, so that no step waits for a GPU
            for index, batch in enumerate(batches_of(loader, where, kind)):
                for group, rate in zip(optimizer.param_groups, highest, strict=True):
                    group["lr"] = rate * factor((epoch + index / n_steps) / n_epochs)
                outputs = batch.checked(model(augmented(batch.images) if augment else batch.images))
                loss = functional.cross_entropy(outputs, batch.labels)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                steps.append((loss.detach(), (outputs.argmax(1) == batch.labels).sum(), len(outputs)))
            mean = _means(steps)
            if not math.isfinite(mean.loss):
                raise RuntimeError(
                    f"expected a finite loss, got {mean.loss} in epoch {epoch + 1}: training diverged; "
                    "try a smaller lr, such as 0.01"
                )
            rows.append((*mean, float(optimizer.param_groups[0]["lr"])))
            bar.update()
            bar.set_postfix(loss=f"{mean.loss:.3g}", accuracy=f"{mean.accuracy:.3f}")
    columns = zip(("loss", "accuracy", "learning_rate"), zip(*rows, strict=True), strict=True)
    return xarray.Dataset(
        {name: ("epoch", list(column)) for name, column in columns},
        coords={"epoch": range(1, n_epochs + 1)},
        attrs={"recipe": recipe, "seed": seed},
    )


def score(model: nn.Module, loader: Iterable[Any]) -> Score:
    """Return the mean cross-entropy and the accuracy of a classifier, in evaluation mode; the model is not changed.

    Args:
        model: The modes of its modules are as they were afterwards.
        loader: Yields ``(images, labels)``, in any precision and on any device.

    Raises:
        TypeError: If the model is no module, or a batch no pair of tensors.
        ValueError: If the model has no parameters or too few classes, or the loader yields nothing.
    """
    first, modes = first_parameter(model), [(module, module.training) for module in model.modules()]
    steps: list[Step] = []
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches_of(loader, first.device, first.dtype):
                outputs = batch.checked(model(batch.images))
                loss = functional.cross_entropy(outputs, batch.labels)
                steps.append((loss, (outputs.argmax(1) == batch.labels).sum(), len(outputs)))
    finally:
        for module, mode in modes:
            module.training = mode
    return _means(steps)


def _means(steps: list[Step]) -> Score:
    if not steps:
        raise ValueError("expected a loader with at least one batch, got an empty one; pass a DataLoader")
    losses, hits, sizes = zip(*steps, strict=True)
    total = sum(loss * size for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True))
    return Score(total / sum(sizes), float(sum(torch.stack(hits).tolist())) / sum(sizes))


def _optimizer(model: nn.Module, optimizer: Any, lr: float | None, weight_decay: float | None) -> torch.optim.Optimizer:
    """The optimizer that was passed, checked, or the recipes' own."""
    parameters = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if not parameters:
        raise ValueError(
            "expected a model with parameters to train, got all of them frozen; call model.requires_grad_(True)"
        )
    if optimizer is None:
        return torch.optim.SGD(
            model.parameters(),
            lr=LR if lr is None else number("lr", lr, positive=True, advice="try 0.1"),
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=WEIGHT_DECAY
            if weight_decay is None
            else number("weight_decay", weight_decay, positive=False, advice="try 5e-4"),
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"expected a torch.optim.Optimizer, got {type(optimizer).__name__}; None takes SGD")
    if lr is not None or weight_decay is not None:
        raise ValueError(
            "expected lr and weight_decay within the optimizer that is passed, got them beside it; leave them out"
        )
    if not any(id(parameter) in parameters for group in optimizer.param_groups for parameter in group["params"]):
        raise ValueError(
            "expected an optimizer of the model's parameters, got one of others; build it from model.parameters()"
        )
    return optimizer


def _precision(model: nn.Module, precision: str | None) -> torch.dtype:
    if precision not in (*get_args(Precision), None):
        raise ValueError(f"expected precision as one of {[*get_args(Precision), None]}, got {precision!r}; try None")
    kinds = {tensor.dtype for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()}
    if precision is not None and len(kinds) > 1:  # they could not be told apart afterwards
        raise ValueError(
            f"expected a model in one precision to train in {precision}, got {sorted(map(str, kinds))}; "
            "leave precision out"
        )
    return first_parameter(model).dtype if precision is None else getattr(torch, precision)


def _paper(done: float) -> float:
    """The learning rate as a share of the highest one, when so much of the training is done."""
    return 0.1 ** sum(done >= share for share in (1 / 2, 3 / 4, 11 / 12))


def _short(done: float) -> float:
    return 0.1 + 2.7 * done if done < 1 / 3 else (1 + math.cos(math.pi * (done - 1 / 3) * 1.5)) / 2
