"""Problems, and what evaluates them, made in one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import moving_on
from lljupyter.geometry.plane import Plane
from lljupyter.problem.problem import Problem, build_problem


def make_problem(
    model: nn.Module, loader: Any, *, resident: bool | None = None, per_sample: bool | None = None, **options: Any
) -> Problem:
    """A problem.

    Args:
        model: The model.
        loader: The data.
        resident: False brings the batches to the device again and again, as if they had no room there.
        per_sample: False keeps the batches as they are.
        options: Those of ``build_problem``.
    """
    facts = {"resident": resident, "per_sample": per_sample}
    return replace(build_problem(model, loader, **options), **{k: v for k, v in facts.items() if v is not None})


def make_evaluator(
    model: nn.Module, loader: Any, *, precision: Any = "float32", evaluation: Any = "fastest", **options: Any
) -> Evaluator:
    """An evaluator that has no plane yet; see ``make_problem``."""
    return Evaluator(make_problem(model, loader, **options), precision=precision, evaluation=evaluation)


def plain_of(model: nn.Module, loader: Any, **options: Any) -> Plain:
    """The plain strategy without a plane; see ``make_problem``."""
    return Plain(make_problem(model, loader, **options))


def set_plane(plain: Plain, plane: Plane) -> None:
    """Put the plain strategy on a plane, as an evaluator does."""
    plain.set_plane(moving_on(plane, plain.problem))
