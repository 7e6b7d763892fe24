"""The trainer: its recipes, its randomness, its independence of the number of threads."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from support.training.zoo import batches, small, state_of
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lljupyter import TrajectoryRecorder
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.zoo import digits, score, train
from lljupyter.zoo.batches import augmented


@pytest.fixture
def set_threads():
    """Sets the number of threads, and puts it back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_a_few_epochs_learn_the_digits():
    model = small()
    history = train(model, batches(1200), epochs=6, progress=False)
    assert float(history.loss[-1]) < 0.5 * float(history.loss[0])
    assert score(model, DataLoader(digits().test, 200)).accuracy > 0.8
    assert not model.training


def test_the_same_seed_gives_the_same_weights_with_any_number_of_threads(set_threads):
    states = []
    for number, seed in ((1, 0), (2, 0), (2, 1)):
        model = small(dropout=0.1)
        set_threads(number)
        train(model, batches(), epochs=2, augment=True, seed=seed, progress=False)
        assert torch.get_num_threads() == number
        states.append(state_of(model))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_threads_are_as_many_as_asked_for(set_threads):
    found = []

    class Asking(nn.Flatten):
        def forward(self, images):
            found.append(torch.get_num_threads())
            return super().forward(images)

    set_threads(2)
    for threads in (1, 3, None):
        train(nn.Sequential(Asking(), nn.Linear(192, 10)), batches(64), epochs=1, threads=threads, progress=False)
    assert found == [1, 3, 2]
    assert torch.get_num_threads() == 2


class Drawing(TensorDataset):
    """Images with noise from the generators of Python and NumPy, as some transforms have it."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image + random.random() + np.random.random(), label  # noqa: NPY002 the global generator


def global_states() -> list:
    return [torch.random.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]  # noqa: NPY002


def test_what_a_loader_draws_comes_from_the_seed_and_the_global_generators_are_as_they_were():
    data = Drawing(*(tensor[:64] for tensor in digits().train.tensors))
    losses = []
    for seed in (0, 0, 1):
        random.random()
        np.random.random()  # noqa: NPY002
        model, before = small(), global_states()
        losses.append(float(train(model, DataLoader(data, 32), epochs=1, seed=seed, progress=False).loss[-1]))
        assert global_states() == before
    assert losses[0] == losses[1] != losses[2]


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


def test_scoring_keeps_the_mode_of_every_module_and_takes_any_precision():
    model, (images, labels) = small().train().double(), digits().test.tensors
    model.bn1.eval()  # frozen, as for fine-tuning
    found = score(model, [(images[:50], labels[:50].to(torch.uint8))])
    assert model.training
    assert model.layer1.training
    assert not model.bn1.training
    with torch.no_grad():
        outputs = model.eval()(images[:50].double())
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, labels[:50])))


class Interrupted(list):
    """A list of batches, in the midst of which the user interrupts."""

    def __iter__(self):
        yield self[0]
        raise KeyboardInterrupt


@pytest.mark.parametrize("precision", [None, "float64"])
def test_an_interrupt_leaves_a_model_that_can_be_used(precision):
    model, loader = small(), Interrupted(batches())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start, before = state_of(model).clone(), torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        train(model, loader, optimizer=optimizer, precision=precision, progress=False)
    assert not model.training
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert not torch.equal(state_of(model), start)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert torch.equal(torch.random.get_rng_state(), before)
    assert 0 <= score(model, batches()).accuracy <= 1


def test_progress_names_the_epochs_and_how_well_it_goes(capsys):
    train(small(), batches(64), epochs=2, progress=False)
    assert capsys.readouterr().err == ""
    history = train(small(), batches(64), epochs=2)
    assert "2/2 [00:00<00:00" in (shown := capsys.readouterr().err)
    assert f"accuracy={float(history.accuracy[-1]):.3f}, loss={float(history.loss[-1]):.3g}" in shown


def test_the_history_holds_means_over_samples():
    images, labels = digits().train.tensors
    parts = [(images[:50], labels[:50]), (images[50:60], labels[50:60])]  # of unequal size
    model = small()
    history = train(model, parts, epochs=1, lr=1e-12, weight_decay=0, progress=False)
    model.train()
    with torch.no_grad():
        outputs = [model(part) for part, _ in parts]
    losses = [float(nn.functional.cross_entropy(y, part[1])) for y, part in zip(outputs, parts, strict=True)]
    assert float(history.loss[0]) == pytest.approx((50 * losses[0] + 10 * losses[1]) / 60, rel=1e-5)
    hits = sum(int((y.argmax(1) == part[1]).sum()) for y, part in zip(outputs, parts, strict=True))
    assert float(history.accuracy[0]) == hits / 60


def test_augmented_images_are_shifted_or_mirrored_copies():
    torch.manual_seed(0)
    images = torch.rand(300, 2, 6, 5) + 0.1
    padded = nn.functional.pad(images, (4, 4, 4, 4))
    found = set()
    for index, image in enumerate(augmented(images)):
        for down in range(9):
            for right in range(9):
                crop = padded[index, :, down : down + 6, right : right + 5]
                found |= {
                    (index, down, right, flip) for flip in (0, 1) if torch.equal(crop.flip(2) if flip else crop, image)
                }
    assert len(found) == 300
    for axis, high in ((1, 9), (2, 9), (3, 2)):
        counts = [sum(draw[axis] == value for draw in found) for value in range(high)]
        assert min(counts) > 0.5 * 300 / high  # each shift about as often as every other


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
