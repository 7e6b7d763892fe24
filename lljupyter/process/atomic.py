"""Write files atomically: complete, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Give the path of a temporary file beside ``path``, which takes its place when the block ends without an error.

    Readers of ``path`` find the previous file, or none, until then and after a crash.

    Args:
        path: Path of the file; a missing folder is created.
        durable: Whether to wait until the disk has it, so that it also survives a power cut.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    temporary.touch()
    mode = temporary.stat().st_mode  # as the umask says; some libraries write files that only their owner may read
    try:
        yield temporary
        temporary.chmod(mode)
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def checked_path(path: str | os.PathLike[str], example: str = "surface.nc") -> Path:
    """Return a path as one.

    Args:
        path: What was given.
        example: What to type, in the message.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"expected the path of a file, got {path!r}; try {example!r}")
    return Path(path)
