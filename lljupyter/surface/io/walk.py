"""Read a whole netCDF file in a separate process: ``python -m lljupyter.surface.io.walk surface.nc``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

# Of one variable. Damaged files may say that they hold more than there is memory.
MOST_BYTES = 2**30


def walk(path: str) -> None:
    """Read all variables and attributes of a netCDF file as xarray does.

    Args:
        path: The file.

    Raises:
        ValueError: If a variable is larger than ``MOST_BYTES``.
        Exception: Of many kinds, if the file is damaged.
    """
    import h5netcdf
    import h5py

    with h5py.File(path) as plain:
        dict(plain.attrs)
        for item in plain.values():
            dict(item.attrs)
    with h5netcdf.File(path) as file:
        dict(file.attrs)
        for name, variable in file.variables.items():
            check_size(name, variable.shape, variable.dtype)
            dict(variable.attrs)
            variable[...]


def check_size(name: str, shape: tuple[int, ...] | None, dtype: Any) -> None:
    """Check that an array has room in memory.

    Raises:
        ValueError: If it is larger than ``MOST_BYTES``.
    """
    n_bytes = float(np.prod([float(n) for n in shape or ()])) * np.dtype(dtype).itemsize
    if n_bytes > MOST_BYTES:
        raise ValueError(f"{name!r} of shape {shape} would take {n_bytes / 2**30:,.0f} GiB")


if __name__ == "__main__":
    walk(sys.argv[1])
