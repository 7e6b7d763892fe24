from __future__ import annotations

import base64
import os
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
import torch
import xarray
from support.data import tiny

from lljupyter import between, load, load_directions, loss_line, loss_surface, save
from lljupyter.geometry.direction_files import save_directions
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.process.atomic import atomic
from lljupyter.surface.dataset import surface_dataset

QUIET = {"progress": False}


def example() -> xarray.Dataset:
    """A 3 x 2 surface with a hole, an infinite value and a point that is not evaluated."""
    loss = np.array([[0.5, 1.5, np.inf], [np.nan, 2.5, np.nan]])
    evaluated = np.array([[True, True, True], [True, True, False]])
    values = {"loss": loss, "accuracy": np.where(evaluated, 0.25, np.nan)}
    recipe = {"seed": 2**53, "loss_fn": "cross-entropy", "explained_variance_ratio": [0.75, 0.125]}
    return surface_dataset(np.array([-1.0, 0.0, 1.0]), np.array([0.0, 2.0]), values, evaluated, recipe)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    save(example(), tmp_path / "new" / "surface.nc")
    xarray.testing.assert_identical(load(tmp_path / "new" / "surface.nc"), example())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["surface.nc"]


def test_lines_stacks_and_trajectories_can_be_saved(tmp_path):
    model = tiny.network()
    for found in (
        loss_line(model, tiny.loader(), resolution=3, **QUIET),
        loss_surface(model, tiny.loader(), resolution=2, repeats=2, **QUIET),
        loss_surface(model, tiny.loader(), resolution=3, trajectory=tiny.checkpoints()[6:], **QUIET),
    ):
        save(found, tmp_path / "found.nc")
        xarray.testing.assert_identical(load(tmp_path / "found.nc"), found)


def test_an_error_while_writing_leaves_the_former_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("former")

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, keep):
    save(example(), path := tmp_path / "surface.nc")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"expected a whole netCDF file, got .*surface.nc, which is cut short"):
        load(path)


@pytest.mark.parametrize("what", ["value", "attribute"])
def test_a_file_that_was_changed_is_refused(tmp_path, what):
    save(example(), path := tmp_path / "surface.nc")
    with h5py.File(path, "r+") as file:
        if what == "value":
            file["loss"][0, 0] = 0.25
        else:
            file.attrs["seed"] = 4
    with pytest.raises(ValueError, match=r"expected .*surface.nc as it was saved, got one that was changed since"):
        load(path)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    save(example(), path := tmp_path / "surface.nc")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(ValueError, match=r"of format version 1 or older, got .*surface.nc of version 2.*; upgrade"):
        load(path)


def test_files_of_another_kind_are_refused(tmp_path):
    example().to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"expected a file that lljupyter saved, got .*; open netCDF of other origin"):
        load(tmp_path / "foreign.nc")
    with pytest.raises(FileNotFoundError, match=r"expected a saved surface, got .*nowhere.nc, which is not there"):
        load(tmp_path / "nowhere.nc")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"expected a .nc or .h5 file, got .*notes.txt; save"):
        load(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"expected a path that ends in .nc, .h5, .vts or .vtp, got surface.png"):
        save(example(), "surface.png")
    with pytest.raises(TypeError, match=r"expected the path of a file, got 5; try 'surface.nc'"):
        load(5)
    with pytest.raises(ValueError, match="expected zmax as a finite number, got 'a'; None cuts nothing off"):
        save(example(), tmp_path / "surface.vts", zmax="a")
    (tmp_path / "broken.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"expected an .h5 file of the authors' code, got .*cut short or damaged"):
        load(tmp_path / "broken.h5")
    with pytest.raises(ValueError, match=r"expected xcoordinates and train_loss .*directions only is read by load_dir"):
        load(tiny.DATA / "pca_none.h5")


# Directions.


def test_directions_on_disk(tmp_path):
    a, b = tiny.network("a"), tiny.network("b")
    for over in ("parameters", "states"):
        d = between(a, b, over)
        save_directions((d, d), tmp_path / "d.safetensors")
        read = load_directions(tmp_path / "d.safetensors", a)
        assert all(torch.equal(part, d[name]) for direction in read for name, part in direction.items())
        assert sorted(read[0]) == sorted(d)


def test_directions_that_do_not_belong_are_refused(tmp_path):
    a, b = tiny.network("a"), tiny.network("b")
    d = between(a, b)
    path = tmp_path / "d.safetensors"
    save_directions((d, d), path, "of another model")
    with pytest.raises(ValueError, match=r"expected directions of this model in .*, got those of another"):
        load_directions(path, a)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"expected whole directions in .*, got a file that is cut short or damaged"):
        load_directions(path, a)
    from safetensors.torch import save_file

    save_file({"delta/x": torch.ones(1)}, path, {"format_version": "2"})
    with pytest.raises(ValueError, match=r"expected directions of format version 1 or older in .*, got 2; upgrade"):
        load_directions(path, a)
    with pytest.raises(ValueError, match=r"expected 2 tensors \(or 2 states\) in xdirection of .*, got 8; pass"):
        load_directions(tiny.DATA / "pca_none.h5", torch.nn.Linear(2, 2))


# The authors' files.


def test_the_authors_files_are_read_as_they_are_meant():
    with h5py.File(tiny.DATA / "surface_filter_biasbn.h5") as file:
        loss, accuracy = file["train_loss"][:], file["train_acc"][:]
    surface = load(tiny.DATA / "surface_filter_biasbn.h5")
    assert surface.loss.sel(alpha=-1, beta=0.5).item() == loss[0, 6]
    assert surface.accuracy.sel(alpha=-1, beta=0.5).item() == accuracy[0, 6] / 100
    assert surface.evaluated.all()
    line = load(tiny.DATA / "interpolation_states.h5")
    assert line.loss.dims == ("alpha",)


def test_an_authors_surface_is_continued():
    model, path = tiny.network(), tiny.DATA / "surface_filter_biasbn.h5"
    stored = load(path)
    missing = stored.evaluated & ~((stored.alpha == 0.25) & (stored.beta == -0.75))
    part = stored.where(missing).assign(evaluated=missing)
    found = loss_surface(model, tiny.digits(), resume=part, directions=load_directions(path, model), **QUIET)
    np.testing.assert_allclose(found.loss, stored.loss, rtol=1e-4)
    assert np.isfinite(found.loss_stderr.sel(alpha=0.25, beta=-0.75))
    assert found.evaluated.all()


def test_an_h5_file_has_the_authors_layout_and_comes_back(tmp_path):
    path, model = tmp_path / "surface.h5", tiny.network()
    plane = random_plane(parameters_of(model), 0)
    save(example(), path, directions=(plane.delta, plane.eta))
    with h5py.File(path) as file:
        assert file["train_loss"].shape == (3, 2)
        assert file["train_loss"][1, 1] == 2.5  # xcoordinates[1] = 0, ycoordinates[1] = 2
        assert file["train_loss"][2, 1] == -1  # not evaluated
        assert np.isnan(file["train_loss"][0, 1])  # a result
        assert file["train_acc"][0, 0] == 25
        assert file["xcoordinates"][:].tolist() == [-1, 0, 1]
    read = load(path)
    for name in ("loss", "accuracy", "evaluated"):
        np.testing.assert_array_equal(read[name], example()[name])
    delta, eta = load_directions(path, model)
    assert all(torch.equal(delta[name], part) for name, part in plane.delta.items())
    assert all(torch.equal(eta[name], part) for name, part in plane.eta.items())


def test_directions_over_states_come_back_from_an_h5_file(tmp_path):
    model = tiny.network()
    direction = between(model, tiny.network("b"), "states")
    save(example(), tmp_path / "states.h5", directions=(direction, direction))
    delta, eta = load_directions(tmp_path / "states.h5", model)
    for found in (delta, eta):
        assert list(found) == list(direction)
        assert all(torch.equal(found[name], part) for name, part in direction.items())


def test_training_and_test_loss_of_an_h5_file(tmp_path):
    both = loss_surface(tiny.network(), {"train": tiny.loader(), "test": tiny.loader(32)}, resolution=(3, 2), **QUIET)
    save(both, tmp_path / "both.h5")
    with h5py.File(tmp_path / "both.h5") as file:
        assert set(file) == {"xcoordinates", "ycoordinates", "train_loss", "train_acc", "test_loss", "test_acc"}
    read = load(tmp_path / "both.h5")
    for name in ("train_loss", "test_loss", "train_accuracy"):
        np.testing.assert_allclose(read[name], both[name], rtol=1e-14)


def test_a_file_that_their_program_wrote_has_x_fastest(tmp_path):
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file["dir_file"] = "directions.h5"
        file["xcoordinates"], file["ycoordinates"] = [-1.0, 0.0, 1.0], [0.0, 2.0]
        file["train_loss"] = np.arange(6.0).reshape(3, 2)  # enumerated (-1, 0), (0, 0), (1, 0), (-1, 2), ...
    surface = load(tmp_path / "theirs.h5")
    assert surface.loss.sel(alpha=1, beta=0).item() == 2
    assert surface.loss.sel(alpha=-1, beta=2).item() == 3


def test_an_h5_file_with_wrong_shapes_and_stacks_are_refused(tmp_path):
    with h5py.File(tmp_path / "wrong.h5", "w") as file:
        file["xcoordinates"], file["train_loss"] = [0.0, 1.0], [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match=r"expected train_loss of shape \(2,\) as the coordinates say, got \(3,\)"):
        load(tmp_path / "wrong.h5")
    stack = example().expand_dims("seed")
    with pytest.raises(ValueError, match=r"expected one surface or line for an .h5 file, got the dimensions .*; cho"):
        save(stack, tmp_path / "stack.h5")


# ParaView.


def arrays(path: Path) -> tuple[ElementTree.Element, dict[str, np.ndarray]]:
    root = ElementTree.parse(path).getroot()
    found = {}
    for array in root.iter("DataArray"):
        content = base64.b64decode(array.text)
        assert int.from_bytes(content[:8], "little") == len(content) - 8
        found[array.get("Name")] = np.frombuffer(content[8:], f"<{np.dtype(array.get('type').lower()).str[1:]}")
    return root, found


def test_a_structured_grid_for_paraview(tmp_path):
    save(example(), tmp_path / "surface.vts")
    root, found = arrays(tmp_path / "surface.vts")
    assert root.get("type") == "StructuredGrid"
    assert root.find("StructuredGrid/Piece").get("Extent") == "0 2 0 1 0 0"
    points = found["Points"].reshape(2, 3, 3)
    assert points[0, 1].tolist() == [0, 0, 1.5]
    assert points[1, 1].tolist() == [0, 2, 2.5]
    assert found["vtkGhostType"].tolist() == [0, 0, 2, 2, 0, 2]
    np.testing.assert_array_equal(found["loss"], example().loss.values.ravel())


def test_polygons_for_paraview_leave_holes(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    values[0, 0] = np.nan
    ones = np.ones((3, 4), dtype=bool)
    surface = surface_dataset(np.arange(4.0), np.arange(3.0), {"loss": values}, ones, {})
    save(surface, tmp_path / "surface.vtp")
    root, found = arrays(tmp_path / "surface.vtp")
    piece = root.find("PolyData/Piece")
    assert (piece.get("NumberOfPoints"), piece.get("NumberOfPolys")) == ("12", "5")
    quads = found["connectivity"].astype(int).reshape(-1, 4)
    assert found["offsets"].tolist() == [4, 8, 12, 16, 20]
    assert 0 not in quads
    points = found["Points"].reshape(-1, 3)[:, :2]
    for quad in quads:  # unit squares, counter-clockwise
        x, y = points[quad].T
        assert 0.5 * (np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) == 1


def test_log_and_clip_are_those_of_the_authors(tmp_path):
    save(example(), tmp_path / "surface.vtp", log=True, zmax=2.0)
    height = arrays(tmp_path / "surface.vtp")[1]["Points"].reshape(-1, 3)[:, 2]
    np.testing.assert_allclose(height[[0, 1, 2, 4]], np.log(np.array([0.5, 1.5, 2.0, 2.0]) + 0.1))


def test_what_paraview_cannot_show_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a surface with 'error' on the dimensions .*; name one"):
        save(example(), tmp_path / "surface.vts", quantity="error")
    with pytest.raises(ValueError, match="expected zmax as a finite number, got inf; None cuts nothing off"):
        save(example(), tmp_path / "surface.vts", zmax=np.inf)
    assert list(tmp_path.iterdir()) == []


def test_directions_are_read_in_the_order_of_the_model_whatever_file_they_come_from(tmp_path):
    model = tiny.network()
    plane = random_plane(parameters_of(model), 3)
    directions = plane.delta, plane.eta
    save_directions(directions, tmp_path / "one.safetensors")
    found = load_directions(tmp_path / "one.safetensors", model)
    assert list(found[0]) == list(found[1]) == list(parameters_of(model))
    save(example(), tmp_path / "one.h5", directions=found)
    for direction, same in zip(load_directions(tmp_path / "one.h5", model), directions, strict=True):
        assert all(torch.equal(direction[name], part) for name, part in same.items())


def test_what_is_no_surface_is_not_saved_and_what_is_no_path_not_loaded(tmp_path):
    with pytest.raises(TypeError, match="expected a Dataset to save, got dict; pass what loss_surface returned"):
        save({}, tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"expected a surface or a line to save, got \['q'\] without 'evaluated'"):
        save(xarray.Dataset({"q": ("alpha", [1.0])}), tmp_path / "a.nc")
    with pytest.raises(TypeError, match="expected the path of a file, got 3; try"):
        load(3)
    with pytest.raises(TypeError, match="expected the path of a file, got None; try"):
        save(example(), None)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="has no umask")
def test_files_can_be_read_by_whom_the_umask_says(tmp_path):
    plane = random_plane(parameters_of(tiny.network()), 3)
    before = os.umask(0o022)
    try:
        save(example(), tmp_path / "a.nc", directions=(plane.delta, plane.eta))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
    assert len(list(tmp_path.iterdir())) == 2


def test_directions_over_states_are_kept_in_an_h5_file(tmp_path):
    model = tiny.network()
    delta = between(model, tiny.network("b"), over="states")
    save(example(), tmp_path / "a.h5", directions=(delta, delta))
    found, _ = load_directions(tmp_path / "a.h5", model)
    assert all(torch.equal(found[name], part) for name, part in delta.items())
