"""Writes a surface or a line, in the format that the suffix of the path names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lljupyter.process.atomic import atomic, checked_path
from lljupyter.surface.checks import check_attributes, check_directions, check_values
from lljupyter.surface.io.authors import write_h5
from lljupyter.surface.io.netcdf import write_netcdf
from lljupyter.surface.io.paraview import write_vtk

if TYPE_CHECKING:
    import xarray


def save(
    dataset: xarray.Dataset,
    path: str | os.PathLike[str],
    *,
    directions: Any = None,
    quantity: str = "loss",
    log: bool = False,
    zmax: float | None = None,
) -> None:
    """Write a surface or a line, in the format that the suffix of the path names. Never leaves a partial file.

    ``.nc`` is netCDF with all variables and the whole recipe, for ``load``. ``.h5`` is the layout of the authors' code
    (``train_loss[i, j]`` at ``xcoordinates[i]``, ``ycoordinates[j]``, accuracy in percent, -1 where not
    evaluated, so that a loss of exactly -1 is read back as not evaluated).
    ``.vts`` and ``.vtp`` are meshes that ParaView opens.

    Args:
        dataset: What ``loss_surface`` or ``loss_line`` returned, or ``w.surface``; complete or not. In netCDF a list of
            one entry, as an attribute, becomes that entry.
        path: Where to write.
        directions: ``(delta, eta)``, parameter dicts, a ``Plane`` or what ``pca_directions`` returned, saved with the
            surface: beside a ``.nc`` file as ``<name>.directions.safetensors``, within an ``.h5`` file. Random
            directions need not be saved: they follow from their seed.
        quantity: For ParaView: the quantity that is the height.
        log: For ParaView: draw log(z + 0.1), as the authors do.
        zmax: For ParaView: cut the height off there, before the logarithm.

    Raises:
        TypeError: If it is not a Dataset, or not a path, or a variable holds complex numbers or objects.
        ValueError: If the suffix is unknown, or the Dataset, one of its attributes or the directions do not fit the
            format.
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
        check_values(name, variable.values)
    pair = _pair(directions)
    path = checked_path(path)
    if path.suffix == ".nc":
        write_netcdf(dataset, path)
        if pair is not None:
            from lljupyter.geometry.direction_files import beside, save_directions  # loads torch

            save_directions(pair, beside(path), str(dataset.attrs.get("model_fingerprint", "")))
    elif path.suffix == ".h5":
        with atomic(path) as temporary:
            write_h5(dataset, temporary, pair)
    elif path.suffix in (".vts", ".vtp"):
        with atomic(path) as temporary:
            write_vtk(dataset, temporary, path.suffix, quantity=quantity, log=log, zmax=zmax)
    else:
        raise ValueError(f"expected a path that ends in .nc, .h5, .vts or .vtp, got {path}; .nc keeps everything")


def _pair(directions: Any) -> Any:
    """Return ``(delta, eta)`` of what holds directions."""
    directions = getattr(directions, "directions", directions)  # those that pca_directions returned
    if hasattr(directions, "delta"):
        directions = directions.delta, directions.eta  # a plane
    if directions is not None:
        check_directions(directions)
    return directions
