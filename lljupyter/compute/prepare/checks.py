"""Step 1: the options with their defaults, checked as far as that needs neither the model nor the data."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lljupyter.compute.options import DEFAULTS, SurfaceOptions
from lljupyter.compute.prepare.grids import check_grid
from lljupyter.evaluate.strategy import check_evaluation
from lljupyter.geometry.directions import check_norm
from lljupyter.geometry.filters import check_filters
from lljupyter.hessian.evaluator import check_hessian_options
from lljupyter.problem.batchnorm import check_batchnorm
from lljupyter.problem.callables import Quantities, callables_of, named
from lljupyter.problem.quantities import check_quantities
from lljupyter.process.precision import check_precision
from lljupyter.session.sources.refinement import check_tolerance

CONVEXITY = "convexity"


def checked_options(options: SurfaceOptions) -> SurfaceOptions:
    """Return all options, with defaults for those that are not passed.

    Args:
        options: Some of them; not changed.

    Raises:
        TypeError: If one is of another kind than expected.
        ValueError: If one is out of range.
    """
    chosen: SurfaceOptions = {**DEFAULTS, **options}
    check_norm(chosen["norm"], chosen["ignore"])
    check_filters(chosen["filters"])
    check_batchnorm(chosen["batchnorm"])
    check_precision(chosen["precision"])
    check_evaluation(chosen["evaluation"])
    callables_of(chosen["quantities"])
    check_quantities(loss_quantities(chosen["quantities"]))
    check_tolerance(chosen["tolerance"])
    if asks_for_convexity(chosen["quantities"]):
        check_hessian_options(chosen["over"], chosen["tol"], chosen["batchnorm"])
    check_grid(chosen)
    return chosen


def asks_for_convexity(quantities: Quantities) -> bool:
    """Return True if the eigenvalues of the Hessian are among the quantities."""
    names = named(quantities)
    return isinstance(names, Collection) and not isinstance(names, str) and CONVEXITY in names


def loss_quantities(quantities: Quantities) -> Sequence[str] | None:
    """Return the names without convexity: what is measured without the Hessian, and beside callables."""
    names = named(quantities)
    if names is None or not asks_for_convexity(quantities):
        return names
    return [name for name in names if name != CONVEXITY] or ["loss"]
