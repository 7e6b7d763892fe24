"""Settings all tests share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in a fixed order, so that results can be compared bit by bit whichever thread computed them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _end_engines():
    """Ends whatever a test left computing; what an earlier test could not end is not waited for again."""
    from lljupyter.engine.session import _sessions

    earlier = {id(session) for session in _sessions}
    yield
    for session in [session for session in _sessions if id(session) not in earlier]:
        session.close()
