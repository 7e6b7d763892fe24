"""Captions: what a picture shows, how it was computed, and the recipe as a table."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lljupyter.surface.formats import format_fixed
from lljupyter.surface.frame import measured, scaled

if TYPE_CHECKING:
    import xarray

LABELS = {
    "model_fingerprint": "Fingerprint of the weights",
    "model_b_fingerprint": "Fingerprint of the other model",
    "directions_fingerprint": "Fingerprint of the directions",
    "orthogonalized": "Directions made orthogonal",
    "marks": "Named points (alpha, beta)",
    "center_on_grid": "Center is a grid point",
    "loss_fn": "Loss",
    "loss_reduction": "Loss of the set",
    "draws": "Draws per batch",
    "warnings": "Warnings",
    "failure": "First error of a point",
    "trajectory_failure": "First error of a checkpoint",
    "n_samples": "Samples",
    "norm": "Normalization",
    "ignore": "Ignored",
    "filters": "Filters along",
    "parameters": "Parameters that move",
    "parameters_fingerprint": "Fingerprint of their names",
    "batchnorm": "BatchNorm statistics",
    "precision": "Precision of the computation",
    "outputs_precision": "Precision of the outputs",
    "precision_option": "Requested precision",
    "precision_error": "Error of reduced precision",
    "evaluation": "Strategy",
    "evaluation_seconds": "Seconds per point of each strategy",
    "hessian_over": "Hessian over",
    "hessian_tol": "Tolerance of eigenvalues",
    "hessian_n_samples": "Samples of the Hessian",
    "tolerance": "Tolerance of predictions",
    "predicted_error_median": "Median error of predictions",
    "predicted_error_p95": "Error of 95 % of predictions",
    "n_evaluated": "Evaluated points",
    "n_held_back": "Held-out points",
    "lljupyter_version": "lljupyter",
    "torch_version": "PyTorch",
    "explained_variance_ratio": "Explained variance",
    "trajectory_captured": "Captured share of the path's variation",
}
YES_OR_NO = ("orthogonalized", "center_on_grid")
LONGEST = 1000


def describe(dataset: xarray.Dataset) -> str:
    """Return a few sentences below a picture: what is drawn, over which plane, and what is missing.

    Args:
        dataset: On the dimensions (beta, alpha), and seed if there are several.
    """
    attributes = dataset.attrs
    n_beta, n_alpha = dataset.sizes["beta"], dataset.sizes["alpha"]
    line, point = min(n_alpha, n_beta) == 1, n_alpha * n_beta == 1
    direction = "delta" if n_beta == 1 else "eta"
    axis = "alpha" if n_beta == 1 else "beta"
    model = attributes.get("model", "a model")
    what = "line" if line else "plane"
    if point:
        alpha, beta = (float(dataset[name].values[0]) for name in ("alpha", "beta"))
        what = f"point alpha = {alpha:g}" + (f", beta = {beta:g}" if attributes.get("directions") != "between" else "")
    if attributes.get("directions") == "between":
        where = f"between {model} (alpha = 0) and another model (alpha = 1)"
    elif line and not point:
        where = f"around {model}, theta* + {axis} {direction}"
    else:
        where = f"around {model}, theta* + alpha delta + beta eta"
    seeds = dataset["seed"].values.tolist() if "seed" in dataset.dims else [attributes.get("seed")]
    drawn = f"seed {seeds[0]}" if len(seeds) == 1 else f"the seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"
    one = line and not point and len(seeds) == 1
    how = {
        "random": f"{'A random direction' if one else 'Random directions'} of {drawn}",
        "pca": "Principal directions of the training run",
        "given": "Given directions",
    }.get(str(attributes.get("directions")), "")
    parts = ", ".join(part for part in (how, measured(attributes), scaled(attributes)) if part)
    sentences = [f"The {what} {where}.", *([f"{parts[0].upper()}{parts[1:]}."] if parts else [])]
    if line and len(seeds) > 1:
        sentences.append(f"Drawn are the {seeds_text(len(seeds))}.")
    n_points = n_alpha * n_beta * len(seeds)
    done = np.asarray(dataset["evaluated"].values).sum() if "evaluated" in dataset else n_points
    if done < n_points:
        sentences.append(f"{done:,} of {n_points:,} points are evaluated, those between are interpolated.")
    if "failed" in dataset and (n_failed := int(np.asarray(dataset["failed"].values).sum())):
        failure = " ".join(str(attributes.get("failure", "")).split())
        sentences.append(f"{holes_text(n_failed, n_points)}{f', at first {failure}' if failure else ''}.")
    captured = float(attributes.get("trajectory_captured", math.nan))
    if math.isfinite(captured):
        sentences.append(f"{captured_text(captured)}.")
    return " ".join(sentences)


def recipe(dataset: xarray.Dataset) -> dict[str, str]:
    """Return how a surface was computed: a label and a text for every attribute and for both axes."""
    rows = {}
    for axis in ("alpha", "beta"):
        values = dataset[axis].values
        ends = f"{values[0]:.6g} to {values[-1]:.6g}, " if len(values) > 1 else f"{values[0]:.6g}, "
        rows[axis] = f"{ends}{len(values)} point{'s' * (len(values) != 1)}"
    if "evaluated" in dataset:
        rows["Evaluated"] = f"{int(dataset['evaluated'].sum()):,} of {dataset['evaluated'].size:,} points"
    if "failed" in dataset:
        rows["Failed"] = f"{int(dataset['failed'].sum()):,} of {dataset['failed'].size:,} points"
    texts = {str(name): _text(value) for name, value in dataset.attrs.items()}
    texts |= {name: {"0": "no", "1": "yes"}.get(texts[name], texts[name]) for name in YES_OR_NO if name in texts}
    labels = {name: LABELS.get(name, name.replace("_", " ").capitalize()) for name in texts}
    first = {labels[name]: texts[name] for name in ("model",) if name in texts}
    return {**first, **rows, **{labels[name]: text for name, text in texts.items()}}


def captured_text(captured: float) -> str:
    """Return the share of the variation of a training path that the plane captures, as the viewer words it."""
    digits = 1 if captured > 0.995 or captured < 0.01 else 0
    return f"The plane captures {format_fixed(100 * captured, digits)} % of the path\u2019s variation"


def holes_text(n_failed: int, n_points: int) -> str:
    """Return how many points of a surface have no value because model or loss raised."""
    return f"No value at {n_failed:,} of {n_points:,} points, where the model or the loss failed"


def seeds_text(n: int) -> str:
    """Return what is drawn of a line with several seeds, as the viewer words it."""
    return f"median and quartiles of {n} seeds"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(_text(part) for part in list(value)[:100])
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    text = str(value)
    if text.startswith("{") and text.endswith("}"):
        text = _listed(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _listed(text: str) -> str:
    """Return the entries of a JSON object, "a (0, 0), b (1, 0.25)"; any other text unchanged."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply to read
        return text
    written = (
        (name, f"({_text(value)})" if isinstance(value, list) else _text(value)) for name, value in entries.items()
    )
    return ", ".join(f"{name} {value}" for name, value in written)
