"""How many points a second are evaluated, against the plain loop that tools for loss landscapes run.

The loop sets the weights of a point, runs the model in float32 over batches of 128 that are in memory already, and
asks for ``.item()`` of every batch. It has a process of its own, as the threads and the freed memory of one would
speed up or slow down the other; a second one has the C library keep what the loop frees, as ours does. All are timed
in turns (loop, ours, loop, ours, ...) on the same plane, in points a second, and the fastest call of each counts.
Not a test: run it on a quiet machine.

    python tests/benchmarks/evaluator.py [--cases mlp256 mlp1797 cnn resnet56] [--precision float32 auto] [--seconds 2]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from lljupyter import zoo
from lljupyter.compute.prepare import prepare
from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.problem.problem import build_problem
from lljupyter.process.memory import keep_freed_memory

SHARED = Path(__file__).parents[3] / "shared" / "data"
Loader = list[tuple[Tensor, Tensor]]


def digits(n: int) -> Loader:
    """The first n of scikit-learn's digits, (n, 1, 8, 8)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.as_tensor(bunch.images[:n] / 16, dtype=torch.float32)[:, None]
    return list(zip(images.split(128), torch.as_tensor(bunch.target[:n]).split(128), strict=True))


def cifar(n: int) -> Loader:
    """Every so many-th test image of CIFAR-10, or noise of that shape where the files are missing."""
    path = SHARED / "cifar10_test_jpeg.npz"
    if not path.exists():
        x, y = torch.randn(n, 3, 32, 32), torch.randint(0, 10, (n,))
        return list(zip(x.split(128), y.split(128), strict=True))
    from PIL import Image

    with np.load(path) as data:
        jpeg, offsets, labels = data["jpeg"], data["offsets"], data["labels"]
    chosen = np.arange(0, len(labels), len(labels) // n)[:n]
    pixels = [np.asarray(Image.open(BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))) for i in chosen]
    x = torch.from_numpy(np.stack(pixels)).float().permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((x - mean[:, None, None]) / std[:, None, None]).contiguous()
    return list(zip(x.split(128), torch.from_numpy(labels[chosen].astype(np.int64)).split(128), strict=True))


def mlp() -> nn.Module:
    """64-32-32-10."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    ).eval()


def small_cnn() -> nn.Module:
    """Three convolutions with BatchNorm, 16, 32 and 64 channels."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out, stride in ((1, 16, 1), (16, 32, 2), (32, 64, 2)):
        layers += [nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))
    for x, _ in digits(1797):
        model(x)  # running statistics
    return model.eval()


def resnet(depth: int) -> nn.Module:
    """A trained ResNet where the files are at hand."""
    model = zoo.resnet(depth)
    path = SHARED / f"resnet{depth}_cifar10.safetensors"
    if path.exists():
        from safetensors.torch import load_file

        model.load_state_dict(load_file(path))
    return model.eval()


class Encoder(nn.Module):
    """A small transformer that reads an image of 8 x 8 row by row: two layers, two heads, 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Returns scores of shape (n, 10)."""
        return self.out(self.layers(self.embedding(x[:, 0])).mean(1))


def transformer() -> nn.Module:
    """Not trained."""
    torch.manual_seed(0)
    return Encoder().eval()


CASES: dict[str, tuple[str, Callable[[], nn.Module], Callable[[], Loader]]] = {
    "mlp256": ("MLP 64-32-32-10, 256 digits", mlp, lambda: digits(256)),
    "mlp1797": ("MLP 64-32-32-10, 1,797 digits", mlp, lambda: digits(1797)),
    "cnn": ("small CNN, 1,797 digits", small_cnn, lambda: digits(1797)),
    "transformer": ("transformer, 2 layers, 1,797 digits", transformer, lambda: digits(1797)),
    "vgg9": ("VGG-9, 500 CIFAR-10 images", lambda: zoo.vgg(9).eval(), lambda: cifar(500)),
    "resnet20": ("ResNet-20, 500 CIFAR-10 images", lambda: resnet(20), lambda: cifar(500)),
    "resnet56": ("ResNet-56, 500 CIFAR-10 images", lambda: resnet(56), lambda: cifar(500)),
}


def loop(model: nn.Module, loader: Loader, plane: Plane, points: np.ndarray) -> list[float]:
    """The plain loop over points."""
    losses = []
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for alpha, beta in points.tolist():
            for name, theta in plane.center.items():
                parameters[name].copy_(theta + (alpha * plane.delta[name] + beta * plane.eta[name]))
            total, correct, n = 0.0, 0, 0
            for inputs, targets in loader:
                outputs = model(inputs)
                total += functional.cross_entropy(outputs, targets).item() * len(targets)
                correct += (outputs.argmax(1) == targets).sum().item()
                n += len(targets)
            losses.append(total / n)
    return losses


def rate(work: Callable[[np.ndarray], Any], points: np.ndarray, seconds: float) -> float:
    """Points a second of the fastest of the calls that fill so many seconds."""
    times = []
    while sum(times) < seconds:
        began = time.perf_counter()
        work(points)
        times.append(time.perf_counter() - began)
    return len(points) / min(times)


def plane_of(model: nn.Module) -> Plane:
    """The plane that is evaluated."""
    return random_plane({n: p.detach().clone() for n, p in model.named_parameters()}, 0)


def serve_loop(connection: Connection, case: str, n_threads: int, kept: bool) -> None:
    """Times the plain loop, in a process of its own, whenever it is asked for its rate over some seconds."""
    torch.set_num_threads(n_threads)
    if kept:
        keep_freed_memory()
    _, make, load = CASES[case]
    model, loader = make(), load()
    plane, points = plane_of(model), np.random.default_rng(0).uniform(-1, 1, (1, 2))
    for seconds in iter(connection.recv, None):
        connection.send(rate(partial(loop, model, loader, plane), points, seconds))


@contextmanager
def plain_loop(case: str, n_threads: int, kept: bool = False) -> Iterator[Callable[[float], float]]:
    """Lends a function that returns the points a second of the plain loop, timed over some seconds.

    Args:
        case: Of ``CASES``.
        n_threads: How many threads it uses.
        kept: Whether the C library is made to keep what the loop frees, as ours does. By itself it may give much of
            it back to the system, which then clears it again and again.
    """
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve_loop, args=(theirs, case, n_threads, kept))
    process.start()

    def ask(seconds: float) -> float:
        ours.send(seconds)
        return float(ours.recv())

    try:
        yield ask
    finally:
        ours.send(None)
        process.join()


def best_of(work: Callable[[], Any], repeats: int = 20) -> float:
    """The shortest time of several, in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def limits() -> dict[str, float]:
    """The highest rates seen on this machine: FLOP/s in float32 and bfloat16, bytes/s of a copy."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(1024, 1024).to(dtype)
        product = 2 * 1024**3 / best_of(lambda a=a: a @ a)
        weight = torch.randn(128, 128, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        x = torch.randn(8, 128, 32, 32).to(dtype).contiguous(memory_format=torch.channels_last)
        convolution = 2 * 8 * 32 * 32 * 128 * 128 * 9
        convolution /= best_of(lambda x=x, w=weight: functional.conv2d(x, w, padding=1))
        found[str(dtype).removeprefix("torch.")] = max(product, convolution)
    source, target = torch.empty(1 << 26), torch.empty(1 << 26)
    found["copy"] = 2 * source.nbytes / best_of(lambda: target.copy_(source), 5)
    return found


def settle(evaluator: Evaluator, plane: Plane) -> float:
    """Tune the evaluator, as between the first points of a surface; return the seconds it took."""
    began = time.perf_counter()
    evaluator.set_plane(plane)
    points = np.array([(a, b) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)])
    values = evaluator.evaluate(points)
    while evaluator.is_ready(1e9, True):
        evaluator.tune(points, values, lambda: None)
    print("   ", evaluator.report(), file=sys.stderr)
    return time.perf_counter() - began


def whole(model: nn.Module, loader: Loader, precision: str, seconds: float) -> tuple[float, int]:
    """Starts a whole surface of 51 x 51 points, everything included, and stops it after some seconds.

    Returns:
        The seconds that all 2,601 points take, from the pace of the second half of that time, and how many were done.
    """
    began = time.perf_counter()
    prepared = prepare(model, loader, precision=precision)  # type: ignore[arg-type]
    session = prepared.session
    session.start()
    time.sleep(max(seconds / 2 - (time.perf_counter() - began), 0.0))
    half, n_half = time.perf_counter() - began, session.snapshot().n_done
    time.sleep(seconds / 2)
    passed, n_done = time.perf_counter() - began, session.snapshot().n_done
    session.close()
    pace = (passed - half) / max(n_done - n_half, 1)
    return passed + max(2601 - n_done, 0) * pace, n_done


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["mlp256", "mlp1797", "cnn", "resnet56"], choices=list(CASES))
    parser.add_argument("--precision", nargs="+", default=["float32", "auto"])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--whole", type=float, default=0.0, help="seconds of a whole surface, 0 for none")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    top = limits()
    print(f"{date.today()}, {options.threads} threads, {platform.machine()}, Python {platform.python_version()},")
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f} before. Highest rates measured:")
    print(f"{top['float32'] / 1e9:.0f} GFLOP/s in float32, {top['bfloat16'] / 1e9:.0f} GFLOP/s in bfloat16,")
    print(f"{top['copy'] / 1e9:.0f} GB/s copied.\n")
    print("| case | precision | loop | keeping memory | ours | ratio | ratio | of the limit | tuning, s | strategy |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in options.cases:
        title, make, load = CASES[case]
        model, loader = make(), load()
        plane = plane_of(model)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            for inputs, _ in loader:
                model(inputs)
        flops = counter.get_total_flops()
        for precision in options.precision:
            evaluator = Evaluator(build_problem(model, loader), precision=precision)
            seconds = settle(evaluator, plane)
            strategy = evaluator.strategy
            # As many as a surface has, where they take no time.
            n_points = 2601 if strategy.group > 32 else 4 * strategy.group
            points = np.random.default_rng(0).uniform(-1, 1, (n_points, 2))
            loops, keeping, ours = [], [], []
            with plain_loop(case, options.threads) as ask, plain_loop(case, options.threads, kept=True) as ask_keeping:
                for _ in range(options.turns):
                    loops.append(ask(options.seconds))
                    keeping.append(ask_keeping(options.seconds))
                    ours.append(rate(evaluator.evaluate, points, options.seconds))
            kind = "bfloat16" if strategy.reduced else "float32"
            print(
                f"| {title} | {precision} | {max(loops):.3g} | {max(keeping):.3g} | {max(ours):.3g} | "
                f"{max(ours) / max(loops):.2f} | {max(ours) / max(keeping):.2f} | "
                f"{max(ours) * flops / top[kind]:.0%} | {seconds:.1f} | {strategy.label} |",
                flush=True,
            )
            if options.whole:
                total, n_done = whole(model, loader, precision, options.whole)
                theirs = 2601 / max(loops)
                print(
                    f"\n{title}, {precision}, 51 x 51 with everything: {total:.0f} s (from {n_done} points), "
                    f"the loop {theirs:.0f} s: {theirs / total:.2f} times sooner\n"
                )


if __name__ == "__main__":
    main()
