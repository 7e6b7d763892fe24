"""The checkpoints of a training run, in the order of training: from a list, or from the folder of any trainer."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lljupyter.geometry.checkpoint import WEIGHTS, Checkpoint, Source

Trajectory = Sequence[Source] | str | os.PathLike[str]

# Files that PyTorch writes, used if a folder has no .safetensors files.
KINDS = (".ckpt", ".pt", ".pth", ".bin")
# One of several files of a checkpoint, as transformers writes them.
SHARD = re.compile(r".*-\d+-of-\d+\.(safetensors|bin)")


def open_checkpoints(trajectory: Trajectory, only: Collection[str] | None = None) -> list[Checkpoint]:
    """Return the checkpoints of a trajectory, in the order of training; nothing is read yet.

    Args:
        trajectory: A folder, or a sequence of state dicts and paths, the final one last. A folder may hold
            ``.safetensors`` files, as ``TrajectoryRecorder`` writes them, or else folders such as ``checkpoint-500``
            (Hugging Face), or ``.ckpt`` (Lightning), ``.pt``, ``.pth`` or ``.bin`` files. They are put in the order of
            the step in their names, otherwise of the epoch, otherwise of all numbers in them; names without a number,
            such as ``last.ckpt``, come last.
        only: The names of the tensors that concern the trajectory, see ``Checkpoint``.

    Raises:
        TypeError: If ``trajectory`` is something else.
        ValueError: If it is empty, a file is missing, or the order of files in a folder is not clear.
    """
    if isinstance(trajectory, (str, os.PathLike)):
        trajectory = _in_folder(Path(trajectory))
    if not isinstance(trajectory, Sequence):
        raise TypeError(
            f"expected a trajectory as a folder or a list of state dicts or paths, got {type(trajectory).__name__}"
        )
    if not trajectory:
        raise ValueError("expected a trajectory with at least one checkpoint, got an empty list")
    checkpoints = []
    for index, source in enumerate(trajectory):
        if not isinstance(source, (Mapping, str, os.PathLike)):
            raise TypeError(
                f"expected checkpoint {index} as a state dict or a path, got {type(source).__name__}; "
                "use model.state_dict(), copied with {k: v.clone() for k, v in ...} while training goes on"
            )
        path = None if isinstance(source, Mapping) else Path(source)
        if path is not None and not path.is_file() and not _is_checkpoint(path):
            kind = "a folder without weights" if path.is_dir() else "not there"
            raise ValueError(f"expected checkpoint {index} as a file, got {source}, which is {kind}; check the path")
        label = str(index) if path is None else path.name if path.is_dir() else path.stem
        checkpoints.append(Checkpoint(source, label, only))
    return checkpoints


def _is_checkpoint(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in WEIGHTS)


def _in_folder(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, in the order of training."""
    if not folder.is_dir():
        kind = "no folder" if folder.exists() else "missing"
        raise ValueError(
            f"expected a folder of .safetensors checkpoints, got {folder}, which is {kind}; "
            "check the path, or pass a list of files"
        )
    inside = sorted(folder.iterdir())
    # Directions that were saved with a surface may lie beside them.
    files = [path for path in inside if path.is_file() and not path.name.endswith(".directions.safetensors")]
    files = [path for path in files if path.name not in WEIGHTS and not SHARD.fullmatch(path.name)]
    safetensors = [path for path in files if path.suffix == ".safetensors"]
    folders = [path for path in inside if _is_checkpoint(path)]
    others = [path for path in files if path.suffix in KINDS and path.name != "training_args.bin"]
    found = safetensors or folders or ([folder] if _is_checkpoint(folder) else others)
    if not found:
        raise ValueError(
            f"expected a folder of .safetensors checkpoints, got {folder} with none; "
            "record them with TrajectoryRecorder(model, optimizer, path), or pass a list of paths"
        )
    kinds = sorted({path.suffix for path in found if path.is_file()})
    if len(kinds) > 1:
        raise ValueError(
            f"expected checkpoints of one kind in {folder}, got {' and '.join(kinds)} files; pass a list of paths, in "
            "the order of training"
        )
    return in_order(found)


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Sort checkpoints by the step in their names, otherwise by the epoch, otherwise by all numbers in them.

    Raises:
        ValueError: If the names are of several kinds, so that their order is not clear.
    """
    numbered, others = (
        [p for p in paths if bool(re.search(r"\d", p.stem)) == with_number] for with_number in (True, False)
    )
    for word in ("step", "epoch"):
        found = [re.search(rf"{word}\W?_?(\d+)", path.stem, re.IGNORECASE) for path in numbered]
        if all(found):
            counts = [int(match[1]) for match in found if match]
            return [path for _, _, path in sorted(zip(counts, map(_numbers, numbered), numbered, strict=True))] + others
    kinds = sorted({re.sub(r"\d+", "0", path.stem) for path in numbered})
    if len(kinds) > 1:
        raise ValueError(
            f"expected names that tell the order of the checkpoints in {paths[0].parent}, got ones such as "
            f"{' and '.join(kinds[:2])}; pass a list of paths, in the order of training"
        )
    return sorted(numbered, key=_numbers) + others


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.stem)]
