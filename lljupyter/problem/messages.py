"""Errors of the person's model and loss: told from those of this package, and reported in a few lines."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor

from lljupyter.process.memory import out_of_memory

LONGEST = 500
MOST_LINES = 8
# Of the arguments, which are named after the error.
LONGEST_ARGUMENTS, MOST_ARGUMENTS = 120, 4
Where = Literal["model", "loss", "objective", "derivative"]


class Failure(RuntimeError):
    """Model or loss raised, with the error as the cause.

    Args:
        where: What was called.
        text: The error, in at most 500 characters.

    Attributes:
        where: As given.
    """

    def __init__(self, where: Where, text: str) -> None:
        super().__init__(where, text)
        self.where: Where = where

    def __str__(self) -> str:
        """Return the error, and what was called with what."""
        return str(self.args[1])

    @property
    def of_memory(self) -> bool:
        """Whether there was too little memory, which is no failure of theirs."""
        return isinstance(self.__cause__, MemoryError) or out_of_memory(self)


@contextmanager
def calling(where: Where, given: Any = None) -> Iterator[None]:
    """Raise a ``Failure`` where code of the person raises an exception, which is no mistake of this package then.

    Args:
        where: What is called.
        given: What it is called with.

    Raises:
        Failure: If an exception is raised within.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        arguments = f" (in the {where}" + ("" if given is None else f", called with {described(given)}") + ")"
        text = shortened(error, LONGEST - len(arguments)) + arguments
        raise Failure(where, text) from error


def shortened(error: BaseException, longest: int = LONGEST) -> str:
    """Return the type and the message of an error, in at most 500 characters and 8 lines: its beginning and its end.

    The last line of a long message says what went wrong more often than those in the middle.

    Args:
        error: Of the person's code; a ``Failure`` is reported as it is.
        longest: The number of characters at most.
    """
    if isinstance(error, Failure):
        return str(error)
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 2], "...", lines[-1]]
    text = f"{type(error).__name__}: " + "\n".join(lines)
    if len(text) > longest:
        half = (longest - 5) // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text


def described(given: Any) -> str:
    """Return types and shapes of some data in at most 120 characters: "(8, 3) float32 and (8,) int64"."""
    parts = list(given) if type(given) in (tuple, list) else [given]
    texts = [_described(part) for part in parts[:MOST_ARGUMENTS]]
    text = " and ".join(texts) + (" and more" if len(parts) > MOST_ARGUMENTS else "")
    return text if len(text) <= LONGEST_ARGUMENTS else f"{text[: LONGEST_ARGUMENTS - 1]}…"


def _described(part: Any) -> str:
    if isinstance(part, Tensor):
        return f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')}"
    if isinstance(part, Mapping):
        return "{" + ", ".join(f"{name}: {_described(value)}" for name, value in part.items()) + "}"
    if isinstance(part, (tuple, list)):
        return "[" + ", ".join(_described(value) for value in part[:MOST_ARGUMENTS]) + "]"
    return type(part).__name__


def forget_frames(error: BaseException | None) -> None:
    """Clear the frames of an error and its causes: those of a failed forward pass hold its activations."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__
