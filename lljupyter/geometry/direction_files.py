"""Directions on disk: our safetensors files, and the directions in the authors' .h5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lljupyter.geometry.parameters import Parameters, check_direction, fingerprint, parameters_of, states_of, unwrapped
from lljupyter.process.atomic import atomic, checked_path

FORMAT_VERSION = 1
LABELS = ("delta", "eta")
GROUPS = ("xdirection", "ydirection")

Pair = tuple[dict[str, Tensor], dict[str, Tensor]]


def save_directions(
    directions: tuple[Parameters, Parameters], path: str | os.PathLike[str], model_fingerprint: str = ""
) -> None:
    """Write ``(delta, eta)`` as a safetensors file with the keys ``delta/<name>`` and ``eta/<name>``, atomically.

    An eta of zeros, as lines have, is left out.

    Args:
        directions: Two parameter dicts; not changed.
        path: Where to write.
        model_fingerprint: The fingerprint of their model; ``load_directions`` refuses any other model.
    """
    tensors = {
        f"{label}/{name}": part.detach().cpu().contiguous().clone()
        for label, direction in zip(LABELS, directions, strict=True)
        if label == "delta" or any(bool(part.any()) for part in direction.values())
        for name, part in direction.items()
    }
    metadata = {"format_version": str(FORMAT_VERSION), "model_fingerprint": model_fingerprint}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_directions(path: str | os.PathLike[str], model: nn.Module) -> Pair:
    """Read ``(delta, eta)``.

    Args:
        path: A safetensors file that ``save_directions`` wrote, a surface with such a file beside it, or an .h5 file
            of the authors' code, whose directions are numbered in the order of the parameters (or of the states).
            A file with one direction gives zeros for eta; a file with directions of some parameters gives these only.
        model: The model they belong to.

    Raises:
        TypeError: If an argument has the wrong type.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of a newer version, without directions, or of another model.
    """
    path = checked_path(path, "directions.safetensors")
    if path.suffix == ".nc":
        path = beside(path)
    is_file = False
    with suppress(OSError):  # of a name that is too long, for example
        is_file = path.is_file()
    if not is_file:
        raise FileNotFoundError(
            f"expected directions in {path}, got no such file; pass them as directions=... (direction=... for a line), "
            "or save the surface with them: save(dataset, path, directions=(delta, eta))"
        )
    model = unwrapped(model)
    delta, eta = _read_h5(path, model) if path.suffix in (".h5", ".hdf5") else _read(path, model)
    names = states_of(model) if delta.keys() - parameters_of(model).keys() else parameters_of(model)
    if path.suffix == ".safetensors" and delta and delta.keys() <= names.keys():  # of chosen parameters
        names = {name: theta for name, theta in names.items() if name in delta}
    for label, direction in zip(LABELS, (delta, eta), strict=True):
        check_direction(direction, names, f"{label} of {path.name}")
    # The order in a file may be another one.
    return {name: delta[name] for name in names}, {name: eta[name] for name in names}


def beside(path: Path) -> Path:
    """Return the path of the directions that are saved with a surface."""
    return path.with_suffix(".directions.safetensors")


def _read(path: Path, model: nn.Module) -> Pair:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
        version = int(metadata.get("format_version", 0))
    except Exception as error:  # the library raises half a dozen kinds of errors for other files
        raise ValueError(
            f"expected whole directions in {path}, got a file that is cut short or damaged ({error}); save them again"
        ) from error
    if version > FORMAT_VERSION:
        raise ValueError(
            f"expected directions of format version {FORMAT_VERSION} or older in {path}, got {version}; "
            "upgrade with pip install -U lljupyter"
        )
    if metadata.get("model_fingerprint") not in ("", None, fingerprint(model)):
        raise ValueError(
            f"expected directions of this model in {path}, got those of another (or of other weights); "
            "load the weights that the surface was computed with"
        )
    delta, eta = (
        {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(f"{label}/")}
        for label in LABELS
    )
    return delta, eta or {name: torch.zeros_like(part) for name, part in delta.items()}


def _read_h5(path: Path, model: nn.Module) -> Pair:
    import h5py

    parameters, states = parameters_of(model), states_of(model)
    # The authors count num_batches_tracked among the states, but it does not move.
    orders = [list(parameters), list(model.state_dict()), list(states)]
    try:
        with h5py.File(path) as file:
            found = [_h5_direction(file.get(group, {}), f"{group} of {path}", orders, states) for group in GROUPS]
    except Exception as error:  # h5py raises a dozen kinds of errors for damaged and foreign files
        raise ValueError(
            f"expected an .h5 file of the authors' code, got {path}, which is damaged or of another kind "
            f"({type(error).__name__}: {error}); pass the file that their code, or save(dataset, path), wrote"
        ) from error
    for group, direction in zip(GROUPS, found, strict=True):
        if isinstance(direction, str):
            raise ValueError(f"{direction}; pass the model that the file was made with")
        if not direction and group == "xdirection":
            raise ValueError(f"expected {group} in {path}, got none; pass a file with directions")
    delta, eta = (direction for direction in found if isinstance(direction, dict))
    return delta, eta or {name: torch.zeros_like(part) for name, part in delta.items()}


def _h5_direction(
    stored: Any, where: str, orders: Sequence[Sequence[str]], states: Parameters
) -> dict[str, Tensor] | str:
    """Return the direction in a group, or a message if it does not fit the model; an empty dict for an empty group.

    Args:
        stored: The group, datasets with the names "0", "1" and so on.
        where: What to call it in messages.
        orders: The possible orders of tensor names.
        states: ``{name: tensor}``, the expected shapes. Other tensors are not read.
    """
    if not len(stored):
        return {}
    names = next((names for names in orders if len(names) == len(stored)), None)
    if names is None:
        return f"expected {len(orders[0])} tensors (or {len(orders[1])} states) in {where}, got {len(stored)}"
    for k, name in enumerate(names):
        if name not in states:
            continue
        # Only the metadata is read until everything fits: a damaged file may claim any size.
        shape, dtype = (getattr(stored.get(str(k)), attribute, None) for attribute in ("shape", "dtype"))
        if shape != tuple(states[name].shape) or getattr(dtype, "kind", "") not in ("f", "c", "i", "u"):
            return (
                f"expected {str(k)!r} in {where} as numbers of shape {tuple(states[name].shape)}, for {name!r}, got "
                f"{'nothing' if str(k) not in stored else f'{dtype} of shape {shape}'}"
            )
    return {name: _tensor(stored[str(k)]) for k, name in enumerate(names) if name in states}


def _tensor(stored: Any) -> Tensor:
    array = np.asarray(stored[()])
    return torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
