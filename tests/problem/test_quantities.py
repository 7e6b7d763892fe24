from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lljupyter.problem.averages import mean_and_stderr
from lljupyter.problem.batches import Batch
from lljupyter.problem.objective import About, check_objective, measure_of, objective_for, sum_of
from lljupyter.problem.quantities import accuracy, check_classification, classifies
from lljupyter.problem.trial.combination import SAMPLES, Combination

SCORES = torch.tensor([[2.0, 1, 0], [0, 3, 1], [1, 0, 5], [4, 0, 0], [0, 0, 1]], dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 0, 0, 1])


def objective(loss_fn):
    return objective_for(loss_fn, None, About())


def measure_for(loss_fn):
    """The likeliest form with one value per sample, or what the loss returns as it is."""
    found = objective(loss_fn)
    return found.forms[0].measure if found.forms else measure_of(found.loss, Combination("samples", SAMPLES, False), 5)


def mean_of(loss_fn, outputs, targets, n=None):
    totals, weights = measure_for(loss_fn)(outputs, targets, len(targets) if n is None else n)
    return float(totals.double().sum() / weights.double().sum())


def test_standard_error_of_a_plain_mean_is_that_of_numpy():
    totals = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    mean, stderr = mean_and_stderr(totals, np.ones(5))
    assert mean == totals.mean()
    assert stderr == pytest.approx(totals.std(ddof=1) / math.sqrt(5), rel=1e-14)


def test_standard_error_of_a_weighted_mean():
    totals, weights = np.array([2.0, 9.0, 1.0]), np.array([2.0, 3.0, 1.0])
    mean, stderr = mean_and_stderr(totals, weights)
    residuals = totals - 2.0 * weights
    assert mean == 2.0
    assert stderr == pytest.approx(math.sqrt(3) * residuals.std(ddof=0) * math.sqrt(3 / 2) / 6, rel=1e-14)


@pytest.mark.filterwarnings("error")
def test_means_that_are_not_finite():
    assert mean_and_stderr(np.array([3.0]), np.array([1.0])) == (3.0, pytest.approx(math.nan, nan_ok=True))
    assert math.isnan(mean_and_stderr(np.array([1.0, np.nan]), np.ones(2))[0])
    assert mean_and_stderr(np.array([1.0, np.inf]), np.ones(2))[0] == math.inf
    assert math.isnan(mean_and_stderr(np.zeros(3), np.zeros(3))[0])


WEIGHT = torch.tensor([1.0, 5.0, 0.5], dtype=torch.float64)


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(weight=WEIGHT),
        nn.CrossEntropyLoss(label_smoothing=0.2),
        nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=0, label_smoothing=0.1),
        nn.NLLLoss(weight=WEIGHT),
        nn.MultiMarginLoss(),
    ],
    ids=str,
)
def test_the_mean_of_a_classification_loss_is_torchs(loss_fn):
    assert mean_of(loss_fn, SCORES, CLASSES) == pytest.approx(float(loss_fn(SCORES, CLASSES)), rel=1e-14)


@pytest.mark.parametrize("ignore_index", [-100, 255, 2, -1])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_a_segmentation_loss_is_torchs_with_any_ignore_index(ignore_index, weight):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 3, 5, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 3, (4, 5, 6), generator=generator)
    targets[torch.rand(4, 5, 6, generator=generator) < 0.3] = ignore_index
    loss_fn = nn.CrossEntropyLoss(weight=weight, ignore_index=ignore_index)
    assert mean_of(loss_fn, scores, targets) == pytest.approx(float(loss_fn(scores, targets)), rel=1e-13)


@pytest.mark.parametrize(
    "loss_fn",
    [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.BCEWithLogitsLoss(), nn.KLDivLoss(reduction="batchmean")],
    ids=str,
)
def test_the_mean_of_a_regression_loss_is_torchs(loss_fn):
    targets = SCORES.softmax(1)
    assert mean_of(loss_fn, SCORES, targets) == pytest.approx(float(loss_fn(SCORES, targets)), rel=1e-14)


def test_class_probabilities_as_targets():
    loss_fn = nn.CrossEntropyLoss(weight=WEIGHT)
    targets = SCORES.flip(0).softmax(1)
    assert mean_of(loss_fn, SCORES, targets) == pytest.approx(float(loss_fn(SCORES, targets)), rel=1e-14)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_classes_of_a_small_integer_type(kind):
    expected = functional.cross_entropy(SCORES, CLASSES)
    assert mean_of(nn.CrossEntropyLoss(), SCORES, CLASSES.to(kind)) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda o, t: functional.cross_entropy(o, t),
        lambda o, t: functional.cross_entropy(o, t, reduction="none"),
        lambda o, t: functional.cross_entropy(o, t).item(),
        lambda o, t: functional.cross_entropy(o, t).numpy()[()],
        nn.CrossEntropyLoss(reduction="none"),
    ],
    ids=["scalar", "vector", "number", "numpy number", "module without reduction"],
)
def test_callables_of_every_kind(loss_fn):
    expected = float(functional.cross_entropy(SCORES, CLASSES))
    assert mean_of(loss_fn, SCORES, CLASSES) == pytest.approx(expected, rel=1e-14)


def test_half_precision_does_not_overflow_in_the_sums():
    scores, targets = torch.zeros(2, 2, 512, 512, dtype=torch.float16), torch.zeros(2, 512, 512, dtype=torch.long)
    assert mean_of(nn.CrossEntropyLoss(), scores, targets) == pytest.approx(math.log(2), rel=1e-3)
    large = torch.full((512,), 1000.0, dtype=torch.float16)
    assert mean_of(lambda o, t: o.mean(), large, large) == 1000


@pytest.mark.parametrize("loss_fn", [nn.CrossEntropyLoss(weight=WEIGHT), nn.NLLLoss(ignore_index=1)], ids=str)
def test_a_batch_of_one_sample_weighs_what_its_class_weighs(loss_fn):
    measure = measure_for(loss_fn)
    whole = measure(SCORES, CLASSES, 5)
    single = [measure(SCORES[k : k + 1], CLASSES[k : k + 1], 1) for k in range(5)]
    for k, column in enumerate(whole):
        torch.testing.assert_close(torch.cat([pair[k] for pair in single]).double(), column.double())


def test_a_mean_may_have_any_shape_of_one_value():
    assert mean_of(lambda o, t: o.mean().reshape(1), SCORES, CLASSES) == pytest.approx(float(SCORES.mean()))


@pytest.mark.parametrize("loss_fn", [nn.CrossEntropyLoss(), nn.NLLLoss(ignore_index=7), None], ids=str)
def test_classes_are_checked_for_the_losses_that_are_indexed_by_them(loss_fn):
    with pytest.raises(ValueError, match="expected targets from 0 to 2 for a model with 3 outputs, got 3"):
        check_classification(objective(loss_fn), SCORES, [Batch(SCORES, CLASSES + 2, 5)])
    check_classification(objective(nn.MSELoss()), SCORES, [Batch(SCORES, CLASSES + 2, 5)])
    if getattr(loss_fn, "ignore_index", 0) == 7:
        check_classification(objective(loss_fn), SCORES, [Batch(SCORES, CLASSES.where(CLASSES == 0, 7), 5)])


@pytest.mark.parametrize(
    ("loss_fn", "kind", "message"),
    [
        ("ce", TypeError, r"expected loss_fn as a callable .*, got 'ce'; pass an instance"),
        (nn.CrossEntropyLoss, TypeError, r"expected loss_fn as a callable .*pass an instance such as"),
    ],
    ids=["string", "class"],
)
def test_bad_loss_functions_are_refused(loss_fn, kind, message):
    with pytest.raises(kind, match=message):
        check_objective(loss_fn, None, 1, True)


def test_a_sum_is_the_sum_over_all_batches():
    loss_fn = nn.CrossEntropyLoss(reduction="sum", weight=WEIGHT, ignore_index=1)
    form = next(form for form in objective(loss_fn).forms if form.is_sum)
    parts = [sum_of(form.measure, 5)(SCORES[k], CLASSES[k], len(CLASSES[k])) for k in (slice(0, 2), slice(2, 5))]
    totals, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    assert float(totals.sum() / weights.sum()) == pytest.approx(float(loss_fn(SCORES, CLASSES)), rel=1e-14)


@pytest.mark.parametrize(
    ("loss_fn", "kind", "message"),
    [
        (lambda o, t: torch.zeros(3), ValueError, r"one value per sample, shape \(5,\), .* got shape \(3,\); return"),
        (lambda o, t: torch.zeros(5, 2), ValueError, r"got shape \(5, 2\); average over the other axes"),
        (lambda o, t: [1.0], TypeError, "expected a loss as a real tensor or number, got list"),
        (lambda o, t: torch.zeros(5, dtype=torch.complex64), TypeError, "real tensor or number, got torch.complex64"),
        (lambda o, t: torch.tensor(1j), TypeError, "real tensor or number, got torch.complex64"),
        (lambda o, t: None, TypeError, "expected a loss as a real tensor or number, got NoneType"),
    ],
)
def test_bad_losses_are_refused(loss_fn, kind, message):
    with pytest.raises(kind, match=message):
        measure_for(loss_fn)(SCORES, CLASSES, 5)


def test_accuracy_counts_correct_predictions():
    correct, counted = accuracy(SCORES, CLASSES, 5)
    assert correct.tolist() == [1, 1, 0, 1, 0]
    assert counted.tolist() == [1] * 5


def test_accuracy_leaves_out_ignored_targets():
    correct, counted = accuracy(SCORES, torch.tensor([0, -100, 0, 0, -100]), 5)
    assert correct.tolist() == [1, 0, 0, 1, 0]
    assert counted.tolist() == [1, 0, 1, 1, 0]


def test_accuracy_leaves_out_what_the_loss_leaves_out():
    correct, counted = accuracy(SCORES, CLASSES, 5, objective(nn.CrossEntropyLoss(ignore_index=1)).ignored)
    assert (int(correct.sum()), int(counted.sum())) == (2, 3)


def test_accuracy_of_small_integer_classes():
    scores = torch.zeros(3, 200)
    scores[:, 156] = 1  # 156 is -100 in eight bits
    correct, counted = accuracy(scores, torch.full((3,), 156, dtype=torch.uint8), 3)
    assert (int(correct.sum()), int(counted.sum())) == (3, 3)


def test_accuracy_of_a_segmentation_is_per_pixel_and_per_sample():
    scores = torch.zeros(2, 3, 2, 2)
    scores[:, 1] = 1
    correct, counted = accuracy(scores, torch.tensor([[[1, 1], [0, -100]], [[1, 2], [2, 1]]]), 2)
    assert correct.tolist() == [2, 2]
    assert counted.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("outputs", "targets", "expected"),
    [
        (SCORES, CLASSES, True),
        (SCORES, CLASSES.to(torch.uint8), True),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long), True),
        (SCORES, SCORES, False),
        (SCORES, CLASSES.double(), False),
        (SCORES, CLASSES > 0, False),
        (SCORES[:, :1], CLASSES, False),
        (SCORES[:, 0], CLASSES, False),
        (torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4, dtype=torch.long), False),
        ({"logits": SCORES}, CLASSES, False),
        (SCORES, CLASSES.tolist(), False),
    ],
)
def test_what_counts_as_a_classification(outputs, targets, expected):
    assert classifies(outputs, targets) is expected


@pytest.mark.parametrize(
    ("outputs", "targets", "kind", "message"),
    [
        ({"logits": SCORES}, CLASSES, TypeError, "expected a model that returns a tensor of class scores .* got dict"),
        (SCORES, SCORES, TypeError, r"got outputs \(5, 3\) and targets torch.float64 \(5, 3\); pass loss_fn="),
        (SCORES, CLASSES.tolist(), TypeError, r"targets list; pass loss_fn="),
        (SCORES, CLASSES + 2, ValueError, "expected targets from 0 to 2 for a model with 3 outputs, got 3; pass"),
        (SCORES, CLASSES - 1, ValueError, "expected targets from 0 to 2 for a model with 3 outputs, got -1"),
    ],
)
def test_cross_entropy_is_not_guessed(outputs, targets, kind, message):
    with pytest.raises(kind, match=message):
        check_classification(objective(None), outputs, [Batch(SCORES, targets, 5)])


def test_targets_of_every_batch_are_checked_and_ignored_ones_are_fine():
    good, ignored = Batch(SCORES, CLASSES, 5), Batch(SCORES, torch.full((5,), -100), 5)
    check_classification(objective(None), SCORES, [good, ignored])
    with pytest.raises(ValueError, match="got 7"):
        check_classification(objective(None), SCORES, [good, Batch(SCORES, CLASSES + 7, 5)])
