"""``max_samples``: batches are cut only where the trial shows that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lljupyter.problem.batches import Batch, take
from lljupyter.problem.loaders import Read
from lljupyter.problem.trial.trial import Trial

Batches = Mapping[str, Sequence[Batch]]


def trial_of(read: Mapping[str, Read], max_samples: int | None, run: Callable[[Batches], Trial]) -> Trial:
    """Return the trial of what was read, with whole batches if those that were cut must not be.

    Args:
        read: What was read of each loader. The last batch is cut along the first axis, if at all.
        max_samples: How many samples were asked for.
        run: Runs a trial.
    """
    trial = run({prefix: part.batches for prefix, part in read.items()})
    is_cut = [prefix for prefix, part in read.items() if part.last is not None]
    if all(trial.axes[prefix] == 0 for prefix in is_cut):
        return trial
    assert max_samples is not None
    trial = run({prefix: part.whole for prefix, part in read.items()})
    cut = {prefix: _cut(part, trial.axes[prefix], max_samples) for prefix, part in trial.batches.items()}
    if any(sum(b.n for b in cut[prefix]) < sum(b.n for b in part) for prefix, part in trial.batches.items()):
        trial = run(cut)
    n = sum(batch.n for part in trial.batches.values() for batch in part)
    if n < max_samples * len(read) and any(sum(b.n for b in trial.batches[prefix]) < max_samples for prefix in is_cut):
        warning = f"max_samples={max_samples} reads {n} samples, not along the first axis; pass a larger one"
        trial = replace(trial, warnings=(*trial.warnings, warning))
    if n > max_samples * len(read):
        warning = f"max_samples={max_samples} takes whole batches, {n} samples: to cut them changes their values"
        trial = replace(trial, warnings=(*trial.warnings, warning))
    return trial


def _cut(batches: Sequence[Batch], axis: int | None, max_samples: int) -> Sequence[Batch]:
    """Return the first samples of batches along their axis; batches that can't be cut are returned whole."""
    if axis is None:
        return batches
    kept: list[Batch] = []
    for batch in batches:
        left = max_samples - sum(b.n for b in kept)
        if left <= 0:
            break
        kept.append(take(batch, left) if batch.n > left else batch)
    return kept
