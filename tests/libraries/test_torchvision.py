"""Networks of torchvision for images: values and curvature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.hessians import extreme_eigenvalues
from support.trust import check, measured, truth
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torchvision.models import ResNet, VisionTransformer
from torchvision.models.resnet import BasicBlock

from lljupyter import convexity_map

GENERATOR = torch.Generator().manual_seed(5)
IMAGES = torch.randn(5, 3, 8, 8, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(0, 3, (5,), generator=GENERATOR)
BATCHES = list(zip(IMAGES.split(3), CLASSES.split(3), strict=True))
AT_CENTER = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}


class Narrow(ResNet):
    """An eighth as wide after the first layer."""

    def _make_layer(self, block, planes, *args, **options):
        return super()._make_layer(block, planes // 8, *args, **options)


def resnet() -> nn.Module:
    """ResNet-18, with running statistics as after training."""
    torch.manual_seed(0)
    model = Narrow(BasicBlock, [2, 2, 2, 2])
    model.fc = nn.Linear(64, 3)
    model.double()
    with torch.no_grad():
        for _ in range(3):
            model(IMAGES.repeat(1, 1, 2, 2))
    return model.eval()


def transformer() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 4, "mlp_dim": 4}
    model = VisionTransformer(image_size=8, patch_size=4, num_classes=3, **sizes).double()
    nn.init.normal_(model.heads.head.weight)
    nn.init.normal_(model.class_token)
    return model.eval()


def own_loop(model: nn.Module) -> Tensor:
    """The cross-entropy, image by image."""
    losses = [-model(x[None])[0].log_softmax(0)[y] for x, y in zip(IMAGES, CLASSES, strict=True)]
    return torch.stack(losses).mean()


def test_the_loss_of_a_vision_transformer_is_the_mean_over_the_images():
    model = transformer()
    check(model, BATCHES, lambda: own_loop(model), rtol=1e-9)


@pytest.mark.parametrize("evaluation", ["plain", "folded"])
def test_the_loss_of_a_residual_network_is_the_mean_over_the_images(evaluation):
    model = resnet()
    line = measured(model, BATCHES, evaluation=evaluation)
    np.testing.assert_allclose(line.loss, truth(model, lambda: own_loop(model)), rtol=1e-9)


def test_both_ends_of_the_spectrum_of_a_vision_transformer():
    model = transformer()
    found = convexity_map(model, BATCHES, tol=1e-5, **AT_CENTER)
    with sdpa_kernel(SDPBackend.MATH):  # torch has no second derivative of the others
        expected = extreme_eigenvalues(
            lambda: cross_entropy(model(IMAGES), CLASSES), (p for p in model.parameters() if p.dim() > 1)
        )
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], expected, rtol=1e-4)


def test_the_curvature_of_a_residual_network_within_its_last_layer():
    """That of a linear classifier: the mean of ``(diag(p) - p p^T) x z z^T`` over the images, z their features."""
    model, features = resnet(), []
    found = convexity_map(model, BATCHES, parameters="fc.weight", tol=1e-6, **AT_CENTER)
    model.avgpool.register_forward_hook(lambda module, inputs, output: features.append(output.flatten()))
    columns = []
    with torch.no_grad():
        for x in IMAGES:
            p = model(x[None])[0].softmax(0)
            values, vectors = torch.linalg.eigh(torch.diag(p) - torch.outer(p, p))
            columns += [
                torch.kron(v * e.clamp(min=0).sqrt(), features[-1]) for e, v in zip(values, vectors.T, strict=True)
            ]
    factor = torch.stack(columns)  # H = factor^T factor / n, with the eigenvalues of factor factor^T / n
    expected = torch.linalg.eigvalsh(factor @ factor.T / len(IMAGES))[-1]
    assert found.lambda_max.item() == pytest.approx(float(expected), rel=1e-6)
