"""A model, its training and all random generators stay bit by bit as they were, whatever is computed."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import torch
from support.reference import PATIENCE, batches_of, network, samples
from support.untouched import everything, trained_network
from torch import nn

from lljupyter import LandscapeWidget, loss_surface
from lljupyter.compute.prepare import prepare
from lljupyter.session.snapshot import dataset_of


def loader():
    return batches_of(8, dtype=torch.float32)


def full(model):
    loss_surface(model, loader(), resolution=5, progress=False, ignore=None)


def stopped(model):
    session = prepare(model, loader(), resolution=51).session
    session.on_update = lambda snapshot: session.stop()
    session.run()
    assert session.snapshot().status == "stopped"


def failed(model):
    def loss_fn(outputs, targets):
        if next(calls) > 50:
            raise ArithmeticError("too far")
        return outputs.mean()

    calls = itertools.count()  # what could be put back between calls would be
    with pytest.warns(UserWarning, match="too far"):
        found = loss_surface(model, loader(), loss_fn=loss_fn, resolution=5, progress=False)
    assert found.failed.any()


def refused(model):
    with pytest.raises(ValueError, match="expected a loss"):
        loss_surface(model, loader(), loss_fn=lambda o, t: torch.zeros(3), resolution=5, progress=False)


def paused_and_closed(model):
    session = prepare(model, loader(), resolution=51).session
    some = threading.Event()
    session.on_update = lambda snapshot: some.set()
    session.start()
    assert some.wait(PATIENCE)
    session.pause()
    session.close()


def widget(model):
    shown = LandscapeWidget(model, loader(), resolution=5)
    shown.wait(PATIENCE)
    shown.seed = 2
    shown.wait(PATIENCE)
    shown.close()


@pytest.mark.parametrize("run", [full, stopped, failed, refused, paused_and_closed, widget], ids=lambda f: f.__name__)
def test_nothing_of_the_model_and_no_generator_is_touched(run):
    model = trained_network()
    before = everything(model)
    run(model)
    assert everything(model) == before


def test_a_model_that_draws_random_numbers_when_evaluated_leaves_the_generator_as_it_was():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network(torch.float32)

        def forward(self, x):
            return self.net(nn.functional.dropout(x, 0.5, training=True))

    model = Noisy()
    before = everything(model)
    full(model)
    assert everything(model) == before


def test_training_goes_on_and_the_surface_is_that_of_the_moment_it_was_asked_for():
    model = trained_network()
    expected = loss_surface(model, loader(), resolution=7, progress=False)
    session = prepare(model, loader(), resolution=7).session
    session.on_update = lambda snapshot: session.stop() if snapshot.n_done < 20 else None
    session.run()
    assert 0 < session.snapshot().n_done < 49
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(3):
        nn.functional.cross_entropy(model(samples(dtype=torch.float32)[0]), samples()[1]).backward()
        optimizer.step()
    session.on_update = lambda snapshot: None
    session.resume()
    session.run()
    assert session.snapshot().status == "done"
    np.testing.assert_array_equal(dataset_of(session.snapshot()).loss, expected.loss)


def test_a_surface_does_not_change_the_training_that_follows():
    def train(look):
        torch.manual_seed(3)
        model = network(torch.float32).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(samples(dtype=torch.float32)[0]), samples()[1]).backward()
            optimizer.step()
            if look:
                loss_surface(model, loader(), resolution=3, progress=False)
        return everything(model)[0]

    plain, looked_at = ([row[0] + str(row[1][2]) for row in train(look)] for look in (False, True))
    assert plain == looked_at


def test_data_changed_afterwards_does_not_change_the_surface():
    data = loader()
    session = prepare(network(torch.float32), data, resolution=3).session
    for inputs, _ in data:
        inputs.zero_()
    session.run()
    expected = loss_surface(network(torch.float32), loader(), resolution=3, progress=False)
    np.testing.assert_array_equal(dataset_of(session.snapshot()).loss, expected.loss)


def test_directions_changed_afterwards_do_not_change_the_surface():
    model = network(torch.float32)

    def directions():
        return tuple({name: torch.full_like(p, k) for name, p in model.named_parameters()} for k in (0.1, -0.2))

    given = directions()
    session = prepare(model, loader(), directions=given, resolution=3).session
    for part in given[0].values():
        part.data.zero_()
    session.run()
    expected = loss_surface(model, loader(), directions=directions(), resolution=3, progress=False)
    np.testing.assert_array_equal(dataset_of(session.snapshot()).loss, expected.loss)
