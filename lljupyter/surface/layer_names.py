"""Names of layers, and which layers belong together, as in the viewer (``js/src/model/layerNames.ts``).

``train_loss_stderr`` is the standard error of the loss of the loader "train".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# Layers that are computed from the Hessian.
HESSIAN_LAYERS = {
    "lambda_min": "Smallest eigenvalue",
    "lambda_max": "Largest eigenvalue",
    "convexity": "Convexity |λmin/λmax|",
    "hvps": "Hessian-vector products",
    "residual_min": "Residual of the smallest",
    "residual_max": "Residual of the largest",
}
OTHER = {"loss": "accuracy", "accuracy": "loss"}


class LayerName(NamedTuple):
    """The parts of the name of a layer.

    Attributes:
        loader: Empty if there is a single loader.
        base: The quantity without its loader, such as "loss".
        is_error: Whether it is a standard error.
    """

    loader: str
    base: str
    is_error: bool


def parse_layer_name(name: str) -> LayerName:
    """Split the name of a layer into its parts."""
    found = re.fullmatch(r"(?:(.+)_)?(loss|accuracy)(_stderr)?", name, re.DOTALL)
    return LayerName(found[1] or "", found[2], found[3] is not None) if found else LayerName("", name, False)


def siblings(names: Iterable[str], quantity: str) -> list[str]:
    """Return the same quantity of all loaders, such as "train_loss" and "test_loss", in the order of the names."""
    base = parse_layer_name(quantity).base
    if parse_layer_name(quantity).is_error:
        return [quantity]
    same = [name for name in names if parse_layer_name(name).base == base and not parse_layer_name(name).is_error]
    return same or [quantity]


def second_quantity(names: Iterable[str], quantity: str, color: str | None = None) -> str | None:
    """Return the quantity on the second axis of a line, or None.

    It is the layer chosen to color, else the accuracy beside a loss and the loss beside an accuracy, of one loader.

    Args:
        names: All layers.
        quantity: The one on the first axis.
        color: The layer chosen to color, or None.
    """
    loader, base, is_error = parse_layer_name(quantity)
    if color is not None and parse_layer_name(color).base != base:
        return color
    if base not in OTHER or is_error:
        return None
    other = f"{loader}_{OTHER[base]}" if loader else OTHER[base]
    return other if other in set(names) else None


def quantity_name(name: str) -> str:
    """Name a layer in a picture: "train_loss_stderr" is "Train loss, standard error"; unknown layers keep their key."""
    loader, base, is_error = parse_layer_name(name)
    if base not in OTHER:
        return HESSIAN_LAYERS.get(name, name.replace("_", " "))
    text = f"{loader} {base}".strip().replace("_", " ")
    return text[:1].upper() + text[1:] + (", standard error" if is_error else "")


def is_percent(name: str) -> bool:
    """Return True for layers that hold a share (0 to 1), shown in percent."""
    return parse_layer_name(name).base == "accuracy"


def is_hessian_layer(name: str) -> bool:
    """Return True for layers that are computed from the Hessian."""
    return name in HESSIAN_LAYERS
