"""Points are claimed without overlap, completed in any order, and claimed again when a claim is lost."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import make_request

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.session.ledger import EarlierPoints, Ledger, coarse_passes

NAMES = ["loss", "loss_stderr"]


def values_of(task):
    alpha, beta = task.request.points(task.cells).T
    return {"loss": alpha + 10 * beta + 100 * task.request.seed, "loss_stderr": np.full(len(alpha), 0.5)}


def begin(ledger, request):
    ledger.begin(request, coarse_to_fine(request.alpha, request.beta))


def advance(ledger, n):
    task = ledger.claim(n)
    return task, ledger.complete(task, values_of(task))


def finish(ledger, n=7):
    n_points = 0
    while (task := ledger.claim(n)) is not None:
        ledger.complete(task, values_of(task))
        n_points += len(task.cells)
    return n_points


def assert_whole(ledger):
    a, b = np.meshgrid(ledger.request.alpha, ledger.request.beta)
    assert ledger.is_complete
    assert ledger.evaluated.all()
    np.testing.assert_array_equal(ledger.values["loss"], a + 10 * b + 100 * ledger.request.seed)


def test_every_point_comes_once_and_lands_in_its_cell():
    ledger = Ledger(NAMES, make_request(0, 5, 3))
    assert finish(ledger) == 15
    assert_whole(ledger)
    assert ledger.values["loss"].shape == (3, 5)


def test_passes_end_one_after_the_other_and_a_chunk_stays_within_one():
    ledger = Ledger(NAMES, make_request(0, 9, 9))
    sizes = []
    while (task := ledger.claim(1000)) is not None:
        assert ledger.complete(task, values_of(task))
        sizes.append(len(task.cells))
    assert sizes == [9, 16, 56]


def test_a_chunk_in_the_middle_of_a_pass_does_not_end_it():
    ledger = Ledger(NAMES, make_request(0))
    assert advance(ledger, 4)[1] is False
    assert ledger.evaluated.sum() == 4
    assert advance(ledger, 5)[1] is True


def test_points_that_coincide_are_taken_over():
    ledger = Ledger(NAMES, make_request(0, 5, 5))
    finish(ledger)
    begin(ledger, make_request(0, 9, 9, (-2, 2), (-2, 2)))
    assert ledger.evaluated.sum() == 25
    assert ledger.evaluated[2:7, 2:7].all()
    assert finish(ledger) == 81 - 25
    assert_whole(ledger)


def test_a_plane_of_before_is_complete_at_once_and_another_shares_only_the_center():
    one, other = make_request(1), make_request(2)
    ledger = Ledger(NAMES, one)
    finish(ledger)
    begin(ledger, other)
    assert ledger.evaluated.sum() == 1
    assert ledger.evaluated[2, 2]
    begin(ledger, one)
    assert ledger.evaluated.all()
    assert ledger.claim(10) is None


def test_the_center_is_known_on_any_plane_once_it_was_evaluated():
    ledger = Ledger(NAMES, make_request(3))
    assert ledger.center() is None
    advance(ledger, 1)
    assert ledger.center() == [300.0, 0.5]
    begin(ledger, make_request(4, alpha=(1, 2)))
    assert ledger.center() == [300.0, 0.5]
    assert not ledger.evaluated.any()


def test_points_of_a_former_surface_are_kept_for_later():
    one, other = make_request(1), make_request(2)
    ledger = Ledger(NAMES, one)
    task = ledger.claim(9)
    begin(ledger, other)
    assert ledger.complete(task, values_of(task)) is False
    assert not ledger.evaluated.any()
    begin(ledger, one)
    assert ledger.evaluated.sum() == 9


def test_claims_do_not_overlap_and_go_on_to_the_next_pass():
    ledger = Ledger(NAMES, make_request(0, 5, 5))
    tasks = []
    while (task := ledger.claim(4)) is not None:
        tasks.append(task)
    cells = [cell for task in tasks for cell in task.cells]
    assert sorted(cells) == [(row, column) for row in range(5) for column in range(5)]
    assert not ledger.is_complete
    assert not ledger.evaluated.any()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32))
def test_completed_in_any_order_equals_one_at_a_time(n_alpha, n_beta, n_in_flight, seed):
    random = Random(seed)
    request = make_request(3, n_alpha, n_beta)
    alone, together = Ledger(NAMES, request), Ledger(NAMES, request)
    finish(alone)
    in_flight, over = [], []
    while not together.is_complete:
        if len(in_flight) < n_in_flight and (task := together.claim(random.randint(1, 7))) is not None:
            assert not {cell for other in in_flight for cell in other.cells} & set(task.cells)
            in_flight.append(task)
            continue
        task = in_flight.pop(random.randrange(len(in_flight)))
        if random.random() < 0.3:
            together.release(task)
        else:
            together.complete(task, values_of(task))
            if over:
                late = random.choice(over)
                together.complete(late, values_of(late))
                together.release(late)
        over.append(task)
    assert together.claim(1) is None
    assert_whole(together)
    for name in NAMES:
        np.testing.assert_array_equal(together.values[name], alone.values[name])


def test_a_lost_claim_is_claimed_again_before_the_rest_of_its_pass():
    ledger = Ledger(NAMES, make_request(0, 9, 9))
    first, second = ledger.claim(4), ledger.claim(3)
    ledger.release(first)
    again = ledger.claim(4)
    assert again.cells == first.cells
    assert again is not first
    ledger.complete(second, values_of(second))
    ledger.complete(again, values_of(again))
    finish(ledger)
    assert_whole(ledger)


@pytest.mark.parametrize("end", ["complete", "release"])
def test_a_claim_that_is_over_changes_nothing(end):
    ledger = Ledger(NAMES, make_request(0, 5, 5))
    task = ledger.claim(9)
    if end == "complete":
        assert ledger.complete(task, values_of(task)) is True
    else:
        ledger.release(task)
    known = ledger.evaluated.sum()
    wrong = {name: column + 1 for name, column in values_of(task).items()}
    assert ledger.complete(task, wrong) is False
    ledger.release(task)
    assert ledger.evaluated.sum() == known
    assert finish(ledger) == 25 - known  # no cell is claimed twice
    assert_whole(ledger)


def test_cells_that_are_requeued_come_first_and_stay_known_meanwhile():
    ledger = Ledger(NAMES, make_request(0, 5, 5))
    first, second = (advance(ledger, 4)[0] for _ in range(2))
    ledger.requeue([*second.cells, *first.cells, *second.cells])
    ledger.requeue(first.cells)  # nothing is queued twice
    assert ledger.evaluated.sum() == 8
    task = ledger.claim(100)
    assert task.cells == (*second.cells, *first.cells)
    ledger.complete(task, {name: column + 1 for name, column in values_of(task).items()})
    assert ledger.values["loss"][first.cells[0]] == values_of(first)["loss"][0] + 1
    assert finish(ledger) == 25 - 8


def test_restored_points_are_known():
    request = make_request(0, 5, 5)
    ledger, whole = Ledger(NAMES, request), Ledger(NAMES, request)
    finish(whole)
    evaluated = np.arange(25).reshape(5, 5) % 3 == 0
    ledger.restore(EarlierPoints(whole.values, evaluated, np.zeros_like(evaluated)))
    np.testing.assert_array_equal(ledger.evaluated, evaluated)
    assert finish(ledger) == 25 - evaluated.sum()
    assert_whole(ledger)


def test_coarse_passes_hold_a_share_of_the_grid():
    passes = coarse_to_fine(np.linspace(-1, 1, 51), np.linspace(-1, 1, 51))
    assert sum(len(cells) for cells in coarse_passes(passes)) == 81
    small = coarse_to_fine(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    assert sum(len(cells) for cells in coarse_passes(small)) == 25


def test_failed_points_keep_their_reasons_through_other_surfaces_until_they_are_evaluated_again():
    request = make_request(0, 5, 5)
    ledger = Ledger(NAMES, request)
    task = ledger.claim(9)
    values = {name: np.where(np.isin(np.arange(9), (2, 5)), np.nan, 1.0) for name in NAMES}
    ledger.complete(task, values, {2: "the first", 5: "the second"})
    failed = [task.cells[2], task.cells[5]]
    assert sorted(map(tuple, np.argwhere(ledger.failed))) == sorted(failed)
    assert (ledger.reason(), ledger.coarse_failed()) == ("the first", (2, 9))
    begin(ledger, make_request(1, 5, 5))
    assert (ledger.reason(), ledger.failed.any()) == ("", False)
    begin(ledger, request)
    assert sorted(map(tuple, np.argwhere(ledger.failed))) == sorted(failed)
    assert ledger.reason() == "the first"
    known = EarlierPoints(ledger.values, ledger.evaluated, ledger.failed, ledger.reason())
    other = Ledger(NAMES, request)
    other.restore(known)
    np.testing.assert_array_equal(other.failed, ledger.failed)
    assert (other.reason(), other.coarse_is_done()) == ("the first", True)
    ledger.requeue(failed[:1])
    again = ledger.claim(9)
    ledger.complete(again, dict.fromkeys(NAMES, np.ones(1)))
    assert (ledger.reason(), ledger.coarse_failed()) == ("the second", (1, 9))
    assert ledger.values["loss"][failed[0]] == 1
