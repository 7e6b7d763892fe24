"""How much a TrajectoryRecorder slows training at one checkpoint in 100 steps: plain, recorded, plain, recorded ...

Run ``python tests/benchmarks/recorder.py``; it prints the median ratio of neighboring blocks of 100 steps.
"""

from __future__ import annotations

import tempfile
import time

import numpy as np
import torch
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.zoo import resnet

N_STEPS, N_PAIRS = 100, 40


def mlp() -> tuple[nn.Module, torch.Tensor]:
    hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(128, 10)), torch.randn(64, 1, 8, 8)


def small_resnet() -> tuple[nn.Module, torch.Tensor]:
    return resnet(8), torch.randn(8, 3, 16, 16)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Trains for some steps; returns the seconds it took, on the clock and of the processor."""
    started = np.array([time.perf_counter(), time.process_time()])
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return np.array([time.perf_counter(), time.process_time()]) - started


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for build in (mlp, small_resnet):
        model, x = build()
        y = torch.arange(len(x)) % 10
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        train(model, optimizer, x, y)
        plain, recorded = [], []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(N_PAIRS):
                plain.append(train(model, optimizer, x, y))
                with TrajectoryRecorder(model, optimizer, folder, every=N_STEPS):
                    recorded.append(train(model, optimizer, x, y))
        wall, processor = np.median(np.array(recorded) / np.array(plain), axis=0)
        step = 1e3 * np.median(plain, axis=0)[0] / N_STEPS
        print(f"{build.__name__}: {step:.2f} ms a step; recorded / plain {wall:.3f} (processor time {processor:.3f})")


if __name__ == "__main__":
    main()
