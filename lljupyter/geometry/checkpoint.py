"""One checkpoint of a training run, in memory or in files; only the requested tensors are read."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from lljupyter.geometry.checkpoint_names import hint_for, matched_names, own_names
from lljupyter.geometry.parameters import Parameters

Source = Parameters | str | os.PathLike[str]

# Slices of the first axes of a tensor; none for all of it.
Piece = tuple[slice, ...]

# Files that also hold the state of the optimizer have the state dict under one of these keys.
KEYS = ("state_dict", "model_state_dict", "model")
# The weights in a folder that transformers, peft, diffusers or accelerate wrote; the first one found is used.
WEIGHTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "adapter_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "adapter_model.bin",
)


class Checkpoint:
    """One checkpoint: a dict of tensors, a file of them, or a folder that Hugging Face libraries wrote.

    A ``.safetensors``, ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file is mapped into memory when it is first read, and
    only the requested tensors are read. PyTorch's files are opened with ``weights_only=True``, so no code runs;
    a state dict under a key such as ``state_dict`` is unpacked. A folder may hold its weights in several files, which
    an ``.index.json`` lists.

    Args:
        source: The dict, or the path of the file or folder.
        label: What to call it in pictures and messages.
        only: The names of the tensors that concern the trajectory; None for all.

    Attributes:
        label: As given.
    """

    def __init__(self, source: Source, label: str, only: Collection[str] | None = None) -> None:
        self.label = label
        self._only = only
        self._path = None if isinstance(source, Mapping) else Path(source)
        self._tensors: Mapping[str, Any] | None = source if isinstance(source, Mapping) else None
        self._files: dict[str, Any] = {}  # the open safetensors file that holds each tensor
        self._own: dict[str, str] | None = None
        self._wanted: Collection[str] = ()

    def match(self, names: Collection[str]) -> None:
        """Find the names of a model, which may differ from those here by a prefix, see ``matched_names``.

        Raises:
            ValueError: If the checkpoint has the names more than once, or the file cannot be read.
        """
        if any(name not in self._names() for name in names):
            self._own = matched_names(names, self._found(), self.label)
            self._wanted = names

    def part(self, name: str, theta: Tensor, piece: Piece = ()) -> Tensor:
        """Read one tensor, or a piece of it.

        Args:
            name: Its name.
            theta: The tensor of the center with this name, whose shape it must have.
            piece: Slices of its first axes; none for all of it.

        Returns:
            The tensor, or the piece of it, in the dtype of the checkpoint; memory may be shared with the file.

        Raises:
            ValueError: If the checkpoint has no such tensor, or one of another shape.
        """
        own = self._names().get(name)
        if own is None:
            raise ValueError(
                f"expected checkpoint {self.label} with {name!r} of shape {tuple(theta.shape)}, got none of that name "
                f"among {sorted(self._names())[:4]}; {hint_for(name, self._wanted, self._found())}"
            )
        view = self._files[own].get_slice(own) if self._tensors is None else self._tensors[own]
        shape = None
        if self._tensors is None:
            shape = tuple(view.get_shape())
        elif isinstance(view, Tensor):
            view = view.detach()
            shape = tuple(view.shape)
        if shape != tuple(theta.shape):
            raise ValueError(
                f"expected checkpoint {self.label} with {name!r} of shape {tuple(theta.shape)}, got "
                f"{'no tensor' if shape is None else shape}; use the checkpoints of the same model"
            )
        if piece:
            return view[piece]  # type: ignore[no-any-return]
        return self._files[own].get_tensor(own) if self._tensors is None else view  # type: ignore[no-any-return]

    def has(self, name: str) -> bool:
        """Return True if there is a tensor of this name."""
        return name in self._names()

    def tensors(self, center: Parameters) -> dict[str, Tensor]:
        """Read all tensors of the center that the checkpoint has and that concern the trajectory."""
        names = self._names()
        wanted = center.keys() if self._only is None else self._only
        return {name: self.part(name, theta) for name, theta in center.items() if name in names and name in wanted}

    def metadata(self) -> dict[str, str]:
        """Return what a recorder or trainer wrote about the checkpoint: step, epoch and learning rate."""
        self._open()
        if self._path is not None and self._path.is_dir():
            return _trainer_metadata(self._path / "trainer_state.json")
        return next(iter(self._files.values())).metadata() or {} if self._files else {}

    def close(self) -> None:
        """Close the files, whose pages count as memory of the process while they are open; reading opens them again."""
        if self._path is not None:
            self._files, self._tensors = {}, None

    def _found(self) -> list[str]:
        """Return the names in the checkpoint itself."""
        self._open()
        return [str(name) for name in (self._files if self._tensors is None else self._tensors)]

    def _names(self) -> dict[str, str]:
        """Return ``{name in the model: name in the checkpoint}``."""
        self._open()
        if self._own is None:
            self._own = own_names(self._found())
        return self._own

    def _open(self) -> None:
        if self._path is None or self._files or self._tensors is not None:
            return
        path = self._path
        try:
            files = weight_files(path)
            if all(file.suffix == ".safetensors" for file in files):
                opened: list[Any] = [safe_open(file, framework="pt") for file in files]
                self._files = {name: file for file in opened for name in file.keys()}  # noqa: SIM118
                if not self._files:
                    self._tensors = {}
            else:
                self._tensors = {name: tensor for file in files for name, tensor in _load(file).items()}
        except Exception as error:  # PyTorch raises a dozen kinds of errors for files that are no checkpoints
            reason = str(error).strip().splitlines() or [""]
            raise ValueError(
                f"expected a readable checkpoint, got {path} ({type(error).__name__}: {reason[0][:200]}); "
                "pass .safetensors files, or those that torch.save(model.state_dict(), path) writes"
            ) from error


def weight_files(path: Path) -> list[Path]:
    """Return the files of a checkpoint: itself, or the weights in a folder.

    Raises:
        ValueError: If a folder has no weights, or an index is damaged.
        OSError: If a file cannot be read.
    """
    if path.is_dir():
        name = next((name for name in WEIGHTS if (path / name).is_file()), None)
        if name is None:
            raise ValueError(f"none of {', '.join(WEIGHTS[1:3])} and so on is in this folder")
        path = path / name
    if path.suffix != ".json":
        return [path]
    index = json.loads(path.read_text(encoding="utf-8"))
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(s, str) and Path(s).name == s for s in shards.values()):
        raise ValueError(f"{path.name} has no weight_map of files beside it")
    return [path.with_name(shard) for shard in sorted(set(shards.values()))]


def _load(path: Path) -> Mapping[str, Any]:
    # Files of before PyTorch 1.6 are no zip archives and can't be mapped.
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    content = content if isinstance(content, Mapping) else {}
    states = next((content[key] for key in KEYS if isinstance(content.get(key), Mapping)), content)
    return {str(name): tensor for name, tensor in states.items()}


def _trainer_metadata(path: Path) -> dict[str, str]:
    """Return what the trainer of transformers wrote next to the weights; empty if that cannot be read."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        rates = [float(entry["learning_rate"]) for entry in state["log_history"] if "learning_rate" in entry]
        metadata = {"step": str(int(state["global_step"])), "epoch": f"{float(state['epoch']):g}"}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return {**metadata, **({"learning_rate": str(rates[-1])} if rates else {})}
