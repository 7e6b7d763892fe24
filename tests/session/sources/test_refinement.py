from __future__ import annotations

import numpy as np
import pytest
from support.bowl import bowl, bowl_on
from support.reference import FakeEvaluator, batches_of, fake_session, make_request, network

from lljupyter import loss_surface
from lljupyter.geometry.grid import fill
from lljupyter.jupyter.wire import pack
from lljupyter.session.snapshot import dataset_of


def refined(function=bowl, tolerance=0.01, n=41):
    evaluator = FakeEvaluator(lambda seed, a, b: float(function(a, b)))
    session = fake_session(evaluator, make_request(0, n, n), tolerance=tolerance)
    session.run()
    return dataset_of(session.snapshot()), evaluator


@pytest.mark.filterwarnings("error")
def test_errors_where_only_the_prediction_is_finite_are_told_as_infinite():
    scattered = np.random.default_rng(0).random((41, 41)) < 0.3
    dataset, _ = refined(lambda a, b: np.inf if scattered[round(20 + 20 * b), round(20 + 20 * a)] else 1.0)
    assert dataset.attrs["predicted_error_p95"] == np.inf
    assert dataset.attrs["n_evaluated"] == 41 * 41  # never good enough


def test_few_points_give_the_whole_surface_and_an_honest_error():
    dataset, evaluator = refined()
    values, _ = bowl_on(41)
    known = dataset.evaluated.values
    assert known.sum() == len(evaluator.measured) == dataset.attrs["n_evaluated"] < 41 * 41 / 3
    np.testing.assert_allclose(dataset.loss.values[known], values[known], rtol=1e-14)
    assert np.isnan(dataset.loss.values[~known]).all()  # never stored as evaluated
    np.testing.assert_array_equal(dataset.loss_predicted.values[known], dataset.loss.values[known])
    true = np.abs(dataset.loss_predicted.values / values - 1)[~known]
    assert np.quantile(true, 0.9) < 0.015
    assert 0.4 < dataset.attrs["predicted_error_median"] / np.median(true) < 2.5
    assert dataset.attrs["n_held_back"] >= 24


def test_points_are_spent_where_the_surface_is_hard_to_predict():
    dataset, _ = refined()
    a, b = np.meshgrid(dataset.alpha, dataset.beta)
    ridge = np.abs(a - 0.5 * b - 0.4) < 0.25
    known = dataset.evaluated.values
    assert known[ridge].mean() > 1.5 * known[~ridge].mean()


def test_what_cannot_be_predicted_is_measured_throughout():
    generator = np.random.default_rng(0)
    noise = {}
    dataset, _ = refined(lambda a, b: noise.setdefault((a, b), generator.uniform(1, 2)), n=15)
    assert dataset.evaluated.all()


def test_the_same_points_are_chosen_every_time_and_a_smaller_tolerance_takes_more():
    first, again, finer = (refined(tolerance=t, n=31)[0] for t in (0.05, 0.05, 0.0005))
    np.testing.assert_array_equal(first.evaluated, again.evaluated)
    assert finer.evaluated.sum() > first.evaluated.sum()


def test_every_quantity_is_predicted_and_standard_errors_are_not():
    dataset = loss_surface(network(), batches_of(8), resolution=15, tolerance=0.05, progress=False)
    assert {"loss_predicted", "accuracy_predicted"} <= set(dataset.data_vars)
    assert "loss_stderr_predicted" not in dataset
    assert dataset.attrs["tolerance"] == 0.05


def test_another_surface_is_refined_anew_and_a_checkpoint_of_it_all_is_known():
    evaluator = FakeEvaluator(lambda seed, a, b: float(bowl(a, b)) * (1 + seed))
    session = fake_session(evaluator, make_request(0, 31, 31), tolerance=0.02)
    session.run()
    n = session.snapshot().n_done
    session.request(make_request(1, 31, 31))
    assert session.snapshot().predicted == {}
    session.run()
    assert session.snapshot().status == "done"
    assert 0.5 < session.snapshot().n_done / n < 2


def test_the_time_left_is_at_most_so_long_until_the_tolerance_is_met():
    told = []

    def on_update(snapshot):
        told.append((snapshot.status, snapshot.at_most, snapshot.remaining, pack(snapshot, 0)[1].get("at_most")))

    evaluator = FakeEvaluator(lambda seed, a, b: float(bowl(a, b)))
    session = fake_session(evaluator, make_request(0, 31, 31), tolerance=0.02, on_update=on_update)
    session.run()
    assert session.snapshot().n_done < 31 * 31
    assert told[0][:2] + told[0][3:] == ("running", True, True)
    assert told[-1] == ("done", False, 0.0, None)
    without = fake_session(evaluator, make_request(0, 5, 5), on_update=on_update)
    told.clear()
    without.run()
    assert not [at_most for _, at_most, _, _ in told if at_most]


def test_without_a_tolerance_nothing_is_predicted():
    dataset = loss_surface(network(), batches_of(8), resolution=5, progress=False)
    assert not [name for name in dataset.data_vars if name.endswith("_predicted")]
    assert dataset.evaluated.all()


@pytest.mark.parametrize(
    ("tolerance", "kind", "message"),
    [
        ("fine", TypeError, "expected tolerance as a number or None, got 'fine'; try tolerance=0.01"),
        (True, TypeError, "expected tolerance as a number"),
        (0, ValueError, "expected a tolerance between 0 and 1, got 0; 0.01 allows an error of one percent"),
        (1.0, ValueError, "expected a tolerance between 0 and 1"),
    ],
)
def test_tolerances_that_make_no_sense_are_refused(tolerance, kind, message):
    with pytest.raises(kind, match=message):
        loss_surface(network(), batches_of(8), tolerance=tolerance)


def test_predictions_are_drawn_where_nothing_was_evaluated():
    axis = np.array([0.0, 1.0, 2.0])
    values = np.array([[1.0, np.nan, 3.0]])
    known = np.isfinite(values)
    beta = np.zeros(1)
    np.testing.assert_array_equal(fill(values, known, axis, beta, np.array([[9.0, 7.0, 9.0]])), [[1.0, 7.0, 3.0]])
    np.testing.assert_array_equal(fill(values, known, axis, beta, np.full((1, 3), np.nan)), [[1.0, 2.0, 3.0]])
