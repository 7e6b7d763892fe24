"""Damaged files, made by mutation and by hand, end in one error that names them, in bounded time and memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from support.data import tiny
from support.made import made_surface

from lljupyter import load, load_directions, save
from lljupyter.surface.io import hdf5, walk

FILES = sorted((tiny.DATA / "hostile").iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hostile_surfaces_are_refused_by_name(path):
    began = time.monotonic()
    with pytest.raises(ValueError, match=rf"expected .*{path.name}.*; .") as caught:
        load(path)
    assert len(str(caught.value)) < 600
    assert time.monotonic() - began < 15 + hdf5.SECONDS


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".h5"], ids=lambda path: path.name)
def test_hostile_directions_are_refused_by_name(path):
    with pytest.raises(ValueError, match=rf"expected .*{path.name}"):
        load_directions(path, tiny.network())


def test_every_byte_of_a_saved_file_is_sealed(tmp_path):
    save(made_surface(3, 3), path := tmp_path / "surface.nc")
    content = path.read_bytes()
    for at in range(0, len(content) - hdf5.N_SEAL, 97):
        changed = bytearray(content)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(
            ValueError, match=r"expected .*surface.nc as it was saved, got one that was changed since or"
        ):
            load(path)


def test_a_sealed_file_is_read_without_a_child_process_and_by_other_programs(tmp_path, monkeypatch):
    surface = made_surface(3, 3)
    save(surface, path := tmp_path / "surface.nc")
    monkeypatch.setattr(hdf5.subprocess, "run", lambda *_, **__: pytest.fail("started a process"))
    xarray.testing.assert_identical(load(path), surface)
    with xarray.open_dataset(path, engine="h5netcdf") as other:
        np.testing.assert_array_equal(other.loss, surface.loss)
    with h5py.File(path) as other:
        assert other["loss"].shape == (3, 3)


def without_seal(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(hdf5.SEAL)])
    return path


def test_a_file_without_a_seal_is_read_in_a_child_process_first(tmp_path, monkeypatch):
    save(made_surface(), path := tmp_path / "surface.nc")
    surface = load(without_seal(path))
    xarray.testing.assert_identical(surface, made_surface())
    monkeypatch.setattr(walk, "MOST_BYTES", 8)
    with pytest.raises(ValueError, match=r"'loss' of shape .* would take 0 GiB"):
        walk.walk(str(path))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import time; time.sleep(60)", r"surface.nc, which is cut short or damaged \(reading it does not end within"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"damaged \(the HDF5 library crashed\); restore"),
        ("raise RuntimeError('bad heap')", r"damaged \(RuntimeError: bad heap\); restore a copy of it"),
    ],
    ids=["endless", "crash", "error"],
)
def test_a_child_process_that_hangs_or_crashes_is_an_error_here(tmp_path, monkeypatch, program, message):
    save(made_surface(), path := tmp_path / "surface.nc")
    run = hdf5.subprocess.run
    monkeypatch.setattr(hdf5, "SECONDS", 2.0)
    monkeypatch.setattr(
        hdf5.subprocess, "run", lambda command, **options: run([sys.executable, "-c", program], **options)
    )
    with pytest.raises(ValueError, match=message):
        load(without_seal(path))


def test_where_no_process_can_be_started_the_file_is_read_here(tmp_path, monkeypatch):
    save(made_surface(), path := tmp_path / "surface.nc")
    monkeypatch.setattr(sys, "executable", None)
    xarray.testing.assert_identical(load(without_seal(path)), made_surface())


def test_an_h5_file_that_says_it_is_enormous_is_refused(tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file["xcoordinates"] = [0.0, 1.0]
        file.create_dataset("train_loss", (2**20, 2**20), "f4", chunks=(64, 64))
    with pytest.raises(
        ValueError, match=r"large.h5, which is cut short or damaged \('train_loss' of shape .* 4,096 GiB"
    ):
        load(tmp_path / "large.h5")


@pytest.mark.parametrize("module", ["h5py", "h5netcdf"])
def test_without_the_packages_that_read_hdf5_they_are_named(tmp_path, monkeypatch, module):
    save(made_surface(), tmp_path / "surface.nc")
    monkeypatch.setitem(sys.modules, module, None)
    for run in (
        lambda: load(tmp_path / "surface.nc"),
        lambda: load(tiny.DATA / "surface_filter_biasbn.h5"),
        lambda: save(made_surface(), tmp_path / "surface.h5"),
        lambda: save(made_surface(), tmp_path / "surface.nc"),
    ):
        with pytest.raises(ImportError, match=rf"expected h5py and h5netcdf to read .*{module}.*; type: pip install"):
            run()
