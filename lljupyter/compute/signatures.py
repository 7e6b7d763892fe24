"""Writes the options of a table into the signature and the docstring of what takes them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, ParamSpec, TypeVar

from lljupyter.compute.options import DEFAULTS, TABLES

P = ParamSpec("P")
R = TypeVar("R")

# An entry of a Google-style docstring, its name put in for {}: the text goes on in the lines indented further.
ENTRY = r"^    {}: (.*\n?(?:^     .*\n?)*)"


def takes(
    options: type, defaults: Mapping[str, Any] = DEFAULTS, tables: Sequence[type] = TABLES
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes the options behind ``**options`` explicit and refuses all others.

    Args:
        options: The table of the options.
        defaults: ``{name: default}`` of all its options.
        tables: The tables whose docstrings explain its options.
    """

    def decorate(verb: Callable[P, R]) -> Callable[P, R]:
        complete = complete_signature(signature(verb), options, defaults)

        @functools.wraps(verb)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_names(kwargs, list(complete.parameters), verb.__name__)
            return verb(*args, **kwargs)

        checked.__signature__ = complete  # type: ignore[attr-defined]
        checked.__doc__ = complete_docstring(verb.__doc__ or "", options, explanations(tables))
        return checked

    return decorate


def complete_signature(own: Signature, options: type, defaults: Mapping[str, Any]) -> Signature:
    """Return a signature with the options in the place of ``**options``.

    Args:
        own: The signature with ``**options``.
        options: The table.
        defaults: ``{name: default}`` of all its options.
    """
    written = [p.replace(annotation=_written(p.annotation)) for p in own.parameters.values()]
    named = [p for p in written if p.kind is not Parameter.VAR_KEYWORD]
    positional = [p for p in named if p.kind is not Parameter.KEYWORD_ONLY]
    shared = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=_written(annotation))
        for name, annotation in options.__annotations__.items()
    ]
    parameters = [*positional, *shared, *named[len(positional) :]]
    return own.replace(parameters=parameters, return_annotation=_written(own.return_annotation))


def complete_docstring(docstring: str, options: type, about: Mapping[str, str]) -> str:
    """Return a docstring with the explanations of the options in the place of its line ``**options: ...``.

    Args:
        docstring: With such a line.
        options: The table.
        about: ``{name: explanation}`` of all its options.
    """
    lines = [f"    {name}: {about[name]}\n" for name in options.__annotations__]
    return re.sub(ENTRY.format(r"\*\*options"), lambda _: "".join(lines), cleandoc(docstring), flags=re.MULTILINE)


def explanations(tables: Iterable[type]) -> dict[str, str]:
    """Return ``{name: explanation}`` of all options, read from the docstrings of their tables."""
    about: dict[str, str] = {}
    for table in tables:
        entries = re.findall(ENTRY.format(r"(\w+)"), cleandoc(table.__doc__ or ""), re.MULTILINE)
        about |= {name: text.strip() for name, text in entries}
    return about


def check_names(names: Iterable[str], known: Sequence[str], verb: str) -> None:
    """Check that options have known names.

    Raises:
        TypeError: If one has not.
    """
    if unknown := [name for name in names if name not in known]:
        raise TypeError(f"expected options among {list(known)}, got {unknown[0]!r}; help({verb}) explains them")


class _Text(str):
    """An annotation that ``help`` shows as it is written, without quotes around it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _written(annotation: Any) -> Any:
    """Return an annotation that is a text, which is not evaluated, as ``help`` is to show it."""
    text = getattr(annotation, "__forward_arg__", annotation)
    return _Text(text) if isinstance(text, str) else annotation
