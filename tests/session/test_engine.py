from __future__ import annotations

import pytest
from support.reference import FakeEvaluator

from lljupyter.session.engine import Engine


def test_a_plane_is_made_once_for_each_evaluator_until_another_one_is_asked_for():
    made = []

    def plane_for(seed):
        made.append(seed)
        return seed

    one, other = FakeEvaluator(), FakeEvaluator()
    engine = Engine([one, other], plane_for)
    for seed in (3, 3, None, None, 3):
        assert engine.on_plane(one, seed).seed == seed
    assert engine.on_plane(other, 3).seed == 3
    assert made == [3, None, 3, 3]


def test_a_plane_that_fails_leaves_the_evaluator_without_one_and_the_next_is_made_anew():
    def plane_for(seed):
        if seed == 1:
            raise MemoryError("no room for the directions")
        made.append(seed)
        return seed

    made = []
    evaluator = FakeEvaluator()
    engine = Engine([evaluator], plane_for)
    engine.on_plane(evaluator, 0)
    with pytest.raises(MemoryError, match="no room"):
        engine.on_plane(evaluator, 1)
    assert evaluator.seed is None  # the directions were let go of before
    assert engine.on_plane(evaluator, 0).seed == 0
    assert made == [0, 0]
