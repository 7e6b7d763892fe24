"""The number of processor threads that torch uses in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def use_threads(n_threads: int, others: int) -> None:
    """Set the number of threads that torch uses in the calling thread.

    Args:
        n_threads: How many.
        others: How many threads torch may use in threads that are started later.
    """
    torch.get_num_threads()  # a thread asks for its number at its first operation, which would undo what is set before
    torch.set_num_threads(n_threads)
    # That also becomes the number of every thread that is started later; another thread sets it back for those.
    restore = threading.Thread(target=torch.set_num_threads, args=(others,))
    restore.start()
    restore.join()


@contextmanager
def using_threads(n_threads: int | None) -> Iterator[None]:
    """Set it within a block; None changes nothing."""
    before = torch.get_num_threads()
    if n_threads in (None, before):
        yield
        return
    assert n_threads is not None
    use_threads(n_threads, before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
