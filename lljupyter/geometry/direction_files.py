"""Directions on disk: our safetensors files, and the directions in the authors' .h5 files."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lljupyter.geometry.parameters import Parameters, check_direction, fingerprint, parameters_of, states_of, unwrapped
from lljupyter.process.atomic import atomic

FORMAT_VERSION = 1
LABELS = ("delta", "eta")
GROUPS = ("xdirection", "ydirection")


def save_directions(
    directions: tuple[Parameters, Parameters], path: str | os.PathLike[str], model_fingerprint: str = ""
) -> None:
    """Writes ``(delta, eta)`` as a safetensors file with the keys ``delta/<name>`` and ``eta/<name>``, atomically.

    An eta of zeros, that of a line, is left out.

    Args:
        directions: Two parameter dicts; not changed.
        path: Where to write.
        model_fingerprint: The fingerprint of the model they belong to, so that no other is used with them.
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


def load_directions(path: str | os.PathLike[str], model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Reads ``(delta, eta)``.

    Args:
        path: A safetensors file that ``save_directions`` wrote, a surface with such a file beside it, or an .h5 file
            of the authors' code, whose directions are numbered in the order of the parameters (or of the states).
            A file with one direction gives zeros for eta.
        model: The model they belong to.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, of a newer version, holds no directions, or belongs to another model.
    """
    path = Path(path)
    if path.suffix == ".nc":
        path = beside(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected directions in {path}, got no such file; pass them as directions=... (direction=... for a line), "
            "or save the surface with them: save(dataset, path, directions=(delta, eta))"
        )
    model = unwrapped(model)
    delta, eta = _read_h5(path, model) if path.suffix in (".h5", ".hdf5") else _read(path, model)
    names = states_of(model) if delta.keys() - parameters_of(model).keys() else parameters_of(model)
    for label, direction in zip(LABELS, (delta, eta), strict=True):
        check_direction(direction, names, f"{label} of {path.name}")
    # Files number or sort them in orders of their own.
    return {name: delta[name] for name in names}, {name: eta[name] for name in names}


def beside(path: Path) -> Path:
    """Returns where the directions of a surface are kept."""
    return path.with_suffix(".directions.safetensors")


def _read(path: Path, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"expected whole directions in {path}, got a file that is cut short or damaged ({error}); save them again"
        ) from error
    version = int(metadata.get("format_version", 0))
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


def _read_h5(path: Path, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    import h5py

    parameters, states = parameters_of(model), states_of(model)
    # Theirs count num_batches_tracked among the states, ours do not: it is no part of the function.
    whole = list(model.state_dict())
    lists = [list(parameters), whole, list(states)]
    found: list[dict[str, Tensor]] = []
    try:
        with h5py.File(path) as file:
            for group in GROUPS:
                stored = [torch.as_tensor(file[group][str(k)][()]) for k in range(len(file.get(group, ())))]
                if not stored and found:
                    found.append({name: torch.zeros_like(part) for name, part in found[0].items()})
                    continue
                names = next((names for names in lists if len(names) == len(stored)), None)
                if names is None:
                    raise ValueError(
                        f"expected {len(parameters)} tensors (or {len(whole)} states) in {group} of {path}, got "
                        f"{len(stored)}; pass the model that the file was made with"
                    )
                found.append({n: part for n, part in zip(names, stored, strict=True) if n in states})
    except (OSError, KeyError) as error:
        raise ValueError(
            f"expected an .h5 file of the authors' code, got {path}, which is damaged or of another kind ({error})"
        ) from error
    return found[0], found[1]
