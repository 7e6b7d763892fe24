"""Made-up results, as ``loss_surface`` and the others return them, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray

from lljupyter.surface.dataset import add_trajectory, surface_dataset

RECIPE = {
    "model": "ResNet",
    "model_fingerprint": "0123456789abcdef",
    "directions": "random",
    "norm": "filter",
    "ignore": "biasbn",
    "batchnorm": "eval",
    "loss_fn": "cross-entropy",
    "n_samples": 1200,
    "seed": 3,
    "lljupyter_version": "0.1.0",
}


def made_surface(n_alpha: int = 31, n_beta: int = 25, steep: float = 1.0, **attributes: Any) -> xarray.Dataset:
    """A bowl with bumps, steeper along beta, with loss and accuracy; not symmetric in any way."""
    alpha, beta = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (n_alpha, n_beta))
    x, y = np.meshgrid(alpha, beta)
    loss = 0.02 + steep * (2 * x**2 + 4 * y**2 + 0.8 * x * y + 0.5 * x**3) + 0.3 * (1 - np.cos(5 * x - 3 * y))
    accuracy = 0.1 + 0.89 * np.exp(-0.6 * loss)
    values = {"loss": loss, "loss_stderr": 0.02 * loss, "accuracy": accuracy, "accuracy_stderr": 0 * loss + 0.01}
    return surface_dataset(alpha, beta, values, np.ones_like(loss, dtype=bool), {**RECIPE, **attributes})


def made_line(**attributes: Any) -> xarray.Dataset:
    """Training and test loss and accuracy between two models."""
    alpha = np.linspace(-0.5, 1.5, 41)
    attributes = {**RECIPE, "directions": "between", **attributes}
    line = xarray.Dataset(coords={"alpha": alpha}, attrs=attributes)
    for part, shift in (("train", 0.0), ("test", 0.35)):
        loss = 0.1 + shift + 3 * (alpha * (1 - alpha)) ** 2 + 2 * np.maximum(0, np.abs(alpha - 0.5) - 0.5)
        line[f"{part}_loss"] = ("alpha", loss)
        line[f"{part}_accuracy"] = ("alpha", np.exp(-loss))
    return line.assign(evaluated=("alpha", np.ones(41, dtype=bool)))


def made_trajectory(n: int = 12, **attributes: Any) -> xarray.Dataset:
    """A bowl in the principal plane of a training run that ends in its middle."""
    shares = {"directions": "pca", "explained_variance_ratio": [0.72, 0.21]}
    surface = made_surface(**{**shares, **attributes})
    left = np.linspace(1, 0, n)
    path = {
        "alpha": 0.9 * left,
        "beta": 0.7 * left**2 - 0.3 * left,
        "outside": 0.3 * left,
        "loss": 3.5 * left**2 + 0.02,
        "accuracy": 1 - 0.8 * left,
        "learning_rate": np.where(left > 0.5, 0.1, 0.01),
    }
    return add_trajectory(surface, [f"epoch {i}" for i in range(n)], path, 0.93)


def made_seeds() -> xarray.Dataset:
    """Surfaces of two seeds, stacked."""
    parts = [made_surface(11, 9, steep, seed=seed) for seed, steep in ((3, 1.0), (4, 1.5))]
    for part in parts:
        part.attrs.pop("seed")
    return xarray.concat(parts, dim="seed", combine_attrs="override").assign_coords(seed=[3, 4])


def made_half() -> xarray.Dataset:
    """Every second point along both axes; some are not finite."""
    surface = made_surface(17, 17)
    evaluated = np.zeros((17, 17), dtype=bool)
    evaluated[::2, ::2] = True
    values = {str(name): np.where(evaluated, array, np.nan) for name, array in surface.drop_vars("evaluated").items()}
    values["loss"][2:6, 4:7] = np.nan
    values["loss"][0, 0] = np.inf
    return surface_dataset(surface.alpha.values, surface.beta.values, values, evaluated, surface.attrs)


def made_lines() -> xarray.Dataset:
    lines = [made_surface(41, 1, steep).isel(beta=0, drop=True) for steep in (1.0, 2.0, 1.4)]
    return xarray.concat(lines, dim="seed").assign_coords(seed=[3, 4, 5])
