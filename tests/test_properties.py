"""What holds for all networks, batches, grids and moments, tried on drawn ones."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
import xarray
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.problems import make_evaluator
from support.reference import FakeEvaluator, batches_of, fake_session, linear, make_request, network, samples
from support.untouched import everything, trained_network

from lljupyter import gradient_direction, interpolate, loss_line, loss_surface
from lljupyter.geometry.directions import normalize_direction, random_direction
from lljupyter.geometry.grid import axis, coarse_to_fine
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.session.snapshot import dataset_of

QUIET = {"progress": False}
SEEDS = st.integers(0, 2**40)
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)
CUTS = st.sets(st.integers(1, 22)).map(lambda cuts: [0, *sorted(cuts), 23])


@settings(deadline=None)
@given(SHAPES, SEEDS, st.floats(1e-3, 1e3))
def test_filters_of_a_normalized_direction_are_as_long_as_those_of_theta(shape, seed, scale):
    theta = {"w": scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)}
    drawn = random_direction(theta, seed + 1)
    by_filter = normalize_direction(drawn, theta, "filter")["w"].reshape(shape[0], -1)
    lengths = theta["w"].reshape(shape[0], -1).norm(dim=1)
    torch.testing.assert_close(by_filter.norm(dim=1), lengths, rtol=1e-5, atol=0)
    directions = torch.nn.functional.normalize(drawn["w"].reshape(shape[0], -1))
    torch.testing.assert_close(torch.nn.functional.normalize(by_filter), directions, rtol=1e-5, atol=1e-12)
    by_layer = normalize_direction(drawn, theta, "layer")["w"]
    assert by_layer.norm().item() == pytest.approx(theta["w"].norm().item(), rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(CUTS)
def test_no_mean_depends_on_the_split_into_batches(cuts):
    x, y = samples()
    batches = [(x[start:end], y[start:end]) for start, end in pairwise(cuts)]
    found, whole = (_measured(loader) for loader in (batches, batches_of(23)))
    for name, values in whole.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-11)


def _measured(loader) -> dict[str, np.ndarray]:
    evaluator = make_evaluator(network(), loader)
    evaluator.set_plane(random_plane(evaluator.problem.center, 1))
    return evaluator.evaluate(np.array([[0.0, 0.0], [0.5, -0.25]]))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(-3, 0.5), st.floats(0.6, 3))
def test_passes_are_a_permutation_of_any_grid(n_alpha, n_beta, low, high):
    alpha, beta = axis((low, high), n_alpha), axis((-1, 1), n_beta)
    points = np.concatenate(coarse_to_fine(alpha, beta)).tolist()
    assert sorted(map(tuple, points)) == [(row, column) for row in range(n_beta) for column in range(n_alpha)]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 8), st.integers(1, 8), st.lists(st.integers(1, 64), max_size=3))
def test_stopped_anywhere_and_gone_on_equals_uninterrupted(n_alpha, n_beta, stops):
    left = sorted(stops)

    def before(a: float, b: float) -> None:
        if left and len(evaluator.measured) >= left[0]:
            left.pop(0)
            session.stop()

    evaluator = FakeEvaluator(before=before)
    session = fake_session(evaluator, make_request(3, n_alpha, n_beta))
    for _ in range(len(stops) + 1):
        session.resume()
        session.run()
    whole = fake_session(FakeEvaluator(), make_request(3, n_alpha, n_beta))
    whole.run()
    xarray.testing.assert_identical(dataset_of(session.snapshot()), dataset_of(whole.snapshot()))
    assert session.snapshot().status == "done"


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**25 - 1), st.integers(0, 2**20))
@example(2**25 - 1, 0)
def test_a_surface_that_was_computed_in_any_part_is_resumed_bitwise(known, seed):
    options = {"resolution": (5, 5), "seed": seed, "norm": "layer"}
    whole = loss_surface(network(), batches_of(8), **options, **QUIET)
    bits = (known >> np.arange(25) & 1).astype(bool).reshape(5, 5)
    evaluated = whole.evaluated.copy(data=bits)
    part = whole.map(lambda array: array.where(bits), keep_attrs=True).assign(evaluated=evaluated)
    xarray.testing.assert_identical(loss_surface(network(), batches_of(8), resume=part, **QUIET), whole)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["surface", "line", "interpolate", "gradient"]),
    st.sampled_from(["filter", "weight", None]),
    st.sampled_from(["biasbn", None]),
    st.sampled_from(["eval", "recalibrate"]),
    st.integers(1, 3),
)
def test_no_verb_and_no_option_touches_the_model(verb, norm, ignore, batchnorm, resolution):
    model, loader = trained_network(), batches_of(8, dtype=torch.float32)
    other = copy.deepcopy(model)
    before = [everything(model), everything(other)]
    drawn = {"norm": norm, "ignore": ignore, "batchnorm": batchnorm, "resolution": resolution}
    if verb == "surface":
        loss_surface(model, loader, **drawn, **QUIET)
    elif verb == "line":
        loss_line(model, loader, **drawn, **QUIET)
    elif verb == "interpolate":
        interpolate(model, other, loader, batchnorm=batchnorm, resolution=resolution, **QUIET)
    else:
        gradient_direction(model, loader)
    assert [everything(model), everything(other)] == before


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_a_quadratic_loss_has_its_closed_form(seed, n_alpha, n_beta):
    model = linear(3, 2)
    x, target = torch.eye(3).double(), torch.zeros(3, 2).double()
    options = {"loss_fn": torch.nn.MSELoss(), "seed": seed, "ignore": None}
    found = loss_surface(model, [(x, target)], resolution=(n_alpha, n_beta), **options, **QUIET)
    plane = random_plane(parameters_of(model), seed, "filter", None)
    # The outputs for the rows of the unit matrix are linear in the parameters.
    theta, delta, eta = (part["weight"].T + part["bias"] for part in (plane.center, plane.delta, plane.eta))
    for row in found.beta.values:
        for column in found.alpha.values:
            expected = (theta + column * delta + row * eta).square().mean().item()
            assert found.loss.sel(alpha=column, beta=row).item() == pytest.approx(expected, rel=1e-10)
