"""Batches of any form: dicts, graphs, bags, lists, parts of several sizes; right, or refused with what to type."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron, truth, weighted
from torch import nn
from torch.nn import functional

from lljupyter import convexity_map, loss_line
from lljupyter.problem import loaders

DATA = batches()
GENERATOR = torch.Generator().manual_seed(41)
AT0 = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False, "tol": 1e-5}


def mean_of(values):
    return weighted(values, (len(x) for x, _ in DATA))


class Own(nn.Module):
    """Takes keywords, and returns its loss if it is given labels."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def forward(self, features, labels=None, names=None, scale=None):
        logits = self.net(features if scale is None else features * scale)
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


DICTS = {
    "features and labels": lambda x, y: {"features": x, "labels": y},
    "names beside them": lambda x, y: {"features": x, "labels": y, "names": [f"row {k}" for k in range(len(x))]},
    "nothing beside them": lambda x, y: {"features": x, "labels": y, "names": None},
    "a number beside them": lambda x, y: {"features": x, "labels": y, "scale": 0.5},
}


@pytest.mark.parametrize("form", DICTS)
def test_a_dict_with_labels_has_the_loss_of_the_model(form):
    model = Own()
    data = [DICTS[form](x, y) for x, y in DATA]
    check(model, data, lambda: mean_of(model(**batch)["loss"] for batch in data))


@pytest.mark.parametrize("form", DICTS)
def test_a_dict_with_a_loss_of_its_outputs(form):
    model = Own()
    data = [DICTS[form](x, y) for x, y in DATA]

    def loss(outputs, labels):
        return functional.cross_entropy(outputs["logits"], labels)

    def own_loop():
        unlabeled = [{key: part for key, part in batch.items() if key != "labels"} for batch in data]
        return mean_of(loss(model(**b), y) for b, (_, y) in zip(unlabeled, DATA, strict=True))

    check(model, data, own_loop, loss_fn=loss)


@pytest.mark.parametrize("form", DICTS)
@pytest.mark.parametrize("n", [5, 8, 11])
def test_max_samples_cuts_what_is_beside_the_tensors(form, n):
    model = Own()
    data = [DICTS[form](x, y) for x, y in DATA]
    x, y = (torch.cat(part)[:n] for part in zip(*DATA, strict=True))
    scale = data[0].get("scale")
    line = check(model, data, lambda: model(x, y, scale=scale)["loss"], max_samples=n)
    assert line.attrs["n_samples"] == n


@pytest.mark.parametrize("form", DICTS)
def test_curvature_with_anything_beside_the_tensors(form):
    data = [DICTS[form](x, y) for x, y in DATA]
    scaled = [(x * data[0].get("scale", 1), y) for x, y in DATA]
    found, expected = convexity_map(Own(), data, **AT0), convexity_map(perceptron(), scaled, **AT0)
    np.testing.assert_allclose(found.lambda_max, expected.lambda_max, rtol=1e-3)


class Graph(nn.Module):
    """Adds up the neighbors of each node; one value for each node."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.own, self.others = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x, edges):
        sums = torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])
        return self.own(x) + torch.tanh(self.others(sums))


def graphs(sizes):
    return [
        (
            (torch.randn(n, 3, generator=GENERATOR), torch.randint(0, n, (2, 3 * n), generator=GENERATOR)),
            torch.randint(0, 4, (n,), generator=GENERATOR),
        )
        for n in sizes
    ]


@pytest.mark.parametrize("sizes", [(9,), (5, 12), (4, 6, 3)])
def test_graphs_of_nodes_and_edges(sizes):
    data, model = graphs(sizes), Graph()

    def own_loop():
        return weighted((functional.cross_entropy(model(*x), y) for x, y in data), (len(y) for _, y in data))

    check(model, data, own_loop, loss_fn=functional.cross_entropy)


class Spread(nn.Module):
    """Has a sparse adjacency matrix as a buffer."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        dense = (torch.rand(12, 12, generator=GENERATOR) < 0.3).float()
        self.register_buffer("adjacency", make(dense))
        self.layer = nn.Linear(3, 4)

    def forward(self, x):
        return torch.tanh(self.adjacency @ self.layer(x))


@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr, torch.Tensor.clone])
def test_sparse_buffers(make):
    x, y = torch.randn(12, 3, generator=GENERATOR), torch.randint(0, 4, (12,), generator=GENERATOR)
    model = Spread(make)
    check(model, [(x, y)], lambda: functional.cross_entropy(model(x), y), loss_fn=functional.cross_entropy)


class Bag(nn.Module):
    def __init__(self, mode="mean"):
        super().__init__()
        torch.manual_seed(0)
        self.bag, self.head = nn.EmbeddingBag(9, 4, mode=mode), nn.Linear(4, 3)

    def forward(self, words, offsets):
        return self.head(torch.tanh(self.bag(words, offsets)))


def bags(counts):
    data = []
    for lengths in counts:
        offsets = torch.tensor([0, *itertools.accumulate(lengths)][:-1])
        words = torch.randint(0, 9, (sum(lengths),), generator=GENERATOR)
        data.append(((words, offsets), torch.randint(0, 3, (len(lengths),), generator=GENERATOR)))
    return data


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("counts", [[(3, 1, 4), (2, 2)], [(1, 1, 1), (1, 1)], [(5,), (2, 6, 1, 1)]])
def test_bags_of_words_with_offsets(mode, counts):
    data, model = bags(counts), Bag(mode)

    def own_loop():
        return weighted((functional.cross_entropy(model(*x), y) for x, y in data), (len(y) for _, y in data))

    check(model, data, own_loop, loss_fn=functional.cross_entropy)


class Detector(nn.Module):
    """Takes lists of images of several sizes and of targets, and returns several losses, as torchvision's do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.boxes, self.scores = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, images, targets):
        pooled = torch.stack([torch.tanh(self.features(image[None])).mean((2, 3))[0] for image in images])
        boxes = torch.stack([target["boxes"].mean(0) for target in targets])
        labels = torch.stack([target["labels"].max() for target in targets])
        return {
            "boxes": functional.l1_loss(self.boxes(pooled), boxes),
            "scores": functional.cross_entropy(self.scores(pooled), labels),
        }


def detections(sizes):
    return [
        (
            [torch.randn(1, 4 + k, 6, generator=GENERATOR) for k in range(n)],
            [
                {
                    "boxes": torch.rand(1 + k, 4, generator=GENERATOR),
                    "labels": torch.randint(0, 2, (1 + k,), generator=GENERATOR),
                }
                for k in range(n)
            ],
        )
        for n in sizes
    ]


@pytest.mark.parametrize("sizes", [(3, 2), (1, 1), (4,)])
def test_lists_of_images_and_targets_with_an_objective(sizes):
    data, model = detections(sizes), Detector()

    def objective(model, batch):
        return sum(model(*batch).values())

    expected = truth(model, lambda: weighted((objective(model, b) for b in data), sizes))
    np.testing.assert_allclose(measured(model, data, objective=objective).loss, expected, rtol=2e-5)


@pytest.mark.parametrize("sizes", [(3, 2), (1, 1), (4,)])
def test_lists_of_images_and_targets_without_one_are_refused_with_the_way_out(sizes):
    with pytest.raises((TypeError, ValueError), match=r"expected .*; .*(objective|try)"):
        measured(Detector(), detections(sizes))


class Equation(nn.Module):
    """A network for u, with the second derivative by autograd."""

    def __init__(self, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, points):
        return self.net(points)


def residual(model, points):
    points = points.detach().requires_grad_()
    u = model(points)
    slope = torch.autograd.grad(u.sum(), points, create_graph=True)[0]
    curvature = torch.autograd.grad(slope.sum(), points, create_graph=True)[0]
    return (curvature + torch.sin(points)).square().mean()


def domain(*sizes):
    return [tuple(torch.randn(n, 1, generator=GENERATOR) for n in pair) for pair in sizes]


@pytest.mark.parametrize("sizes", [[(50, 2)], [(20, 2), (10, 2)], [(7, 3), (3, 7)]])
def test_parts_of_several_sizes_without_enable_grad(sizes):
    """Points inside and at the boundary, and a loss that differentiates without a word to torch."""
    data, model = domain(*sizes), Equation()

    def objective(model, batch):
        return residual(model, batch[0]) + model(batch[1]).square().mean()

    with torch.enable_grad():
        expected = truth(model, lambda: np.mean([float(objective_there(model, b)) for b in data]))
    line = measured(model, data, objective=objective)
    assert line.attrs["n_samples"] >= len(data)
    np.testing.assert_allclose(line.loss, expected, rtol=2e-5)


def objective_there(model, batch):
    with torch.enable_grad():
        return (residual(model, batch[0]) + model(batch[1]).square().mean()).detach()


@pytest.mark.parametrize("width", [4, 6, 9])
def test_a_loss_of_points_without_enable_grad(width):
    model = Equation(width)
    points = torch.linspace(-1, 1, 12)[:, None]
    data = list(zip(points.split(5), points.split(5), strict=True))

    def loss(outputs, points):
        return residual(model, points) + outputs.square().mean()

    def own_loop():
        with torch.enable_grad():
            return weighted((loss(model(x), x).detach() for x, _ in data), (len(x) for x, _ in data))

    expected = truth(model, own_loop)
    np.testing.assert_allclose(measured(model, data, loss_fn=loss).loss, expected, rtol=2e-5)


def counted():
    for k in itertools.count():
        yield torch.full((4, 6), float(k)), torch.zeros(4, dtype=torch.long)


class Streaming:
    def __iter__(self):
        return counted()


@pytest.mark.parametrize("make", [counted, Streaming, lambda: itertools.cycle(DATA)], ids=["yields", "object", "cycle"])
def test_a_loader_that_never_ends_is_refused_soon_or_cut(make, monkeypatch):
    monkeypatch.setattr(loaders, "ENDLESS_SECONDS", 0.2)
    with pytest.raises(
        ValueError, match=r"a loader that ends, got .* samples .*; pass max_samples=\d+ to use the first"
    ):
        measured(perceptron(), make())
    assert measured(perceptron(), make(), max_samples=10).attrs["n_samples"] == 10


EXTRAS = {
    "None": lambda x: None,
    "text": lambda x: "the same for all",
    "texts": lambda x: [f"row {k}" for k in range(len(x))],
    "a number": lambda x: 3,
    "numbers": lambda x: np.arange(len(x)),
}


class Careless(nn.Module):
    """Takes something beside its features, and checks its length."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def forward(self, x, extra):
        assert not isinstance(extra, (list, np.ndarray)) or len(extra) == len(x)
        return self.net(x)


@pytest.mark.parametrize("kind", EXTRAS)
def test_what_is_no_tensor_goes_with_its_samples(kind):
    data = [((x, EXTRAS[kind](x)), y) for x, y in DATA]
    model = Careless()

    def own_loop():
        return mean_of(functional.cross_entropy(model(*x), y) for x, y in data)

    check(model, data, own_loop, loss_fn=functional.cross_entropy)
    for n in (3, 10):
        line = loss_line(model, data, max_samples=n, resolution=1, alpha=(0, 0), progress=False)
        assert line.attrs["n_samples"] == n
    found, expected = convexity_map(model, data, **AT0), convexity_map(perceptron(), DATA, **AT0)
    np.testing.assert_allclose(found.lambda_max, expected.lambda_max, rtol=1e-3)
