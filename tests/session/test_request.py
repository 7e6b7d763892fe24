from __future__ import annotations

import numpy as np
import pytest
from support.reference import make_request


def test_requests_are_compared_by_value():
    assert make_request(1).same_as(make_request(1))
    for other in (make_request(2), make_request(None), make_request(1, 7), make_request(1, alpha=(-1, 2))):
        assert not make_request(1).same_as(other)


def test_points_are_the_coordinates_of_cells():
    request = make_request(0, 5, 3, (-2, 2), (0, 1))
    np.testing.assert_array_equal(request.points([(0, 1), (2, 4)]), [(-1.0, 0.0), (2.0, 1.0)])


@pytest.mark.parametrize(
    ("n_alpha", "n_beta", "alpha", "has_center"),
    [(5, 5, (-1, 1), True), (4, 5, (-1, 1), False), (5, 4, (-1, 1), False), (5, 5, (1, 2), False)],
)
def test_the_center_is_a_point_of_some_grids(n_alpha, n_beta, alpha, has_center):
    assert make_request(0, n_alpha, n_beta, alpha).has_center is has_center
