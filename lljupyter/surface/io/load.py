"""Reads a surface or a line from a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lljupyter.process.atomic import checked_path
from lljupyter.surface.io.authors import read_h5
from lljupyter.surface.io.netcdf import read_netcdf

if TYPE_CHECKING:
    import xarray


def load(path: str | os.PathLike[str]) -> xarray.Dataset:
    """Read a surface or a line that ``save`` wrote, or an .h5 surface of the authors' code.

    Args:
        path: A ``.nc`` or ``.h5`` file.

    Returns:
        A Dataset in memory, as it was saved. Of an .h5 file: ``loss`` (and ``accuracy``, 0 to 1) on the dimensions
        (beta, alpha), or (alpha,) for a line; "train_loss" and "test_loss" if it has both.

    Raises:
        TypeError: If it is no path.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, was changed, is of a newer version or of another kind, or an attribute is
            not of its kind.
    """
    path = checked_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a saved surface, got {path}, which is not there; check the path")
    if path.suffix == ".h5":
        return read_h5(path)
    if path.suffix != ".nc":
        raise ValueError(f"expected a .nc or .h5 file, got {path}; save(dataset, 'name.nc') writes one")
    return read_netcdf(path)
