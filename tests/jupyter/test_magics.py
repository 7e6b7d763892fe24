"""``%landscape`` and ``%%record_trajectory``."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from safetensors.torch import load_file
from support.reference import PATIENCE, linear
from traitlets.config import Config

from lljupyter import LandscapeWidget, loss_surface

SGD = "torch.optim.SGD(model.parameters(), lr=0.1)"
TRAIN = f"""
optimizer = {SGD}
for inputs, targets in loader * 5:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()
"""


@pytest.fixture
def ip(monkeypatch, tmp_path):
    for name in ("displayhook", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.chdir(tmp_path)
    ip = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    ip.run_line_magic("load_ext", "lljupyter")
    ip.push({"model": linear(), "loader": [(torch.rand(4, 3).double(), torch.arange(4) % 2)], "torch": torch})
    return ip


def test_landscape_makes_the_widget(ip):
    w = ip.run_line_magic(
        "landscape", "model loader --seed 3 --range 0.5 --resolution 5 --view contour --scale log --max-samples 2"
    )
    assert isinstance(w, LandscapeWidget)
    assert (w.seed, w.alpha, w.beta, w.resolution) == (3, (-0.5, 0.5), (-0.5, 0.5), (5, 5))
    assert (w.view, w.scale, w.wait(PATIENCE).attrs["n_samples"]) == ("contour", "log", 2)
    w.close()


def test_landscape_takes_expressions_and_gives_a_value(ip):
    ip.run_cell('w = %landscape model "[(x, y) for x, y in loader]" --resolution 3').raise_error()
    assert ip.user_ns["w"].resolution == (3, 3)
    ip.run_cell('v = %landscape model {"train":loader} --resolution 3').raise_error()
    assert ip.user_ns["v"].quantity == "train_loss"
    for name in "wv":
        ip.user_ns[name].close()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("modle loader", "expected model as a name or an expression of this notebook, got 'modle' .NameError"),
        ("model loader[7]", r"expected loader as a name or an expression .* got 'loader\[7\]' .IndexError"),
        ("model", "the following arguments are required: loader"),
        ("model loader --range 0", "expected --range above 0, got 0; try --range 0.5"),
        ("model loader --seed x", "argument --seed: invalid int value: 'x'"),
        ("model loader --view map", "argument --view: invalid choice: 'map'"),
        ("model loader --resolution 0", "expected"),
        ("loader model", "expected a torch.nn.Module as the model, got list"),
        ("model loader --colour red", "unrecognized arguments: --colour red"),
    ],
)
def test_landscape_says_what_is_wrong(ip, line, message):
    with pytest.raises(UsageError, match=message):
        ip.run_line_magic("landscape", line)


def test_record_trajectory_records_the_training_in_the_cell(ip, capsys):
    untrained = copy.deepcopy(ip.user_ns["model"])
    ip.run_cell_magic("record_trajectory", "run", TRAIN)
    assert capsys.readouterr().out == "recorded 6 checkpoints in run\n"
    assert ip.user_ns["run"] == Path("run")
    assert len(list(Path("run").glob("*.safetensors"))) == 6
    surface = loss_surface(
        ip.user_ns["model"], ip.user_ns["loader"], trajectory=ip.user_ns["run"], resolution=3, progress=False
    )
    assert surface.sizes["checkpoint"] == 6
    assert float(surface.trajectory_outside[-1]) == 0
    first = loss_surface(untrained, ip.user_ns["loader"], resolution=1, alpha=(0, 0), beta=(0, 0), progress=False)
    assert float(surface.trajectory_loss[0]) == pytest.approx(first.loss.item())
    assert float(surface.trajectory_loss[-1]) == pytest.approx(surface.loss.sel(alpha=0, beta=0).item())


def test_running_the_cell_again_replaces_and_resume_goes_on(ip, capsys):
    for options, n in (("run --every 2", 4), ("run --every 2", 4), ("run --every 2 --resume", 7)):
        ip.run_cell_magic("record_trajectory", options, TRAIN)
        assert capsys.readouterr().out == f"recorded {n} checkpoints in run\n"


def test_the_cell_is_a_cell(ip, capsys):
    value = ip.run_cell_magic("record_trajectory", "run --folder elsewhere", f"%time x = 1\n{TRAIN}\nx + 1")
    assert value == 2
    assert ip.user_ns["x"] == 1
    assert ip.user_ns["run"] == Path("elsewhere")


def test_an_error_in_the_cell_is_raised_and_nothing_is_left_behind(ip):
    from torch.optim import optimizer

    hooks = len(optimizer._global_optimizer_pre_hooks)
    with pytest.raises(ZeroDivisionError):
        ip.run_cell_magic("record_trajectory", "run", f"{TRAIN}\n1 / 0")
    assert "run" not in ip.user_ns
    assert len(optimizer._global_optimizer_pre_hooks) == hooks
    n = len(list(Path("run").iterdir()))
    ip.user_ns["optimizer"].step()
    assert len(list(Path("run").iterdir())) == n


def test_the_smallest_model_with_the_parameters_is_recorded(ip):
    ip.user_ns["whole"] = torch.nn.Sequential(ip.user_ns["model"], torch.nn.Linear(2, 2).double())
    ip.run_cell_magic("record_trajectory", "run", TRAIN)
    from lljupyter.geometry.checkpoints import open_checkpoints

    assert len(open_checkpoints(Path("run"))) == 6
    ip.run_cell_magic("record_trajectory", "both --model whole", TRAIN)
    sizes = {path.parent.name: path.stat().st_size for path in Path().glob("*/step-000000000.safetensors")}
    assert sizes["both"] > sizes["run"]


WRAPPED = """
class Wrapper:
    def __init__(self, optimizer):
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups
    def zero_grad(self):
        self.optimizer.zero_grad()
    def scale(self, factor):
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                p.mul_(factor)
    def step(self):
        before.append(model.weight.detach().clone())
        self.scale(ahead)
        self.optimizer.step()
        self.scale(0.5 / ahead)
        after.append(model.weight.detach().clone())
"""


def wrapped(cell: str, times: int = 1) -> str:
    return cell.replace(SGD, f"{'Wrapper(' * times}{SGD}{')' * times}")


@pytest.mark.parametrize("ahead", [1.0, 3.0])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("where", ["in the cell", "before it"])
def test_what_a_wrapper_does_before_and_after_a_step_is_recorded(ip, ahead, times, where):
    ip.user_ns |= {"before": [], "after": [], "ahead": ahead}
    make, loop = wrapped(TRAIN, times).strip().split("\n", 1)
    cell = WRAPPED + make + "\n" + loop
    if where == "before it":
        ip.run_cell(WRAPPED + make)
        cell = loop
    ip.run_cell_magic("record_trajectory", "run", cell)
    recorded = [load_file(path)["weight"] for path in sorted(Path("run").glob("*.safetensors"))]
    outer = [ip.user_ns["before"][0], *ip.user_ns["after"][times - 1 :: times]]
    assert len(recorded) == 6
    assert all(torch.equal(a, b) for a, b in zip(recorded, outer, strict=True))
    assert "step" not in vars(ip.user_ns["optimizer"])


def test_a_wrapper_that_is_made_and_used_in_one_statement_is_recorded_from_its_second_step(ip):
    ip.user_ns |= {"before": [], "after": [], "ahead": 3.0}
    indented = "\n".join(f"    {line}" for line in wrapped(TRAIN).splitlines())
    cell = f"{WRAPPED}\ndef train():\n{indented}\n\ntrain()"
    with pytest.warns(UserWarning, match="the first step of Wrapper is not recorded.*: make the optimizer in a"):
        ip.run_cell_magic("record_trajectory", "run", cell)
    recorded = [load_file(path)["weight"] for path in sorted(Path("run").glob("*.safetensors"))]
    assert len(recorded) == 5
    assert all(torch.equal(a, b) for a, b in zip(recorded, ip.user_ns["after"], strict=True))


@pytest.mark.parametrize(
    ("line", "cell", "kind", "message"),
    [
        ("model", TRAIN, UsageError, "expected a new name for the run, got 'model' is taken; try run"),
        ("my-run", TRAIN, UsageError, "expected a new name for the run, got 'my-run'; try run"),
        ("run --every 0", TRAIN, UsageError, "expected --every of at least 1, got 0"),
        ("run", "x = 1", UsageError, "expected an optimizer that makes a step in the cell, got none"),
        ("run --model nobody", TRAIN, UsageError, "expected model as a name .* got 'nobody'"),
        ("run", TRAIN.replace("model", "(lambda: model)()") + "\ndel model", None, ""),
        (
            "run",
            "p = torch.zeros(1, requires_grad=True)\np.grad = p.detach()\ntorch.optim.SGD([p]).step()",
            ValueError,
            "expected a model of this notebook that has the parameters of the optimizer",
        ),
    ],
)
def test_record_trajectory_says_what_is_wrong(ip, line, cell, kind, message):
    if kind is None:
        ip.run_cell_magic("record_trajectory", line, cell)
        return
    with pytest.raises(kind, match=message):
        ip.run_cell_magic("record_trajectory", line, cell)


def test_help_explains_the_options(ip):
    for name, magic in (("landscape", "line"), ("record_trajectory", "cell")):
        doc = ip.find_magic(name, magic).__doc__
        assert f"%{name}" in doc
    assert "--resolution RESOLUTION" in ip.find_line_magic("landscape").__doc__


@pytest.mark.parametrize(
    ("text", "expected", "absent"),
    [
        ("%landscape mo", "model", "loader"),
        ("%landscape model lo", "loader", "model"),
        ("%landscape model loader --re", "--resolution", "--seed"),
        ("%landscape model loader --view c", "contour", "surface"),
        ("%%record_trajectory run --e", "--every", "--model"),
    ],
)
def test_tab_completes(ip, text, expected, absent):
    ip.user_ns["other"] = 3
    _, found = ip.complete(None, text, len(text))
    assert expected in found
    assert absent not in found


def test_unloading_takes_the_magics_away(ip):
    ip.run_line_magic("unload_ext", "lljupyter")
    assert ip.find_line_magic("landscape") is None
    assert ip.find_cell_magic("record_trajectory") is None
    assert "--resolution" not in ip.complete(None, "%landscape model loader --re", 28)[1]
    ip.run_line_magic("load_ext", "lljupyter")
    assert ip.find_line_magic("landscape") is not None


def test_a_magic_of_ones_own_stays(ip):
    ip.run_line_magic("unload_ext", "lljupyter")
    ip.register_magic_function(lambda line: "mine", "line", "landscape")
    ip.run_line_magic("load_ext", "lljupyter")
    assert ip.run_line_magic("landscape", "") == "mine"
    ip.run_line_magic("unload_ext", "lljupyter")
    assert ip.run_line_magic("landscape", "") == "mine"
