"""Models, losses and batches of many kinds, put together at random, each with the loop that its owner would write."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, weight_norm

from lljupyter.process.randomness import batch_seed

BODIES = ("perceptron", "convolution", "recurrent", "tokens", "tokens of sequences first")
LAYERS = ("plain", "layer norm", "batch norm", "dropout", "weight norm", "old weight norm", "spectral norm")
WRAPPERS = ("none", "compiled", "wraps", "lambda", "hook", "hook before", "data parallel")
FORMS = ("tuple", "list", "named", "dict", "several", "keywords", "with None", "with strings", "nested", "sparse")
KEEPS = ("counts", "averages", "remembers", "hides")
DRAWS = ("torch", "NumPy", "Python", "own torch", "own NumPy", "own in a dict")
FAULTS = ("none", *KEEPS, *DRAWS, "same memory", "transposed memory", "changes inputs")
LOSSES = (
    *("default", "function", "smoothed", "weighted", "per sample", "sum", "module sum", "masked", "pair", "squares"),
    *("hardest", "decay", "focal", "draws", "keeps", "partial", "a number"),
)
SIZES = ((5, 5, 2), (1, 1, 1), (7,), (4, 6), (2, 1, 6, 3))
CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)


class Recipe(NamedTuple):
    """What a drawn model is made of."""

    body: str
    layer: str
    wrapper: str
    form: str
    fault: str
    loss: str
    sizes: tuple[int, ...]
    padded: bool
    seed: int


class Named(NamedTuple):
    features: Any
    classes: Any


class Drawn(nn.Module):
    """A body, and what may be wrong with it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = body_of(recipe)
        self.calls, self.seen, self.hidden = 0, [], None
        self.register_buffer("average", torch.zeros(()))
        if recipe.fault == "own torch":
            self.generator = torch.Generator()
        if recipe.fault == "own NumPy":
            self.generator = np.random.default_rng(1)
        if recipe.fault == "own in a dict":
            self.tools = [{"rng": random.Random(1)}]
        if recipe.fault.endswith("memory") and recipe.body == "perceptron":
            first, second = (m for m in self.net if isinstance(m, nn.Linear) and m.out_features == 6)
            kept = first.weight.data
            second.weight.data = kept if recipe.fault == "same memory" else kept.t()

    def forward(self, x: Any, scale: Any = None) -> Tensor:
        x = x["inner"] if isinstance(x, dict) else x
        x = x.to_dense() if x.is_sparse else x
        if self.recipe.fault == "changes inputs" and x.is_floating_point():
            x.mul_(1.5)
        outputs = self.net(x)
        if isinstance(scale, Tensor):
            outputs = outputs * scale.reshape(-1, *[1] * (outputs.dim() - 1))
        return outputs * (1 + self.drawn()) * (1 + self.kept(outputs.detach().mean()))

    def drawn(self) -> float:
        """What is drawn at random."""
        draws: dict[str, Callable[[], float]] = {
            "torch": lambda: float(torch.rand(())),
            "NumPy": lambda: float(np.random.rand()),  # noqa: NPY002
            "Python": random.random,
            "own torch": lambda: float(torch.rand((), generator=self.generator)),
            "own NumPy": lambda: float(self.generator.random()),
            "own in a dict": lambda: float(self.tools[0]["rng"].random()),
        }
        return draws.get(self.recipe.fault, lambda: 0.0)()

    def kept(self, mean: Tensor) -> Any:
        """What is kept between calls."""
        if self.recipe.fault == "counts":
            self.calls += 1
            return 0.1 * self.calls
        if self.recipe.fault == "averages":
            self.average.mul_(0.5).add_(0.5 * mean)
            return self.average.clone()
        if self.recipe.fault == "remembers":
            self.seen.append(float(mean))
            return sum(self.seen)
        if self.recipe.fault == "hides":
            before, self.hidden = self.hidden, mean
            return 0.0 if before is None else before
        return 0.0

    def reset(self) -> None:
        """Forget what was kept."""
        self.calls, self.hidden = 0, None
        self.seen.clear()
        self.average.zero_()


def body_of(recipe: Recipe) -> nn.Module:
    first = nn.Linear(6, 6)
    norms = {"layer norm": nn.LayerNorm(6), "batch norm": nn.BatchNorm1d(6), "dropout": nn.Dropout()}
    if recipe.body == "convolution":
        norm = nn.BatchNorm2d(4) if recipe.layer == "batch norm" else nn.Identity()
        image = (nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, padding=1), norm, nn.ReLU())
        return nn.Sequential(*image, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    if recipe.body == "recurrent":
        return Recurrent()
    if recipe.body.startswith("tokens"):
        return Tokens(recipe.body != "tokens")
    if not recipe.fault.endswith("memory"):
        if recipe.layer == "weight norm":
            first = parametrizations.weight_norm(first)
        if recipe.layer == "old weight norm":
            first = weight_norm(first)
        if recipe.layer == "spectral norm":
            first = parametrizations.spectral_norm(first)
    between = (norms.get(recipe.layer, nn.Identity()), nn.Tanh())
    return nn.Sequential(first, *between, nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 4))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x.reshape(-1, 3, 2))[0][:, -1])


class Tokens(nn.Module):
    def __init__(self, sequences_first: bool) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(5, 4), nn.RNN(4, 5, batch_first=True), nn.Linear(5, 4)
        self.sequences_first = sequences_first

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens.t() if self.sequences_first else tokens
        scores = self.head(self.cell(self.embed(tokens))[0])  # (n, T, V)
        return scores.permute(1, 2, 0) if self.sequences_first else scores.transpose(1, 2)


class Focal(nn.Module):
    reduction = "mean"

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        values = functional.cross_entropy(outputs, targets, reduction="none")
        values = (1 - torch.exp(-values)) ** 2 * values
        return values.sum() / (targets != -100).sum() if self.reduction == "mean" else values


class Case(NamedTuple):
    """What is passed to the library, and the truth.

    Attributes:
        model: As the person has it.
        inner: The module without what was put around it.
        loader: Batches.
        loss: ``loss_fn``, or None.
        value: The value of the whole loader where the model is now.
    """

    model: nn.Module
    inner: Drawn
    loader: list[Any]
    loss: Any
    value: Callable[[], float]


def made(recipe: Recipe) -> Case:
    """Make what a recipe says, in double precision."""
    torch.manual_seed(recipe.seed)
    torch.set_default_dtype(torch.float64)
    try:
        inner = Drawn(recipe)
        data = [_data(recipe, n) for n in recipe.sizes]
    finally:
        torch.set_default_dtype(torch.float32)
    model = _wrapped(inner.eval(), recipe.wrapper)
    loss, reset = _loss(recipe, inner)
    loader = [_batch(recipe.form, x, y, scale) for x, y, scale in data]
    return Case(model, inner, loader, loss, lambda: _value(recipe, model, inner, data, loss, reset))


def _data(recipe: Recipe, n: int) -> tuple[Tensor, Tensor, Tensor]:
    shape: tuple[int, ...] = (n,)
    x = torch.randn(n, 6)
    if recipe.body.startswith("tokens"):
        shape = (n, 7) if recipe.body == "tokens" else (7, n)
        x = torch.randint(0, 5, shape)
    y = torch.randint(0, 4, shape)
    if recipe.padded:
        y = torch.where(torch.rand(shape) < 0.3, -100, y)
        y.reshape(-1)[-1] = 1  # a batch has at least one that counts
    return x, y, torch.rand(n) + 0.5


def _batch(form: str, x: Tensor, y: Tensor, scale: Tensor) -> Any:
    forms: dict[str, Callable[[], Any]] = {
        "tuple": lambda: (x, y),
        "list": lambda: [x, y],
        "named": lambda: Named(x, y),
        "dict": lambda: {"x": x, "labels": y},
        "several": lambda: ((x, scale), y),
        "keywords": lambda: ({"x": x, "scale": scale}, y),
        "with None": lambda: ((x, None), y),
        "with strings": lambda: ((x, [f"row {k}" for k in range(len(scale))]), y),
        "nested": lambda: (({"inner": x}, scale), y),
        "sparse": lambda: (x.to_sparse(), y),
    }
    return forms[form]()


def _wrapped(model: nn.Module, wrapper: str) -> nn.Module:
    forward = model.forward
    if wrapper == "compiled":
        model.forward = torch.compile(forward, backend="eager")  # type: ignore[method-assign]
    if wrapper == "lambda":
        model.forward = lambda *args, **kwargs: forward(*args, **kwargs) * 1.5  # type: ignore[method-assign]
    if wrapper == "wraps":

        @functools.wraps(forward)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return forward(*args, **kwargs) + 0.5

        model.forward = inner  # type: ignore[method-assign]
    if wrapper == "hook":
        weight = next(model.net.parameters())
        model.net.register_forward_hook(lambda module, inputs, outputs: outputs * (1 + weight.mean()))
    if wrapper == "hook before":
        model.register_forward_pre_hook(lambda module, inputs: inputs)
    return nn.DataParallel(model) if wrapper == "data parallel" else model


def _loss(recipe: Recipe, model: nn.Module) -> tuple[Any, Callable[[], None]]:
    """Return the loss as it is passed, and what forgets what it keeps."""
    entropy = functional.cross_entropy
    kept = {"calls": 0}

    def per_sample(outputs: Tensor, targets: Tensor) -> Tensor:
        values = entropy(outputs, targets, reduction="none")
        if values.dim() == 1:
            return values
        return values.mean(0 if recipe.body == "tokens of sequences first" else 1)

    def masked(outputs: Tensor, targets: Tensor) -> Tensor:
        return entropy(outputs, targets, reduction="none").sum() / (targets != -100).sum()

    def pair(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return entropy(outputs, targets, reduction="sum"), (targets != -100).sum()

    def squares(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.movedim(1, -1) - functional.one_hot(targets.clamp(min=0), 4)).square().mean()

    def hardest(outputs: Tensor, targets: Tensor) -> Tensor:
        values = entropy(outputs, targets, reduction="none").reshape(-1)
        return values.topk(max(len(values) // 2, 1)).values.mean()

    def keeps(outputs: Tensor, targets: Tensor) -> Tensor:
        kept["calls"] += 1
        return entropy(outputs, targets) * kept["calls"]

    losses = {
        "default": None,
        "function": entropy,
        "smoothed": nn.CrossEntropyLoss(label_smoothing=0.1),
        "weighted": nn.CrossEntropyLoss(weight=CLASS_WEIGHTS),
        "per sample": per_sample,
        "sum": lambda outputs, targets: entropy(outputs, targets, reduction="sum"),
        "module sum": nn.CrossEntropyLoss(reduction="sum"),
        "masked": masked,
        "pair": pair,
        "squares": squares,
        "hardest": hardest,
        "decay": lambda o, t: entropy(o, t) + 1e-2 * sum(p.square().sum() for p in model.parameters()),
        "focal": Focal(),
        "draws": lambda outputs, targets: entropy(outputs + torch.randn_like(outputs), targets),
        "keeps": keeps,
        "partial": functools.partial(entropy, reduction="mean"),
        "a number": lambda outputs, targets: entropy(outputs, targets).item(),
    }
    return losses[recipe.loss], lambda: kept.update(calls=0)


def _value(
    recipe: Recipe, model: nn.Module, inner: Drawn, data: list[Any], loss: Any, reset: Callable[[], None]
) -> float:
    """The loop that the person would write, with a seed for every batch, and every batch by itself."""
    total = weight = 0.0
    for k, (x, y, scale) in enumerate(data):
        inner.reset()
        reset()
        _seed(inner, batch_seed(0, k))
        scaled = recipe.form in ("several", "keywords", "nested")
        outputs = model(x.clone(), scale) if scaled else model(x.clone())
        raw = (functional.cross_entropy if loss is None else loss)(outputs, y)
        if recipe.loss == "pair":
            total, weight = total + float(raw[0]), weight + float(raw[1])
        elif recipe.loss in ("sum", "module sum"):
            total, weight = total + float(raw), 1.0
        else:
            w = _weight(recipe, y, len(scale))
            value = float(raw.mean()) if isinstance(raw, Tensor) else float(raw)
            total, weight = total + w * value, weight + w
    inner.reset()
    reset()
    return total / weight


def _weight(recipe: Recipe, y: Tensor, n: int) -> float:
    if recipe.loss == "weighted":
        return float(CLASS_WEIGHTS[y[y != -100]].sum())
    if recipe.loss in ("per sample", "hardest"):
        return n
    return y.numel() if recipe.loss == "squares" else int((y != -100).sum())


def _seed(model: Drawn, seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    if model.recipe.fault == "own torch":
        model.generator.manual_seed(seed)
    if model.recipe.fault == "own NumPy":
        model.generator.bit_generator.state = np.random.PCG64(seed).state
    if model.recipe.fault == "own in a dict":
        model.tools[0]["rng"].seed(seed)
