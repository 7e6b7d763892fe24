"""Runs a session in the calling thread, with a progress bar, and saves what it computes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from lljupyter.compute.prepare import Prepared
from lljupyter.process.atomic import checked_path
from lljupyter.process.notices import warn
from lljupyter.session.snapshot import Snapshot, dataset_of
from lljupyter.surface.captions import holes_text
from lljupyter.surface.dataset import stacked
from lljupyter.surface.io.save import save
from lljupyter.surface.notices import noted

if TYPE_CHECKING:
    import xarray

# A result with ``save_to`` is written to disk this often while it is computed.
SAVE_SECONDS = 30.0


def run_all(
    prepared: Prepared,
    repeats: int,
    save_to: str | os.PathLike[str] | None,
    progress: bool,
    title: str,
    cut: Callable[[xarray.Dataset], xarray.Dataset] = lambda surface: surface,
) -> xarray.Dataset:
    """Run a session in the calling thread, once for every seed, with a progress bar.

    Args:
        prepared: The session.
        repeats: How many seeds.
        save_to: Where the result is saved while it is computed, or None.
        progress: Whether to show a progress bar.
        title: Its heading.
        cut: Returns the part of the surface that is saved and returned.

    Raises:
        TypeError: If ``save_to`` is no path.
        ValueError: If ``repeats`` or ``save_to`` is out of range.
        RuntimeError: If the model or the loss fails at the center, or at most points of the coarsest pass.
    """
    _check(prepared, repeats, save_to)
    session, request = prepared.session, prepared.session.snapshot().request
    n_points = request.alpha.size * request.beta.size
    results: list[xarray.Dataset] = []
    saved = time.monotonic()
    with tqdm(total=n_points * repeats, unit="point", disable=not progress, desc=title) as bar:

        def on_update(snapshot: Snapshot) -> None:
            nonlocal saved
            bar.update(len(results) * n_points + snapshot.n_done - bar.n)
            if save_to is not None and time.monotonic() - saved > SAVE_SECONDS:
                save(cut(dataset_of(snapshot)), save_to)
                saved = time.monotonic()

        session.on_update = on_update
        try:
            if save_to is not None:
                save(cut(dataset_of(session.snapshot())), save_to, directions=prepared.directions)
            for index in range(repeats):
                if index:
                    assert request.seed is not None
                    session.request(request._replace(seed=request.seed + index))
                session.run()
                session.wait()
                results.append(cut(dataset_of(session.snapshot())))
            bar.total = bar.n if bar.n else bar.total  # with a tolerance, not every point is evaluated
            bar.refresh()
        finally:
            if save_to is not None:
                save(cut(dataset_of(session.snapshot())), save_to)
    result = results[0] if repeats == 1 else stacked(results, [result.attrs.pop("seed") for result in results])
    before = noted(prepared.session.recipe)  # the person was warned of these when the session was prepared
    lines = [line for line in noted(result.attrs) if line not in before]
    if "failed" in result:
        n_failed = int(result["failed"].sum())
        lines.append(f"{holes_text(n_failed, n_points * repeats)}, at first {result.attrs['failure']}")
    warn(lines)
    return result


def _check(prepared: Prepared, repeats: int, save_to: str | os.PathLike[str] | None) -> None:
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"expected repeats as a whole number of at least 1, got {repeats!r}; 1 is one picture")
    if repeats > 1 and (not prepared.seeded or save_to is not None):
        raise ValueError(
            f"expected repeats=1 with given directions or save_to, got {repeats}; repeats draws one plane after another"
        )
    if save_to is not None and checked_path(save_to).suffix != ".nc":
        raise ValueError(
            f"expected save_to as a path that ends in .nc, which resume can go on with, got {save_to}; "
            "save(result, path) writes other formats"
        )
