from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lljupyter.evaluate.fast.cross_entropy import measure_scores


@pytest.mark.parametrize("margin", [7.0, 16.0])
def test_small_losses_are_as_exact_as_those_of_torch(margin):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(10, 500, generator=generator) + 20
    classes = torch.randint(0, 10, (500,), generator=generator)
    scores[classes, torch.arange(500)] += margin
    expected = functional.cross_entropy(scores.T, classes, reduction="none")
    found = measure_scores(["loss"], scores[None], classes)["loss"][0][0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=5e-7)
