"""``%%record_trajectory`` with optimizers that change the weights before the one inside them makes its step."""

from __future__ import annotations

import sys

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from safetensors.torch import load_file
from support.trust import batches, perceptron
from traitlets.config import Config

IMPORTS = """
import accelerate, pytorch_optimizer, schedulefree, torch
from torch.nn.functional import cross_entropy
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
"""
OPTIMIZERS = {
    "schedule-free wrapper": "schedulefree.ScheduleFreeWrapper(sgd, momentum=0.9)",
    "schedule-free": "schedulefree.AdamWScheduleFree(model.parameters(), lr=0.01)",
    "accelerate": "accelerate.Accelerator(cpu=True).prepare(sgd)",
    "accelerate, schedule-free": (
        "accelerate.Accelerator(cpu=True).prepare(schedulefree.AdamWScheduleFree(model.parameters(), lr=0.01))"
    ),
    "Lookahead": "pytorch_optimizer.Lookahead(sgd, k=2)",
}
TRAIN = """
optimizer = {optimizer}
if hasattr(optimizer, "train"):
    optimizer.train()
for inputs, targets in (loader * 2)[:n]:
    optimizer.zero_grad()
    cross_entropy(model(inputs), targets).backward()
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
    return ip


def evaluated_after(n: int, kind: str) -> dict[str, torch.Tensor]:
    """The weights that the optimizer evaluates after n steps, trained without a recorder."""
    names = {"model": perceptron(), "loader": batches(), "n": n}
    exec(IMPORTS + TRAIN.format(optimizer=OPTIMIZERS[kind]), names)
    if hasattr(names["optimizer"], "eval"):
        names["optimizer"].eval()
    return names["model"].state_dict()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_step_is_recorded_from_the_first_on(ip, tmp_path, kind):
    ip.push({"model": perceptron(), "loader": batches(), "n": 4})
    ip.run_cell_magic("record_trajectory", "run", IMPORTS + TRAIN.format(optimizer=OPTIMIZERS[kind]))
    files = sorted((tmp_path / "run").glob("*.safetensors"))
    assert len(files) == 5
    for n, file in enumerate(files[:-1]):
        for name, expected in evaluated_after(n, kind).items():
            torch.testing.assert_close(load_file(file)[name], expected, rtol=1e-6, atol=1e-7, msg=f"{n} {name}")
