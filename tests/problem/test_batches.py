from __future__ import annotations

import random
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from support.reference import batches_of, samples
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, TensorDataset

from lljupyter.problem import loaders
from lljupyter.problem.batches import Batch, n_bytes, take, to_device
from lljupyter.problem.loaders import read_batches

CPU = torch.device("cpu")
X, Y = torch.arange(30.0).reshape(10, 3), torch.arange(10)


def read(loader, max_samples=None):
    return read_batches(loader, CPU, max_samples).batches


def inputs_of(batches):
    return torch.cat([batch.inputs for batch in batches])


def rng_states():
    return torch.get_rng_state().tolist(), random.getstate(), [*map(str, np.random.get_state())]  # noqa: NPY002


def test_an_uneven_last_batch_is_kept():
    batches = read(DataLoader(TensorDataset(X, Y), batch_size=4))
    assert [batch.n for batch in batches] == [4, 4, 2]
    assert torch.equal(inputs_of(batches), X)
    assert torch.equal(torch.cat([batch.targets for batch in batches]), Y)


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (4, [4]), (6, [4, 2]), (10, [4, 4, 2]), (99, [4, 4, 2])])
def test_max_samples_cuts_across_batches(n, sizes):
    batches = read(list(zip(X.split(4), Y.split(4), strict=True)), n)
    assert [batch.n for batch in batches] == sizes
    assert torch.equal(inputs_of(batches), X[: sum(sizes)])
    assert torch.equal(torch.cat([batch.targets for batch in batches]), Y[: sum(sizes)])


def test_nothing_is_read_beyond_max_samples():
    def loader():
        yield X[:4], Y[:4]
        raise AssertionError("read too far")

    assert len(read(loader(), 4)) == 1


def test_targets_that_are_no_tensors_are_cut_with_their_inputs():
    (batch,) = read([(X, Y.tolist())], 3)
    assert list(batch.targets) == [0, 1, 2]


def test_a_loader_that_fills_one_buffer_again_and_again():
    def loader():
        buffer = torch.zeros(2, 3)
        for k in range(3):
            yield buffer.fill_(k), torch.tensor([k, k])

    assert inputs_of(read(loader()))[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_batches_are_copies():
    x = X.clone()
    (batch,) = read([(x, Y)])
    x.zero_()
    assert torch.equal(batch.inputs, X)


def test_several_inputs():
    Pair = namedtuple("Pair", "a b")
    for inputs in ((X, X + 1), [X, X + 1], Pair(X, X + 1)):
        (batch,) = read([(inputs, Y)], 4)
        assert [part.tolist() for part in batch.inputs] == [X[:4].tolist(), (X[:4] + 1).tolist()]
    (batch,) = read([({"a": X, "b": X + 1, "flag": None}, Y)], 4)
    assert batch.inputs["b"].tolist() == (X[:4] + 1).tolist()
    assert batch.inputs["flag"] is None


def test_targets_may_be_missing_or_nested():
    (batch,) = read([(X, None)])
    assert batch.targets is None
    (batch,) = read([(X, {"class": Y, "box": X})], 2)
    assert batch.targets["box"].tolist() == X[:2].tolist()


def own_generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True),
        lambda g: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, generator=g),
        lambda g: DataLoader(TensorDataset(X, Y), batch_size=4, sampler=RandomSampler(Y, generator=g)),
        lambda g: DataLoader(TensorDataset(X, Y), batch_sampler=BatchSampler(RandomSampler(Y, generator=g), 4, False)),
        lambda g: DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, generator=g, num_workers=2),
    ],
    ids=["shuffle", "own generator", "sampler", "batch sampler", "workers"],
)
def test_a_shuffled_loader_is_read_in_a_fixed_order_and_every_generator_stays_as_it_was(make):
    torch.manual_seed(8)
    generator = own_generator()
    loader = make(generator)
    before = rng_states()
    one = inputs_of(read(loader))
    assert rng_states() == before
    assert torch.equal(generator.get_state(), own_generator().get_state())
    torch.manual_seed(9)
    assert torch.equal(inputs_of(read(loader)), one)
    assert not torch.equal(one, X)
    assert torch.equal(one.sort(0).values, X)


def test_reading_does_not_seed_devices_that_are_not_in_use_yet():
    torch.manual_seed(42)  # torch remembers this for a GPU that is first used later
    before = [str(call) for call in torch.cuda._lazy_seed_tracker.get_calls()]
    read([(X, Y)])
    assert [str(call) for call in torch.cuda._lazy_seed_tracker.get_calls()] == before


def test_augmentation_by_any_generator_is_drawn_the_same_and_undone():
    def loader():
        yield X + torch.rand(1) + random.random() + np.random.rand(), Y  # noqa: NPY002

    before = rng_states()
    one = inputs_of(read(loader()))
    assert rng_states() == before
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert torch.equal(inputs_of(read(loader())), one)


def test_a_loader_that_raises_midway_raises_and_puts_the_generators_back():
    generator = own_generator()

    class Loader:
        def __init__(self):
            self.generator = generator

        def __iter__(self):
            yield X + torch.rand(1) + torch.rand(1, generator=generator) + np.random.rand() + random.random(), Y  # noqa: NPY002
            raise OSError("the disk is gone")

    before = rng_states()
    with pytest.raises(OSError, match="the disk is gone"):
        read(Loader())
    assert rng_states() == before
    assert torch.equal(generator.get_state(), own_generator().get_state())


def test_an_iterable_dataset():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(X, Y, strict=True))

    assert torch.equal(inputs_of(read(DataLoader(Stream(), batch_size=3))), X)


@pytest.mark.parametrize(
    ("loader", "kind", "message"),
    [
        ([], ValueError, "expected a loader with at least one batch, got an empty one"),
        (iter([]), ValueError, "a generator is used up after one pass"),
        (DataLoader(TensorDataset(X[:3], Y[:3]), batch_size=4, drop_last=True), ValueError, "drop_last"),
        (3, TypeError, r"expected a loader that yields \(inputs, targets\) batches, got int"),
        (X, TypeError, "expected a loader .*, got Tensor; pass a DataLoader"),
        ({"x": X}, TypeError, "expected a loader .*, got dict"),
        ("data", TypeError, "expected a loader .*, got str"),
        (TensorDataset(X, Y), TypeError, "expected a loader .*, got TensorDataset"),
        ([X], TypeError, r"expected batches of the form \(inputs, targets\), got Tensor as batch 0"),
        ([(X,)], TypeError, r"expected batches of the form .* got tuple of length 1 as batch 0"),
        ([(X, Y), (X, X, Y)], TypeError, "got tuple of length 3 as batch 1; wrap the loader"),
        ([None], TypeError, "got NoneType as batch 0"),
        (["ab"], TypeError, "expected inputs as a tensor, or a tuple or dict of tensors, got str"),
        ([(X.numpy(), Y)], TypeError, "expected inputs as a tensor, .* got ndarray in batch 0; convert them with"),
        ([((), Y)], TypeError, "expected inputs as a tensor, .* got tuple in batch 0"),
        ([(X, Y), (X, Y[:4])], ValueError, r"same number of samples along the first axis, .* \[4, 10\] in batch 1"),
        ([(X, Y), (X[:0], Y[:0])], ValueError, "expected batches with at least one sample, got none in batch 1; leave"),
        ([(X[:0], Y[:0])], ValueError, "expected batches with at least one sample, got none in batch 0; leave"),
        (
            [(X, Y.to("meta"))],
            ValueError,
            "expected data on the model's device cpu .* a tensor on meta in batch 0",
        ),
    ],
)
def test_bad_loaders_are_refused(loader, kind, message):
    with pytest.raises(kind, match=message):
        read(loader)


@pytest.mark.parametrize(
    ("max_samples", "kind", "message"),
    [
        (0, ValueError, "expected max_samples of at least 1, got 0; None reads the whole loader"),
        (-1, ValueError, "expected max_samples of at least 1, got -1"),
        (2.5, TypeError, "expected max_samples as a whole number or None, got 2.5; try 1000"),
        (True, TypeError, "expected max_samples as a whole number or None, got True"),
    ],
)
def test_bad_max_samples_are_refused(max_samples, kind, message):
    with pytest.raises(kind, match=message):
        read([(X, Y)], max_samples)


def test_take_and_to_device_do_not_copy():
    batch = Batch(X, Y, 10)
    assert take(batch, 2).inputs.data_ptr() == X.data_ptr()
    assert to_device(batch, CPU).inputs.data_ptr() == X.data_ptr()


def test_bytes_of_all_tensors():
    assert n_bytes([Batch(X, Y, 10), Batch({"a": X, "b": None}, None, 10)]) == 2 * 30 * 4 + 10 * 8


def test_what_is_read_does_not_depend_on_the_split():
    for size in (1, 7, 23, 50):
        assert torch.equal(inputs_of(read(batches_of(size))), samples()[0])


def test_dicts_are_read_with_their_labels_as_targets():
    (batch,) = read([{"x": X, "labels": Y}], 4)
    assert (list(batch.inputs), batch.inputs["x"].tolist()) == (["x"], X[:4].tolist())
    assert batch.targets.tolist() == Y[:4].tolist()


@pytest.mark.parametrize(
    ("inputs", "targets", "n"),
    [
        ((X, X[:3]), Y, 10),  # points inside and on the boundary
        ((X, torch.zeros(2, 7, dtype=torch.long)), Y[:1], 1),  # a graph with one label
        ((X, torch.tensor(0.5)), Y, 10),  # a temperature
        (X.to_sparse(), Y, 10),
        (torch.tensor(1.0), torch.tensor(1), 1),
    ],
    ids=["several lengths", "graph", "number", "sparse", "no axis"],
)
def test_samples_that_can_not_be_told_apart_are_never_cut(inputs, targets, n):
    (batch,) = read([(inputs, targets)], 4)
    assert (batch.n, batch.axis) == (n, None)


def test_an_objective_takes_any_batch():
    for item in (X, [X], {"a": X}, "text", 3, None, [X[:2], {"boxes": [X, None]}]):
        (batch,) = read_batches([item], CPU, whole=True).batches
        assert type(batch.inputs) is type(item)
        assert batch.targets is None


def test_what_max_samples_cuts_is_there_as_a_whole():
    found = read_batches([(X[:4], Y[:4]), (X[4:], Y[4:])], CPU, 6)
    assert [batch.n for batch in found.batches] == [4, 2]
    assert [batch.n for batch in found.whole] == [4, 6]


def endless():
    while True:
        yield X, Y


class Long:
    def __len__(self):
        return 10**9

    def __iter__(self):
        return endless()


class Large:
    def __iter__(self):
        while True:
            yield torch.zeros(2500), Y


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (endless(), r"a loader that ends, got [\d,]+ samples .* s from one without a length; pass max_samples=1000"),
        (Long(), r"fit 50% of the memory, .* got 1,000,000,000 batches .* about [\d,]+ GB .*; pass max_samples="),
        (Large(), r"fit 50% of the memory, 0.0 GB, got [\d,]+ samples \(.* GB\); pass max_samples="),
    ],
    ids=["endless", "long", "large"],
)
def test_loaders_that_do_not_fit_are_refused_soon(loader, message, monkeypatch):
    monkeypatch.setattr(loaders, "ENDLESS_SECONDS", 0.2)
    monkeypatch.setattr(loaders, "used_bytes", lambda: 0.0)
    if isinstance(loader, Large):
        monkeypatch.setattr(loaders, "total_bytes", lambda: 1e6)
    started = time.monotonic()
    with pytest.raises(ValueError, match=message):
        read(loader)
    assert time.monotonic() - started < 10


def test_an_endless_loader_is_read_up_to_max_samples():
    assert [batch.n for batch in read(endless(), 25)] == [10, 10, 5]
