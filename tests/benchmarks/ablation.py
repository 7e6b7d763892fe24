"""What tracing a model is worth: the folded strategy against a loop that does all the rest without it.

The loop without tracing keeps freed memory, holds weights and inputs in channels-last order, and with ``--bfloat16``
computes in bfloat16. The folded strategy does the same and, on a traced graph, folds BatchNorm into convolutions,
fuses ReLU and sums, and shares its work between cores. All run in one process, in turns (A B C A B C ...), on the same
points; the fastest call of each counts. Not a test: run it on a quiet machine.

    python tests/benchmarks/ablation.py [--cases cnn vgg9 resnet20 resnet56] [--bfloat16] [--seconds 2] [--turns 3]
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from evaluator import CASES, Loader, loop, plane_of, rate, settle
from torch import nn

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.plane import Plane
from lljupyter.problem.problem import build_problem
from lljupyter.process.memory import keep_freed_memory
from lljupyter.process.precision import has_bfloat16

CPU = torch.device("cpu")


def untraced(model: nn.Module, loader: Loader, plane: Plane, dtype: torch.dtype) -> Callable[[np.ndarray], Any]:
    """The loop with everything that needs no graph of the model."""
    model = copy.deepcopy(model).to(dtype=dtype, memory_format=torch.channels_last)
    batches = [
        (x.to(dtype).contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.to(dtype), y)
        for x, y in loader
    ]
    return partial(loop, model, batches, plane)


def folded(model: nn.Module, loader: Loader, plane: Plane, dtype: torch.dtype) -> Callable[[np.ndarray], Any]:
    """The folded strategy, in the fastest of its forms."""
    precision = "float32" if dtype == torch.float32 else "auto"
    evaluator = Evaluator(build_problem(model, loader), evaluation="folded", precision=precision)
    settle(evaluator, plane)
    return evaluator.evaluate


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["cnn", "vgg9", "resnet20", "resnet56"])
    parser.add_argument("--bfloat16", action="store_true", help="also in bfloat16, where the processor has it")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    dtypes = [torch.float32, *([torch.bfloat16] if options.bfloat16 and has_bfloat16(CPU) else [])]
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; points a second, in brackets over the loop's")
    print("| case | precision | loop, keeping memory | without tracing | folded | folded / without tracing |")
    print("| --- | --- | --- | --- | --- | --- |")
    for case in options.cases:
        title, make, load = CASES[case]
        model, loader = make(), load()
        plane = plane_of(model)
        points = np.random.default_rng(0).uniform(-1, 1, (8, 2))
        for dtype in dtypes:
            works = [
                partial(loop, copy.deepcopy(model), loader, plane),
                untraced(model, loader, plane, dtype),
                folded(model, loader, plane, dtype),
            ]
            for work in works:
                work(points)
            rates = [[rate(work, points, options.seconds) for work in works] for _ in range(options.turns)]
            base, without, traced = np.max(rates, axis=0)
            kind = str(dtype).removeprefix("torch.")
            print(
                f"| {title} | {kind} | {base:.3g} | {without:.3g} ({without / base:.2f}) | "
                f"{traced:.3g} ({traced / base:.2f}) | {traced / without:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
