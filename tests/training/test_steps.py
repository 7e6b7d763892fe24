"""Optimizers of every kind are followed by the recorder, which leaves them and training as they are."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.training.steps import StepListener, nested_optimizers


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimization as it is passed from hand to hand (Foret et al. 2021)."""

    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        grads = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        scale = self.param_groups[0]["rho"] / (torch.stack(grads).norm() + 1e-12)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["old_p"] = p.data.clone()
                    p.add_(p.grad * scale)
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data = self.state[p]["old_p"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def step(self, closure=None):
        closure = torch.enable_grad()(closure)
        self.first_step(zero_grad=True)
        closure()
        self.second_step()


class Lookahead(torch.optim.Optimizer):
    """Zhang et al. 2019, as in the copies of it that do not call ``Optimizer.__init__``."""

    def __init__(self, optimizer, k=2, alpha=0.5):
        self.optimizer, self.k, self.alpha, self.n = optimizer, k, alpha, 0
        self.param_groups = optimizer.param_groups
        self.slow = [[p.detach().clone() for p in group["params"]] for group in self.param_groups]

    def step(self, closure=None):
        loss = self.optimizer.step(closure)
        self.n += 1
        if self.n % self.k == 0:
            with torch.no_grad():
                for group, slow in zip(self.param_groups, self.slow, strict=True):
                    for p, q in zip(group["params"], slow, strict=True):
                        q.add_(p - q, alpha=self.alpha)
                        p.copy_(q)
        return loss

    def zero_grad(self):
        self.optimizer.zero_grad()


class Verbose(torch.optim.SGD):
    """Calls the ``step`` it overrides: both call the hooks."""

    def step(self, closure=None):
        return super().step(closure)


class Plain:
    """No torch optimizer at all."""

    def __init__(self, params):
        self.params = list(params)
        self.param_groups = [{"params": self.params, "lr": 0.1}]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self, closure=None):
        with torch.no_grad():
            for p in self.params:
                p.sub_(0.1 * p.grad)


class Both:
    """A wrapper around two, stepped together."""

    def __init__(self, params):
        matrices, vectors = ([p for p in params if (p.dim() > 1) == wide] for wide in (True, False))
        self.optimizers = [torch.optim.SGD(matrices, lr=0.1), torch.optim.Adam(vectors, lr=0.01)]

    @property
    def param_groups(self):
        return [group for one in self.optimizers for group in one.param_groups]

    def zero_grad(self):
        for one in self.optimizers:
            one.zero_grad()

    def step(self):
        for one in self.optimizers:
            one.step()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


INPUTS = [torch.randn(6, 3, generator=torch.Generator().manual_seed(step)) for step in range(6)]


def loss_of(model: nn.Module, step: int) -> torch.Tensor:
    return model(INPUTS[step]).pow(2).mean()


def plainly(model: nn.Module, optimizer: Any, step: int) -> None:
    optimizer.zero_grad()
    loss_of(model, step).backward()
    optimizer.step()


def in_two_steps(model: nn.Module, optimizer: Sam, step: int) -> None:
    loss_of(model, step).backward()
    optimizer.first_step(zero_grad=True)
    loss_of(model, step).backward()
    optimizer.second_step(zero_grad=True)


def with_a_closure(model: nn.Module, optimizer: Any, step: int) -> None:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        return loss

    closure()
    optimizer.step(closure)
    optimizer.zero_grad()


def sgd(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


Train = Callable[[nn.Module, Any, int], None]
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


def check_recorded(tmp_path, build: Callable[[Any], Any], train: Train, n: int = 5) -> None:
    """Check that every step is recorded as it was when it ended, and that training is bitwise as without a recorder."""
    plain = network()
    optimizer = build(list(plain.parameters()))
    expected = [copy.deepcopy(plain.state_dict())]
    for step in range(n):
        train(plain, optimizer, step)
        expected.append(copy.deepcopy(plain.state_dict()))
    model = network()
    optimizer = build(list(model.parameters()))
    attributes = {id(one): set(vars(one)) for one in nested_optimizers(optimizer)}
    with TrajectoryRecorder(model, optimizer, tmp_path) as recorder:
        for step in range(n):
            train(model, optimizer, step)
            assert recorder.step == step + 1
    assert {id(one): set(vars(one)) for one in nested_optimizers(optimizer)} == attributes
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == n + 1
    for file, states in zip(files, expected, strict=True):
        assert all(torch.equal(tensor, states[name]) for name, tensor in load_file(file).items()), file.name
    train(model, optimizer, n)
    assert recorder.step == n


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_recorded_as_it_was_when_it_ended(tmp_path, kind):
    torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)  # whose class is hooked then, see "super().step()"
    check_recorded(tmp_path, *KINDS[kind])


def schedule_free(kind: str) -> Callable[[Any], Any]:
    schedulefree = pytest.importorskip("schedulefree")
    return {
        "SGD": lambda params: schedulefree.SGDScheduleFree(params, lr=0.1),
        "AdamW": lambda params: schedulefree.AdamWScheduleFree(params, lr=0.01),
        "RAdam": lambda params: schedulefree.RAdamScheduleFree(params, lr=0.01),
        "wrapper": lambda params: schedulefree.ScheduleFreeWrapper(sgd(params)),
        "closure": lambda params: schedulefree.SGDScheduleFreeClosure(params, lr=0.1),
    }[kind]


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "RAdam", "wrapper"])
def test_of_schedule_free_optimizers_the_weights_that_are_evaluated_are_recorded(tmp_path, kind):
    build, n = schedule_free(kind), 5
    plain, model = network(), network()
    optimizers = [build(list(plain.parameters())), build(list(model.parameters()))]
    for optimizer in optimizers:
        optimizer.train()
    expected = [copy.deepcopy(plain.state_dict())]
    for step in range(n):
        plainly(plain, optimizers[0], step)
        twin = copy.deepcopy((plain, optimizers[0]))
        twin[1].eval()
        expected.append(twin[0].state_dict())
    with TrajectoryRecorder(model, optimizers[1], tmp_path):
        for step in range(n):
            plainly(model, optimizers[1], step)
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in model.state_dict().items())
    optimizers[1].eval()  # the center
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == n + 1
    for file, states in zip(files, [*expected[:-1], model.state_dict()], strict=True):
        for name, tensor in load_file(file).items():
            torch.testing.assert_close(tensor, states[name], rtol=0, atol=0, msg=f"{file.name} {name}")
    optimizers[1].train()
    TrajectoryRecorder(model, optimizers[1], tmp_path, start=n)  # the same model, in either mode
    resumed = TrajectoryRecorder(model, optimizers[1], tmp_path / "other")
    with resumed:
        pass


def test_a_schedule_free_optimizer_that_takes_closures_is_followed(tmp_path):
    check_recorded(tmp_path, schedule_free("closure"), with_a_closure)


@pytest.mark.parametrize("inside", ["SGD", "schedule-free"])
def test_the_optimizers_of_accelerate_are_followed(tmp_path, inside):
    accelerate = pytest.importorskip("accelerate")
    model = network()
    params = list(model.parameters())
    optimizer = sgd(params) if inside == "SGD" else schedule_free("AdamW")(params)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    prepared, wrapped = accelerator.prepare(model, optimizer)
    if inside != "SGD":
        wrapped.train()
    with TrajectoryRecorder(prepared, wrapped, tmp_path) as recorder:
        for step in range(6):
            with accelerator.accumulate(prepared):
                accelerator.backward(loss_of(prepared, step))
                wrapped.step()
                wrapped.zero_grad()
            assert recorder.step == (step + 1) // 2  # calls that accumulate are no steps
    if inside != "SGD":
        wrapped.eval()
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 4
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in load_file(files[-1]).items())


def test_sam_and_closures_of_pytorch_optimizer_are_followed(tmp_path):
    library = pytest.importorskip("pytorch_optimizer")

    def build(params: Any) -> Any:
        return library.SAM(params, torch.optim.SGD, lr=0.1)

    check_recorded(tmp_path, build, in_two_steps)


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
