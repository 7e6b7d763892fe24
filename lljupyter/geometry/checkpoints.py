"""Checkpoints of a training run: in memory or in files, read a slice at a time so that they are never all held."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from lljupyter.geometry.parameters import Parameters

Source = Parameters | str | os.PathLike[str]
Trajectory = Sequence[Source] | str | os.PathLike[str]

# Slices of the first axes of a tensor; none for all of it.
Piece = tuple[slice, ...]

# Entries of a block of all checkpoints, in float64: 64 MiB.
BLOCK = 2**23
# Files are opened anew after so many blocks, which takes about a hundredth of the time that those take.
BLOCKS_MAPPED = 16

# Under one of these keys, files hold the state dict beside the state of the optimizer and so on.
KEYS = ("state_dict", "model_state_dict", "model")
# What DataParallel and torch.compile put before the names of a model.
PREFIXES = ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")


class Checkpoint:
    """One checkpoint: a dict of tensors, or a ``.safetensors``, ``.pt`` or ``.pth`` file of them.

    A file is mapped into memory when it is first read, and only what is asked for is read. PyTorch's files are
    opened with ``weights_only=True``, which runs no code of theirs; a state dict under a key such as
    ``model_state_dict`` is unpacked. Names may have the prefixes of a compiled or data-parallel model.

    Args:
        source: The dict, or the path of the file.
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
        self._file: Any = None
        self._own: dict[str, str] | None = None

    def part(self, name: str, theta: Tensor, piece: Piece = ()) -> Tensor:
        """Reads one tensor, or a piece of it.

        Args:
            name: Its name.
            theta: The tensor of the center with this name, whose shape it must have.
            piece: Slices of its first axes; none for all of it.

        Raises:
            ValueError: If the checkpoint has no such tensor, or one of another shape.
        """
        own = self._names().get(name)
        shape: tuple[int, ...] | None = None
        if self._file is not None and own is not None:
            view = self._file.get_slice(own)
            shape = tuple(view.get_shape())
        elif self._tensors is not None and own is not None and isinstance(self._tensors[own], Tensor):
            view = self._tensors[own].detach()
            shape = tuple(view.shape)
        if own is None:
            raise ValueError(
                f"expected checkpoint {self.label} with {name!r} of shape {tuple(theta.shape)}, got none of that name "
                f"among {sorted(self._names())[:4]}; use the checkpoints of the same model, its state dict itself"
            )
        if shape != tuple(theta.shape):
            raise ValueError(
                f"expected checkpoint {self.label} with {name!r} of shape {tuple(theta.shape)}, got "
                f"{'no tensor' if shape is None else shape}; use the checkpoints of the same model"
            )
        if piece:
            return view[piece]  # type: ignore[no-any-return]
        return self._file.get_tensor(own) if self._file is not None else view  # type: ignore[no-any-return]

    def has(self, name: str) -> bool:
        """Says whether there is a tensor of this name."""
        return name in self._names()

    def tensors(self, center: Parameters) -> dict[str, Tensor]:
        """Read all tensors of the center that the checkpoint has and that concern the trajectory."""
        names = self._names()
        wanted = center.keys() if self._only is None else self._only
        return {name: self.part(name, theta) for name, theta in center.items() if name in names and name in wanted}

    def metadata(self) -> dict[str, str]:
        """Returns what the file says about itself: step, epoch and learning rate where the recorder wrote it."""
        self._open()
        return (self._file.metadata() or {}) if self._file is not None else {}

    def close(self) -> None:
        """Lets go of the file, whose pages count as memory of the process meanwhile; it may be read again."""
        if self._path is not None:
            self._file = self._tensors = None

    def _names(self) -> dict[str, str]:
        """Returns ``{name in the model: name in the checkpoint}``."""
        self._open()
        if self._own is None:
            found = [str(name) for name in (self._tensors or () if self._file is None else self._file.keys())]
            self._own = {name: name for name in found}
            for prefix in PREFIXES:
                if all(name.startswith(prefix) for name in found):
                    self._own = {**{name.removeprefix(prefix): name for name in found}, **self._own}
        return self._own

    def _open(self) -> None:
        if self._path is None or self._file is not None or self._tensors is not None:
            return
        try:
            if self._path.suffix == ".safetensors":
                self._file = safe_open(self._path, framework="pt")
                return
            # Files of before PyTorch 1.6 are no zip archives and can't be mapped.
            mapped = zipfile.is_zipfile(self._path)
            content = torch.load(self._path, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception as error:  # for a file of another kind PyTorch raises a dozen kinds
            raise ValueError(
                f"expected a readable checkpoint, got {self._path} ({type(error).__name__}: {error}); "
                "pass .safetensors files, or those that torch.save(model.state_dict(), path) writes"
            ) from error
        content = content if isinstance(content, Mapping) else {}
        self._tensors = next((content[key] for key in KEYS if isinstance(content.get(key), Mapping)), content)


def open_checkpoints(trajectory: Trajectory, only: Collection[str] | None = None) -> list[Checkpoint]:
    """Return the checkpoints of a trajectory, in the order of training; nothing is read yet.

    Args:
        trajectory: A folder of ``.safetensors`` files, as ``TrajectoryRecorder`` writes it (in the order of their
            names), or a sequence of state dicts and paths, the final one last.
        only: The names of the tensors that concern the trajectory, see ``Checkpoint``.

    Raises:
        TypeError: If it is something else.
        ValueError: If it is empty, or a file is missing.
    """
    if isinstance(trajectory, (str, os.PathLike)):
        folder = Path(trajectory)
        if not folder.is_dir():
            kind = "no folder" if folder.exists() else "missing"
            raise ValueError(
                f"expected a folder of .safetensors checkpoints, got {folder}, which is {kind}; "
                "check the path, or pass a list of files"
            )
        # Directions that were saved with a surface may lie beside them.
        trajectory = [p for p in sorted(folder.glob("*.safetensors")) if not p.name.endswith(".directions.safetensors")]
        if not trajectory:
            raise ValueError(
                f"expected a folder of .safetensors checkpoints, got {folder} with none; "
                "record them with TrajectoryRecorder(model, optimizer, path), or pass a list of paths"
            )
    if not isinstance(trajectory, Sequence):
        raise TypeError(
            f"expected a trajectory as a folder or a list of state dicts or paths, got {type(trajectory).__name__}"
        )
    if not trajectory:
        raise ValueError("expected a trajectory with at least one checkpoint, got an empty list")
    found = []
    for index, source in enumerate(trajectory):
        if not isinstance(source, (Mapping, str, os.PathLike)):
            raise TypeError(
                f"expected checkpoint {index} as a state dict or a path, got {type(source).__name__}; "
                "use model.state_dict(), copied with {k: v.clone() for k, v in ...} while training goes on"
            )
        if not isinstance(source, Mapping) and not Path(source).is_file():
            raise ValueError(f"expected checkpoint {index} as a file, got {source}, which is not there; check the path")
        found.append(Checkpoint(source, str(index) if isinstance(source, Mapping) else Path(source).stem, only))
    return found


def differences(checkpoints: Sequence[Checkpoint], center: Parameters) -> Iterator[tuple[str, Piece, Tensor]]:
    """Reads all checkpoints side by side, block by block, as differences from the center.

    Only one block is held, so that hundreds of checkpoints of a large model need the memory of one or two.

    Args:
        checkpoints: n of them.
        center: ``{name: tensor}``, what is subtracted and which tensors are read.

    Yields:
        The name of a tensor, the piece of it, and the differences, shape (n, k), float64 on the CPU; complex numbers
        as pairs of real ones. The next block overwrites them.
    """
    n, n_read = len(checkpoints), 0
    memory = torch.empty(0, dtype=torch.float64)
    for name, theta in center.items():
        for piece in pieces(tuple(theta.shape), BLOCK // n):
            origin = flat(theta, piece)
            if memory.numel() < n * len(origin):
                memory = torch.empty(n * len(origin), dtype=torch.float64)
            block = memory[: n * len(origin)].view(n, len(origin))
            for row, checkpoint in zip(block, checkpoints, strict=True):
                row.copy_(_real(checkpoint.part(name, theta, piece)))
            yield name, piece, block.sub_(origin)
            n_read += block.numel()
            if n_read > BLOCKS_MAPPED * BLOCK:
                n_read = 0
                for checkpoint in checkpoints:
                    checkpoint.close()


def pieces(shape: tuple[int, ...], most: int) -> Iterator[Piece]:
    """Cuts a tensor into pieces of at most so many entries (or one), each given as slices of its first axes."""
    n_rest = math.prod(shape[1:])
    if not shape or shape[0] * n_rest <= most:
        yield ()
    elif n_rest <= most:
        n_rows = most // max(n_rest, 1)
        yield from ((slice(start, min(start + n_rows, shape[0])),) for start in range(0, shape[0], n_rows))
    else:
        for row in range(shape[0]):
            yield from ((slice(row, row + 1), *rest) for rest in pieces(shape[1:], most))


def flat(tensor: Tensor, piece: Piece = ()) -> Tensor:
    """Returns a tensor, or a piece of it, as one row of float64 on the CPU."""
    return _real(tensor.detach()[piece]).to("cpu", torch.float64)


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).reshape(-1)
