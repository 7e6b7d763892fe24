from __future__ import annotations

import numpy as np
from support.reference import make_request

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.session.ledger import Points

NAMES = ["loss", "loss_stderr"]


def value(seed, a, b):
    return [a + 10 * b + 100 * seed, 0.5]


def begin(points, request):
    points.begin(request, coarse_to_fine(request.alpha, request.beta))


def advance(points, request, n):
    cells = points.next(n)
    table = [value(request.seed, request.alpha[column], request.beta[row]) for row, column in cells]
    return cells, points.take(request, cells, table)


def finish(points, request):
    n = 0
    while points.next(7):
        n += len(advance(points, request, 7)[0])
    return n


def test_every_point_comes_once_and_lands_in_its_cell():
    request = make_request(0, 5, 3)
    points = Points(NAMES, request)
    assert finish(points, request) == 15
    a, b = np.meshgrid(request.alpha, request.beta)
    np.testing.assert_array_equal(points.values["loss"], a + 10 * b)
    assert points.evaluated.all()
    assert points.values["loss"].shape == (3, 5)


def test_passes_end_one_after_the_other_and_a_chunk_stays_within_one():
    request = make_request(0, 9, 9)
    points = Points(NAMES, request)
    sizes = []
    while points.next(1000):
        cells, ended = advance(points, request, 1000)
        assert ended
        sizes.append(len(cells))
    assert sizes == [9, 16, 56]


def test_a_chunk_in_the_middle_of_a_pass_does_not_end_it():
    request = make_request(0)
    points = Points(NAMES, request)
    assert advance(points, request, 4)[1] is False
    assert points.evaluated.sum() == 4
    assert advance(points, request, 5)[1] is True


def test_points_that_coincide_are_taken_over():
    narrow, wide = make_request(0, 5, 5), make_request(0, 9, 9, (-2, 2), (-2, 2))
    points = Points(NAMES, narrow)
    finish(points, narrow)
    begin(points, wide)
    assert points.evaluated.sum() == 25
    assert points.evaluated[2:7, 2:7].all()
    assert finish(points, wide) == 81 - 25
    a, b = np.meshgrid(wide.alpha, wide.beta)
    np.testing.assert_array_equal(points.values["loss"], a + 10 * b)


def test_a_plane_of_before_is_complete_at_once_and_another_shares_only_the_center():
    one, other = make_request(1), make_request(2)
    points = Points(NAMES, one)
    finish(points, one)
    begin(points, other)
    assert points.evaluated.sum() == 1
    assert points.evaluated[2, 2]
    begin(points, one)
    assert points.evaluated.all()
    assert points.next(10) == []


def test_the_center_is_known_on_any_plane_once_it_was_measured():
    request = make_request(3)
    points = Points(NAMES, request)
    assert points.center() is None
    advance(points, request, 1)
    assert points.center() == [300.0, 0.5]
    begin(points, make_request(4, alpha=(1, 2)))
    assert points.center() == [300.0, 0.5]
    assert not points.evaluated.any()


def test_points_of_a_surface_that_is_not_at_hand_any_more_are_kept_for_later():
    one, other = make_request(1), make_request(2)
    points = Points(NAMES, one)
    cells = points.next(9)
    begin(points, other)
    assert points.take(one, cells, [value(1, one.alpha[c], one.beta[r]) for r, c in cells]) is False
    assert not points.evaluated.any()
    begin(points, one)
    assert points.evaluated.sum() == 9


def test_requests_are_compared_by_value():
    assert make_request(1).same_as(make_request(1))
    for other in (make_request(2), make_request(None), make_request(1, 7), make_request(1, alpha=(-1, 2))):
        assert not make_request(1).same_as(other)
