from __future__ import annotations

import numpy as np
import pytest
import torch
from support.data import tiny

from lljupyter import LandscapeWidget, TrajectoryRecorder, loss_surface, pca_directions
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.grid import axis, fitted_range
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.geometry.projection import project_trajectory

QUIET = {"progress": False}


def small() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return tiny.digits()[:1]


def test_every_checkpoint_has_its_place_its_real_loss_and_its_distance():
    model, states = tiny.network(), tiny.checkpoints()
    found = loss_surface(model, small(), trajectory=states, resolution=5, **QUIET)
    pca = pca_directions(states, model)
    path = project_trajectory(open_checkpoints(states), Plane(parameters_of(model), *pca.directions))
    np.testing.assert_array_equal(found.trajectory_alpha, path.alpha)
    np.testing.assert_array_equal(found.trajectory_beta, path.beta)
    np.testing.assert_array_equal(found.trajectory_outside, path.outside)
    assert found.trajectory_loss.dims == ("checkpoint",)
    assert found.checkpoint.values.tolist() == [str(k) for k in range(11)]
    assert found.attrs["trajectory_captured"] == path.captured
    assert found.attrs["directions"] == "pca"
    assert found.attrs["explained_variance_ratio"] == pca.explained_variance_ratio.tolist()
    for index in (0, 5, 10):
        model.load_state_dict(states[index])
        own = loss_surface(model, small(), resolution=1, **QUIET)
        assert found.trajectory_loss[index].item() == own.loss.item()
        assert found.trajectory_accuracy[index].item() == own.accuracy.item()
        assert found.trajectory_loss_stderr[index].item() == own.loss_stderr.item()


def test_the_range_is_fitted_to_the_path_with_the_center_on_the_grid():
    found = loss_surface(tiny.network(), small(), trajectory=tiny.checkpoints(), resolution=(8, 5), **QUIET)
    for name in ("alpha", "beta"):
        assert float(found[name][0]) < float(found[f"trajectory_{name}"].min())
        assert float(found[name][-1]) > float(found[f"trajectory_{name}"].max())
    assert found.attrs["center_on_grid"] == 1
    chosen = loss_surface(tiny.network(), small(), trajectory=tiny.checkpoints(), resolution=2, alpha=(0, 1), **QUIET)
    assert chosen.alpha.values.tolist() == [0, 1]
    assert float(chosen.beta[0]) < 0


@pytest.mark.parametrize("n", [1, 2, 3, 4, 51])
@pytest.mark.parametrize("coordinates", [[0.0], [-7.2, -1.0], [0.3, 12.0], [-1e-9, 3e4, np.nan, np.inf]])
def test_a_fitted_range_holds_the_coordinates_and_zero(coordinates, n):
    low, high = fitted_range(coordinates, n)
    finite = [value for value in coordinates if np.isfinite(value)]
    assert low < min(0, *finite) <= max(0, *finite) < high
    if n >= 3:
        assert 0.0 in axis((low, high), n)


def test_on_a_random_plane_a_path_is_mostly_outside():
    model, states = tiny.network(), tiny.checkpoints()
    plane = random_plane(parameters_of(model), 0)
    found = loss_surface(model, small(), trajectory=states, directions=plane, resolution=3, **QUIET)
    assert found.attrs["directions"] == "given"
    assert (found.trajectory_outside[:-1] > 0.95).all()
    assert found.trajectory_outside[-1] == 0
    assert found.attrs["trajectory_captured"] < 0.05


def test_a_recorded_run_is_shown_with_its_epochs_and_learning_rates(tmp_path):
    model = tiny.network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = small()
    with TrajectoryRecorder(model, optimizer, tmp_path, steps_per_epoch=1):
        for _ in range(4):
            for x, y in loader:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            optimizer.param_groups[0]["lr"] *= 0.5
    found = loss_surface(model, loader, trajectory=tmp_path, resolution=3, **QUIET)
    assert found.checkpoint.values.tolist() == [f"epoch {k}" for k in range(5)]
    np.testing.assert_allclose(found.trajectory_learning_rate, [0.01, 0.01, 0.005, 0.0025, 0.00125])
    assert found.trajectory_outside[-1] == 0
    assert found.trajectory_loss[-1].item() == found.loss.sel(alpha=0, beta=0).item()


def test_checkpoints_without_running_statistics_have_no_real_loss():
    states = [{name: part for name, part in state.items() if "running" not in name} for state in tiny.checkpoints()]
    with pytest.raises(ValueError, match=r"expected checkpoint 0 with the running .* got one without 'bn1.running_m"):
        loss_surface(tiny.network(), small(), trajectory=states, resolution=2, **QUIET)
    found = loss_surface(tiny.network(), small(), trajectory=states, resolution=2, batchnorm="recalibrate", **QUIET)
    whole = tiny.checkpoints()
    whole = loss_surface(tiny.network(), small(), trajectory=whole, resolution=2, batchnorm="recalibrate", **QUIET)
    np.testing.assert_array_equal(found.trajectory_loss, whole.trajectory_loss)


def test_a_failing_checkpoint_has_no_value_and_the_others_have_theirs():
    states = tiny.checkpoints()
    model = tiny.network()

    def loss_fn(outputs, targets):
        if outputs.isnan().any():
            raise ArithmeticError("NaN")
        return torch.nn.functional.cross_entropy(outputs, targets)

    states[4] = {name: part * torch.nan if part.is_floating_point() else part for name, part in states[4].items()}
    plane = random_plane(parameters_of(model), 0)
    options = {"trajectory": states, "directions": plane, "resolution": 3, **QUIET}
    found = loss_surface(model, small(), loss_fn=loss_fn, **options)
    assert found.trajectory_failed.values.nonzero()[0].tolist() == [4]
    assert found.attrs["trajectory_failure"].startswith("ArithmeticError: NaN (in the loss, called with")
    expected = loss_surface(model, small(), **options)
    np.testing.assert_allclose(np.delete(found.trajectory_loss, 4), np.delete(expected.trajectory_loss, 4), rtol=1e-6)
    assert np.isnan(found.trajectory_loss[4])
    assert "failed" not in found


def test_a_run_is_not_shown_on_a_plane_it_was_not_projected_onto():
    model, states = tiny.network(), tiny.checkpoints()
    random = loss_surface(model, small(), resolution=3, **QUIET)
    w = LandscapeWidget(model, small(), resume=random, trajectory=states)
    w.wait(60)
    assert len(w.meta["trajectory"]["labels"]) == 11
    w.seed = 1
    assert "checkpoint" not in w.wait(60).dims
    assert "trajectory" not in w.meta
    w.seed = 0
    assert w.wait(60).sizes["checkpoint"] == 11
    w.close()
