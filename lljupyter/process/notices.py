"""Python warnings that point to the line of the person, not to one of this package or of torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

# Hooks are called by torch.
SKIPPED = ("lljupyter", "torch")


def warn(messages: Iterable[str]) -> None:
    """Issue a UserWarning for each message, at the first line of the stack outside of this package and torch."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] in SKIPPED:
        frame, level = frame.f_back, level + 1
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=level)
