from __future__ import annotations

import threading

import pytest
import torch

from lljupyter.engine.threads import ThreadTrial


@pytest.mark.parametrize(("with_two", "with_one", "chosen"), [(1.0, 2.0, 2), (2.0, 1.0, 1)])
def test_the_faster_number_of_threads_stays(with_two, with_one, chosen):
    trial = ThreadTrial(2)
    for seconds, n in ((9.0, 2), (with_two, 2), (with_one, 1)):
        assert trial.running
        trial.begin()
        assert torch.get_num_threads() == n
        trial.end(seconds)
    assert not trial.running
    assert torch.get_num_threads() == chosen


def test_a_point_that_was_given_up_is_tried_again():
    trial = ThreadTrial(2)
    trial.begin()
    trial.begin()
    trial.end(1.0)
    assert trial.running


def test_threads_that_are_started_later_have_all():
    trial = ThreadTrial(2)
    for seconds in (9.0, 2.0, 1.0):
        trial.begin()
        trial.end(seconds)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), seen) == (1, [2])


def test_with_one_thread_there_is_nothing_to_try():
    trial = ThreadTrial(1)
    assert not trial.running
    torch.set_num_threads(2)
    trial.begin()
    trial.end(1.0)
    assert torch.get_num_threads() == 2
