"""Python warnings that point to the line of the person, not to one of this package."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

PACKAGE = str(Path(__file__).parents[1])


def warn(messages: Iterable[str]) -> None:
    """Issue a UserWarning for each message, at the first line of the stack outside of this package."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, depth = frame.f_back, depth + 1
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=depth - 1)
