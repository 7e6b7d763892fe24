"""Warnings that name the line of the person."""

from __future__ import annotations

import pytest
import torch

from lljupyter.process.notices import warn


def test_the_line_that_called_is_named_also_through_torch():
    with pytest.warns(UserWarning, match="look here") as told:
        warn(["look here"])
    assert told[0].filename == __file__
    layer = torch.nn.Linear(1, 1)
    layer.register_forward_hook(lambda *_: exec("warn(['from a hook'])", {"warn": warn, "__name__": "lljupyter.hook"}))
    with pytest.warns(UserWarning, match="from a hook") as told:
        layer(torch.ones(1))
    assert told[0].filename == __file__
