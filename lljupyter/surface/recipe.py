"""What a picture shows and how it was computed, in words: captions and the recipe as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lljupyter.surface.frame import measured, scaled

if TYPE_CHECKING:
    import xarray

LABELS = {
    "model_fingerprint": "Fingerprint of the weights",
    "model_b_fingerprint": "Fingerprint of the other model",
    "loss_fn": "Loss",
    "n_samples": "Samples",
    "norm": "Normalization",
    "ignore": "Ignored",
    "batchnorm": "BatchNorm statistics",
    "lljupyter_version": "lljupyter",
    "torch_version": "PyTorch",
    "explained_variance_ratio": "Explained variance",
    "trajectory_captured": "Share of the run in the plane",
}
LONGEST = 1000


def describe(dataset: xarray.Dataset) -> str:
    """Returns one or two sentences under a picture: what is drawn, over what, and what is missing.

    Args:
        dataset: On the dimensions (beta, alpha), and seed where there are several.
    """
    told = dataset.attrs
    n_beta, n_alpha = dataset.sizes["beta"], dataset.sizes["alpha"]
    line = min(n_alpha, n_beta) == 1
    direction = "delta" if n_beta == 1 else "eta"
    axis = "alpha" if n_beta == 1 else "beta"
    model = told.get("model", "a model")
    if told.get("directions") == "between":
        where = f"between {model} (alpha = 0) and another model (alpha = 1)"
    elif line:
        where = f"around {model}, theta* + {axis} {direction}"
    else:
        where = f"around {model}, theta* + alpha delta + beta eta"
    seeds = dataset["seed"].values.tolist() if "seed" in dataset.dims else [told.get("seed")]
    drawn = f"seed {seeds[0]}" if len(seeds) == 1 else f"the seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"
    how = {
        "random": f"{'A random direction' if line and len(seeds) == 1 else 'Random directions'} of {drawn}",
        "pca": "Principal directions of the training run",
        "given": "Given directions",
        "gradient": "Along the gradient",
    }.get(str(told.get("directions")), "")
    parts = ", ".join(part for part in (how, measured(told), scaled(told)) if part)
    sentences = [f"The {'line' if line else 'plane'} {where}.", *([f"{parts[0].upper()}{parts[1:]}."] if parts else [])]
    n_points = n_alpha * n_beta * len(seeds)
    done = np.asarray(dataset["evaluated"].values).sum() if "evaluated" in dataset else n_points
    if done < n_points:
        sentences.append(f"{done:,} of {n_points:,} points are evaluated, those between are interpolated.")
    captured = float(told.get("trajectory_captured", math.nan))
    if math.isfinite(captured):
        sentences.append(f"The plane holds {captured:.1%} of the variation of the training run.")
    return " ".join(sentences)


def recipe(dataset: xarray.Dataset) -> dict[str, str]:
    """Returns how a surface was computed, a label and a text for each attribute and both axes."""
    rows = {}
    for axis in ("alpha", "beta"):
        values = dataset[axis].values
        ends = f"{values[0]:.6g} to {values[-1]:.6g}, " if len(values) > 1 else f"{values[0]:.6g}, "
        rows[axis] = f"{ends}{len(values)} point{'s' * (len(values) != 1)}"
    if "evaluated" in dataset:
        rows["Evaluated"] = f"{int(dataset['evaluated'].sum()):,} of {dataset['evaluated'].size:,} points"
    told = {str(name): _text(value) for name, value in dataset.attrs.items()}
    labels = {name: LABELS.get(name, name.replace("_", " ").capitalize()) for name in told}
    first = {labels[name]: told[name] for name in ("model",) if name in told}
    return {**first, **rows, **{labels[name]: text for name, text in told.items()}}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(_text(part) for part in list(value)[:100])
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
