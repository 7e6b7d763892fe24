"""Meshes for ParaView: .vts (a structured grid) and .vtp (polygons), as XML."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from lljupyter.surface.checks import check_axis, check_evaluated
from lljupyter.surface.dataset import STATES
from lljupyter.surface.style import is_finite

if TYPE_CHECKING:
    import xarray

# vtkDataSetAttributes::HIDDENPOINT: ParaView leaves out what touches such a point.
HIDDEN_POINT = 2
TYPES = {"f": "Float64", "i": "Int64", "u": "UInt8"}


def write_vtk(
    dataset: xarray.Dataset,
    path: Path,
    kind: str,
    *,
    quantity: str = "loss",
    log: bool = False,
    zmax: float | None = None,
) -> None:
    """Write a surface as a mesh whose height is a quantity; all other quantities are values of its points.

    Points that are not evaluated or not finite are holes.

    Args:
        dataset: On the dimensions (beta, alpha).
        path: Where to write.
        kind: ".vts" or ".vtp".
        quantity: The height.
        log: Whether the height is log(z + 0.1), as the authors draw it.
        zmax: The height is cut off there, before the logarithm; None for no limit.

    Raises:
        ValueError: If the Dataset is no surface, has no such quantity, or ``zmax`` is not a finite number.
    """
    values = dataset.data_vars.get(quantity) if isinstance(quantity, str) else None
    if values is None or values.dims != ("beta", "alpha") or values.dtype.kind not in "biuf":
        raise ValueError(
            f"expected a surface with {quantity!r} on the dimensions (beta, alpha), as numbers, got "
            f"{list(dataset.data_vars)} on {dict(dataset.sizes)}; name one with quantity=..."
        )
    for axis in ("alpha", "beta"):
        check_axis(dataset, axis)
    check_evaluated(dataset)
    if dataset["evaluated"].dims != ("beta", "alpha"):
        raise ValueError(
            f"expected 'evaluated' on the dimensions (beta, alpha), got {dataset['evaluated'].dims}; "
            "transpose or expand it"
        )
    if zmax is not None and not is_finite(zmax):
        raise ValueError(f"expected zmax as a finite number, got {zmax!r}; None cuts nothing off")
    z = np.array(values.values, dtype=np.float64)
    if zmax is not None:
        z = np.minimum(z, zmax)  # NaN stays NaN; infinity becomes zmax
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.log(z + 0.1) if log else z
    is_drawn = np.isfinite(z) & dataset["evaluated"].values.astype(bool)
    beta, alpha = np.meshgrid(dataset["beta"].values, dataset["alpha"].values, indexing="ij")
    points = np.stack([alpha, beta, np.where(is_drawn, z, 0.0)], axis=-1).reshape(-1, 3)
    root = ElementTree.Element("VTKFile", version="1.0", byte_order="LittleEndian", header_type="UInt64")
    piece = _structured(root, is_drawn) if kind == ".vts" else _polygons(root, is_drawn)
    data = ElementTree.Element("PointData", Scalars=quantity)
    for name, variable in dataset.data_vars.items():
        if variable.dims == ("beta", "alpha") and name not in STATES and variable.dtype.kind in "biuf":
            _array(data, str(name), np.asarray(variable.values, dtype=np.float64).ravel())
    if kind == ".vts":
        _array(data, "vtkGhostType", np.where(is_drawn, 0, HIDDEN_POINT).astype(np.uint8).ravel())
    place = ElementTree.Element("Points")
    _array(place, "Points", points.ravel(), n_components=3)
    piece.insert(0, data)
    piece.insert(1, place)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _structured(root: ElementTree.Element, is_drawn: NDArray[np.bool_]) -> ElementTree.Element:
    n_beta, n_alpha = is_drawn.shape
    extent = f"0 {n_alpha - 1} 0 {n_beta - 1} 0 0"
    root.set("type", "StructuredGrid")
    grid = ElementTree.SubElement(root, "StructuredGrid", WholeExtent=extent)
    return ElementTree.SubElement(grid, "Piece", Extent=extent)


def _polygons(root: ElementTree.Element, is_drawn: NDArray[np.bool_]) -> ElementTree.Element:
    index = np.arange(is_drawn.size).reshape(is_drawn.shape)
    low, high = slice(None, -1), slice(1, None)
    corners = (low, low), (low, high), (high, high), (high, low)  # counter-clockwise, seen from above
    quads = np.stack([index[c] for c in corners], axis=-1)
    whole = np.all([is_drawn[c] for c in corners], axis=0)
    polygons = quads[whole]
    root.set("type", "PolyData")
    data = ElementTree.SubElement(root, "PolyData")
    counts = {"NumberOfPoints": is_drawn.size, "NumberOfVerts": 0, "NumberOfLines": 0, "NumberOfStrips": 0}
    counts["NumberOfPolys"] = len(polygons)
    piece = ElementTree.SubElement(data, "Piece", {name: str(count) for name, count in counts.items()})
    polys = ElementTree.SubElement(piece, "Polys")
    _array(polys, "connectivity", polygons.ravel())
    _array(polys, "offsets", 4 * np.arange(1, len(polygons) + 1))
    return piece


def _array(parent: ElementTree.Element, name: str, values: NDArray[Any], n_components: int = 1) -> None:
    attributes = {
        "type": TYPES[values.dtype.kind],
        "Name": name,
        "NumberOfComponents": str(n_components),
        "format": "binary",
    }
    array = ElementTree.SubElement(parent, "DataArray", attributes)
    # Not as plain text: VTK cannot read NaN in it.
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    array.text = b64encode(len(content).to_bytes(8, "little") + content).decode()
