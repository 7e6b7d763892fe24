from __future__ import annotations

import gc
import subprocess
import sys

from lljupyter.session import shutdown


class Session:
    """Remembers how it was closed."""

    def __init__(self):
        self.timeouts = []

    def close(self, timeout=5.0):
        self.timeouts.append(timeout)


def test_all_are_told_to_end_before_any_is_waited_for(monkeypatch):
    monkeypatch.setattr(shutdown, "running", type(shutdown.running)())
    sessions = [Session(), Session()]
    for session in sessions:
        shutdown.close_at_exit(session)
    shutdown._close_all()
    assert [session.timeouts for session in sessions] == [[0, 5.0]] * 2


def test_sessions_are_not_kept_alive(monkeypatch):
    monkeypatch.setattr(shutdown, "running", type(shutdown.running)())
    shutdown.close_at_exit(Session())
    gc.collect()
    assert not list(shutdown.running)


LEAVING = """
import threading, torch
from torch import nn
from lljupyter.session.snapshot import dataset_of
from lljupyter.compute.prepare import prepare
model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
session = prepare(model, [(torch.randn(2000, 512), torch.randint(0, 10, (2000,)))], resolution=301).session
busy = threading.Event()
session.on_update = lambda snapshot: busy.set()
session.start()
assert busy.wait(60)
print("leaving", session.snapshot().status)
"""


def test_the_interpreter_leaves_in_peace_while_an_engine_runs():
    result = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "leaving running\n", "")
