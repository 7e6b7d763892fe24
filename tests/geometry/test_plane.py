from __future__ import annotations

import dataclasses

import pytest
import torch
from support.reference import linear, network

from lljupyter import Plane
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane


def test_points_of_a_plane():
    center = {"w": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    plane = Plane(center, {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([3.0, 5.0])})
    assert plane.at(2, -1)["w"].tolist() == [0.0, -3.0]
    assert plane.at(0, 0)["w"].tolist() == [1.0, 2.0]


def test_the_center_is_theta_bit_by_bit_and_a_point_is_a_new_tensor():
    theta = parameters_of(network())
    plane = random_plane(theta, 1)
    point = plane.at(0.0, 0.0)
    assert all(torch.equal(point[name], part) for name, part in theta.items())
    point["0.weight"].zero_()
    assert theta["0.weight"].any()


def test_a_plane_of_a_seed_is_the_same_every_time():
    theta = parameters_of(network())
    one, two, other = (random_plane(theta, seed) for seed in (1, 1, 2))
    assert all(torch.equal(one.delta[name], two.delta[name]) for name in theta)
    assert not torch.equal(one.delta["0.weight"], other.delta["0.weight"])


def test_directions_of_another_model_are_refused():
    center = parameters_of(linear())
    fitting = {name: torch.ones_like(part) for name, part in center.items()}
    with pytest.raises(ValueError, match="expected delta with the model's 2 parameter names, got 0 names"):
        Plane(center, {}, fitting)
    with pytest.raises(ValueError, match=r"expected eta\['bias'\] of shape"):
        Plane(center, fitting, {**fitting, "bias": torch.ones(3)})


def test_a_plane_cannot_be_changed():
    plane = random_plane(parameters_of(linear()), 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plane.center = {}
