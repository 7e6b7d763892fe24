"""Guards for HDF5 files: packages that are missing, and files that the library would read for ever.

The HDF5 library may loop or crash inside of a damaged file, which no exception and no signal handler of Python ends.
So every .nc file ends in a seal, a hash of all bytes before it: HDF5 ignores what follows its own end. A file whose
seal is right is read at once; of one whose seal is wrong the damage is known without reading it. Files without a seal
(of version 0.1, or changed by other programs) are first read in a child process with a time limit, which takes
about a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

SEAL = b"\nlljupyter blake2b "
N_SEAL = len(SEAL) + 32
# The largest surfaces take less than a second; an interpreter on a busy machine takes some to start.
SECONDS = 20.0


def require_hdf5() -> None:
    """Check that the packages which read and write HDF5 are installed.

    Raises:
        ImportError: If one is missing.
    """
    try:
        import h5netcdf  # noqa: F401
        import h5py  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"expected h5py and h5netcdf to read and write .nc and .h5 files, got {error}; "
            "type: pip install h5py h5netcdf"
        ) from error


def seal(path: Path) -> None:
    """Append a hash of a file to it."""
    with path.open("r+b") as file:
        digest = blake2b(file.read(), digest_size=16).hexdigest()
        file.write(SEAL + digest.encode())


def is_sealed(path: Path) -> bool:
    """Return True if a file ends in a seal and all bytes are as they were written; False if it has none.

    Raises:
        ValueError: If the seal is cut short, or the seal of other bytes.
    """
    content = path.read_bytes()
    body, end = content[:-N_SEAL], content[-N_SEAL:]
    start = end.rfind(SEAL[:6])  # all of the seal, or what is left of it
    if start < 0:
        return False
    if start > 0:
        raise ValueError(
            f"expected a whole netCDF file, got {path}, which is cut short; "
            "restore a copy of it or compute the surface again"
        )
    if end != SEAL + blake2b(body, digest_size=16).hexdigest().encode():
        raise ValueError(
            f"expected {path} as it was saved, got one that was changed since or is damaged (its hash differs); "
            "restore a copy of it, or compute the surface again"
        )
    return True


def check_readable(path: Path) -> None:
    """Read a file without a seal in a child process, so that it cannot hang or crash this one.

    Raises:
        ValueError: If reading it fails, crashes, or takes longer than ``SECONDS``.
    """
    command = [sys.executable, "-m", "lljupyter.surface.io.walk", os.fspath(path.resolve())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        child = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"reading it does not end within {SECONDS:g} s"
    except (OSError, TypeError, ValueError):
        return  # if no process can be started, as in a browser, the file is read here
    else:
        if child.returncode == 0:
            return
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1][:300] if child.returncode > 0 and lines else "the HDF5 library crashed"
    raise ValueError(
        f"expected a whole netCDF file, got {path}, which is cut short or damaged ({reason}); "
        "restore a copy of it or compute the surface again"
    )
