"""How long the checks before the first point take, in seconds and in units of one batch's time.

The time of ``build_problem`` without that of copying the model, reading the loader and hashing the weights, which are
timed by themselves. The fastest of several runs counts. Not a test: run it on a quiet machine.

    python tests/benchmarks/trial.py [--cases mlp1797 resnet56] [--runs 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from evaluator import CASES

from lljupyter.geometry.parameters import fingerprint
from lljupyter.problem.isolation.copying import private_copy
from lljupyter.problem.loaders import read_loaders
from lljupyter.problem.problem import build_problem

CPU = torch.device("cpu")
BATCHES, SECONDS = 2.0, 0.3  # the goal: no more than so many batches' time and so many seconds beside


def fastest(call: Callable[[], Any], runs: int) -> float:
    """Seconds of the fastest of some calls, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["mlp1797", "resnet56"])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for case in options.cases:
        _, make, load = CASES[case]
        model, loader = make().eval(), load()
        x = loader[0][0]
        with torch.no_grad():
            batch = fastest(lambda model=model, x=x: model(x), options.runs)
        copy = fastest(lambda model=model: private_copy(model, CPU), options.runs)
        read = fastest(lambda loader=loader: read_loaders(loader, CPU), options.runs)
        hashed = fastest(lambda model=model: fingerprint(model), options.runs)
        whole = fastest(lambda m=model, d=loader: build_problem(m, d), options.runs)
        checks = whole - copy - read - hashed
        goal = BATCHES * batch + SECONDS
        print(f"{case}: one batch {batch:.4f} s; copy {copy:.4f} s, read {read:.4f} s, hash {hashed:.4f} s")
        reached = "met" if checks <= goal else "missed"
        print(f"{case}: checks {checks:.3f} s, {checks / batch:.1f} batches; goal {goal:.3f} s: {reached}", flush=True)


if __name__ == "__main__":
    main()
