"""Figures to explore, by plotly, which is an extra: it is loaded when the first one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray


def to_plotly(surface: xarray.Dataset, *, seed: int | None = None, title: str = "", **style: Any) -> go.Figure:
    """Draw a surface or a line as a plotly Figure, with a menu of its quantities. Lines of several seeds are a band.

    Args:
        surface: What ``loss_surface``, ``loss_line``, ``interpolate``, ``convexity_map`` or ``load`` returned.
        seed: Which one of surfaces of several seeds is drawn; None for the first.
        title: A line above; "" for the name of the model.
        **style: How it is drawn, such as ``view``, ``scale``, ``quantity``, ``color``, ``colormap``, ``clip``,
            ``levels`` or ``camera``; see ``show``. The view is "surface" unless another one is asked for.

    Returns:
        A ``plotly.graph_objects.Figure``. Its button to upload to a cloud is off.

    Raises:
        ImportError: If plotly is not installed.
        TypeError: If it is not a Dataset, or an option is unknown.
        ValueError: If it has nothing to draw, or an option is out of range.
    """
    try:
        import plotly  # noqa: F401 asked for before our module, whose own errors have other causes
    except ImportError as error:
        raise ImportError(
            f"expected plotly to draw a figure to explore, got none ({error}); "
            'pip install "lljupyter[plotly]", or draw a still one with to_matplotlib(surface)'
        ) from error
    from lljupyter.surface.draw.plotly import to_plotly as draw

    return draw(surface, seed=seed, title=title, **style)
