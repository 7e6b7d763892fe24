"""The plane in which a training run varies most."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
import torch
import xarray
from support.data import tiny
from support.reference import run

from lljupyter import load_directions, loss_surface, pca_directions, plane_through, project, save
from lljupyter.geometry import blocks as reading
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane
from lljupyter.geometry.projection import project_trajectory


@pytest.mark.parametrize("ignore", ["biasbn", None])
def test_directions_variance_and_path_are_those_of_the_authors_code(ignore):
    model, states = tiny.network(), tiny.checkpoints()
    with h5py.File(tiny.DATA / f"pca_{str(ignore).lower()}.h5") as file:
        pca = pca_directions(states, model, ignore=ignore, final_row=True)
        np.testing.assert_allclose(pca.explained_variance_ratio, file["explained_variance_ratio_"][:], atol=1e-6)
        path = project_trajectory(open_checkpoints(states), Plane(parameters_of(model), *pca.directions))
        for ours, group, found, theirs in (
            (pca.directions[0], "xdirection", path.alpha, file["proj_xcoord"][:]),
            (pca.directions[1], "ydirection", path.beta, file["proj_ycoord"][:]),
        ):
            stored = tiny.vector(tiny.direction(file, group, model))
            sign = np.sign(tiny.vector(ours) @ stored)
            np.testing.assert_allclose(sign * tiny.vector(ours), stored, atol=1e-5)
            np.testing.assert_allclose(sign * found, theirs, atol=1e-5)


@pytest.mark.parametrize("final_row", [False, True])
@pytest.mark.parametrize("block", [2**23, 20])
def test_the_gram_matrix_gives_what_the_singular_value_decomposition_gives(monkeypatch, final_row, block):
    monkeypatch.setattr(reading, "BLOCK", block)
    center, states = run()
    pca = pca_directions(states, center, ignore=None, final_row=final_row)
    rows = np.array([tiny.vector(state) - tiny.vector(center) for state in states])
    rows = rows if final_row else rows[:-1]
    _, s, vt = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(pca.explained_variance_ratio, (s**2 / (s**2).sum())[:2], rtol=1e-12)
    for direction, v in zip(pca.directions, vt[:2], strict=True):
        d = tiny.vector(direction)
        np.testing.assert_allclose(d * np.sign(d @ v), v, atol=1e-12)


def test_without_a_final_row_a_center_outside_the_trajectory_adds_none():
    center, states = run()
    with_center, without = (pca_directions(s, center, ignore=None) for s in (states, states[:-1]))
    torch.testing.assert_close(with_center.directions[0]["w"], without.directions[0]["w"])


def test_biasbn_leaves_out_tensors_of_one_axis():
    center, states = run()
    delta, eta = pca_directions(states, center).directions
    assert delta["w"].any()
    assert not any(d[name].any() for d in (delta, eta) for name in ("b", "s"))


def test_the_captured_share_is_the_explained_variance_on_the_plane_of_the_principal_directions():
    center, states = run()
    pca = pca_directions(states, center, ignore=None, final_row=True)
    path = project_trajectory(open_checkpoints(states), Plane(center, *pca.directions))
    assert path.captured == pytest.approx(pca.explained_variance_ratio.sum(), rel=1e-10)


def test_complex_parameters_are_pairs_of_real_ones():
    center = {"z": torch.zeros(3, 2, dtype=torch.complex128)}
    states = [{"z": torch.randn(3, 2, dtype=torch.complex128)} for _ in range(4)]
    pca = pca_directions(states, center)
    assert torch.linalg.vector_norm(pca.directions[0]["z"]) == pytest.approx(1)
    plane = Plane(center, *pca.directions)
    assert project(plane.at(2, 3), plane)[:2] == pytest.approx((2, 3))


def test_a_center_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"expected center as a model or a dict of its parameters, got list; call it"):
        pca_directions(*run())


def test_a_checkpoint_that_is_not_finite_is_named():
    center, states = run()
    states[2] = {**states[2], "w": states[2]["w"] * torch.nan}
    with pytest.raises(ValueError, match="expected checkpoints with finite values, got inf or NaN in 2; leave out"):
        pca_directions(states, center)


def test_too_few_dimensions_are_refused():
    center, states = run()
    with pytest.raises(ValueError, match="at least 3 checkpoints besides the center to span a plane, got 2"):
        pca_directions(states[-3:], center)
    with pytest.raises(ValueError, match="at least 2 checkpoints besides the center to span a plane, got 1"):
        pca_directions(states[-2:], center, final_row=True)
    line = [{name: t * part for name, part in center.items()} for t in (4.0, 3.0, 2.0, 1.5)]
    with pytest.raises(ValueError, match="differ in at least two dimensions, got ones on a line"):
        pca_directions(line, center)
    with pytest.raises(ValueError, match="differ in at least two dimensions, got equal ones"):
        pca_directions([states[0]] * 4, center)


def test_planes_and_principal_directions_are_short_in_a_notebook_and_can_be_passed_on(tmp_path):
    model = tiny.network()
    pca = pca_directions(tiny.checkpoints(), model)
    assert re.fullmatch(r"<PrincipalDirections of 8 tensors, [\d.]+% and [\d.]+% of the variance>", repr(pca))
    plane = plane_through(model, tiny.network("b"), nn_with(model))
    assert re.fullmatch(r"<Plane of 8 tensors, 3,842 entries, marks \{.*\}>", repr(plane))
    options = {"resolution": 2, "progress": False}
    surface = loss_surface(model, tiny.loader(), directions=pca, **options)
    told = {k: surface.attrs[k] for k in ("directions", "explained_variance_ratio")}
    assert told == {"directions": "pca", "explained_variance_ratio": pca.explained_variance_ratio.tolist()}
    xarray.testing.assert_equal(surface, loss_surface(model, tiny.loader(), directions=pca.directions, **options))
    for directions, delta in ((pca, pca.directions[0]), (plane, plane.delta)):
        save(surface, tmp_path / "a.nc", directions=directions)
        found = load_directions(tmp_path / "a.nc", model)[0]
        assert all(torch.equal(found[name], part) for name, part in delta.items())


def nn_with(model):
    """A third model, on no line with the others."""
    torch.manual_seed(3)
    third = tiny.network()
    for parameter in third.parameters():
        parameter.data += torch.randn_like(parameter)
    return third
