"""What ``pca_directions`` needs for a long run of a large model: seconds, memory beside the model's own, exactness.

Run ``python tests/benchmarks/trajectory.py``: 10 million parameters and 30 checkpoints in safetensors files (1.3 GB).
``--parameters 1e8 --checkpoints 300 --generated`` makes its 120 GB of checkpoints up while they are read.

Every checkpoint is the center plus three directions, orthogonal and of equal length, times coefficients of its own. All
these numbers are multiples of 1/1024 that float32 holds exactly, so the answer is known: the principal components of
the table of coefficients.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from lljupyter import pca_directions
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.projection import project_trajectory

WIDTH = 2048  # of every tensor, so that the three directions have whole periods in a row


def patterns() -> Tensor:
    """Three rows of +-1, orthogonal to each other."""
    bits = torch.arange(WIDTH)
    return torch.stack([1.0 - 2.0 * (bits >> shift & 1) for shift in (0, 4, 9)])


def coefficients(n: int) -> np.ndarray:
    """A path that turns and comes to rest in the center, shape (n, 3), multiples of 1/1024."""
    left = np.linspace(1, 0, n)
    path = np.stack([left, left * np.sin(6 * left), 0.3 * left * np.cos(9 * left)], axis=1)
    return np.round(path * 1024) / 1024


def sign(index: int) -> float:
    return 1.0 if index % 3 else -1.0


class Generated(Mapping[str, Tensor]):
    """A checkpoint whose tensors come into being when they are read."""

    def __init__(self, center: dict[str, Tensor], offset: Tensor) -> None:
        self._center, self._offset = center, offset

    def __getitem__(self, name: str) -> Tensor:
        return torch.add(self._center[name], self._offset, alpha=sign(int(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._center)

    def __len__(self) -> int:
        return len(self._center)


class Memory:
    """The largest memory of this process in a while, in bytes: its own, and the pages of files that it looks at."""

    def __enter__(self) -> Memory:
        self.before = self._read()["RssAnon"]
        self.own = self.files = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            now = self._read()
            self.own, self.files = max(self.own, now["RssAnon"]), max(self.files, now["RssFile"])

    def _read(self) -> dict[str, int]:
        lines = Path("/proc/self/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}


def expected(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two components of the table without its final row (2, 3), and their shares of the variance."""
    rows = table[:-1] - table[:-1].mean(0)
    _, s, vt = np.linalg.svd(rows, full_matrices=False)
    return vt[:2], (s**2 / (s**2).sum())[:2]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parameters", type=float, default=1e7)
    parser.add_argument("--checkpoints", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1024, help="rows of each tensor")
    parser.add_argument("--generated", action="store_true", help="no files: tensors come into being when they are read")
    parser.add_argument("--folder", help="where the files go for a while; the system's temporary folder by default")
    options = parser.parse_args()
    rows = 16 if options.generated else options.rows
    n_tensors = -(-int(options.parameters) // (rows * WIDTH))
    generator = torch.Generator().manual_seed(0)
    center = {
        f"{index:05d}": torch.randint(-1024, 1024, (rows, WIDTH), generator=generator) / 1024
        for index in range(n_tensors)
    }
    n_parameters = n_tensors * rows * WIDTH
    table = coefficients(options.checkpoints)
    offsets = torch.as_tensor(table, dtype=torch.float32) @ patterns()
    states = [Generated(center, offset) for offset in offsets]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        trajectory: list[Mapping[str, Tensor] | Path] = list(states)
        if not options.generated:
            for index, state in enumerate(states):
                trajectory[index] = Path(folder) / f"{index:04d}.safetensors"
                save_file(dict(state), trajectory[index])
        print(
            f"{n_parameters:,} parameters x {len(table)} checkpoints, "
            f"{n_parameters * len(table) * 4 / 1e9:.1f} GB {'generated' if options.generated else 'in files'}, "
            f"{torch.get_num_threads()} threads, torch {torch.__version__}, Python {sys.version.split()[0]}"
        )
        started = np.array([time.perf_counter(), time.process_time()])
        with Memory() as memory:
            pca = pca_directions(trajectory, center)
        wall, processor = np.array([time.perf_counter(), time.process_time()]) - started
        print(f"pca_directions: {wall:.0f} s ({processor:.0f} s of processor time)")
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            f"memory: {memory.before / 1e9:.2f} GB of its own before (the center is {4 * n_parameters / 1e9:.2f}), "
            f"at most {(memory.own - memory.before) / 1e9:.2f} more (the directions are {8 * n_parameters / 1e9:.2f}); "
            f"at most {memory.files / 1e9:.2f} of files mapped; largest resident set {largest / 1e9:.2f} GB"
        )
        components, ratio = expected(table)
        worst = 0.0
        length = np.sqrt(n_parameters)
        for direction, component in zip(pca.directions, components, strict=True):
            row = torch.as_tensor(component / length) @ patterns().double()
            toward = float(direction["00000"][0].double() @ row) * sign(0)
            for index, part in enumerate(direction.values()):
                difference = part.double() * sign(index) * np.sign(toward) - row
                worst = max(worst, float(difference.abs().max() * length))
        print(f"largest error of an entry of a direction, as a share of the root mean square: {worst:.1e}")
        print(f"largest error of an explained variance ratio: {np.abs(pca.explained_variance_ratio - ratio).max():.1e}")
        started = time.perf_counter()
        path = project_trajectory(open_checkpoints(trajectory), Plane(center, *pca.directions))
        seconds = time.perf_counter() - started
        within = table @ components.T * length
        error = np.abs(np.abs(np.stack([path.alpha, path.beta], axis=1)) - np.abs(within)).max() / np.abs(within).max()
        print(
            f"project_trajectory: {seconds:.0f} s; largest error of a coordinate, as a share of the path: {error:.1e}"
        )


if __name__ == "__main__":
    main()
