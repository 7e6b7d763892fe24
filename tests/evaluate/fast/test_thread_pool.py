from __future__ import annotations

import gc
import itertools
import threading
from functools import partial

import numpy as np
import pytest
import torch
from support.models.strategies import on_plane, settled
from support.reference import grid_points
from torch import nn

from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.evaluate.fast.thread_pool import Workers
from lljupyter.process.threads import using_threads

POINTS = grid_points([-1, 0.3], [-0.5, 0.7])


@pytest.mark.parametrize("build", [partial(Folded, n_workers=2), Stacked], ids=["folded", "stacked"])
def test_workers_use_one_thread_each_stop_when_asked_to_and_end_with_their_strategy(build, monkeypatch):
    model = settled(nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 4)))
    evaluator, _ = on_plane(model, [(torch.ones(n, 7).double(), torch.arange(n) % 4) for n in (8, 8, 7)])
    with using_threads(2):
        strategy = build(evaluator.problem)
    strategy.set_plane(evaluator.moving)
    numbers, ticks = [], itertools.count()
    shared_work = Workers.share

    def share(workers, work, n_items, tick):
        def seen(worker, item, check):
            numbers.append(torch.get_num_threads())
            work(worker, item, check)

        shared_work(workers, seen, n_items, tick)

    monkeypatch.setattr(Workers, "share", share)

    def give_up():
        if next(ticks) == 1:
            raise KeyError("enough")

    before = torch.get_num_threads()
    strategy.evaluate(POINTS, lambda: None)
    assert set(numbers) == {1}
    with pytest.raises(KeyError, match="enough"):
        strategy.evaluate(np.tile(POINTS, (20_000, 1)), give_up)
    done = len(numbers)
    own = [thread for thread in threading.enumerate() if thread.name.startswith("lljupyter-point")]
    own[0].join(0.05)
    assert len(numbers) == done
    assert torch.get_num_threads() == before
    del strategy
    gc.collect()
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()
