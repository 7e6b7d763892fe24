"""Models that could mislead a fast path: it equals the slow loop, or refuses."""

from __future__ import annotations

import itertools
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from support.models.strategies import measured, on_plane, settled
from support.reference import grid_points, slow_mean
from torch import nn
from torch.nn import Conv2d, Linear, functional

from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.process.threads import using_threads

POINTS = grid_points([-1, 0.3], [-0.5, 0.7])


class Body(nn.Module):
    """Layers, and how they are called."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._calls = forward

    def forward(self, x):
        return self._calls(self, x)


def rectified_in_place(m, x):
    h = m.a(x)
    return m.out(functional.relu(m.drop(h), inplace=True) + m.b(h))


def added_in_place(m, x):
    h = kept = m.a(x)
    h += m.b(h)
    return m.out(m.flat(functional.relu(h) + kept))


def residual_in_place(m, x):
    h = m.a(x)
    h += m.b(h)
    return m.out(m.flat(h))


def changed_before_the_sum(m, x):
    h = m.a(x)
    other = m.b(h)
    return m.out((other + torch.relu_(h)).flatten(1))


def needed_after_the_sum(m, x):
    h = torch.relu(m.a(x))
    return m.out((torch.relu(m.b(m.c(h)) + h) + m.c(h)).flatten(1))


def added_to_itself(m, x):
    h = m.a(x)
    return m.out((m.b(h) + h).flatten(1))


def seen_from_elsewhere(m, x):
    h = m.a(x)
    part = h[:, :3]
    return m.out(torch.cat([m.b(m.c(h)) + h, part], 1)[:, 3:].flatten(1))


def added_in_a_row(m, x):
    h = torch.relu(m.a(x))
    h = torch.relu(m.b(torch.relu(m.c(h))) + h)
    return m.out(torch.relu(m.e(m.d(h)) + h).flatten(1))


def padded_along(m, x):
    h = functional.pad(m.a(x)[:, :, ::2], (0, 0, 0, 0, 2, 1))
    h = m.b(functional.pad(h[:, 2:-1], (0, 1, 0, 0), "replicate")) + functional.pad(h[:, 1:-2], [-1, 2], value=0.5)
    return m.out(h.flatten(1))


def used_twice(m, x):
    return m.out(torch.tanh(m.b(torch.relu(m.b(torch.relu(m.a(x)))))).flatten(1))


def tied(m, x):
    return m.out(m.c(torch.relu(m.b(m.a(x)))).flatten(1))


def viewed(m, x):
    h = functional.max_pool2d(m.a(x), 2).view(x.size(0), -1)
    return m.out(functional.relu(h))


def pooled(m, x):
    h = functional.avg_pool2d(torch.relu(m.a(x)), 2, 1, 1)
    return m.out(m.drop(functional.adaptive_avg_pool2d(torch.relu(m.b(h)), (2, 3)).flatten(1)))


def called_by_name(m, x):
    return m.out(torch.flatten(input=m.a(x), start_dim=1))


def layers(**more):
    return {
        "a": Linear(7, 6),
        "b": Linear(6, 6),
        "out": Linear(6, 4),
        "drop": nn.Dropout(),
        "flat": nn.Identity(),
        **more,
    }


def convolutions(n_out, **more):
    return {
        "a": Conv2d(3, 6, 3),
        "b": Conv2d(6, 6, 3, padding=1),
        "out": Linear(n_out, 4),
        "drop": nn.Dropout(),
        "flat": nn.Flatten(),
        **more,
    }


def shared(forward, layer, **parts):
    body = Body(forward, c=layer, **parts)
    body.b.weight = body.c.weight
    return body


def alone(conv, n_out):
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(), nn.Flatten(), Linear(n_out, 4))


def chain(*sizes, bias=True):
    parts = [part for n, m in itertools.pairwise(sizes) for part in (Linear(n, m, bias=bias), nn.ReLU())]
    return nn.Sequential(*parts[:-1])


CHAINS = {
    "rectified in place": lambda: Body(rectified_in_place, **layers()),
    "added in place": lambda: Body(added_in_place, **layers()),
    "residual in place": lambda: Body(residual_in_place, **layers()),
    "used twice": lambda: Body(lambda m, x: m.out(torch.relu(m.b(torch.tanh(m.b(m.a(x)))))), **layers()),
    "no biases": lambda: chain(7, 6, 33, 17, 4, bias=False),
    "one feature": lambda: chain(7, 1, 1, 5, 1, 4),
    "some of the features": lambda: Body(lambda m, x: m.out(torch.relu(m.b(m.a(x[:, :5])))), **layers(a=Linear(5, 6))),
}
IMAGES = {
    "added in place": lambda: Body(added_in_place, **convolutions(72)),
    "residual in place": lambda: Body(residual_in_place, **convolutions(72)),
    "changed before the sum": lambda: Body(changed_before_the_sum, **convolutions(72)),
    "needed after the sum": lambda: Body(needed_after_the_sum, c=Conv2d(6, 6, 1), **convolutions(72)),
    "added to itself": lambda: Body(added_to_itself, **convolutions(72)),
    "seen from elsewhere": lambda: Body(seen_from_elsewhere, c=Conv2d(6, 6, 1), **convolutions(72)),
    "added in a row": lambda: Body(
        added_in_a_row, **{name: Conv2d(6, 6, 3, padding=1) for name in "cde"}, **convolutions(72)
    ),
    "padded along": lambda: Body(padded_along, **convolutions(48)),
    "used twice": lambda: Body(used_twice, **convolutions(72)),
    "tied": lambda: shared(tied, Conv2d(6, 6, 3, padding=1), **convolutions(72)),
    "viewed": lambda: Body(viewed, **convolutions(24, a=Conv2d(3, 6, 3, padding=(0, 1)))),
    "pooled": lambda: Body(pooled, **convolutions(36)),
    "called by name": lambda: Body(called_by_name, **convolutions(72)),
    "groups": lambda: alone(Conv2d(3, 9, 3, groups=3), 108),
    "pairs in groups": lambda: nn.Sequential(Conv2d(3, 8, 1), *alone(Conv2d(8, 8, 3, groups=4, padding=1), 240)),
    "dilated": lambda: alone(Conv2d(3, 5, 3, dilation=2, padding=(2, 0)), 30),
    "striding": lambda: alone(Conv2d(3, 5, (2, 1), stride=3), 20),
    "same": lambda: alone(Conv2d(3, 5, 3, padding="same", bias=False), 150),
    "circular": lambda: alone(Conv2d(3, 5, 3, padding=1, padding_mode="circular"), 150),
    "one by one": lambda: alone(Conv2d(3, 1, 1), 30),
}
CHAINS_REFUSED = {"rectified in place", "added in place", "some of the features"}


def data(*shape):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(23, *shape, generator=generator), torch.randint(0, 4, (23,), generator=generator)
    return list(zip(x.double().split(8), y.split(8), strict=True))


def compare(build, model, loader, dtype, rtol):
    model = settled(model)
    evaluator, directions = on_plane(model.to(dtype), [(x.to(dtype), y) for x, y in loader])
    names = {id(tensor): name for name, tensor in model.named_parameters()}  # one of those that share a tensor
    shares = {name: names[id(tensor)] for name, tensor in model.named_parameters(remove_duplicate=False)}
    exact = [{name: d[first].double() for name, first in shares.items()} for d in directions]
    batches = [(x.to(dtype).double(), y) for x, y in loader]
    expected = slow_mean(model.double(), batches, exact, POINTS, nn.CrossEntropyLoss())
    model.to(dtype)
    with using_threads(2):
        path = build(evaluator.problem)
    if isinstance(path, Stacked):
        path._each = 2
    values, plain = measured(path, evaluator, POINTS), evaluator.evaluate(POINTS)
    np.testing.assert_allclose(values["loss"], expected, rtol=rtol)
    np.testing.assert_array_equal(values["accuracy"], plain["accuracy"])
    assert all(len(column) == 0 for column in path.evaluate(np.zeros((0, 2)), lambda: None).values())


EXACT, SINGLE = (torch.float64, 1e-11), (torch.float32, 3e-5)


@pytest.mark.parametrize("precision", [EXACT, SINGLE], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_equal_the_slow_loop_or_are_refused(name, precision):
    if name in CHAINS_REFUSED:
        with pytest.raises(ValueError, match="no chain of linear layers"):
            compare(Stacked, CHAINS[name](), data(7), *precision)
    else:
        compare(Stacked, CHAINS[name](), data(7), *precision)


@pytest.mark.parametrize(
    ("build", "precision"),
    [
        (Folded, EXACT),
        (partial(Folded, n_workers=2), SINGLE),
        (partial(Folded, n_workers=2, sideways=True), SINGLE),
    ],
    ids=["folded", "channels last", "samples as width"],
)
@pytest.mark.parametrize("name", IMAGES)
def test_convolutions_equal_the_slow_loop(name, build, precision):
    compare(build, IMAGES[name](), data(3, 6, 5), *precision)


def flattened_and_changed(m, x):
    h = m.a(x)
    flat = m.flat(h)
    return m.out(flat) + m.out(m.flat(m.b(h.relu_())))


def test_what_is_flattened_and_changed_in_place_is_refused():
    with pytest.raises(ValueError, match="changes in place what it flattens"):
        compare(Folded, Body(flattened_and_changed, **convolutions(72)), data(3, 6, 5), *EXACT)


def test_images_of_two_sizes_whose_results_are_images():
    model = nn.Sequential(Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), Conv2d(5, 4, 1))
    generator = torch.Generator().manual_seed(1)
    loader = []
    for n, height, width in ((8, 6, 5), (11, 4, 9)):
        classes = torch.randint(0, 4, (n, height, width), generator=generator)
        loader.append((torch.randn(n, 3, height, width, generator=generator).double(), classes))
    evaluator, directions = on_plane(settled(model), loader)
    weight = lambda classes: classes.numel()  # noqa: E731
    expected = slow_mean(model, loader, directions, POINTS, nn.CrossEntropyLoss(), weight)
    np.testing.assert_allclose(measured(Folded(evaluator.problem), evaluator, POINTS)["loss"], expected, rtol=1e-11)


def test_rows_of_rows_are_no_chain():
    loader = [(x[:, None], functional.one_hot(y, 4)[:, None].double()) for x, y in data(7)]
    evaluator, _ = on_plane(settled(chain(7, 6, 4)), loader, loss_fn=nn.MSELoss())
    with pytest.raises(ValueError, match="no chain of linear layers"):
        Stacked(evaluator.problem)


def test_a_stack_warns_of_nothing_and_leaves_the_filters_of_warnings_alone():
    evaluator, _ = on_plane(settled(chain(7, 6, 5, 4)).float(), [(x.float(), y) for x, y in data(7)])
    with using_threads(2):
        path = Stacked(evaluator.problem)
    path._each = 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        measured(path, evaluator, POINTS)
        assert list(warnings.filters) == filters
    assert not caught
