from __future__ import annotations

import numpy as np
import pytest
from support.reference import FakeEvaluator, batches_of, fake_session, grid_points, make_request, network

from lljupyter import loss_surface
from lljupyter.geometry.grid import fill
from lljupyter.jupyter.wire import pack
from lljupyter.session.snapshot import dataset_of
from lljupyter.session.sources import surrogate
from lljupyter.session.sources.rounds import first_generator, next_round
from lljupyter.session.sources.surrogate import predict, relative_errors


def bowl(a, b):
    """Spans two orders of magnitude, with a narrow ridge."""
    return np.exp(2 * (a**2 + 0.5 * b**2)) + 5 * np.exp(-30 * (a - 0.5 * b - 0.4) ** 2)


def bowl_on(n):
    axis = np.linspace(-1, 1, n)
    return bowl(*np.meshgrid(axis, axis)), axis


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


def test_known_points_are_kept_and_a_plane_is_met_exactly():
    _, axis = bowl_on(9)
    a, b = np.meshgrid(axis, axis)
    values = 3 * a - 2 * b  # not positive throughout, so no logarithm
    known = np.zeros(values.shape, dtype=bool)
    known[::4, ::4] = True
    prediction = predict(np.where(known, values, np.nan), known, axis, axis)
    np.testing.assert_allclose(prediction.values, values, atol=1e-10)
    np.testing.assert_allclose(prediction.errors[known], 0, atol=1e-9)
    assert np.isnan(prediction.errors[~known]).all()


def test_the_error_without_a_point_is_what_leaving_it_out_gives():
    values, axis = bowl_on(11)
    known = np.zeros(values.shape, dtype=bool)
    known[::2, ::2] = True
    errors = predict(values, known, axis, axis).errors
    for cell in ((0, 0), (4, 6), (10, 2)):
        without = known.copy()
        without[cell] = False
        missed = np.abs(np.log(predict(values, without, axis, axis).values[cell] / values[cell]))
        assert errors[cell] == pytest.approx(missed, rel=1e-6)


def test_predictions_from_the_nearest_points_are_close_to_those_from_all(monkeypatch):
    values, axis = bowl_on(21)
    known = np.zeros(values.shape, dtype=bool)
    known[::2, ::2] = True
    together = predict(values, known, axis, axis)
    monkeypatch.setattr(surrogate, "ALL_TOGETHER", 10)
    nearest = predict(values, known, axis, axis)
    np.testing.assert_allclose(nearest.values, together.values, rtol=2e-2)
    assert np.median(np.abs(nearest.errors[known] / together.errors[known] - 1)) < 0.2


def test_around_what_is_not_finite_nothing_is_predicted():
    values, axis = bowl_on(9)
    values[0, 0] = np.inf
    known = np.zeros(values.shape, dtype=bool)
    known[::4, ::4] = True
    prediction = predict(values, known, axis, axis).values
    assert prediction[0, 0] == np.inf
    assert np.isnan(prediction[1, 1])
    assert np.isfinite(prediction[3:, 3:]).all()


def test_relative_errors_of_what_is_not_finite():
    found = relative_errors(np.array([1.1, np.nan, 1.0, np.inf]), np.array([1.0, np.inf, np.nan, 2.0]))
    np.testing.assert_allclose(found, [0.1, 0.0, np.inf, np.inf], rtol=1e-12)


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


def test_a_refinement_that_knows_everything_is_done():
    request = make_request(0, 3, 3)
    values = grid_points(request.alpha, request.beta).sum(1).reshape(3, 3) + 5
    found = next_round(request, {"loss": values}, np.ones((3, 3), dtype=bool), 0.01, [], first_generator())
    assert found.done
    assert found.cells == []
