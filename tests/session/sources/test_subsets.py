from __future__ import annotations

import numpy as np
import pytest
import torch
from support.slow import BATCH, N, data, joined, make

from lljupyter.session.sources.subsets import Subsets


@pytest.mark.parametrize("share", [1 / 300, 1 / 64, 0.1])
def test_subsets_are_spread_over_all_samples_whatever_their_order(share):
    evaluator = make()[1]
    taken = joined(Subsets(evaluator.plain).between(0, share)[""])[0]
    everything = torch.cat([x for x, _ in data()])
    places = torch.cat([(everything == row).all(1).nonzero()[0] for row in taken]).numpy()
    assert len(set(places)) == len(places) == pytest.approx(share * N, abs=2)
    gaps = np.diff([0, *places, N])
    assert gaps.max() <= 3 / share  # the first of them are not preferred
    for period in (2, 10, 16, 100):  # nor those of one class where classes come in turn
        counts = np.bincount(places % period, minlength=period)
        assert counts.max() <= 2 * share * N / period + 3


def test_a_larger_share_holds_all_of_a_smaller_one_and_the_rest_is_measured_once():
    subsets = Subsets(make()[1].plain)
    parts = [joined(subsets.between(*ends)[""])[0] for ends in ((0, 0.02), (0.02, 0.04), (0.04, 0.08), (0, 0.08))]
    rows = [{tuple(row.tolist()) for row in part} for part in parts]
    assert rows[0] | rows[1] | rows[2] == rows[3]
    assert sum(map(len, rows[:3])) == len(rows[3])
    assert max(len(batch.inputs) for batch in subsets.between(0, 0.08)[""]) <= BATCH


def test_points_on_more_and_more_samples_are_those_on_all_of_them_in_the_end():
    session, evaluator = make()
    subsets, point = Subsets(evaluator.plain), np.array([[0.5, -0.25]])
    evaluator.set_plane(session._worker._engine._plane_for(3))
    sums, n = {}, 0
    for low, high in ((0.0, 0.05), (0.05, 0.4), (0.4, 1.0)):
        sums, means, n_added = subsets.measure(point, low, high, sums, lambda: None)
        n += n_added
    assert n == N
    for name, values in evaluator.evaluate(point).items():
        np.testing.assert_allclose(means[name], values, rtol=1e-12)


def test_samples_are_kept_until_they_are_forgotten():
    subsets = Subsets(make()[1].plain)
    assert subsets.between(0, 0.1) is subsets.between(0, 0.1)
    kept = subsets.between(0, 0.1)
    subsets.forget()
    assert subsets.between(0, 0.1) is not kept
