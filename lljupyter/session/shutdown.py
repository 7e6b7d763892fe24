"""Ends all engines before the interpreter goes away: a thread that is inside torch then aborts the process."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol


class Closable(Protocol):
    """What has an engine thread."""

    def close(self, timeout: float = ...) -> None:
        """Ends the thread, and waits for it at most ``timeout`` seconds."""


running: weakref.WeakSet[Closable] = weakref.WeakSet()


def closed_at_exit(session: Closable) -> None:
    """Has a session closed when the interpreter leaves, unless it is gone by then."""
    running.add(session)


@atexit.register
def _close_all() -> None:
    sessions = list(running)
    for session in sessions:
        session.close(timeout=0)
    for session in sessions:
        session.close()
