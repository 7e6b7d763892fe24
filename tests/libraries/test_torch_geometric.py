"""Graphs of torch_geometric: the nodes of one, and batches of several."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.hessians import extreme_eigenvalues
from support.trust import check, measured, truth
from torch import nn
from torch.nn import functional
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv, global_mean_pool

from lljupyter import convexity_map

GENERATOR = torch.Generator().manual_seed(8)
AT_CENTER = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}


def graph(n: int, *, of_nodes: bool) -> Data:
    x = torch.randn(n, 4, generator=GENERATOR, dtype=torch.float64)
    edges = torch.randint(0, n, (2, 3 * n), generator=GENERATOR)
    classes = torch.randint(0, 3, (n if of_nodes else 1,), generator=GENERATOR)
    return Data(x=x, edge_index=edges, y=classes, train_mask=torch.rand(n, generator=GENERATOR) < 0.6)


PAPERS = graph(20, of_nodes=True)
MOLECULES = [graph(n, of_nodes=False) for n in (4, 7, 5, 9, 6, 8, 5, 4, 7)]  # in batches of 4, 4 and 1


class OfNodes(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = GCNConv(4, 5), GCNConv(5, 3)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).tanh(), edge_index)


class OfGraphs(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = GCNConv(4, 5), nn.Linear(5, 3)

    def forward(self, data):
        return self.second(global_mean_pool(self.first(data.x, data.edge_index).tanh(), data.batch))


def masked(model: nn.Module, data: Data) -> torch.Tensor:
    """What the examples of the library train with."""
    outputs = model(data.x, data.edge_index)
    return functional.cross_entropy(outputs[data.train_mask], data.y[data.train_mask])


def own_loop_of_nodes(model: nn.Module) -> float:
    logits = model(PAPERS.x, PAPERS.edge_index).log_softmax(1)
    chosen = PAPERS.train_mask.nonzero()[:, 0].tolist()
    return float(np.mean([-float(logits[k, PAPERS.y[k]]) for k in chosen]))


def own_loop_of_graphs(model: nn.Module) -> float:
    """Graph by graph."""
    logits = [model(data.clone().update({"batch": None})).log_softmax(1)[0] for data in MOLECULES]
    return float(np.mean([-float(row[data.y]) for row, data in zip(logits, MOLECULES, strict=True)]))


LEFT_OUT = PAPERS.y.masked_fill(~PAPERS.train_mask, -100)
FORMS = {
    "a mask in the loss": (
        [((PAPERS.x, PAPERS.edge_index), PAPERS.y)],
        {"loss_fn": lambda o, y: functional.cross_entropy(o[PAPERS.train_mask], y[PAPERS.train_mask])},
    ),
    "targets left out": ([((PAPERS.x, PAPERS.edge_index), LEFT_OUT)], {}),
    "an objective": ([PAPERS], {"objective": masked}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_classes_of_nodes_with_a_mask(form):
    model, (data, options) = OfNodes().double(), FORMS[form]
    expected = truth(model, lambda: own_loop_of_nodes(model))
    np.testing.assert_allclose(measured(model, data, **options).loss, expected, rtol=1e-9)
    found = convexity_map(model, data, tol=1e-5, **AT_CENTER, **options)
    ends = extreme_eigenvalues(lambda: masked(model, PAPERS), (p for p in model.parameters() if p.dim() > 1))
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], ends, rtol=1e-4)


def test_batches_of_graphs_with_their_classes():
    model, loader = OfGraphs().double(), DataLoader(MOLECULES, batch_size=4)
    line = check(model, [(data, data.y) for data in loader], lambda: own_loop_of_graphs(model), rtol=1e-9)
    assert line.attrs["n_samples"] == len(MOLECULES)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_loader_itself_with_an_objective(reduction):
    model, loader = OfGraphs().double(), DataLoader(MOLECULES, batch_size=4)

    def objective(model: nn.Module, data: Data) -> torch.Tensor:
        return functional.cross_entropy(model(data), data.y, reduction=reduction)

    expected = truth(model, lambda: own_loop_of_graphs(model))
    line = measured(model, loader, objective=objective)
    np.testing.assert_allclose(line.loss, expected, rtol=1e-9)
    assert line.attrs["n_samples"] == len(MOLECULES)


def test_the_loader_itself_without_one_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"got DataBatch as batch 0; .* pass objective=f\(model, batch\)"):
        measured(OfGraphs().double(), DataLoader(MOLECULES, batch_size=4))
