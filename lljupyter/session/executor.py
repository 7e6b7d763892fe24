"""Where tasks run: in the calling thread. Anything else with ``submit`` can take its place."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from lljupyter.session.tasks import Interrupted


class Executor(Protocol):
    """Runs functions, like the executors of ``concurrent.futures``."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run ``function(*args)``, now or later, and return its result as a future."""


class Inline:
    """Runs each function before ``submit`` returns. What ends a thread, such as ``KeyboardInterrupt``, is raised."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run ``function(*args)``, and return its result as a future that is done, or cancelled by ``Interrupted``."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Interrupted:
            future.cancel()
            future.set_running_or_notify_cancel()  # only now it is done for ``concurrent.futures.wait``
        except Exception as error:
            future.set_exception(error)
        try:
            return future
        finally:
            del future  # the traceback of an error holds this frame, and would hold the future with the error
