"""Results without their models, as widgets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lljupyter.compute.signatures import takes
from lljupyter.jupyter.comparison import Comparison, compare
from lljupyter.jupyter.options import RESULT_DEFAULTS, STYLE_TABLES, ResultOptions
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.dataset import by_seed
from lljupyter.surface.io.load import load

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack


@takes(ResultOptions, RESULT_DEFAULTS, STYLE_TABLES)
def show(
    surface: xarray.Dataset | str | os.PathLike[str], **options: Unpack[ResultOptions]
) -> ResultWidget | Comparison:
    """Show a surface or a line that was computed before, without its model.

    To resume its computation, pass it to a widget of its model: ``LandscapeWidget(model, loader, resume=surface)``.

    Args:
        surface: What ``loss_surface``, ``loss_line`` or ``load`` returned, or the path of a file that was saved. One
            with a dimension ``seed`` is shown as a comparison.
        **options: See ``ResultOptions``.

    Returns:
        A widget; its ``surface`` is the Dataset.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is not a Dataset, or an option is unknown.
        ValueError: If there is nothing to draw, the file is damaged, or an option is out of range.

    Example:
        >>> show("surface.nc", view="contour")  # doctest: +SKIP
    """
    dataset = load(surface) if isinstance(surface, (str, os.PathLike)) else surface
    parts = by_seed(dataset)
    if len(parts) == 1:
        return ResultWidget(parts[0][0], **options)
    return compare(*(ResultWidget(part, **options) for part, _ in parts), names=[name for _, name in parts])
