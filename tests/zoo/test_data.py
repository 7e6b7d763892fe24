"""The data sets: shapes, scales, and what is missing."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support.reference import SHARED
from torch.utils.data import DataLoader

from lljupyter.zoo import CIFAR, IMAGENET, cifar10, digits, jpeg_archive, resnet, score


@pytest.fixture
def archive(tmp_path):
    """Seven images of one color each, and their colors."""
    colors = np.random.default_rng(0).integers(0, 256, (7, 3), dtype=np.uint8)
    files = []
    for color in colors:
        buffer = io.BytesIO()
        Image.fromarray(np.broadcast_to(color, (16, 16, 3)).copy()).save(buffer, "JPEG", quality=95, subsampling=0)
        files.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    path = tmp_path / "images.npz"
    np.savez(path, jpeg=np.frombuffer(b"".join(files), np.uint8), offsets=offsets, labels=np.arange(7, dtype=np.uint8))
    return path, colors


def test_digits():
    train, test = digits()
    images, labels = train.tensors
    assert images.shape == (1200, 3, 8, 8)
    assert len(test) == 597
    assert (float(images.min()), float(images.max())) == (0, 1)
    assert torch.equal(images[:, 0], images[:, 2])
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert sorted(set(labels.tolist())) == list(range(10))
    assert digits(dtype=torch.float64).train.tensors[0].dtype == torch.float64
    assert digits(channels=1, n_train=100).test.tensors[0].shape == (1697, 1, 8, 8)


@pytest.mark.parametrize(("step", "labels"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6])])
def test_jpeg_archives_are_decoded_and_normalized(archive, step, labels):
    path, colors = archive
    images, found = jpeg_archive(path, step=step).tensors
    mean, std = np.array(IMAGENET)
    expected = (colors[labels] / 255 - mean) / std
    assert found.tolist() == labels
    assert found.dtype == torch.int64
    assert images.shape == (len(labels), 3, 16, 16)
    np.testing.assert_allclose(images[:, :, 8, 8], expected, atol=0.05)


def test_cifar_10_comes_through_torchvision(monkeypatch, tmp_path):
    calls = []

    def fake(root, train, download):
        calls.append((root, train, download))
        return SimpleNamespace(data=np.full((2, 4, 4, 3), 255 * train, np.uint8), targets=[3, int(train)])

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", SimpleNamespace(CIFAR10=fake))
    with pytest.raises(ValueError, match="expected download as True or False, got 'yes'; True lets torchvision"):
        cifar10(tmp_path, download="yes")
    with pytest.raises(ValueError, match=r"expected normalize as .* got None; try zoo.CIFAR"):
        cifar10(tmp_path, normalize=None)
    train, test = cifar10(tmp_path)
    assert calls == [(str(tmp_path), True, False), (str(tmp_path), False, False)]
    mean, std = np.array(CIFAR)
    for part, value in ((train, 1), (test, 0)):
        np.testing.assert_allclose(part.tensors[0][1, :, 0, 0], (value - mean) / std, rtol=1e-5)
        assert part.tensors[1].tolist() == [3, value]
        assert part.tensors[0].dtype == torch.float32
        assert part.tensors[1].dtype == torch.int64


@pytest.mark.parametrize(
    ("missing", "call", "message"),
    [
        (
            "torchvision.datasets",
            lambda path: cifar10(path),
            "expected torchvision for CIFAR-10, got none; pip install",
        ),
        ("sklearn.datasets", lambda path: digits(), "expected scikit-learn for its digits, got none; pip install"),
        ("PIL", lambda path: jpeg_archive(path), "expected Pillow to decode JPEG images, got none; pip install"),
    ],
)
def test_missing_packages_are_named(monkeypatch, tmp_path, missing, call, message):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=message):
        call(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('operator torchvision::nms does not exist')",
        "ImportError('undefined symbol: _ZN3c10')",
        "AttributeError('partially initialized module')",
        "OSError('cannot open shared object file')",
        "ModuleNotFoundError('no module', name='PIL')",
    ],
)
def test_a_torchvision_that_does_not_fit_torch_is_named(monkeypatch, tmp_path, error):
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    message = rf"expected a torchvision that fits torch .*, got one that does not load \({error[:5]}.*; pip install --"
    with pytest.raises(ImportError, match=message):
        cifar10(tmp_path)


def picture(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG")
    return buffer.getvalue()


def packed(*files: bytes, labels=None, **arrays) -> bytes:
    """An archive as bytes."""
    buffer = io.BytesIO()
    given = {
        "jpeg": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "labels": np.zeros(len(files), np.uint8) if labels is None else labels,
    }
    np.savez(buffer, **given | arrays)
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def without_pixels() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, labels=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            without_pixels(),
            r"expected an archive with jpeg, offsets and labels, got .* without \['jpeg', 'offsets'\]; w",
        ),
        (b"", r"expected an archive by numpy.savez, got .*images.npz \(.*\); see zoo.jpeg_archive"),
        (b"some text", r"expected an archive by numpy.savez, got .*images.npz \(.*\); see zoo.jpeg_archive"),
        (packed(picture((4, 4)))[:200], r"expected an archive by numpy.savez, got .*images.npz \(.*\); see zoo"),
        (array(), "expected an archive by numpy.savez, got a single array in .*images.npz; see zoo.jpeg_archive"),
        (packed(), r"expected bytes .* n \+ 1 offsets and n labels.* got uint8\(0,\), int64\(1,\), uint8\(0,\) in"),
        (
            packed(picture((4, 4)), labels=np.zeros(2, int)),
            r"expected bytes .* int64\(2,\), int64\(2,\) in .*; see zoo",
        ),
        (packed(picture((4, 4)), labels=np.zeros(1)), r"expected bytes .* float64\(1,\) in .*; see zoo.jpeg_archive"),
        (packed(b"no picture"), "expected image 0 of .*images.npz as JPEG, got cannot identify .*; write the archive"),
        (packed(picture((9, 9))[:-20]), "expected image 0 of .*images.npz as JPEG, got .*; write the archive anew"),
        (packed(picture((9, 9)), picture((8, 9))), r"expected images of one size in .* got \(9, 8\) for image 1 after"),
    ],
)
def test_other_archives_are_refused(tmp_path, content, message):
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        jpeg_archive(path)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected an archive of JPEG images, got no file .*a.npz; check the path"
    ):
        jpeg_archive(tmp_path / "a.npz")


def test_data_can_be_normalized_otherwise(archive):
    path, colors = archive
    images = jpeg_archive(path, normalize=((0.5, 0.25, 0.0), (2.0, 1.0, 0.5))).tensors[0]
    np.testing.assert_allclose(images[:, 1, 8, 8], colors[:, 1] / 255 - 0.25, atol=0.02)
    np.testing.assert_allclose(images[:, 2, 8, 8], colors[:, 2] / 255 * 2, atol=0.04)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: jpeg_archive(path, step=0), "expected step as a whole number of at least 1, got 0; 1 takes all"),
        (lambda path: jpeg_archive(path, step=1.5), "expected step as a whole number of at least 1, got 1.5; 1 takes"),
        (lambda path: jpeg_archive(path, normalize=(0.5, 0.5)), r"expected normalize as .* got \(0.5, 0.5\); try zoo"),
        (lambda path: jpeg_archive(path, normalize=((0, 0, 0), (1, 1, 0))), r"expected normalize as .*; try zoo.CIFAR"),
        (lambda path: jpeg_archive(path, normalize="CIFAR"), "expected normalize as .* got 'CIFAR'; try zoo.CIFAR or"),
        (lambda path: digits(channels=0), "expected channels as a whole number of at least 1, got 0; 3 fits networks"),
        (lambda path: digits(n_train="all"), "expected n_train as a whole number of at least 1, got 'all'; try 1200"),
        (lambda path: digits(dtype=torch.int64), "expected dtype as a floating-point .* got torch.int64; try torch.fl"),
        (lambda path: digits(n_train=1797), "expected n_train from 1 to 1796, got 1797; try 1200"),
    ],
)
def test_wrong_numbers_are_refused(archive, call, message):
    with pytest.raises(ValueError, match=message):
        call(archive[0])


@pytest.mark.slow
def test_published_weights_score_the_published_figures():
    weights, images = (SHARED / "data" / name for name in ("resnet20_cifar10.safetensors", "cifar10_test_jpeg.npz"))
    if not weights.exists() or not images.exists():
        pytest.skip(f"{weights} or {images} is not on this machine")
    model = resnet(20)
    model.load_state_dict(load_file(weights), strict=True)
    found = score(model.to(memory_format=torch.channels_last), DataLoader(jpeg_archive(images), 500))
    assert found.accuracy == pytest.approx(0.8103, abs=5e-5)
    assert found.loss == pytest.approx(0.8788, abs=1e-4)
