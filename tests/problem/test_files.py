"""A problem survives a file bit by bit, also in another process, and its hash names it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.problems import make_problem, set_plane
from support.reference import TESTS, batches_of, grid_points, linear, network
from torch import nn

from lljupyter.evaluate.plain import Plain
from lljupyter.geometry.plane import random_plane
from lljupyter.problem.files import load_problem, save_problem

POINTS = grid_points([-1, 0, 0.3], [-0.5, 0.7])


def values_of(problem):
    plain = Plain(problem)
    set_plane(plain, random_plane(problem.center, 3, ignore=None))
    return plain.evaluate(POINTS)


class Pair(nn.Module):
    """Takes keywords, and has tied weights, a state of integers and one in another layout."""

    def __init__(self):
        super().__init__()
        self.first, self.second = linear(3, 3), linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("calls", torch.arange(3))
        self.register_buffer("turned", torch.arange(6.0).reshape(2, 3).double().T)

    def forward(self, a, b):
        return self.second(torch.tanh(self.first(a) + b)) @ self.turned


def pairs():
    a, b, y = torch.rand(7, 3).double(), torch.rand(7, 3).double(), torch.arange(7) % 2
    return [({"a": a[:4], "b": b[:4]}, y[:4]), ({"a": a[4:], "b": b[4:]}, y[4:])]


CASES = {
    "float32": lambda: (network(torch.float32), batches_of(8, dtype=torch.float32), {}),
    "bfloat16": lambda: (network(torch.bfloat16), batches_of(8, dtype=torch.bfloat16), {}),
    "two loaders": lambda: (
        network(),
        {"train": batches_of(8), "test": batches_of(5, 9)},
        {"batchnorm": "recalibrate"},
    ),
    "channels last": lambda: (network().to(memory_format=torch.channels_last), batches_of(8), {}),
    "weighted loss": lambda: (network(), batches_of(8), {"loss_fn": nn.CrossEntropyLoss(torch.rand(4).double())}),
    "own loss": lambda: (network(), [(x, None) for x, _ in batches_of(8)], {"loss_fn": lambda o, t: (o**2).mean(1)}),
    "keywords": lambda: (Pair(), pairs(), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_problem_is_the_same_bit_by_bit_after_a_file(case, tmp_path):
    model, loader, options = CASES[case]()
    problem = make_problem(model, loader, **options)
    path = save_problem(problem, tmp_path / "problems")
    loaded = load_problem(path)
    assert list(loaded.states) == list(problem.states)
    for name, tensor in problem.model.state_dict().items():
        there = loaded.model.state_dict()[name]
        assert (there.dtype, there.stride()) == (tensor.dtype, tensor.stride())
        assert torch.equal(there, tensor)
    for name in ("parameters", "kinds", "names", "device", "resident", "batchnorm", "fingerprint", "title", "warnings"):
        assert getattr(loaded, name) == getattr(problem, name)
    for name, values in values_of(problem).items():
        np.testing.assert_array_equal(values_of(loaded)[name], values)


def test_tied_weights_stay_tied(tmp_path):
    loaded = load_problem(save_problem(make_problem(Pair(), pairs()), tmp_path))
    assert loaded.model.first.weight is loaded.model.second.weight
    assert loaded.states["first.weight"].data_ptr() == loaded.model.first.weight.data_ptr()


def test_the_hash_of_the_content_names_the_file(tmp_path):
    path = save_problem(make_problem(network(), batches_of(8)), tmp_path)
    assert save_problem(make_problem(network(), batches_of(8)), tmp_path) == path
    other = network()
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1e-12
    assert save_problem(make_problem(other, batches_of(8)), tmp_path) != path
    assert save_problem(make_problem(network(), batches_of(7)), tmp_path) != path
    assert len(list(tmp_path.iterdir())) == 3


def test_tensors_lie_beside_the_pickle(tmp_path):
    problem = make_problem(network(), batches_of(8))
    path = save_problem(problem, tmp_path)
    tensors = load_file(path)
    for name, tensor in problem.states.items():
        assert torch.equal(tensors[f"states.{name}"].view(tensor.shape), tensor)
    code = tensors["code"].numpy().tobytes()
    for tensor in (*problem.states.values(), *(batch.inputs for batch in problem.all_batches)):
        assert tensor.numpy().tobytes() not in code
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["problem"])["title"] == "Sequential"


PROGRAM = """
import sys
import torch
from torch import nn
from lljupyter.problem.files import save_problem
from lljupyter.problem.problem import build_problem

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2).double()

    def forward(self, x):
        return helper(self.layer(x))

def helper(x):
    return torch.tanh(x)

x = torch.linspace(-1, 1, 18).double().reshape(6, 3)
print(save_problem(build_problem(Net(), [(x, torch.arange(6) % 2)]), sys.argv[1]))
"""


def test_a_model_defined_in_a_notebook_opens_in_another_process(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=TESTS.parent)
    loaded = load_problem(result.stdout.strip())
    torch.manual_seed(0)
    layer = nn.Linear(3, 2).double()
    x = torch.linspace(-1, 1, 18).double().reshape(6, 3)
    expected = nn.functional.cross_entropy(torch.tanh(layer(x)), torch.arange(6) % 2).item()
    assert Plain(loaded).evaluate(np.zeros((1, 2)))["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_files_that_are_damaged_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the file of a problem, got none at"):
        load_problem(tmp_path / "missing.safetensors")
    path = save_problem(make_problem(network(), batches_of(8)), tmp_path)
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="which is none or damaged; write it again"):
        load_problem(path)
    path.write_bytes(content[:100])
    with pytest.raises(ValueError, match=r"expected the file of a problem, got .* write it with save_problem"):
        load_problem(path)


def test_a_file_of_another_version_is_refused(tmp_path, monkeypatch):
    path = save_problem(make_problem(network(), batches_of(8)), tmp_path)
    monkeypatch.setattr("lljupyter.problem.files.__version__", "99.0")
    with pytest.raises(ValueError, match=r"expected a problem written by lljupyter 99\.0, got one of"):
        load_problem(path)


def test_what_cannot_be_pickled_is_named(tmp_path):
    problem = make_problem(network(), batches_of(8))
    problem.model.file = (tmp_path / "open").open("w")
    with pytest.raises(TypeError, match=r"expected a model, loss and data that can be pickled, got Pickling.* files"):
        save_problem(problem, tmp_path)
    problem.model.file.close()


def test_a_missing_cloudpickle_is_named_where_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ModuleNotFoundError, match="pip install cloudpickle, or define them in a module"):
        save_problem(make_problem(network(), batches_of(8), loss_fn=lambda o, t: (o**2).mean(1)), tmp_path)
