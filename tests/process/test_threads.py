from __future__ import annotations

import threading

import torch

from lljupyter.process.threads import use_threads, using_threads


def seen_by_a_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


def test_threads_that_are_started_later_keep_the_number_of_before():
    torch.set_num_threads(2)
    use_threads(1, others=2)
    assert (torch.get_num_threads(), seen_by_a_new_thread()) == (1, 2)


def test_the_number_is_put_back_and_none_changes_nothing():
    torch.set_num_threads(2)
    with using_threads(1):
        assert torch.get_num_threads() == 1
        with using_threads(None):
            assert torch.get_num_threads() == 1
    assert (torch.get_num_threads(), seen_by_a_new_thread()) == (2, 2)


def test_a_new_thread_keeps_the_number_it_was_given():
    torch.set_num_threads(2)
    seen = []

    def work():
        use_threads(1, others=2)
        torch.ones(3).add_(1)  # the first operation of a thread sets its number up
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]
