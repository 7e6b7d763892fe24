"""Settings all tests share."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings

settings.register_profile("nightly", max_examples=1000)  # see .ci/nightly


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in a fixed order, so that results can be compared bit by bit whichever thread computed them."""
    import torch  # here, because the process that hands out the tests reads this file, and runs none

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _end_engines():
    """Ends whatever a test left computing; what an earlier test could not end is not waited for again."""
    from lljupyter.session.shutdown import running

    earlier = {id(session) for session in running}
    yield
    for session in [session for session in running if id(session) not in earlier]:
        session.close()


@pytest.fixture
def browser_that_listens(monkeypatch):
    """Keeps what widgets send, in ``widgets.SENT``."""
    import comm
    from support.jupyter.widgets import SENT, RecordingComm

    SENT.clear()
    monkeypatch.setattr(comm, "create_comm", RecordingComm)


@pytest.fixture
def make():
    """Makes live widgets, and closes them in the end."""
    from support.jupyter.widgets import data
    from support.reference import linear

    from lljupyter import LandscapeWidget

    made = []

    def build(model=None, loader=None, **options):
        options = {"resolution": 5, **options}
        made.append(LandscapeWidget(model or linear(), loader or data(), **options))
        return made[-1]

    yield build
    for widget in made:
        widget.close()


@pytest.fixture
def held():
    """A model whose copies wait until the test lets them go on."""
    from support.jupyter.widgets import Held

    Held.reached, Held.go = threading.Event(), threading.Event()
    yield Held()
    Held.go.set()
