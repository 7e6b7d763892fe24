"""The .h5 files of the authors' published code (Li et al. 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.surface.checks import check_axis, check_evaluated
from lljupyter.surface.io.hdf5 import require_hdf5
from lljupyter.surface.io.walk import check_size

if TYPE_CHECKING:
    import h5py
    import xarray

# Their "not computed yet".
NOT_YET = -1.0
THEIR_NAMES = {"lambda_max": "max_eig", "lambda_min": "min_eig"}
OUR_NAMES = {theirs: ours for ours, theirs in THEIR_NAMES.items()}
AXES = ("xcoordinates", "ycoordinates")


def read_h5(path: Path) -> xarray.Dataset:
    """Read a surface or a line, see ``load``.

    ``train_loss[i, j]`` belongs to ``xcoordinates[i]``, ``ycoordinates[j]``. Differs from a file that their
    ``plot_surface.py`` wrote itself (it has the key ``dir_file``): that stores points with x fastest whatever the
    shape, so it is read that way round.

    Args:
        path: The file.

    Raises:
        ImportError: If h5py is missing.
        ValueError: If the file is damaged or of another kind.
    """
    require_hdf5()
    import h5py
    import xarray

    try:
        with h5py.File(path) as file:
            names = sorted(file)
            stored = {name: _numbers(file, name) for name in names if name in AXES or _is_quantity(name)}
    except Exception as error:  # for damaged files h5py raises a dozen kinds
        raise ValueError(
            f"expected an .h5 file of the authors' code, got {path}, which is cut short or damaged ({error}); "
            "restore a copy of it"
        ) from error
    arrays = {name: array for name, array in stored.items() if name not in AXES}
    if "xcoordinates" not in stored or not arrays:
        raise ValueError(
            f"expected xcoordinates and train_loss (or test_loss, max_eig) in {path}, got {names[:8]}; "
            "a file with directions only is read by load_directions(path, model)"
        )
    for axis in AXES:
        _check_axis(axis, stored.get(axis), path)
    alpha, beta = stored["xcoordinates"], stored.get("ycoordinates")
    shape = (len(alpha),) if beta is None else (len(alpha), len(beta))
    if wrong := [name for name, array in arrays.items() if array.shape != shape]:
        raise ValueError(
            f"expected {wrong[0]} of shape {shape} as the coordinates say, got {arrays[wrong[0]].shape} in {path}; "
            "restore a copy of the file"
        )
    dims = ("alpha",) if beta is None else ("beta", "alpha")
    evaluated = np.ones(shape[::-1], dtype=bool)
    variables: dict[str, Any] = {}
    for name, array in arrays.items():
        values = array.reshape(shape[::-1]) if "dir_file" in names else array.T
        is_known = (values != NOT_YET) | name.endswith("_eig")  # an eigenvalue may well be -1
        variables[_our_name(name, arrays)] = (dims, np.where(is_known, _our_unit(name, values), np.nan))
        evaluated &= is_known
    coordinates = {"alpha": alpha} if beta is None else {"beta": beta, "alpha": alpha}
    attributes = {"source": f"authors' file {path.name}", "directions": "given"}
    return xarray.Dataset({**variables, "evaluated": (dims, evaluated)}, coordinates, attributes)


def write_h5(dataset: xarray.Dataset, path: Path, directions: Any = None) -> None:
    """Write a surface or a line in the authors' layout, see ``save``.

    Args:
        dataset: On the dimensions (beta, alpha), or (alpha,).
        path: Where to write.
        directions: ``(delta, eta)``, parameter dicts, or None.

    Raises:
        ImportError: If h5py is missing.
        ValueError: If it is no single surface or line.
    """
    require_hdf5()
    import h5py

    dims = dataset["evaluated"].dims
    if not ("alpha" in dims and set(dims) <= {"alpha", "beta"}):
        raise ValueError(
            f"expected one surface or line for an .h5 file, got the dimensions {dims}; choose one, such as "
            "dataset.isel(seed=0), on (beta, alpha) or (alpha,)"
        )
    for axis in dims:
        check_axis(dataset, str(axis))
    check_evaluated(dataset)
    transposed = dataset.transpose("alpha", "beta", ..., missing_dims="ignore")
    evaluated = transposed["evaluated"].values.astype(bool)
    with h5py.File(path, "w") as file:
        file["xcoordinates"] = dataset["alpha"].values
        if "beta" in dims:
            file["ycoordinates"] = dataset["beta"].values
        for name, variable in transposed.data_vars.items():
            kind = str(name)
            if set(variable.dims) != set(dims) or variable.dtype.kind not in "biuf" or "/" in kind:
                continue
            if kind in THEIR_NAMES:
                file[THEIR_NAMES[kind]] = variable.values
            elif kind.endswith(("loss", "accuracy")):
                values = variable.values * (100 if kind.endswith("accuracy") else 1)
                theirs = kind.replace("accuracy", "acc")
                file[theirs if "_" in theirs else f"train_{theirs}"] = np.where(evaluated, values, NOT_YET)
        for group, direction in zip(("xdirection", "ydirection"), directions or (), strict=False):
            for index, part in enumerate(direction.values()):
                file[f"{group}/{index}"] = part.detach().cpu().float().numpy()


def _is_quantity(name: str) -> bool:
    return name.split("_")[-1] in ("loss", "acc", "eig")


def _numbers(file: h5py.File, name: str) -> NDArray[Any]:
    """Return an array of the file."""
    item = file[name]
    if not hasattr(item, "dtype") or item.dtype.kind not in "biuf" or item.shape is None:
        raise ValueError(f"{name!r} holds no array of numbers")
    check_size(name, item.shape, item.dtype)
    return np.asarray(item[()])


def _check_axis(name: str, values: NDArray[Any] | None, path: Path) -> None:
    if values is not None and (values.ndim != 1 or not len(values)):
        raise ValueError(
            f"expected {name} of {path} as a list of numbers, got an array of shape {values.shape}; "
            "restore a copy of the file"
        )


def _our_name(name: str, names: Any) -> str:
    """Return our name of one of their quantities; the training data of a file without test data need no prefix."""
    if name.endswith("_eig"):
        return OUR_NAMES.get(name, name)
    return (name if "test_loss" in names else name.removeprefix("train_")).replace("acc", "accuracy")


def _our_unit(name: str, values: NDArray[Any]) -> NDArray[Any]:
    return values / 100 if name.endswith("acc") else values
