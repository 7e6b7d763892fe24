from __future__ import annotations

import gc

import pytest
from support.reference import fake_session

from lljupyter.jupyter import cells


class Shell:
    def __init__(self, cell, run):
        self.parent = {"header": {"msg_id": run}, "metadata": {"cellId": cell}}

    def get_parent(self):
        return self.parent


@pytest.fixture
def run_cell(monkeypatch):
    monkeypatch.setattr(cells, "_last_run", {})

    def run(shell, n=1):
        monkeypatch.setattr(cells, "get_ipython", lambda: shell)
        sessions = [fake_session() for _ in range(n)]
        for session in sessions:
            cells.replace_previous(session)
        return [lambda s=session: s.snapshot().status for session in sessions]

    return run


def test_running_a_cell_again_ends_what_it_started_before(run_cell):
    first, second = run_cell(Shell("a", "1"), n=2)
    (other,) = run_cell(Shell("b", "2"))
    assert (first(), second(), other()) == ("running", "running", "running")
    (again,) = run_cell(Shell("a", "3"))
    assert (first(), second(), other(), again()) == ("stopped", "stopped", "running", "running")


@pytest.mark.parametrize("shell", [None, object(), Shell(None, "1"), Shell("a", None)])
def test_without_a_known_cell_nothing_is_stopped(run_cell, shell):
    (first,) = run_cell(shell)
    (second,) = run_cell(shell)
    assert (first(), second()) == ("running", "running")


def test_sessions_are_not_kept_alive(monkeypatch):
    monkeypatch.setattr(cells, "_last_run", {})
    monkeypatch.setattr(cells, "get_ipython", lambda: Shell("a", "1"))
    cells.replace_previous(fake_session())
    gc.collect()
    assert list(cells._last_run["a"][1]) == []
