"""The .h5 files of the authors' published code (Li et al. 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

# Their "not computed yet".
NOT_YET = -1.0
THEIR_NAMES = {"lambda_max": "max_eig", "lambda_min": "min_eig"}


def read_h5(path: Path) -> xarray.Dataset:
    """Reads a surface or a line, see ``load``.

    ``train_loss[i, j]`` belongs to ``xcoordinates[i]``, ``ycoordinates[j]``. Differs from a file that their
    ``plot_surface.py`` wrote itself (it has the key ``dir_file``): that stores points with x fastest whatever the
    shape, so it is read that way round.
    """
    import h5py
    import xarray

    try:
        with h5py.File(path) as file:
            stored = {name: np.asarray(file[name][()]) for name in file if isinstance(file[name], h5py.Dataset)}
    except OSError as error:
        raise ValueError(
            f"expected an .h5 file of the authors' code, got {path}, which is cut short or damaged ({error})"
        ) from error
    arrays = {name: array for name, array in stored.items() if name.split("_")[-1] in ("loss", "acc", "eig")}
    if "xcoordinates" not in stored or not arrays:
        raise ValueError(
            f"expected xcoordinates and train_loss (or test_loss, max_eig) in {path}, got {sorted(stored)[:8]}; "
            "a file with directions only is read by load_directions(path, model)"
        )
    alpha, beta = stored["xcoordinates"], stored.get("ycoordinates")
    shape = (len(alpha),) if beta is None else (len(alpha), len(beta))
    if wrong := [name for name, array in arrays.items() if array.shape != shape]:
        raise ValueError(
            f"expected {wrong[0]} of shape {shape} as the coordinates say, got {arrays[wrong[0]].shape} in {path}"
        )
    dims = ("alpha",) if beta is None else ("beta", "alpha")
    x_fastest = "dir_file" in stored
    plain = "test_loss" not in arrays
    variables: dict[str, Any] = {}
    done = np.ones(shape[::-1], dtype=bool)
    for name, array in arrays.items():
        turned = array.reshape(shape[::-1]) if x_fastest else array.T
        known = turned != NOT_YET
        if name.endswith("_eig"):
            name = {theirs: ours for ours, theirs in THEIR_NAMES.items()}.get(name, name)
            known = np.ones_like(known)  # an eigenvalue may well be -1
        else:
            name = (name.removeprefix("train_") if plain else name).replace("acc", "accuracy")
            turned = turned / 100 if name.endswith("accuracy") else turned
        variables[name] = (dims, np.where(known, turned, np.nan))
        done &= known
    coordinates = {"alpha": alpha} if beta is None else {"beta": beta, "alpha": alpha}
    attributes = {"source": f"authors' file {path.name}", "directions": "given"}
    return xarray.Dataset({**variables, "evaluated": (dims, done)}, coordinates, attributes)


def write_h5(dataset: xarray.Dataset, path: Path, directions: Any = None) -> None:
    """Writes a surface or a line in the authors' layout, see ``save``.

    Args:
        dataset: On the dimensions (beta, alpha), or (alpha,).
        path: Where to write.
        directions: ``(delta, eta)``, parameter dicts, or None.
    """
    import h5py

    if not set(dataset["evaluated"].dims) <= {"alpha", "beta"}:
        raise ValueError(
            f"expected one surface or line for an .h5 file, got the dimensions {dataset['evaluated'].dims}; "
            "choose one, such as dataset.isel(seed=0)"
        )
    done = dataset["evaluated"].values.T
    with h5py.File(path, "w") as file:
        file["xcoordinates"] = dataset["alpha"].values
        if "beta" in dataset["evaluated"].dims:
            file["ycoordinates"] = dataset["beta"].values
        for name, variable in dataset.data_vars.items():
            kind = str(name)
            if kind in THEIR_NAMES:
                file[THEIR_NAMES[kind]] = variable.values.T
            elif kind.endswith(("loss", "accuracy")) and set(variable.dims) <= {"alpha", "beta"}:
                values = variable.values.T * (100 if kind.endswith("accuracy") else 1)
                theirs = kind.replace("accuracy", "acc")
                file[theirs if "_" in theirs else f"train_{theirs}"] = np.where(done, values, NOT_YET)
        for group, direction in zip(("xdirection", "ydirection"), directions or (), strict=False):
            for index, part in enumerate(direction.values()):
                file[f"{group}/{index}"] = part.detach().cpu().float().numpy()
