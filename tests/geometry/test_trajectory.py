from __future__ import annotations

import math
import re

import h5py
import numpy as np
import pytest
import torch
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from support import tiny

from lljupyter import load_directions, loss_surface, plane_through, save
from lljupyter.geometry import checkpoints as reading
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.direction_files import save_directions
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.geometry.trajectory import pca_directions, project, project_trajectory

COORDINATE = st.floats(-100, 100, allow_subnormal=False)


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


def run(n: int = 7, n_rows: int = 5) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    """A random walk of n + 1 checkpoints whose last one is the center."""
    generator = torch.Generator().manual_seed(n)
    shapes = {"w": (n_rows, 4), "b": (n_rows,), "s": ()}
    states = [{name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}]
    for _ in range(n):
        states.append(
            {k: v + torch.randn(v.shape, generator=generator, dtype=torch.float64) for k, v in states[-1].items()}
        )
    return states[-1], states


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


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), max_size=3).map(tuple), st.integers(0, 60))
def test_pieces_hold_every_entry_once_and_no_more_than_they_may(shape, most):
    seen = np.zeros(shape, dtype=int)
    for piece in reading.pieces(shape, most):
        assert seen[piece].size <= max(most, 1)
        seen[piece] += 1
    assert (seen == 1).all()


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


def test_complex_parameters_are_pairs_of_real_ones():
    center = {"z": torch.zeros(3, 2, dtype=torch.complex128)}
    states = [{"z": torch.randn(3, 2, dtype=torch.complex128)} for _ in range(4)]
    pca = pca_directions(states, center)
    assert torch.linalg.vector_norm(pca.directions[0]["z"]) == pytest.approx(1)
    plane = Plane(center, *pca.directions)
    assert project(plane.at(2, 3), plane)[:2] == pytest.approx((2, 3))


def test_trajectories_from_files_and_folders(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"step-{index:09d}.safetensors")
        torch.save({"epoch": index, "state_dict": state}, tmp_path / f"{index}.pt")
    expected = pca_directions(states, center, ignore=None).directions[0]["w"]
    paths = sorted(tmp_path.glob("*.safetensors"))
    for trajectory in (tmp_path, str(tmp_path), paths, [tmp_path / f"{index}.pt" for index in range(len(states))]):
        assert torch.equal(pca_directions(trajectory, center, ignore=None).directions[0]["w"], expected)
    assert [c.label for c in open_checkpoints(tmp_path)][:2] == ["step-000000000", "step-000000001"]
    assert set(open_checkpoints(tmp_path)[0].tensors(center)) == set(center)


def test_only_a_block_of_the_checkpoints_is_read_at_a_time(tmp_path, monkeypatch):
    center, states = run(n=5, n_rows=1000)
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"{index}.safetensors")
    monkeypatch.setattr(reading, "BLOCK", 240)
    shapes = [tuple(b.shape) for name, _, b in reading.differences(open_checkpoints(tmp_path), center) if name == "w"]
    assert shapes == [(6, 40)] * 100


def test_files_are_let_go_of_now_and_then_so_that_their_pages_do_not_pile_up(tmp_path, monkeypatch):
    center, states = run(n=5, n_rows=1000)
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"{index}.safetensors")
    opened, safe_open = [], reading.safe_open
    monkeypatch.setattr(reading, "safe_open", lambda path, **options: opened.append(path) or safe_open(path, **options))
    monkeypatch.setattr(reading, "BLOCK", 240)
    checkpoints = open_checkpoints(tmp_path)
    n_blocks = sum(1 for _ in reading.differences(checkpoints, center))
    assert n_blocks == 100 + 25 + 1
    assert len(opened) == 6 * 8  # 30,006 entries, closed whenever more than 16 blocks of 240 were read


def test_a_checkpoint_can_be_read_again_after_it_was_closed(tmp_path):
    _, states = run()
    torch.save(states[1], tmp_path / "1.pt")
    for source in (tmp_path / "1.pt", states[1]):
        checkpoint = open_checkpoints([source])[0]
        for _ in range(2):
            assert torch.equal(checkpoint.part("w", states[0]["w"]), states[1]["w"])
            checkpoint.close()


@pytest.mark.parametrize(
    ("trajectory", "error", "message"),
    [
        (3, TypeError, "expected a trajectory as a folder or a list .*, got int"),
        ([], ValueError, "at least one checkpoint, got an empty list"),
        ([3], TypeError, "expected checkpoint 0 as a state dict or a path, got int; use model.state_dict"),
        (["nowhere.safetensors"], ValueError, "checkpoint 0 as a file, got nowhere.safetensors, which is not there"),
        ("nowhere", ValueError, "expected a folder of .safetensors checkpoints, got nowhere, which is missing; check"),
        ([{}] * 3, ValueError, r"expected checkpoint 0 with 'w' of shape \(5, 4\), got none of that name"),
        ([{"v": torch.ones(5, 4)}] * 3, ValueError, r"got none of that name among \['v'\]; use the checkpoints"),
        ([{"w": torch.ones(2)}] * 3, ValueError, r"'w' of shape \(5, 4\), got \(2,\); use the checkpoints of the same"),
    ],
)
def test_trajectories_that_are_refused(trajectory, error, message):
    with pytest.raises(error, match=message):
        pca_directions(trajectory, run()[0])


def test_a_center_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"expected center as a model or a dict of its parameters, got list; call it"):
        pca_directions(*run())


def test_a_damaged_checkpoint_is_named(tmp_path):
    for name in ("0.safetensors", "1.pt"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match=f"expected a readable checkpoint, got .*{name}"):
            pca_directions([tmp_path / name] * 3, run()[0])


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


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_checkpoints_of_compiled_and_parallel_models_and_of_other_programs_are_read(tmp_path, prefix):
    model, states = tiny.network(), tiny.checkpoints()
    expected = pca_directions(states, model).directions[0]["conv1.weight"]
    wrapped = [{prefix + name: part for name, part in state.items()} for state in states]
    paths = [tmp_path / f"{index}.pt" for index in range(len(states))]
    for path, state in zip(paths, wrapped, strict=True):
        torch.save({"model_state_dict": state, "epoch": 1}, path)
    for trajectory in (wrapped, paths):
        for center in (model, torch.compile(model), torch.nn.DataParallel(model)):
            assert torch.equal(pca_directions(trajectory, center).directions[0]["conv1.weight"], expected)


def test_a_checkpoint_that_is_not_finite_lies_nowhere():
    center, states = run()
    plane = Plane(center, random_direction(center, 0), random_direction(center, 1))
    broken = {**states[2], "b": states[2]["b"] * torch.nan}
    path = project_trajectory(open_checkpoints([states[1], broken, center]), plane)
    assert [bool(value) for value in np.isnan(path.outside)] == [False, True, False]
    assert path.outside[2] == 0
    assert np.isnan(path.alpha[1])


def test_files_of_old_programs_are_read_and_those_of_another_kind_are_named(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        torch.save(state, tmp_path / f"{index}.pt", _use_new_zipfile_serialization=False)
    files = [tmp_path / f"{index}.pt" for index in range(len(states))]
    ours, theirs = pca_directions(states, center), pca_directions(files, center)
    assert all(torch.equal(part, theirs.directions[0][name]) for name, part in ours.directions[0].items())
    for content in (b"", b"text"):
        files[0].write_bytes(content)
        with pytest.raises(ValueError, match=r"expected a readable checkpoint, got .*0.pt \((?!.*mmap)"):
            pca_directions(files, center)


def test_directions_beside_checkpoints_are_no_checkpoint(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"step-{index}.safetensors")
    n = len(open_checkpoints(tmp_path))
    pca = pca_directions(states, center)
    save_directions(pca.directions, tmp_path / "surface.directions.safetensors")
    assert len(open_checkpoints(tmp_path)) == n == len(states)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected a folder of .safetensors checkpoints, got .* with none; record"):
        open_checkpoints(tmp_path / "empty")


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


def test_a_model_is_no_point():
    model = tiny.network()
    with pytest.raises(TypeError, match=r"expected a point as a dict .*, got Sequential; of a model, pass model.state"):
        project(model, random_plane(parameters_of(model), 0))
