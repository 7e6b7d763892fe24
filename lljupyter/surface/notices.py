"""What the person is warned of: lines in the attribute ``warnings``, and what the values themselves show."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.surface.layer_names import is_hessian_layer, is_percent, parse_layer_name

if TYPE_CHECKING:
    import xarray

# Fewer points may have the same value by chance.
FEW = 5
# In half precision, a loss with fewer distinct values than this share of its points has steps that are seen.
DISTINCT = 0.5
HALF = ("bfloat16", "float16")
# A file may come from anywhere.
MOST, LONGEST = 50, 1000


def noted(attributes: Mapping[Any, Any]) -> list[str]:
    """Return the lines of the attribute ``warnings``, at most 50 of at most 1,000 characters."""
    lines = (" ".join(line.split()) for line in str(attributes.get("warnings", "")).splitlines())
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines if line][:MOST]


def notices_of(dataset: xarray.Dataset) -> list[str]:
    """Return all that a person should be warned of: the attribute ``warnings``, and what the values show.

    Args:
        dataset: On the dimensions (beta, alpha), one of them, or one of them and seed.
    """
    found: Iterable[str]
    if "seed" in dataset.dims:
        seeds = dataset["seed"].values.tolist()
        found = of_seeds({seed: _notices_of_one(dataset.isel(seed=i)) for i, seed in enumerate(seeds)})
    else:
        found = _notices_of_one(dataset)
    return list(dict.fromkeys([*noted(dataset.attrs), *found]))


def with_notices(dataset: xarray.Dataset) -> xarray.Dataset:
    """Return a result whose attribute ``warnings`` also has what the values show."""
    lines = notices_of(dataset)
    warned: xarray.Dataset = dataset.assign_attrs(warnings="\n".join(lines)) if lines else dataset
    return warned


def of_seeds(lines: Mapping[Any, Sequence[str]]) -> list[str]:
    """Return the lines of several seeds: those that all have in common, then the others with their seed."""
    counts = Counter(line for several in lines.values() for line in several)
    common = [line for line in counts if counts[line] == len(lines)]
    return common + [f"{line} (seed {s})" for s, several in lines.items() for line in several if line not in common]


def of_seed(attributes: Mapping[Any, Any], seeds: Sequence[Any], seed: Any) -> str:
    """Return the lines of the attribute ``warnings`` of several seeds that concern one of them."""
    lines = []
    for line in noted(attributes):
        named = [other for other in seeds if line.endswith(f" (seed {other})")]
        if named in ([], [seed]):
            lines.append(line.removesuffix(f" (seed {seed})"))
    return "\n".join(lines)


def notices_of_values(values: Mapping[str, NDArray[Any]], attributes: Mapping[Any, Any]) -> list[str]:
    """Return what to warn of by the values alone: that nothing is finite, that all are equal, or that few differ.

    Args:
        values: The values of all points that were evaluated, by name; errors and eigenvalues are left out. Eigenvalues
            are equal everywhere for a quadratic loss, and NaN if they are zero.
        attributes: The recipe.
    """
    layers = {name: np.asarray(array, np.float64).ravel() for name, array in values.items() if _is_measured(name)}
    half = _half_precision(attributes)
    # Accuracies have few values by nature: beside a loss, one of them is no fault, and no news if that is flat as well.
    only_shares = all(is_percent(name) for name in layers)
    lines = []
    for name, layer in layers.items():
        if len(layer) < 2:
            continue
        finite, shown = layer[np.isfinite(layer)], f"the {name.replace('_', ' ')}"
        n_distinct = len(np.unique(finite))
        if not len(finite):
            kind = "NaN at all" if np.isnan(layer).all() else "not finite at any of the"
            lines.append(f"{shown} is {kind} {len(layer):,} points")
        elif len(finite) < FEW:
            continue
        elif half and parse_layer_name(name).base == "loss" and n_distinct < DISTINCT * len(finite):
            lines.append(
                f"{shown} has {n_distinct:,} distinct value{'s' * (n_distinct > 1)} at {len(finite):,} points: {half} "
                "is too coarse for this range; pass model.float(), or a wider range"
            )
        elif n_distinct == 1 and (only_shares or not is_percent(name)):
            lines.append(
                f"{shown} is exactly {finite[0]:.6g} at all {len(finite):,} points: "
                "what moves on this plane does not change it"
            )
    return lines


def summary(lines: Sequence[str]) -> tuple[str, str]:
    """Return the first line, and how many more there are, as the viewer words it (``js/src/model/messages.ts``)."""
    return (lines[0] if lines else ""), (f"{len(lines) - 1} more" if len(lines) > 1 else "")


def caption(lines: Sequence[str], width: int) -> list[str]:
    """Return the first line and how many more there are, in rows of a figure: at most two rows of ``width`` letters."""
    if not lines:
        return []
    first, more = summary(lines)
    end = f" (and {more})" if more else ""
    text = textwrap.shorten(f"Warning: {first}", max(2 * width - len(end) - 12, 24), placeholder=" …") + end
    return textwrap.wrap(text, max(width, 24))[:3]


def _notices_of_one(dataset: xarray.Dataset) -> list[str]:
    return notices_of_values(_values_of(dataset), dataset.attrs)


def _values_of(dataset: xarray.Dataset) -> dict[str, NDArray[Any]]:
    """Return the values of the layers where they were evaluated, ``{name: values}``."""
    found = {}
    for name, variable in dataset.data_vars.items():
        if not {"alpha", "beta"} & set(variable.dims) or variable.dtype.kind not in "iuf":
            continue
        if "evaluated" in dataset and set(variable.dims) == set(dataset["evaluated"].dims):
            known = dataset["evaluated"].transpose(*variable.dims).values != 0
            found[str(name)] = variable.values[known]
        else:
            found[str(name)] = variable.values
    return found


def _is_measured(name: str) -> bool:
    return not (name in ("evaluated", "failed") or name.endswith(("_stderr", "_predicted")) or is_hessian_layer(name))


def _half_precision(attributes: Mapping[Any, Any]) -> str:
    """Return the type of weights or outputs in half precision, or ""."""
    kinds = ", ".join(str(attributes.get(name, "")) for name in ("precision", "outputs_precision")).split(", ")
    return next((kind for kind in kinds if kind in HALF), "")
