from __future__ import annotations

import numpy as np
from support.bowl import bowl_on
from support.reference import grid_points, make_request

from lljupyter.session.sources.rounds import FEWEST_HELD_BACK, first_generator, next_round


def test_a_refinement_that_knows_everything_is_done():
    request = make_request(0, 3, 3)
    values = grid_points(request.alpha, request.beta).sum(1).reshape(3, 3) + 5
    found = next_round(request, {"loss": values}, np.ones((3, 3), dtype=bool), 0.01, [], first_generator())
    assert found.done
    assert found.cells == []


def known_in_part(n=31, step=4):
    values, _ = bowl_on(n)
    evaluated = np.zeros(values.shape, dtype=bool)
    evaluated[::step, ::step] = True
    return make_request(0, n, n), values, evaluated


def after_rounds(n_rounds, tolerance=1e-9):
    """Every round, with all cells of the one before evaluated."""
    request, values, evaluated = known_in_part()
    held, generator, rounds = [], first_generator(), []
    for _ in range(n_rounds):
        known = {"loss": np.where(evaluated, values, np.nan)}
        rounds.append(next_round(request, known, evaluated, tolerance, held, generator))
        held, generator = rounds[-1].held, rounds[-1].generator
        evaluated = evaluated.copy()
        if rounds[-1].cells:
            evaluated[tuple(np.transpose(rounds[-1].cells))] = True
    return rounds


def test_a_round_chooses_new_cells_and_holds_some_of_them_back():
    _, _, evaluated = known_in_part()
    first, second = after_rounds(2)
    for found in (first, second):
        assert len(set(found.cells)) == len(found.cells)
        assert not found.done
    assert not evaluated[tuple(np.transpose(first.cells))].any()
    assert set(first.held) < set(first.cells)
    assert second.held[: len(first.held)] == first.held
    assert set(second.held) <= {*first.held, *second.cells}


def test_nothing_is_changed_and_the_same_state_gives_the_same_round():
    request, values, evaluated = known_in_part()
    state, known = first_generator(), {"loss": np.where(evaluated, values, np.nan)}
    before = known["loss"].copy(), evaluated.copy()
    one, other = (next_round(request, known, evaluated, 0.01, [], state) for _ in range(2))
    assert (one.cells, one.held, one.generator) == (other.cells, other.held, other.generator)
    assert one.generator != state == first_generator()
    np.testing.assert_array_equal(known["loss"], before[0])
    np.testing.assert_array_equal(evaluated, before[1])


def test_an_error_is_believed_once_enough_points_were_held_back():
    rounds = after_rounds(12, tolerance=0.5)
    done = [found.done for found in rounds]
    first = done.index(True)
    assert rounds[first].attributes["n_held_back"] >= FEWEST_HELD_BACK > rounds[first - 1].attributes["n_held_back"]
    assert rounds[first].cells == []


def test_a_round_is_chosen_also_where_hardly_anything_is_finite():
    request = make_request(0, 9, 9)
    evaluated = np.zeros((9, 9), dtype=bool)
    evaluated[::4, ::4] = True
    values = np.full((9, 9), np.nan)
    for n_finite in (0, 2, 9):
        at = np.argwhere(evaluated)[:n_finite]
        values[tuple(at.T)] = 1.0 + np.arange(n_finite)
        chosen = next_round(request, {"loss": values}, evaluated, 0.01, [], first_generator())
        assert not chosen.done
        assert chosen.cells
        assert not evaluated[tuple(np.transpose(chosen.cells))].any()
