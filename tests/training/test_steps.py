"""Optimizers of every kind are followed by the recorder, which leaves them and training as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.training.optimizers import Both, Lookahead, Plain, Sam, Verbose
from support.training.steps import Train, check_recorded, in_two_steps, loss_of, network, plainly, sgd, with_a_closure
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.training.steps import StepListener, nested_optimizers

KINDS: dict[str, tuple[Callable[[Any], Any], Train]] = {
    "SGD": (sgd, plainly),
    "AdamW": (lambda params: torch.optim.AdamW(params), plainly),
    "LBFGS": (lambda params: torch.optim.LBFGS(params, lr=0.1, max_iter=3), with_a_closure),
    "SAM, two steps": (lambda params: Sam(params, torch.optim.SGD, lr=0.1), in_two_steps),
    "SAM, closure": (lambda params: Sam(params, torch.optim.SGD, lr=0.1), with_a_closure),
    "Lookahead": (lambda params: Lookahead(sgd(params)), plainly),
    "Lookahead of Lookahead": (lambda params: Lookahead(Lookahead(sgd(params)), k=3), plainly),
    "super().step()": (lambda params: Verbose(params, lr=0.1), plainly),
    "no torch optimizer": (Plain, plainly),
    "wrapped, no torch optimizer": (lambda params: Lookahead(Plain(params)), plainly),
    "two in one": (Both, plainly),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_recorded_as_it_was_when_it_ended(tmp_path, kind):
    torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)  # whose class is hooked then, see "super().step()"
    check_recorded(tmp_path, *KINDS[kind])


@pytest.mark.parametrize("when", ["before", "within"])
@pytest.mark.parametrize("kind", ["SGD", "Lookahead", "super().step()"])
def test_schedulers_are_not_in_the_way(tmp_path, when, kind):
    model = network()
    optimizer = KINDS[kind][0](list(model.parameters()))
    inner = nested_optimizers(optimizer)[-1]  # schedulers take what called Optimizer.__init__

    def scheduler() -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.StepLR(inner, 1, 0.5)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = scheduler() if when == "before" else None
        with TrajectoryRecorder(model, optimizer, tmp_path) as recorder:
            schedule = schedule or scheduler()
            for step in range(3):
                plainly(model, optimizer, step)
                schedule.step()
        plainly(model, optimizer, 3)
        schedule.step()
    assert recorder.step == 3
    assert inner.param_groups[0]["lr"] == pytest.approx(0.1 / 16)


def test_a_step_that_fails_is_not_counted_and_the_next_one_is(tmp_path):
    model = network()
    optimizer = Sam(list(model.parameters()), torch.optim.SGD, lr=0.1)

    def fail() -> None:
        raise MemoryError

    with TrajectoryRecorder(model, optimizer, tmp_path) as recorder:
        loss_of(model, 0).backward()
        with pytest.raises(MemoryError):
            optimizer.step(fail)
        assert recorder.step == 0
        with_a_closure(model, optimizer, 1)
        assert recorder.step == 1


def test_an_optimizer_that_cannot_be_followed_is_refused_before_a_file_is_written(tmp_path):
    class Slotted:
        __slots__ = ("param_groups",)

        def step(self) -> None: ...

    optimizer = Slotted()
    optimizer.param_groups = []
    recorder = TrajectoryRecorder(network(), optimizer, tmp_path / "run")
    with pytest.raises(TypeError, match="expected an optimizer whose steps can be followed, got Slotted, which has no"):
        recorder.__enter__()
    assert not (tmp_path / "run").exists()


def test_a_scheduler_and_a_scaler_are_no_optimizers(tmp_path):
    model = network()
    schedule = torch.optim.lr_scheduler.StepLR(sgd(model.parameters()), 1)
    for wrong in (schedule, torch.amp.GradScaler("cpu"), model):
        with pytest.raises(TypeError, match=f"expected a torch.optim.Optimizer, got {type(wrong).__name__}; pass the"):
            TrajectoryRecorder(model, wrong, tmp_path)


def test_a_listener_that_is_closed_is_silent_even_where_its_step_stays_wrapped():
    heard = []
    optimizer = Lookahead(sgd(list(network().parameters())))
    listener = StepListener(optimizer, lambda: heard.append(1))
    outer = optimizer.step
    optimizer.step = lambda: outer()
    optimizer.step()
    listener.close()
    optimizer.step()
    assert heard == [1]
