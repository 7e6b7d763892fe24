"""How many points ``tolerance`` evaluates, and how far off it is, against all 2,601 points of a ResNet-20 plane.

    python tests/benchmarks/tolerance.py [--tolerance 0.01] [--truth surface.npy] [--seed 1]

The plane is that of ``../shared/reference/resnet20_filter_biasbn.h5``, with its 500 test images of CIFAR-10. All
points take some minutes; ``--truth`` keeps them in a file, or takes them from it. With ``--seed`` it is another plane.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import load_file

from lljupyter import load_directions, loss_surface, zoo

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.data.cifar import cifar_images
from support.reference import SHARED


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tolerance", type=float, nargs="+", default=[0.01])
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    path = SHARED / "reference" / "resnet20_filter_biasbn.h5"
    model = zoo.resnet(20)
    model.load_state_dict(load_file(SHARED / "data" / "resnet20_cifar10.safetensors"))
    with h5py.File(path) as file:
        loader = cifar_images(file["indices"][()])
    plane = {"directions": load_directions(path, model)} if options.seed is None else {"seed": options.seed}
    if options.truth is not None and options.truth.exists():
        truth = np.load(options.truth)
    else:
        truth = loss_surface(model, loader, **plane).loss.values
        if options.truth is not None:
            np.save(options.truth, truth)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| tolerance | evaluated | share | median error of the rest | 95th percentile | told: median | 95th |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for tolerance in options.tolerance:
        found = loss_surface(model, loader, **plane, tolerance=tolerance, progress=False)
        known = found.evaluated.values
        errors = np.abs(found.loss_predicted.values / truth - 1)[~known]
        told = found.attrs
        print(
            f"| {tolerance} | {known.sum()} | 1/{known.size / known.sum():.1f} | {np.median(errors):.2%} | "
            f"{np.quantile(errors, 0.95):.2%} | {told['predicted_error_median']:.2%} | "
            f"{told['predicted_error_p95']:.2%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
