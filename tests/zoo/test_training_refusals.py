"""What the zoo's trainer and scores refuse, before anything is computed."""

from __future__ import annotations

import pytest
import torch
from support.training.zoo import batches, small, state_of
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from lljupyter.zoo import digits, score, train


class Stream(IterableDataset):
    """Does not know how long it is."""

    def __iter__(self):
        yield IMAGES[0], 1


IMAGES = torch.rand(2, 3, 8, 8)


MIXED = nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.Linear(10, 10).half())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "long"}, r"expected recipe as one of \['paper', 'short'\], got 'long'; try 'short'"),
        ({"epochs": 0}, "expected epochs as a whole number of at least 1, got 0; leave it out"),
        ({"precision": "bfloat16"}, r"expected precision as one of .*, None\], got 'bfloat16'; try None"),
        ({"threads": 0}, "expected threads as a whole number of at least 1, got 0; leave it out"),
        ({"loader": []}, "expected a loader with at least one batch, got an empty one; check its dataset"),
        ({"optimizer": "adam"}, "expected a torch.optim.Optimizer, got str; None takes SGD"),
        ({"loader": iter([])}, "expected a loader that knows its number of batches, got list_iterator; pass a Data"),
        (
            {"loader": DataLoader(Stream())},
            "expected a loader that knows its number of batches, got DataLoader; pass a",
        ),
        ({"loader": 3}, "expected a loader that knows its number of batches, got int; pass a DataLoader"),
        ({"loader": ["ab"]}, r"expected batches of two tensors, \(images, labels\), got str of str; pass a DataLoader"),
        ({"loader": [(IMAGES, [3, 4])]}, r"expected batches of two tensors, .*, got tuple of Tensor, list; pass"),
        (
            {"loader": [(IMAGES, IMAGES)]},
            r"expected a class number for each image .* torch.float32 labels of shape \(2, 3",
        ),
        ({"loader": [(IMAGES, torch.tensor([1]))]}, r"expected a class number .* labels of shape \(1,\); pass a Data"),
        ({"loader": [(IMAGES, torch.tensor([-1, 3]))]}, "expected class numbers from 0, got -1; leave samples"),
        (
            {"loader": [(IMAGES, torch.tensor([1, 10]))]},
            "expected a model with a class .* up to 10, got 10 classes; build",
        ),
        (
            {"loader": digits().train},
            r"expected a class number .* images of shape \(3, 8, 8\) .*; pass a DataLoader over",
        ),
        ({"model": nn.Conv2d(3, 3, 1)}, r"expected class scores of shape \(64, classes\) .* got \(64, 3, 8, 8\); try"),
        ({"model": nn.Flatten()}, "expected a model with parameters, got none in Flatten; try zoo.resnet"),
        ({"model": small().requires_grad_(False)}, "expected a model with parameters to train, got all of them frozen"),
        (
            {"model": MIXED, "precision": "float64"},
            "expected a model in one precision to train in float64, got .*float16",
        ),
        (
            {"optimizer": torch.optim.SGD(small().parameters())},
            "expected an optimizer of the model's parameters, got one",
        ),
        ({"lr": 0}, "expected lr as a finite number above 0, got 0; try 0.1"),
        ({"lr": float("nan")}, "expected lr as a finite number above 0, got nan; try 0.1"),
        ({"lr": "fast"}, "expected lr as a finite number above 0, got 'fast'; try 0.1"),
        ({"weight_decay": -1}, "expected weight_decay as a finite number of at least 0, got -1; try 5e-4"),
        ({"seed": None}, "expected seed as a whole number of at least 0, got None; try seed=0"),
        ({"seed": 0.5}, "expected seed as a whole number of at least 0, got 0.5; try seed=0"),
        ({"augment": "flip"}, "expected augment as True or False, got 'flip'; True moves and mirrors"),
        ({"device": "warp"}, r"expected an available device, got 'warp' \(.*\); try device='cpu'"),
        ({"device": "meta"}, r"expected an available device, got 'meta' \(it holds no values\); try device='cpu'"),
        ({"model": "resnet"}, r"expected a torch.nn.Module, got str; try zoo.resnet\(20\)"),
    ],
)
def test_wrong_arguments_are_refused_before_training(options, message):
    given = {"model": small(), "loader": batches(), **options}
    model = given["model"]
    before = state_of(model).clone() if isinstance(model, nn.Module) and list(model.parameters()) else None
    with pytest.raises((TypeError, ValueError), match=message):
        train(given.pop("model"), given.pop("loader"), progress=False, **given)
    assert before is None or torch.equal(state_of(model), before)


def test_images_of_another_shape_are_not_moved():
    model = nn.Linear(3, 10)
    with pytest.raises(
        ValueError, match=r"expected images of shape .* to move and mirror, got \(2, 3\); pass augment=F"
    ):
        train(model, [(torch.rand(2, 3), torch.tensor([0, 1]))], augment=True, progress=False)


def test_a_rate_beside_an_optimizer_is_refused():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="expected lr and weight_decay within the optimizer that is passed, got them"):
        train(model, batches(), optimizer=optimizer, lr=0.1)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="expected a loader with at least one batch, got an empty one"):
        score(small(), [])


@pytest.mark.parametrize(
    ("model", "loader", "message"),
    [
        ("resnet", [], r"expected a torch.nn.Module, got str; try zoo.resnet\(20\)"),
        (nn.ReLU(), [], "expected a model with parameters, got none in ReLU; try zoo.resnet"),
        (small(), [IMAGES], "expected batches of two tensors, .*, got Tensor of Tensor; pass a DataLoader"),
        (
            small(num_classes=3),
            batches(),
            "expected a model with a class for each label up to 9, got 3 classes; build it",
        ),
    ],
)
def test_what_can_not_be_scored_is_refused(model, loader, message):
    with pytest.raises((TypeError, ValueError), match=message):
        score(model, loader)
