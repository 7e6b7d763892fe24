"""Losses of MONAI for segmentation, which are means over samples or belong to a batch as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss, DiceLoss, GeneralizedDiceLoss
from monai.networks.nets import UNet
from support.hessians import extreme_eigenvalues
from support.trust import check, measured, truth, weighted
from torch import Tensor, nn

from lljupyter import convexity_map

GENERATOR = torch.Generator().manual_seed(7)
IMAGES = torch.randn(7, 1, 8, 8, generator=GENERATOR, dtype=torch.float64)
MASKS = torch.randint(0, 3, (7, 1, 8, 8), generator=GENERATOR)
BATCHES = list(zip(IMAGES.split(3), MASKS.split(3), strict=True))
KINDS = {"Dice": DiceLoss, "Dice and cross-entropy": DiceCELoss, "generalized": GeneralizedDiceLoss}


def network() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"channels": (2, 4), "strides": (2,), "norm": "batch"}
    return UNet(spatial_dims=2, in_channels=1, out_channels=3, **sizes).double().eval()


def dice(scores: Tensor, masks: Tensor) -> Tensor:
    """The definition: one minus the share of overlap, of all images given together, class by class."""
    shares, terms = scores.softmax(1), []
    for k in range(3):
        mask, share = (masks[:, 0] == k).double(), shares[:, k]
        terms.append(1 - (2 * (mask * share).sum() + 1e-5) / (mask.sum() + share.sum() + 1e-5))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("together", [False, True])
def test_the_dice_loss_is_that_of_each_image_or_of_each_batch(together):
    model = network()

    def own_loop() -> float:
        if together:
            return weighted((dice(model(x), y) for x, y in BATCHES), (len(x) for x, _ in BATCHES))
        return float(np.mean([dice(model(x[None]), y[None]) for x, y in zip(IMAGES, MASKS, strict=True)]))

    loss = DiceLoss(to_onehot_y=True, softmax=True, batch=together)
    line = check(model, BATCHES, own_loop, rtol=1e-9, loss_fn=loss)
    assert line.attrs["loss_reduction"].startswith("mean over batches" if together else "mean over samples")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_its_other_losses_and_sums(kind, together, reduction):
    model, loss = network(), KINDS[kind](to_onehot_y=True, softmax=True, batch=together, reduction=reduction)

    def own_loop() -> float:
        values = [float(loss(model(x), y)) for x, y in BATCHES]
        is_sum = reduction == "sum" and not together
        return sum(values) if is_sum else weighted(values, (len(x) for x, _ in BATCHES))

    expected = truth(model, own_loop)
    np.testing.assert_allclose(measured(model, BATCHES, loss_fn=loss).loss, expected, rtol=1e-9)


def test_dicts_of_images_and_masks_need_an_objective():
    model, loss = network(), DiceLoss(to_onehot_y=True, softmax=True)
    data = [{"image": x, "label": y} for x, y in BATCHES]
    with pytest.raises(ValueError, match=r"takes the keywords of the batch.*'image'.*; .*objective=f\(model, batch\)"):
        measured(model, data, loss_fn=loss)
    own = weighted((loss(model(x), y) for x, y in BATCHES), (len(x) for x, _ in BATCHES))
    line = measured(model, data, objective=lambda model, batch: loss(model(batch["image"]), batch["label"]))
    assert line.loss.sel(alpha=0).item() == pytest.approx(own, rel=1e-9)


def test_both_ends_of_the_spectrum():
    """Of the loss of whole batches, which must not be joined or cut."""
    model, loss, data = network(), DiceLoss(to_onehot_y=True, softmax=True, batch=True), BATCHES[1:]
    at_center = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}
    found = convexity_map(model, data, loss_fn=loss, tol=1e-5, **at_center)

    def mean_loss() -> Tensor:
        return torch.stack([loss(model(x), y) * len(x) for x, y in data]).sum() / sum(len(x) for x, _ in data)

    expected = extreme_eigenvalues(mean_loss, (p for p in model.parameters() if p.dim() > 1))
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], expected, rtol=1e-4)
