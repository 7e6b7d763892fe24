"""netCDF files with all variables, the whole recipe and a digest of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lljupyter.process.atomic import atomic
from lljupyter.surface.checks import check_attributes
from lljupyter.surface.io.hdf5 import check_readable, is_sealed, require_hdf5, seal
from lljupyter.surface.io.storable import storable

if TYPE_CHECKING:
    import xarray

FORMAT_VERSION = 1
# Attributes that are in the file only.
MARKS = ("format_version", "digest")


def write_netcdf(dataset: xarray.Dataset, path: Path) -> None:
    """Write a Dataset, read it back, and put it in its place if it is still the same.

    Args:
        dataset: The Dataset; not changed.
        path: Where to write.

    Raises:
        ImportError: If h5py or h5netcdf is missing.
        ValueError: If netCDF cannot hold something of it.
    """
    require_hdf5()
    stored = dataset.copy()
    stored.attrs = storable(dataset.attrs, "the surface")
    for name in stored.variables:
        stored[name].attrs = storable(dataset[name].attrs, f"the variable {name!r}")
    parts = _parts(stored)
    marked = stored.assign_attrs(format_version=FORMAT_VERSION, digest=_digest(parts))
    with atomic(path) as temporary:
        try:
            marked.to_netcdf(temporary, engine="h5netcdf")
            read_back = _parts(_read(temporary))
        except Exception as error:  # of names, sizes and encodings there are too many to check each before
            raise ValueError(
                f"expected a Dataset that netCDF can hold, got one that it refuses ({error}); "
                "rename or leave out what the message names"
            ) from error
        for name in {**parts, **read_back}:
            if parts.get(name) != read_back.get(name):
                raise ValueError(
                    f"expected a Dataset that netCDF can hold, got one of which {name} would be read back as "
                    "something else; convert it, such as dates to datetime64[ns], or leave it out"
                )
        seal(temporary)


def read_netcdf(path: Path) -> xarray.Dataset:
    """Read a file that ``write_netcdf`` wrote.

    Args:
        path: The file.

    Raises:
        ImportError: If h5py or h5netcdf is missing.
        ValueError: If the file is truncated, was changed, is of a newer version or of another origin.
    """
    require_hdf5()
    if not is_sealed(path):
        check_readable(path)
    try:
        dataset = _read(path)
    except Exception as error:  # for damaged files h5py raises a dozen kinds
        raise ValueError(
            f"expected a whole netCDF file, got {path}, which is cut short or damaged ({error}); "
            "restore a copy of it or compute the surface again"
        ) from error
    _check_version(dataset, path)
    if dataset.attrs.get("digest") != _digest(_parts(dataset)):
        raise ValueError(
            f"expected {path} as it was saved, got one that was changed since (its digest differs); "
            "restore a copy of it, or compute the surface again"
        )
    check_attributes(dataset.attrs, path)
    dataset.attrs = {name: value for name, value in dataset.attrs.items() if name not in MARKS}
    return dataset


def _read(path: Path) -> xarray.Dataset:
    import xarray

    dataset: xarray.Dataset = xarray.load_dataset(path, engine="h5netcdf")
    dataset.attrs = {name: _plain(value) for name, value in dataset.attrs.items()}
    return dataset


def _check_version(dataset: xarray.Dataset, path: Path) -> None:
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


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _digest(parts: Mapping[str, bytes]) -> str:
    digest = blake2b(digest_size=16)
    for part in parts.values():
        digest.update(part)
    return digest.hexdigest()


def _parts(dataset: xarray.Dataset) -> dict[str, bytes]:
    """Return all variables, in the order of their names, and the attributes, ``{what it is: bytes to hash}``."""
    parts = {}
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.asarray(variable.values)
        is_numeric = values.dtype.kind in "biuf"
        head = f"{name}:{variable.dims}:{variable.shape}:{_described(variable.attrs)};".encode()
        content = np.ascontiguousarray(values).tobytes() if is_numeric else _listed(values)
        parts[f"the variable {name!r}"] = head + content
    parts["an attribute"] = _described({k: v for k, v in dataset.attrs.items() if k not in MARKS}).encode()
    return parts


def _listed(values: np.ndarray[Any, Any]) -> bytes:
    return json.dumps(values.tolist(), default=str).encode()


def _described(attributes: Mapping[Any, Any]) -> str:
    return json.dumps({str(name): _plain(value) for name, value in attributes.items()}, sort_keys=True, default=str)
