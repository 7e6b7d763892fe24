"""How much a TrajectoryRecorder slows training at one checkpoint in 100 steps: plain, recorded, plain, recorded ...

Run ``python tests/benchmarks/recorder.py``; it prints the median ratio of neighboring blocks of 100 steps, of which the
recorded ones have one checkpoint, in their middle, and the ratio of the blocks that were disturbed least.
"""

from __future__ import annotations

import tempfile
import time

import numpy as np
import torch
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.zoo import resnet

N_STEPS, N_PAIRS = 100, 100


def mlp() -> tuple[nn.Module, torch.Tensor]:
    hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(128, 10)), torch.randn(64, 1, 8, 8)


def small_resnet() -> tuple[nn.Module, torch.Tensor]:
    return resnet(8), torch.randn(8, 3, 16, 16)


def larger_mlp() -> tuple[nn.Module, torch.Tensor]:
    return mlp()[0], torch.randn(256, 1, 8, 8)


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
    for build in (mlp, larger_mlp, small_resnet):
        model, x = build()
        y = torch.arange(len(x)) % 10
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        train(model, optimizer, x, y)
        plain, recorded = [], []
        for _ in range(N_PAIRS // 6 if build is small_resnet else N_PAIRS):
            plain.append(train(model, optimizer, x, y))
            with tempfile.TemporaryDirectory() as folder:
                options = {"every": N_STEPS, "start": N_STEPS // 2}  # so that the checkpoint is in the middle
                with TrajectoryRecorder(model, optimizer, folder, **options):
                    recorded.append(train(model, optimizer, x, y))
        ratios = np.array(recorded) / np.array(plain)
        low, middle, high = np.percentile(ratios[:, 0], [25, 50, 75])
        fast = np.percentile(recorded, 20, axis=0) / np.percentile(plain, 20, axis=0)
        step = 1e3 * np.percentile(plain, 20, axis=0)[0] / N_STEPS
        print(
            f"{build.__name__}: {step:.2f} ms a step; recorded / plain {middle:.3f} (quartiles {low:.3f}, {high:.3f}); "
            f"of the fastest fifths {fast[0]:.3f}, their processor time {fast[1]:.3f}"
        )


if __name__ == "__main__":
    main()
