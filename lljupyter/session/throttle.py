"""Throttle updates; a failing callback never stops the computation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Updates follow each other no sooner than this, in seconds: browsers drop bursts of messages silently.
PUBLISH_SECONDS = 0.1
# An update that adds less than this share of the points waits until so much time has passed: where the processor has to
# draw the pictures, they would take it from the other cells.
WORTH_DRAWING = 0.05
PATIENT_SECONDS = 0.5


class Throttle:
    """Publishes updates from whatever thread they come, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._last = 0.0
        self._n_done = 0

    def is_due(self, n_done: int) -> bool:
        """Return True if it is time for another update that is not the last of its kind.

        Args:
            n_done: How many points are known now.
        """
        waited = time.monotonic() - self._last
        adds_little = 0 <= n_done - self._n_done <= WORTH_DRAWING * n_done
        worth_it = not adds_little or waited > PATIENT_SECONDS
        if worth_it and waited > PUBLISH_SECONDS:
            self._n_done = n_done
            return True
        return False

    def publish(self, send: Callable[[], None]) -> None:
        """Send an update now; an error of the observer is logged."""
        with self._lock:
            self._last = time.monotonic()
            try:
                send()
            except Exception:
                logger.exception("on_update raised; the surface is computed all the same")
