"""Surfaces on disk: netCDF with the whole recipe, the authors' .h5, and files for ParaView."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lljupyter.process.atomic import atomic, checked_path
from lljupyter.surface.checks import check_attributes, check_storable, check_values
from lljupyter.surface.io.authors import read_h5, write_h5
from lljupyter.surface.io.paraview import write_vtk

if TYPE_CHECKING:
    import xarray

FORMAT_VERSION = 1
MARKS = ("format_version", "digest")


def save(
    dataset: xarray.Dataset,
    path: str | os.PathLike[str],
    *,
    directions: Any = None,
    quantity: str = "loss",
    log: bool = False,
    zmax: float | None = None,
) -> None:
    """Writes a surface or a line, in the format that the suffix of the path says. The file is whole or not there.

    ``.nc`` is netCDF with all variables and the whole recipe, for ``load``. ``.h5`` is the layout of the authors' code
    (``train_loss[i, j]`` at ``xcoordinates[i]``, ``ycoordinates[j]``, accuracy in percent, -1 where not
    evaluated, so that a loss of exactly -1 is read back as not evaluated).
    ``.vts`` and ``.vtp`` are meshes that ParaView opens.

    Args:
        dataset: What ``loss_surface`` or ``loss_line`` returned, or ``w.surface``; complete or not.
        path: Where to write.
        directions: ``(delta, eta)``, parameter dicts, a ``Plane`` or what ``pca_directions`` returned, kept with the
            surface: beside a ``.nc`` file as ``<name>.directions.safetensors``, within an ``.h5`` file. Random ones
            have their seed.
        quantity: For ParaView: what is the height.
        log: For ParaView: draw log(z + 0.1), as the authors do.
        zmax: For ParaView: cut the height off there, before the logarithm.

    Raises:
        TypeError: If it is no Dataset, or no path, or a variable holds complex numbers or objects.
        ValueError: If the suffix is unknown, the Dataset does not fit the format, or an attribute is not what it has to
            be.
    """
    if not hasattr(dataset, "data_vars"):
        raise TypeError(
            f"expected a Dataset to save, got {type(dataset).__name__}; pass what loss_surface returned, or w.surface"
        )
    if "evaluated" not in dataset:
        raise ValueError(
            f"expected a surface or a line to save, got {list(dataset.data_vars)} without 'evaluated'; "
            "pass what loss_surface returned, whole"
        )
    check_attributes(dataset.attrs)
    for name, variable in dataset.variables.items():
        check_values(str(name), variable.values)
    directions = getattr(directions, "directions", directions)  # those that pca_directions returned
    if hasattr(directions, "delta"):
        directions = directions.delta, directions.eta  # a plane
    path = checked_path(path)
    if path.suffix == ".nc":
        _write_netcdf(dataset, path)
        if directions is not None:
            from lljupyter.geometry.direction_files import beside, save_directions  # brings torch in

            save_directions(directions, beside(path), str(dataset.attrs.get("model_fingerprint", "")))
    elif path.suffix == ".h5":
        with atomic(path) as temporary:
            write_h5(dataset, temporary, directions)
    elif path.suffix in (".vts", ".vtp"):
        with atomic(path) as temporary:
            write_vtk(dataset, temporary, path.suffix, quantity=quantity, log=log, zmax=zmax)
    else:
        raise ValueError(f"expected a path that ends in .nc, .h5, .vts or .vtp, got {path}; .nc keeps everything")


def load(path: str | os.PathLike[str]) -> xarray.Dataset:
    """Reads a surface or a line that ``save`` wrote, or an .h5 surface of the authors' code.

    Args:
        path: A ``.nc`` or ``.h5`` file.

    Returns:
        A Dataset in memory, as it was saved. Of an .h5 file: ``loss`` (and ``accuracy``, 0 to 1) on the dimensions
        (beta, alpha), or (alpha,) for a line; "train_loss" and "test_loss" where it has both.

    Raises:
        TypeError: If it is no path.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut short, was changed, is of a newer version or of another kind, or an attribute is
            not what it has to be.
    """
    path = checked_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a saved surface, got {path}, which is not there; check the path")
    if path.suffix == ".h5":
        return read_h5(path)
    if path.suffix != ".nc":
        raise ValueError(f"expected a .nc or .h5 file, got {path}; save(dataset, 'name.nc') writes one")
    return _read_netcdf(path)


def _write_netcdf(dataset: xarray.Dataset, path: Path) -> None:
    for attributes in (dataset.attrs, *(variable.attrs for variable in dataset.variables.values())):
        check_storable(attributes)
    marked = dataset.assign_attrs(format_version=FORMAT_VERSION, digest=_digest(dataset))
    with atomic(path) as temporary:
        marked.to_netcdf(temporary, engine="h5netcdf")


def _read_netcdf(path: Path) -> xarray.Dataset:
    import xarray

    try:
        dataset: xarray.Dataset = xarray.load_dataset(path, engine="h5netcdf")
    except Exception as error:  # h5py raises a dozen kinds for a damaged file
        raise ValueError(
            f"expected a whole netCDF file, got {path}, which is cut short or damaged ({error}); "
            "restore a copy of it or compute the surface again"
        ) from error
    dataset.attrs = {name: _plain(value) for name, value in dataset.attrs.items()}
    version = dataset.attrs.get("format_version")
    if version is None:
        raise ValueError(
            f"expected a file that lljupyter saved, got {path} without a format version; "
            "open netCDF of other origin with xarray.open_dataset"
        )
    if isinstance(version, bool) or not isinstance(version, int):
        raise ValueError(
            f"expected the attribute 'format_version' of {path} as a whole number, got {version!r}; "
            "restore a copy of the file, or compute the surface again"
        )
    if version > FORMAT_VERSION:
        raise ValueError(
            f"expected a file of format version {FORMAT_VERSION} or older, got {path} of version {version}, written by "
            f"lljupyter {dataset.attrs.get('lljupyter_version')}; upgrade with pip install -U lljupyter"
        )
    if dataset.attrs.get("digest") != _digest(dataset):
        raise ValueError(
            f"expected {path} as it was saved, got one that was changed since (its digest differs); "
            "restore a copy of it, or compute the surface again"
        )
    check_attributes(dataset.attrs, path)
    dataset.attrs = {name: value for name, value in dataset.attrs.items() if name not in MARKS}
    return dataset


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _digest(dataset: xarray.Dataset) -> str:
    """Hashes all variables and attributes."""
    digest = blake2b(digest_size=16)
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        digest.update(f"{name}:{variable.dims}:{variable.shape}:{_described(variable.attrs)};".encode())
        values = np.asarray(variable.values)
        numeric = values.dtype.kind in "biuf"
        digest.update(np.ascontiguousarray(values).tobytes() if numeric else json.dumps(values.tolist()).encode())
    digest.update(_described({k: v for k, v in dataset.attrs.items() if k not in MARKS}).encode())
    return digest.hexdigest()


def _described(attributes: Mapping[Any, Any]) -> str:
    return json.dumps({str(name): _plain(value) for name, value in attributes.items()}, sort_keys=True, default=str)
