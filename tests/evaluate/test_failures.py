"""The error that holds the values of good points and the reasons of the others."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from lljupyter.evaluate.failures import Failures, PointsFailed, naming, replaced
from lljupyter.problem.messages import LONGEST, Failure, calling, described


def failure_of(error: Exception, where="loss", given=None) -> Failure:
    with pytest.raises(Failure) as caught, calling(where, given):
        raise error
    return caught.value


def failed() -> PointsFailed:
    failures = Failures()
    failures.raise_with(2, {"loss": np.array([1.0, 2.0])})  # nothing failed
    failures.add(1, "point b", failure_of(ArithmeticError("too far"), "model", torch.zeros(8, 3)))
    failures.add(3, "point d", failure_of(ValueError("no")))
    with pytest.raises(PointsFailed, match=r"^evaluating point b failed: ArithmeticError: too far \(in") as caught:
        failures.raise_with(4, {"loss": np.array([1.0, 2.0])})
    return caught.value


def test_good_points_keep_their_values_and_the_others_have_a_reason():
    error = failed()
    np.testing.assert_array_equal(error.values["loss"], [1.0, np.nan, 2.0, np.nan])
    assert error.reasons == {
        1: "ArithmeticError: too far (in the model, called with (8, 3) float32)",
        3: "ValueError: no (in the loss)",
    }
    assert str(error).endswith("1 more of these 4 points failed")
    assert isinstance(error.__cause__, ArithmeticError)


def test_it_can_be_sent_to_another_process():
    error = failed()
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reasons) == (str(error), error.reasons)
    np.testing.assert_array_equal(again.values["loss"], error.values["loss"])
    failure = failure_of(ValueError("no"))
    assert str(pickle.loads(pickle.dumps(failure))) == str(failure) == "ValueError: no (in the loss)"


def test_failed_points_are_replaced_by_a_good_one():
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    np.testing.assert_array_equal(replaced(points, [0, 2]), [[2.0, 3.0]] * 3)
    assert points[0, 0] == 0


def test_only_what_the_person_wrote_passes_and_never_too_little_memory():
    with pytest.raises(Failure), naming("a point", passes=True):
        raise failure_of(ValueError("no"))
    text = r"^evaluating a point failed: ValueError: no \(in the loss\)$"
    with pytest.raises(RuntimeError, match=text) as caught, naming("a point"):
        raise failure_of(ValueError("no"))
    assert isinstance(caught.value.__cause__, ValueError)
    for error in (MemoryError("none"), RuntimeError("can't allocate memory")):
        with pytest.raises(RuntimeError, match=r"^evaluating a point failed: ") as caught, naming("a point", True):
            raise failure_of(error)
        assert caught.value.__cause__ is error
    with pytest.raises(KeyboardInterrupt), naming("a point", passes=True), calling("model"):
        raise KeyboardInterrupt


def test_long_errors_and_arguments_are_cut():
    given = {f"part {k}": [torch.zeros(k), None, "text"] for k in range(50)}
    text = str(failure_of(ValueError("\n".join(map(str, range(1000)))), "objective", given))
    assert len(text) <= LONGEST
    assert "999 (in the objective, called with {part 0: [(0,) float32, NoneType, str]" in text
    assert described((torch.zeros(2, 3), torch.zeros(2).long())) == "(2, 3) float32 and (2,) int64"
    assert described(tuple(range(6))) == "int and int and int and int and more"
