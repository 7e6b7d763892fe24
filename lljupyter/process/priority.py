"""The priority of the engine thread: other cells, the notebook server and the browser come first."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

# How far the engine thread, and torch's threads that it starts, step back behind everything else (0 to 19).
ENGINE_NICENESS = 10


def step_back() -> None:
    """Lower the priority of the calling thread, and of the threads that it starts later, below everything else.

    Only where a thread has a priority of its own, on Linux. A niceness alone lets whatever wakes up wait for the end of
    a time slice, and an answer on its way through kernel, server and browser wakes up a dozen threads one after the
    other. Idle scheduling has no such wait; it is left out where other work wants all processors already, as the
    engine would not get one for long.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    # Never forward, which only root may do, where the whole process has stepped back further.
    os.setpriority(os.PRIO_PROCESS, thread, max(os.getpriority(os.PRIO_PROCESS, thread), ENGINE_NICENESS))
    if os.getloadavg()[0] < len(os.sched_getaffinity(0)):
        with suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
