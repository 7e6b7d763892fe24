"""When a picture is sent, and that what looks on cannot end the computation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Pictures follow each other no sooner than this. Browsers drop bursts of messages silently, and where the processor
# has to draw them, more would cost it a core.
PUBLISH_SECONDS = 0.1


class Publisher:
    """Announces states from whatever thread they come, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._last = 0.0

    def due(self) -> bool:
        """Says whether the last announcement is long enough ago for another that is not the last of its kind."""
        return time.monotonic() - self._last > PUBLISH_SECONDS

    def publish(self, announce: Callable[[], None]) -> None:
        """Announces now; an error of whoever looks on is logged."""
        with self._lock:
            self._last = time.monotonic()
            try:
                announce()
            except Exception:
                logger.exception("on_update raised; the surface is computed all the same")
