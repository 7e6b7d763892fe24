"""Where points fall on a plane."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import tiny
from support.reference import run

from lljupyter import loss_surface, project
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.geometry.projection import away_from_center, project_trajectory

COORDINATE = st.floats(-100, 100, allow_subnormal=False)


def skew_plane(seed: int, length: float, angle: float) -> Plane:
    center = run()[0]
    delta, other = random_direction(center, seed), random_direction(center, seed + 1)
    return Plane(
        center,
        delta,
        {name: length * (math.cos(angle) * delta[name] + math.sin(angle) * other[name]) for name in delta},
    )


@settings(deadline=None)
@given(COORDINATE, COORDINATE, st.integers(0, 99), st.floats(1e-3, 1e3), st.floats(0.05, math.pi - 0.05))
def test_a_point_of_the_plane_is_projected_to_itself(alpha, beta, seed, length, angle):
    plane = skew_plane(seed, length, angle)
    found = project(plane.at(alpha, beta), plane)
    scale = 1e-9 * max(abs(alpha) + length * abs(beta), 1)
    assert found.alpha == pytest.approx(alpha, abs=scale)
    assert found.beta == pytest.approx(beta, abs=scale / length)
    assert found.outside < 1e-5 or abs(alpha) + length * abs(beta) < 1e-6


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(1e-2, 1e2), st.floats(0.1, 3))
def test_no_other_point_of_the_plane_is_nearer(seed, length, angle):
    plane = skew_plane(seed, length, angle)
    target = random_direction(plane.center, seed + 1000)
    a, b, outside = project(target, plane)

    def distance(alpha: float, beta: float) -> float:
        return float(np.linalg.norm(tiny.vector(plane.at(alpha, beta)) - tiny.vector(target)))

    for da, db in ((1e-2, 0), (-1e-2, 0), (0, 1e-2), (0, -1e-2)):
        assert distance(a, b) <= distance(a + da, b + db / length)
    whole = np.linalg.norm(tiny.vector(plane.center) - tiny.vector(target))
    assert outside == pytest.approx(distance(a, b) / whole, abs=1e-7)


def test_the_center_and_a_direction_of_zeros():
    center, _ = run()
    line = Plane(center, random_direction(center, 0), {name: torch.zeros_like(v) for name, v in center.items()})
    assert project(center, line) == (0, 0, 0)
    found = project(line.at(2, 7), line)
    assert (found.alpha, found.beta) == (pytest.approx(2), 0)


def test_parallel_directions_are_refused():
    center, _ = run()
    d = random_direction(center, 0)
    with pytest.raises(ValueError, match="expected a plane whose delta and eta point in different directions"):
        project(center, Plane(center, d, {name: -2 * part for name, part in d.items()}))


def test_a_checkpoint_that_is_not_finite_lies_nowhere():
    center, states = run()
    plane = Plane(center, random_direction(center, 0), random_direction(center, 1))
    broken = {**states[2], "b": states[2]["b"] * torch.nan}
    path = project_trajectory(open_checkpoints([states[1], broken, center]), plane)
    assert [bool(value) for value in np.isnan(path.outside)] == [False, True, False]
    assert path.outside[2] == 0
    assert np.isnan(path.alpha[1])


def test_a_model_is_no_point():
    model = tiny.network()
    with pytest.raises(TypeError, match=r"expected a point as a dict .*, got Sequential; of a model, pass model.state"):
        project(model, random_plane(parameters_of(model), 0))


def test_a_run_that_ends_away_from_the_model_says_why_that_may_be():
    center, states = run()
    plane = Plane(center, random_direction(center, 0), random_direction(center, 1))

    def reason(trajectory) -> str:
        return away_from_center(project_trajectory(open_checkpoints(trajectory), plane))

    assert reason(states) == ""
    rounded = {name: part.to(torch.bfloat16) for name, part in center.items()}
    assert reason([*states[:-1], rounded]) == ""
    assert reason([center]) == ""
    assert re.match(
        r"the training run ends away from the model, at \d\d% of its .*: training went on", reason(states[:-1])
    )
    assert "and begins there: its checkpoints are in reverse order" in reason(states[::-1])
    broken = {**center, "w": center["w"] * torch.nan}
    assert reason([*states, broken]) == "the training run ends at weights that are inf or NaN, not at the model"


def test_a_surface_warns_of_a_run_that_ends_elsewhere():
    model, states = tiny.network(), tiny.checkpoints()
    options = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}
    surface = loss_surface(model, tiny.loader(), trajectory=states, **options)
    assert "warnings" not in surface.attrs
    with pytest.warns(UserWarning, match="the training run ends away from the model, at") as told:
        surface = loss_surface(model, tiny.loader(), trajectory=states[:-2], **options)
    assert told[0].filename == __file__
    assert surface.attrs["warnings"] == str(told[0].message)


@pytest.mark.parametrize("prefix", ["net.", "model."])
def test_a_run_whose_names_have_a_prefix_is_measured_where_it_is(prefix):
    model, states = tiny.network(), tiny.checkpoints()
    options = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}
    surface = loss_surface(model, tiny.loader(), trajectory=states, **options)
    behind = [{prefix + name: part for name, part in state.items()} for state in states]
    found = loss_surface(model, tiny.loader(), trajectory=behind, **options)
    xarray.testing.assert_equal(found.trajectory_loss, surface.trajectory_loss)
    xarray.testing.assert_equal(found.trajectory_alpha, surface.trajectory_alpha)
