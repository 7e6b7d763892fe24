"""The engine thread steps back behind everything else, but not so far that a busy machine never runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from lljupyter.process.priority import ENGINE_NICENESS, step_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own there")


@pytest.mark.parametrize(("load", "is_idle"), [(0.0, True), (1e6, False)])
def test_the_thread_runs_when_nothing_else_does_where_processors_are_left(monkeypatch, load, is_idle):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    found = []

    def work() -> None:
        step_back()
        found.append(os.sched_getscheduler(0) == os.SCHED_IDLE)
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) >= ENGINE_NICENESS)

    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [is_idle, True]
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_the_engine_steps_back_and_never_before_a_process_that_stepped_back_further():
    code = """
import os, sys, threading
sys.path[:0] = {paths!r}
os.nice(15)
from support.reference import FakeEvaluator, fake_session
found = []
real = os.setpriority
os.setpriority = lambda kind, thread, niceness: (found.append(niceness), real(kind, thread, niceness))
session = fake_session(FakeEvaluator())
session.start()
session.wait(30)
print(found)
session.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(paths=sys.path)], capture_output=True, text=True, timeout=120, check=True
    )
    (niceness,) = json.loads(done.stdout)
    assert niceness >= 15
