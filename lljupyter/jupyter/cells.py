"""Close the sessions that an earlier run of the same notebook cell left computing."""

from __future__ import annotations

import weakref

from IPython import get_ipython

from lljupyter.session.session import Session

# The sessions of a cell's last run: {cell id: (id of that run, sessions)}.
_last_run: dict[str, tuple[str, weakref.WeakSet[Session]]] = {}


def replace_previous(session: Session) -> None:
    """Close the sessions that an earlier run of the running cell started, and remember this one.

    A widget stays alive in the kernel after its cell was run again, out of sight; its engine would go on competing
    with the new one, and its copies of model and data would fill the memory. What it has computed is kept. If the
    front end does not say which cell is running, nothing is closed.

    Args:
        session: The session that the running cell has just started.
    """
    shell = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = (parent.get("metadata") or {}).get("cellId")
    run = (parent.get("header") or {}).get("msg_id")
    if not cell or not run:
        return
    previous, sessions = _last_run.get(cell, (run, weakref.WeakSet()))
    if previous != run:
        for old in list(sessions):
            old.close(timeout=0)
        sessions = weakref.WeakSet()
    sessions.add(session)
    _last_run[cell] = (run, sessions)
