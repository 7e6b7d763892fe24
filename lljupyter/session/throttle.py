"""When a picture is sent, and that what looks on cannot end the computation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Pictures follow each other no sooner than this: browsers drop bursts of messages silently.
PUBLISH_SECONDS = 0.1
# One that shows little more than the last, less than this share of its points, waits until so much time has passed:
# where the processor has to draw the pictures, they would take it from the other cells.
WORTH_DRAWING = 0.05
PATIENT_SECONDS = 0.5


class Publisher:
    """Announces states from whatever thread they come, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._last = 0.0
        self._n_done = 0

    def due(self, n_done: int) -> bool:
        """Says whether it is time for another announcement that is not the last of its kind.

        Args:
            n_done: How many points are known now.
        """
        waited = time.monotonic() - self._last
        little_more = 0 <= n_done - self._n_done <= WORTH_DRAWING * n_done
        worth_it = not little_more or waited > PATIENT_SECONDS
        if worth_it and waited > PUBLISH_SECONDS:
            self._n_done = n_done
            return True
        return False

    def publish(self, announce: Callable[[], None]) -> None:
        """Announces now; an error of whoever looks on is logged."""
        with self._lock:
            self._last = time.monotonic()
            try:
                announce()
            except Exception:
                logger.exception("on_update raised; the surface is computed all the same")
