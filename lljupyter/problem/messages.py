"""Errors of the person's model and loss, told in a few lines."""

from __future__ import annotations

LONGEST = 500
MOST_LINES = 8


def shortened(error: BaseException) -> str:
    """Return the type and the message of an error, in at most 500 characters and 8 lines: its beginning and its end.

    The last line of a long message says what went wrong more often than those in the middle.
    """
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 2], "...", lines[-1]]
    text = f"{type(error).__name__}: " + "\n".join(lines)
    if len(text) > LONGEST:
        half = (LONGEST - 5) // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text
