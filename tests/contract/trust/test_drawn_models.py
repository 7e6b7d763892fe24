"""Models, losses and batches put together at random: right, refused by name or warned of, and never silently wrong.

``LLJUPYTER_DRAWN_MODELS=300`` draws so many, others each time; see ``.ci/nightly``.
"""

from __future__ import annotations

import collections
import os
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.models.drawn_models import BODIES, FAULTS, FORMS, LAYERS, LOSSES, SIZES, WRAPPERS, Recipe, made
from support.trust import ALPHAS, STRATEGIES, direction_for, truth

from lljupyter import loss_line
from lljupyter.process.randomness import fixed_randomness

N_DRAWN = int(os.environ.get("LLJUPYTER_DRAWN_MODELS", "60"))
IS_SHORT = "LLJUPYTER_DRAWN_MODELS" not in os.environ
SHOWN = "LLJUPYTER_DRAWN_MODELS_SHOWN" in os.environ
LINE = {"progress": False, "resolution": len(ALPHAS), "alpha": (ALPHAS[0], ALPHAS[-1])}
# Every refusal says what was expected, what came, and what to type.
REFUSAL = re.compile(
    r"expected .*got .*; .*(pass|try|load|remove|return|make|average|move|use|choose|check)", re.DOTALL
)

RECIPES = st.builds(
    Recipe,
    body=st.sampled_from(BODIES),
    layer=st.sampled_from(LAYERS),
    wrapper=st.sampled_from(WRAPPERS),
    form=st.sampled_from(FORMS),
    fault=st.sampled_from(FAULTS),
    loss=st.sampled_from(LOSSES),
    sizes=st.sampled_from(SIZES),
    padded=st.booleans(),
    seed=st.integers(0, 2**20),
)


def makes_sense(recipe: Recipe) -> bool:
    """Whether a person's own loop runs, and what it is the mean over has one meaning."""
    tokens = recipe.body.startswith("tokens")
    sequences_first = recipe.body == "tokens of sequences first"
    scaled = recipe.form in ("several", "keywords", "nested")
    if sequences_first and (scaled or recipe.loss == "hardest"):
        return False
    if tokens and recipe.form == "sparse":
        return False
    if recipe.wrapper == "compiled" and recipe.fault == "own in a dict":  # torch.compile draws other numbers there
        return False
    return not (recipe.padded and recipe.loss == "per sample" and tokens)


def generators() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002


def outcome(recipe: Recipe) -> tuple[str, str]:
    """Return "right", "refused", "warned" or "wrong", and why."""
    case = made(recipe)
    before = {name: tensor.clone() for name, tensor in case.inner.state_dict().items()}, generators()
    evaluation = ("fastest", *STRATEGIES)[recipe.seed % 4]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            line = loss_line(
                case.model,
                case.loader,
                loss_fn=case.loss,
                direction=direction_for(case.inner),
                evaluation=evaluation,
                quantities=["loss"],
                **LINE,
            )
        except (ValueError, TypeError, RuntimeError) as error:
            return ("refused" if REFUSAL.search(str(error)) else "wrong"), f"{type(error).__name__}: {error}"
    if generators() != before[1] or any(not torch.equal(t, case.inner.state_dict()[n]) for n, t in before[0].items()):
        return "wrong", "the model or a generator was changed"
    with kept_generators():
        expected = truth(case.inner, case.value)
    told = [str(warning.message) for warning in caught if warning.category is UserWarning]
    if np.allclose(line.loss, expected, rtol=1e-8, atol=1e-12):
        return "right", ""
    return ("warned" if told else "wrong"), f"got {line.loss.values} for {expected}; warnings: {told}"


@contextmanager
def kept_generators() -> Iterator[None]:
    with fixed_randomness():
        yield


COUNTS: collections.Counter[str] = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    if SHOWN:
        print(dict(COUNTS))


@pytest.mark.slow
@settings(deadline=None, max_examples=N_DRAWN, derandomize=IS_SHORT, suppress_health_check=list(HealthCheck))
@given(RECIPES.filter(makes_sense))
def test_no_value_is_silently_wrong(recipe):
    found, why = outcome(recipe)
    COUNTS[found] += 1
    if SHOWN and found != "right":
        print(found, recipe, why[:300], sep="\n  ")
    assert found != "wrong", why
