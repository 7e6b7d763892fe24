"""Closes all sessions before the interpreter exits: a thread that is inside torch then aborts the process."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol


class Closable(Protocol):
    """A session, or anything else with an engine thread."""

    def close(self, timeout: float = ...) -> None:
        """End the thread, and wait for it at most ``timeout`` seconds."""


running: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(session: Closable) -> None:
    """Close a session when the interpreter exits, unless it is gone by then."""
    running.add(session)


@atexit.register
def _close_all() -> None:
    sessions = list(running)
    for session in sessions:
        session.close(timeout=0)
    for session in sessions:
        session.close()
