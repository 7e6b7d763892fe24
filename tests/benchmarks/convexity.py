"""Times convexity maps against the authors' scheme, alternating; on an otherwise idle machine.

``python tests/benchmarks/convexity.py tiny`` is the 5 x 5 map of the tiny network, ``... resnet 0 1`` the ResNet-20:
the authors' scheme at the two points named, lljupyter at all four, as it goes from one to the next. The
authors' scheme is written anew here: for each end of the spectrum one scipy ``eigsh`` (k=1, tol=1e-2), each product by
double backward.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import load_file
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.data import tiny
from support.reference import SHARED, TESTS

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.problem.problem import build_problem
from lljupyter.zoo import resnet


def theirs(model, batches):
    """Returns the smallest and the largest eigenvalue and the number of products."""
    parameters = [p for p in model.parameters() if p.dim() > 1]
    sizes = [p.numel() for p in parameters]
    n_samples, n_products = sum(len(y) for _, y in batches), 0

    def product(vector):
        nonlocal n_products
        n_products += 1
        parts = torch.as_tensor(vector, dtype=torch.float32).reshape(-1).split(sizes)
        model.zero_grad()
        for x, y in batches:
            loss = nn.functional.cross_entropy(model(x), y) * (len(y) / n_samples)
            gradient = torch.autograd.grad(loss, parameters, create_graph=True)
            sum((g * v.view_as(g)).sum() for g, v in zip(gradient, parts, strict=True)).backward()
        return torch.cat([p.grad.reshape(-1) for p in parameters]).numpy().copy()

    def largest(matvec):
        operator = LinearOperator((sum(sizes), sum(sizes)), matvec=matvec, dtype=np.float32)
        return float(eigsh(operator, k=1, tol=1e-2, return_eigenvectors=False)[0])

    high = largest(product)
    shift = 0.51 * high
    low = largest(lambda v: product(v) - shift * v.reshape(-1)) + shift
    return (low, high, n_products) if not (high <= 0 < low) else (high, low, n_products)


def measure_theirs(model, batches, points):
    plane = random_plane({name: p.clone() for name, p in parameters_of(model).items()}, 123)
    moved, rows = copy.deepcopy(model).eval(), []
    started = time.perf_counter()
    for alpha, beta in points:
        moved.load_state_dict(plane.at(alpha, beta), strict=False)
        rows.append(theirs(moved, batches))
    return time.perf_counter() - started, np.array(rows)


def measure_ours(model, batches, points):
    started = time.perf_counter()
    problem = build_problem(model, batches, quantities=["loss"])
    evaluator = HessianEvaluator(problem)
    evaluator.set_plane(random_plane(problem.center, 123))
    values = evaluator.evaluate(np.array(points))
    seconds = time.perf_counter() - started
    return seconds, np.stack([values[name] for name in ("lambda_min", "lambda_max", "hvps")], 1)


def show(name, seconds, n_points, rows, points):
    print(f"{name}: {seconds:.2f} s, {seconds / n_points:.3f} s a point, {rows[:, 2].sum():.0f} products", flush=True)
    if len(points) <= 4:
        for (a, b), (low, high, n) in zip(points, rows, strict=True):
            print(f"  ({a:g}, {b:g}): {low:.5g} {high:.5g} in {n:.0f}")


def tiny_map():
    with h5py.File(TESTS / "data" / "hessian_filter_biasbn.h5") as file:
        axis = file["xcoordinates"][()]
    points = [(axis[c], axis[r]) for r, c in np.concatenate(coarse_to_fine(axis, axis))]
    model, batches = tiny.network().eval(), tiny.digits()[:2]
    measure_theirs(model, batches, points[:1])  # what torch sets up lazily
    measure_ours(model, batches, points[:1])
    ratios = []
    for _ in range(3):
        a, slow = measure_theirs(model, batches, points)
        b, fast = measure_ours(model, batches, points)
        show("theirs", a, 25, slow, points)
        show("ours", b, 25, fast, points)
        ratios.append(a / b)
    print("theirs / ours:", *(f"{ratio:.2f}" for ratio in ratios))
    worse = fast[:, 0] > slow[:, 0] + 0.005 * np.abs(slow[:, 0])
    print(f"smallest eigenvalues less accurate than theirs by more than 0.5 %: {worse.sum()}")


def resnet_points(which):
    from support.data.cifar import cifar_images

    told = json.loads((SHARED / "reference" / "resnet20_hessian.json").read_text())
    model = resnet(20)
    model.load_state_dict(load_file(SHARED / "data" / "resnet20_cifar10.safetensors"))
    batches = cifar_images(np.array(told["images"]))
    points = [(point["alpha"], point["beta"]) for point in told["points"]]
    for k in which:
        a, rows = measure_theirs(model, batches, points[k : k + 1])
        show("theirs", a, 1, rows, points[k : k + 1])
        b, rows = measure_ours(model, batches, points)
        show("ours", b, 4, rows, points)
        print(f"theirs at {points[k]} times four / ours at all four: {4 * a / b:.2f}")
    for point, (low, high, _) in zip(told["points"], rows, strict=True):
        off, further = high / point["max_eig"] - 1, low / point["min_eig"] - 1
        print(f"  against the file: largest off by {off:.2%}, smallest further down by {further:.2%}")


if __name__ == "__main__":
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if sys.argv[1:2] == ["tiny"]:
        tiny_map()
    else:
        resnet_points([int(k) for k in sys.argv[2:]] or [0])
