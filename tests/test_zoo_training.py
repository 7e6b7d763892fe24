"""The trainer: its recipes, its randomness, its independence of the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lljupyter import TrajectoryRecorder
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.zoo import digits, resnet, score, train
from lljupyter.zoo.training import augmented


def small(seed: int = 0, **switches) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(8, width=4, **switches)


def batches(n: int = 256, batch_size: int = 64) -> DataLoader:
    images, labels = digits().train.tensors
    return DataLoader(TensorDataset(images[:n], labels[:n]), batch_size, shuffle=True)


def state_of(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def test_a_few_epochs_learn_the_digits():
    model = small()
    history = train(model, batches(1200), epochs=6, progress=False)
    assert float(history.loss[-1]) < 0.5 * float(history.loss[0])
    assert score(model, DataLoader(digits().test, 200)).accuracy > 0.8
    assert not model.training


def test_the_same_seed_gives_the_same_weights_with_any_number_of_threads():
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    states = []
    for number, seed in ((1, 0), (2, 0), (2, 1)):
        model = small(dropout=0.1)
        torch.set_num_threads(number)
        train(model, batches(), epochs=2, augment=True, seed=seed, progress=False)
        assert torch.get_num_threads() == number
        states.append(state_of(model))
    torch.set_num_threads(threads)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    torch.random.set_rng_state(before)


def test_the_global_generator_is_as_it_was():
    model, before = small(), torch.random.get_rng_state()
    train(model, batches(), epochs=1, augment=True, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("recipe", ["paper", "short"])
def test_one_step_is_that_of_the_written_out_optimizer(recipe):
    images, labels = digits().train.tensors
    loader = [(images[:64], labels[:64])]
    model, other = small(), small()
    train(model, loader, recipe=recipe, epochs=1, progress=False)
    rate = {"paper": 0.1, "short": 0.01}[recipe]
    optimizer = torch.optim.SGD(other.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    other.train()
    nn.functional.cross_entropy(other(images[:64]), labels[:64]).backward()
    optimizer.step()
    torch.testing.assert_close(state_of(model), state_of(other))


def test_the_papers_rate_falls_at_150_225_and_275_of_300_epochs():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    images, labels = digits().train.tensors
    history = train(model, [(images[:2], labels[:2])], recipe="paper", progress=False)
    assert history.sizes["epoch"] == 300
    falls = history.epoch.values[1:][np.diff(history.learning_rate) < 0]
    assert list(falls - 1) == [150, 225, 275]
    np.testing.assert_allclose(history.learning_rate[[0, 299]], [0.1, 1e-4])


def test_the_short_rate_rises_for_a_third_and_falls_to_zero():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    images, labels = digits().train.tensors
    rates = train(model, [(images[:2], labels[:2])], epochs=90, lr=0.5, progress=False).learning_rate.values
    assert rates.argmax() == 30
    assert rates[30] == pytest.approx(0.5)
    assert rates[0] == pytest.approx(0.05)
    assert 0 < rates[-1] < 1e-3


def test_a_recorder_sees_every_step(tmp_path):
    model = small()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
        train(model, batches(), optimizer=optimizer, epochs=2, progress=False)
    assert [checkpoint.label for checkpoint in open_checkpoints(tmp_path)] == [
        f"step-{step:09d}" for step in (0, 2, 4, 6, 8)
    ]
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_score_is_the_mean_over_samples_and_changes_nothing():
    model, (images, labels) = small().train(), digits().test.tensors
    loader = DataLoader(TensorDataset(images[:130], labels[:130]), 50)  # the last batch is smaller
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = score(model, loader)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        outputs = model.eval()(images[:130])
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, labels[:130])), rel=1e-5)
    assert found.accuracy == pytest.approx(float((outputs.argmax(1) == labels[:130]).float().mean()))


def test_augmented_images_are_shifted_or_mirrored_copies():
    torch.manual_seed(0)
    images = torch.rand(50, 2, 6, 5) + 0.1
    padded = nn.functional.pad(images, (4, 4, 4, 4))
    kinds = set()
    for index, image in enumerate(augmented(images)):
        crops = [padded[index, :, down : down + 6, right : right + 5] for down in range(9) for right in range(9)]
        straight = any(torch.equal(crop, image) for crop in crops)
        assert straight or any(torch.equal(crop.flip(2), image) for crop in crops)
        kinds.add(straight)
    assert kinds == {False, True}


def test_in_double_precision_rounding_does_not_grow():
    states = []
    for scale in (1, 1 + 1e-7):  # as another machine would round
        model = small()
        with torch.no_grad():
            model.conv1.weight.mul_(scale)
        train(model, batches(), epochs=3, precision="float64", progress=False)
        assert model.conv1.weight.dtype == torch.float32
        states.append(state_of(model))
    torch.testing.assert_close(states[0], states[1], rtol=1e-3, atol=1e-4)
    other = small()
    train(other, batches(), epochs=3, progress=False)
    assert not torch.equal(state_of(other), states[0])


def test_a_training_that_diverges_says_so():
    images, labels = digits().train.tensors
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    with pytest.raises(RuntimeError, match=r"expected a finite loss, got (nan|inf) in epoch .*; try a smaller lr"):
        train(model, [(images * 1e30, labels)], lr=1e10, epochs=5, progress=False)


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
        ({"model": "resnet"}, r"expected a torch.nn.Module, got str; try zoo.resnet\(20\)"),
    ],
)
def test_wrong_arguments_are_refused_before_training(options, message):
    given = {"model": small(), "loader": batches(), **options}
    with pytest.raises((TypeError, ValueError), match=message):
        train(given.pop("model"), given.pop("loader"), progress=False, **given)


def test_a_rate_beside_an_optimizer_is_refused():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="expected lr and weight_decay within the optimizer that is passed, got them"):
        train(model, batches(), optimizer=optimizer, lr=0.1)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="expected a loader with at least one batch, got an empty one"):
        score(small(), [])
