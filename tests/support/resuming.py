"""What the tests of resume share."""

from __future__ import annotations

import numpy as np
import xarray
from support.data import tiny

from lljupyter import (
    between,
    interpolate,
    loss_line,
)

QUIET = {"progress": False}


def partly(whole: xarray.Dataset, n: int = 9) -> xarray.Dataset:
    """A surface or line as it was when only n points were evaluated."""
    known = np.zeros(whole.evaluated.size, dtype=bool)
    known[np.random.default_rng(0).permutation(known.size)[:n]] = True
    evaluated = whole.evaluated.copy(data=known.reshape(whole.evaluated.shape))
    on_the_grid = [name for name, part in whole.items() if part.dims == evaluated.dims]
    return whole.assign({name: whole[name].where(evaluated) for name in on_the_grid}).assign(evaluated=evaluated)


def marked(half: xarray.Dataset) -> xarray.Dataset:
    """Another loss at all points but the one that is measured again: the known one nearest to half way to a corner."""
    away = sum(abs(abs(half[axis]) / max(float(abs(half[axis]).max()), 1e-9) - 0.5) for axis in half.evaluated.dims)
    checked = away.where(half.evaluated) == away.where(half.evaluated).min()
    first = (checked.values.ravel().cumsum() == 1).reshape(checked.shape) & checked
    return half.assign(loss=half.loss + 100 * ~first)


def line_of(kind: str, **options) -> xarray.Dataset:
    a, b = tiny.network("a"), tiny.network("b")
    if kind == "interpolated":
        return interpolate(a, b, tiny.loader(), **options, **QUIET)
    given = {"direction": between(a, b)} if kind == "given" and "resume" not in options else {}
    return loss_line(a, tiny.loader(), **given, **options, **QUIET)


LINES = {
    "random": {"seed": 5, "norm": "layer", "ignore": None, "alpha": (-0.5, 1), "resolution": 13},
    "given": {"alpha": (0, 2), "resolution": 12, "batchnorm": "recalibrate"},
    "interpolated": {"resolution": 11, "batchnorm": "interpolate"},
}
