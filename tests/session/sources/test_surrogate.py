from __future__ import annotations

import numpy as np
import pytest
from support.bowl import bowl_on

from lljupyter.session.sources import surrogate
from lljupyter.session.sources.surrogate import predict, relative_errors


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
