"""Results without their models, as widgets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lljupyter.jupyter.comparison import Comparison, compare
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.dataset import by_seed
from lljupyter.surface.io.netcdf import load

if TYPE_CHECKING:
    import xarray


def show(surface: xarray.Dataset | str | os.PathLike[str], **look: Any) -> ResultWidget | Comparison:
    """Shows a surface or a line that was computed before, without its model: everything but computing.

    To go on with a surface, pass it to its model: ``LandscapeWidget(model, loader, resume=surface)``.

    Args:
        surface: What ``loss_surface``, ``loss_line`` or ``load`` returned, or the path of a file that was saved. One
            with a dimension ``seed`` is shown as a comparison.
        **look: How it is drawn, such as ``view``, ``scale`` or ``colormap``, and ``title``, the heading; see
            ``LandscapeWidget``.

    Returns:
        A widget; its ``surface`` is the Dataset.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is no Dataset, or an option is unknown.
        ValueError: If there is nothing to draw, the file is damaged, or an option is out of range.

    Example:
        >>> show("surface.nc", view="contour")  # doctest: +SKIP
    """
    dataset = load(surface) if isinstance(surface, (str, os.PathLike)) else surface
    parts = by_seed(dataset)
    if len(parts) == 1:
        return ResultWidget(parts[0][0], **look)
    return compare(*(ResultWidget(part, **look) for part, _ in parts), names=[name for _, name in parts])
