from __future__ import annotations

import gc
import weakref
from concurrent.futures import wait

import pytest

from lljupyter.session.executor import Inline
from lljupyter.session.tasks import Interrupted


def raising(error):
    raise error


def test_functions_have_run_when_submit_returns():
    ran = []
    future = Inline().submit(ran.append, 1)
    assert ran == [1]
    assert future.done()
    assert Inline().submit(divmod, 7, 2).result(0) == (3, 1)


def test_errors_are_those_of_the_future_and_an_interruption_cancels_it():
    failed = Inline().submit(raising, ArithmeticError("too far"))
    with pytest.raises(ArithmeticError, match="too far"):
        failed.result(0)
    interrupted = Inline().submit(raising, Interrupted())
    assert interrupted.cancelled()
    assert wait([interrupted], timeout=0).done == {interrupted}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_thread_is_raised(error):
    with pytest.raises(error):
        Inline().submit(raising, error())


def test_an_error_is_freed_with_its_future():
    """The activations of a failed forward pass hang on its traceback."""

    class Activations:
        pass

    def fail():
        activations = Activations()
        alive.append(weakref.ref(activations))
        raise ArithmeticError(activations)

    alive = []
    gc.disable()
    try:
        Inline().submit(fail)
        assert alive[0]() is None
    finally:
        gc.enable()
