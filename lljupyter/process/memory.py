"""Available memory, out-of-memory errors, and reuse of freed memory."""

from __future__ import annotations

import functools
import math
import os
import re
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
# Where a container's limit is kept, and what it uses of it: cgroups of version 2 and 1.
LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
UNKNOWN = 8e9
# Data stay on an accelerator while they take less than this share of its free memory.
DATA_BUDGET = 0.5
# Below the 32 MiB up to which glibc learns (M_MMAP_THRESHOLD in mallopt(3)).
KEPT_BYTES = 30 << 20


def available_bytes(device: torch.device) -> float:
    """Return about how many bytes can be allocated on a device; memory in caches counts as free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    limit, used = _container()
    return min(_free_bytes(), max(limit - used, 0.0))


def total_bytes() -> float:
    """Return how many bytes of memory this machine has, or the container may use."""
    try:
        whole = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not known on this system
        whole = math.inf
    return min(whole, _container()[0])


def used_bytes() -> float:
    """Return how many bytes of memory this process holds; 0 if unknown."""
    try:
        return float(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def _free_bytes() -> float:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return 1024.0 * int(found[1])
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def _container() -> tuple[float, float]:
    """Return the memory limit of the container (inf without one) and the used part of it, in bytes."""
    for limit, current in LIMITS:
        try:
            return float(limit.read_text()), float(current.read_text())
        except (OSError, ValueError):  # none, or "max"
            continue
    return math.inf, 0.0


def data_budget(device: torch.device) -> float:
    """Return how many bytes of data may stay on a device; they are on a processor anyway."""
    if device.type != "cuda":
        return math.inf
    return DATA_BUDGET * torch.cuda.mem_get_info(device)[0]


def out_of_memory(error: BaseException) -> bool:
    """Return True if an error means that a device or the machine ran out of memory."""
    causes = [error, *([error.__cause__] if error.__cause__ else [])]
    # The message of torch differs between Linux and other systems.
    said = ("can't allocate memory", "not enough memory")
    return any(isinstance(e, torch.cuda.OutOfMemoryError) or any(word in str(e) for word in said) for e in causes)


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed, up to 60 MiB per thread, instead of giving it back to the system.

    It belongs to the process and is done once, where evaluation starts, for every model.

    Intermediate results of a few MiB are allocated and freed all the time. What glibc gave back of them, the system
    clears anew when it is touched, which can take as long as the computation; how much it gives back it learns from
    the largest block that was freed. Of no effect with other C libraries. Measured, see ``tests/benchmarks``.
    """
    torch.empty(KEPT_BYTES, dtype=torch.uint8, device="cpu")
