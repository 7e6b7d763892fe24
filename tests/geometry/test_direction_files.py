"""Files with directions that are damaged, foreign or of another model: one error each, which names the file."""

from __future__ import annotations

import random
from collections.abc import Callable

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.data import tiny

from lljupyter import load_directions
from lljupyter.geometry.direction_files import save_directions
from lljupyter.geometry.parameters import check_direction, parameters_of
from lljupyter.geometry.plane import random_plane


def h5_directions(path, change: Callable[[h5py.File], object]) -> None:
    """Write a whole file as the authors' code does, then change something in it."""
    with h5py.File(path, "w") as file:
        for group in ("xdirection", "ydirection"):
            for k, theta in enumerate(parameters_of(tiny.network()).values()):
                file[f"{group}/{k}"] = np.full(tuple(theta.shape), k, dtype=np.float32)
        change(file)


def replace(file: h5py.File, name: str, content: object) -> None:
    del file[name]
    file[name] = content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: replace(file, "xdirection", np.ones(4)), r"expected 8 tensors \(or 14 states\) in xdirection"),
        (lambda file: replace(file, "xdirection", 3.0), "damaged or of another kind .*TypeError"),
        (lambda file: replace(file, "xdirection", h5py.SoftLink("/nowhere")), "expected xdirection in .* got none"),
        (lambda file: replace(file, "xdirection", h5py.SoftLink("/xdirection")), "damaged or of another kind|got none"),
        (lambda file: file.__delitem__("xdirection"), "expected xdirection in .*, got none; pass a file with direct"),
        (lambda file: file.__delitem__("ydirection/7"), r"expected 8 tensors .* in ydirection of .*, got 7; pass"),
        (
            lambda file: file.move("xdirection/7", "xdirection/x"),
            r"expected '7' in xdirection .*'fc.bias', got nothing",
        ),
        (
            lambda file: replace(file, "xdirection/1", "text"),
            r"expected '1' in xdirection of .* as numbers of shape \(8",
        ),
        (lambda file: replace(file, "xdirection/1", h5py.Empty("f4")), r"'bn1.weight', got float32 of shape None"),
        (lambda file: replace(file, "ydirection/1", np.ones(8, bool)), "in ydirection of .* got bool of shape"),
        (lambda file: replace(file, "xdirection/1", np.ones(7)), r"'bn1.weight', got float64 of shape \(7,\)"),
        (lambda file: replace(file, "xdirection/1", file["ydirection"]), "'bn1.weight', got None of shape None"),
        (lambda file: replace(file, "xdirection/1", np.full(8, np.nan)), r"finite values in delta of a.h5\['bn1.wei"),
        (lambda file: replace(file, "xdirection/1", np.ones(8, "c8")), r"real values in delta of a.h5\['bn1.weight'\]"),
    ],
)
def test_h5_files_of_another_kind_are_refused_by_name(tmp_path, change, message):
    h5_directions(tmp_path / "a.h5", change)
    with pytest.raises(ValueError, match=message) as caught:
        load_directions(tmp_path / "a.h5", tiny.network())
    assert "a.h5" in str(caught.value)


def test_a_dataset_that_claims_to_be_enormous_is_not_read(tmp_path):
    def change(file: h5py.File) -> None:
        del file["xdirection/0"]
        file.create_dataset("xdirection/0", shape=(10**6, 10**6), dtype="f4", chunks=(10, 10))

    h5_directions(tmp_path / "a.h5", change)
    with pytest.raises(ValueError, match=r"got float32 of shape \(1000000, 1000000\)"):
        load_directions(tmp_path / "a.h5", tiny.network())


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<i4", "<f2"])
def test_numbers_of_every_kind_are_read(tmp_path, kind):
    h5_directions(tmp_path / "a.h5", lambda file: replace(file, "xdirection/1", np.arange(8).astype(kind)))
    delta, eta = load_directions(tmp_path / "a.h5", tiny.network())
    assert delta["bn1.weight"].tolist() == list(range(8))
    assert eta["bn1.weight"].tolist() == [1] * 8


@pytest.mark.parametrize("suffix", ["h5", "safetensors"])
def test_damaged_files_are_read_or_refused_by_name(tmp_path, suffix):
    model = tiny.network()
    plane = random_plane(parameters_of(model), 0)
    path = tmp_path / f"a.{suffix}"
    save_directions((plane.delta, plane.eta), tmp_path / "whole.safetensors")
    h5_directions(tmp_path / "whole.h5", lambda file: None)
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    drawn, refused = random.Random(0), []
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(drawn.choice([1, 3, 20])):
            content[drawn.randrange(2000)] = drawn.randrange(256)
        path.write_bytes(content[: drawn.choice([len(content), drawn.randrange(len(content))])])
        try:
            delta, eta = load_directions(path, model)
        except ValueError as error:
            refused.append(f"{type(error).__name__}: {error}")
        else:
            check_direction(delta, parameters_of(model))
            check_direction(eta, parameters_of(model))
    assert len(refused) > 50
    assert all(message.startswith("ValueError: ") and path.name in message for message in refused)


def test_a_version_that_is_no_number_is_refused(tmp_path):
    save_file({"delta/x": torch.ones(1)}, tmp_path / "a.safetensors", {"format_version": "new"})
    with pytest.raises(ValueError, match=r"expected whole directions in .*a.safetensors, got .*invalid literal"):
        load_directions(tmp_path / "a.safetensors", tiny.network())


@pytest.mark.parametrize("path", ["nowhere.h5", "x" * 10_000])
def test_files_that_are_missing_are_told(path):
    with pytest.raises(
        FileNotFoundError, match=r"expected directions in .*, got no such file; pass them as directions"
    ):
        load_directions(path, tiny.network())


def test_what_is_no_path_is_refused():
    with pytest.raises(TypeError, match=r"expected the path of a file, got 3; try 'directions.safetensors'"):
        load_directions(3, tiny.network())
