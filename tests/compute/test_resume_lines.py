"""Lines that are resumed where they stopped."""

from __future__ import annotations

import pytest
import torch
import xarray
from support.data import tiny
from support.resuming import LINES, QUIET, line_of, marked, partly

from lljupyter import (
    between,
    interpolate,
    load,
    load_directions,
    loss_line,
    loss_surface,
    save,
)


@pytest.mark.parametrize("kind", LINES)
def test_a_resumed_line_equals_the_uninterrupted_one_bitwise(tmp_path, kind):
    whole = line_of(kind, save_to=tmp_path / "kept.nc", **LINES[kind])
    xarray.testing.assert_identical(load(tmp_path / "kept.nc"), whole)
    assert (tmp_path / "kept.directions.safetensors").exists() == (kind != "random")
    save(partly(whole), tmp_path / "kept.nc")
    how = {name: value for name, value in LINES[kind].items() if name == "batchnorm"}
    resumed = line_of(kind, resume=tmp_path / "kept.nc", save_to=tmp_path / "new.nc", **how)
    xarray.testing.assert_identical(resumed, whole)
    xarray.testing.assert_identical(load(tmp_path / "new.nc"), whole)
    save(marked(partly(whole, 4)), tmp_path / "kept.nc")
    resumed = line_of(kind, resume=tmp_path / "kept.nc", **how)
    assert int((resumed.loss > 50).sum()) == 3  # these were not computed again


def test_a_line_is_resumed_from_memory():
    whole = line_of("random", **LINES["random"])
    xarray.testing.assert_identical(line_of("random", resume=partly(whole)), whole)


def test_the_direction_of_a_line_is_kept_without_an_eta_of_zeros(tmp_path):
    line_of("given", resolution=2, save_to=tmp_path / "kept.nc")
    model, direction = tiny.network("a"), between(tiny.network("a"), tiny.network("b"))
    delta, eta = load_directions(tmp_path / "kept.nc", model)
    assert all(torch.equal(delta[name], part) for name, part in direction.items())
    assert eta.keys() == delta.keys()
    assert not any(part.any() for part in eta.values())
    size = sum(part.nbytes for part in direction.values())
    assert size < (tmp_path / "kept.directions.safetensors").stat().st_size < 1.5 * size


def test_a_line_that_does_not_belong_is_not_resumed(tmp_path):
    a, b = tiny.network("a"), tiny.network("b")
    between_ab = line_of("interpolated", resolution=3)
    with pytest.raises(
        ValueError, match="expected the line between these models to resume, got one with model_b_finge"
    ):
        interpolate(a, a, tiny.loader(), resume=between_ab, **QUIET)
    with pytest.raises(ValueError, match="expected a result of this model to resume, got one of another model"):
        interpolate(b, b, tiny.loader(), resume=between_ab, **QUIET)
    with pytest.raises(ValueError, match=r"expected the line between these .* got one with directions = 'random'"):
        interpolate(a, b, tiny.loader(), resume=line_of("random", resolution=2), **QUIET)
    with pytest.raises(ValueError, match=r"expected the direction of a line to resume .*; pass direction=\.\.\., or"):
        line_of("given", resume=between_ab)
    surface = loss_surface(a, tiny.loader(), resolution=2, **QUIET)
    for wrong in (surface, 3):
        with pytest.raises(
            ValueError, match=r"expected a line on the dimension \(alpha,\) to resume, got (\{'beta'|int)"
        ):
            loss_line(a, tiny.loader(), resume=wrong, **QUIET)
    save(line_of("given", resolution=2), tmp_path / "alone.nc")
    with pytest.raises(FileNotFoundError, match=r"expected directions in .*alone.directions.safetensors, got no such"):
        line_of("given", resume=tmp_path / "alone.nc")
