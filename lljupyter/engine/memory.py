"""How much memory there is left."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
UNKNOWN = 8e9


def available_bytes(device: torch.device) -> float:
    """Returns how many bytes can be allocated on a device, about: what caches hold counts as free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
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
