"""Records checkpoints from any training loop."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal

import torch
from torch import Tensor, nn

from lljupyter.geometry.parameters import states_of, unwrapped
from lljupyter.process.notices import warn
from lljupyter.training.checkpoint_file import compare_checkpoint, is_away, write_checkpoint
from lljupyter.training.steps import StepListener, evaluation_weights, is_optimizer

PATTERN = "step-{:09d}.safetensors"


class TrajectoryRecorder:
    """Writes the states of a model while it is trained, for ``loss_surface(..., trajectory=path)``.

    A context manager: on entry it writes the present state, then a checkpoint every ``every`` steps, and a final one on
    exit, even after an error or an interrupt. Each checkpoint is a safetensors file,
    ``step-000001200.safetensors``, with the parameters and floating-point buffers; it is there whole or not at all.
    Nothing is kept in memory, except that for a model on an accelerator a thread writes one checkpoint while training
    goes on; all are there when the block is left. If a folder has checkpoints already, counting goes on from the last
    one, which the model has to be at.

    Training never stops because a checkpoint cannot be written: the first time, there is a warning. Only on entry,
    before training begins, it is an error.

    Args:
        model: The model that is trained. Not changed.
        optimizer: Its optimizer, whose steps are counted; also one wrapped around others, such as SAM, Lookahead, or
            what accelerate makes of it. Of schedule-free optimizers, the weights that ``optimizer.eval()`` gives are
            written: call that before looking at the landscape.
        path: A folder for the checkpoints, made if it is missing.
        every: Number of steps (or epochs) between checkpoints.
        unit: "step" or "epoch".
        steps_per_epoch: Optimizer steps in an epoch, ``len(loader)``; needed for "epoch", and labels checkpoints.
        start: The step that training resumes from if that is not the last recorded one, 0 for a new run; later
            checkpoints are removed, as they belong to a run that is given up. After steps that were not recorded it
            is above the last one: the trajectory goes straight from there to the model as it is on entry.

    Attributes:
        step: Number of optimizer steps so far.

    Raises:
        TypeError: If an argument is of another kind than expected, or (on entry) the steps of the optimizer cannot be
            followed.
        ValueError: If a number is out of range, the folder holds checkpoints of another model, or (without ``start``)
            the model is not at the last one; on entry, if another recorder wrote to the folder meanwhile.
        OSError: On entry, if the first checkpoint cannot be written.

    Example:
        >>> with TrajectoryRecorder(model, optimizer, "run", every=100):  # doctest: +SKIP
        ...     train(model, optimizer)
        >>> loss_surface(model, loader, trajectory="run")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        unit: Literal["step", "epoch"] = "step",
        steps_per_epoch: int | None = None,
        start: int | None = None,
    ) -> None:
        if not is_optimizer(optimizer):
            raise TypeError(
                f"expected a torch.optim.Optimizer, got {type(optimizer).__name__}; "
                "pass the optimizer whose steps train the model"
            )
        if unit not in ("step", "epoch"):
            raise ValueError(f"expected unit as 'step' or 'epoch', got {unit!r}; 'step' counts optimizer steps")
        for name, value, least in (("every", every, 1), ("steps_per_epoch", steps_per_epoch, 1), ("start", start, 0)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ValueError(f"expected {name} as a whole number of at least {least}, got {value!r}")
        if unit == "epoch" and steps_per_epoch is None:
            raise ValueError(
                "expected steps_per_epoch to count epochs, got None; pass steps_per_epoch=len(loader), "
                "or every=... in steps"
            )
        self.path = Path(path)
        self._model = unwrapped(model)
        self._optimizer = optimizer
        self._every = every * (steps_per_epoch or 1) if unit == "epoch" else every
        self._steps_per_epoch = steps_per_epoch
        self._listener: StepListener | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._warned = False
        recorded = self._recorded()
        if recorded:
            self._check(recorded[-1], start)
        self.step = start if start is not None else (recorded[-1] if recorded else 0)
        self._first = self._last = -1
        self._found: list[int] | None = recorded  # until it is entered

    def __enter__(self) -> TrajectoryRecorder:
        if self._listener is not None:
            raise RuntimeError("expected a recorder that is not recording yet, got one within itself; enter it once")
        if self._found is not None and self._recorded() != self._found:
            raise ValueError(
                f"expected {self.path} as it was when the recorder was made, got checkpoints that another one wrote; "
                "choose a folder of its own for every run"
            )
        # Before anything is written: an optimizer that can't be followed is refused here.
        listener = StepListener(self._optimizer, self._stepped)
        try:
            for step in self._found or ():
                if step > self.step:
                    (self.path / PATTERN.format(step)).unlink(missing_ok=True)
            self._found, self._first, self._warned = None, self.step, False
            self.path.mkdir(parents=True, exist_ok=True)
            self._write()
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self._listener = None
        self._finish()
        if self._last != self.step or not self._is_recorded(self._last):
            if self.step == self._first:
                self.step += 1
                self._warn(
                    f"expected to hear of the steps of {type(self._optimizer).__name__}, got none although the weights "
                    "changed; only the start and the end are recorded: pass the optimizer whose step() trains the model"
                )
            self._warned = False  # that the end is missing is worth another warning
            self._write_or_warn()
            self._finish()

    def _stepped(self) -> None:
        self.step += 1
        if self.step % self._every == 0:
            self._write_or_warn()

    def _write_or_warn(self) -> None:
        try:
            if not self.path.is_dir():
                self._report(FileNotFoundError("the folder vanished, and with it what was recorded so far"))
            self._write()
        except Exception as error:  # whatever it is, training is worth more than a checkpoint
            self._report(error)

    def _write(self) -> None:
        label = f"step {self.step}"
        metadata = {"step": str(self.step)}
        groups = getattr(self._optimizer, "param_groups", None) or [{}]
        if (rate := groups[0].get("lr")) is not None:  # some optimizers set it by themselves
            metadata["learning_rate"] = str(float(rate))
        if self._steps_per_epoch is not None:
            epoch, rest = divmod(self.step, self._steps_per_epoch)
            metadata["epoch"] = f"{self.step / self._steps_per_epoch:g}"
            label = label if rest else f"epoch {epoch}"
        metadata["label"] = label
        self._finish()
        path = self.path / PATTERN.format(self.step)
        with evaluation_weights(self._optimizer):
            states = states_of(self._model, shared=True)
            if is_away(states):
                copies = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in states.items()}
                self._thread = threading.Thread(target=self._save_beside, args=(path, copies, metadata))
                self._thread.start()
            else:
                write_checkpoint(path, {name: tensor.contiguous() for name, tensor in states.items()}, metadata)
        self._last = self.step

    def _save_beside(self, path: Path, states: dict[str, Tensor], metadata: dict[str, str]) -> None:
        try:
            write_checkpoint(path, states, metadata)
        except Exception as error:
            self._error = error

    def _finish(self) -> None:
        """Wait until the last checkpoint is written, and report what went wrong with it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            self._report(error)

    def _report(self, error: Exception) -> None:
        self._warn(
            f"expected to record the training run in {self.path}, got {type(error).__name__} at step {self.step}: "
            f"{error}; training goes on, but checkpoints are missing: make room on the disk, or check the folder"
        )

    def _warn(self, message: str) -> None:
        """Warn once, from the line that trains or that ends the block."""
        if not self._warned:
            self._warned = True
            warn([message])

    def _recorded(self) -> list[int]:
        """Return the steps that the folder has checkpoints of."""
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"expected a folder for the checkpoints, got the file {self.path}; choose another")
        found = (re.fullmatch(r"step-(\d+)\.safetensors", file.name) for file in self.path.glob("step-*.safetensors"))
        return sorted(int(match[1]) for match in found if match)

    def _is_recorded(self, step: int) -> bool:
        """Return True if the checkpoint of a step holds the model as it is now."""
        try:
            with evaluation_weights(self._optimizer):
                return compare_checkpoint(self.path / PATTERN.format(step), states_of(self._model, shared=True))[1]
        except (OSError, ValueError):
            return False

    def _check(self, last: int, start: int | None) -> None:
        file, states = self.path / PATTERN.format(last), states_of(self._model, shared=True)
        with evaluation_weights(self._optimizer):
            shapes, same = compare_checkpoint(file, states)
        expected = {name: tuple(tensor.shape) for name, tensor in states.items()}
        if shapes != expected:
            different = sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name))
            raise ValueError(
                f"expected {self.path} to be empty or to hold checkpoints of this model, got those of another "
                f"({different[0]!r} differs); choose another folder"
            )
        if start is not None and start > last and same:
            raise ValueError(
                f"expected start={last} for a model as it was recorded at step {last}, got {start}; "
                "leave start out to go on from there"
            )
        if start is None and not same:
            raise ValueError(
                f"expected the model as it was recorded last, in {file}, to go on from there, got other weights; "
                "pass start=0 to record a new run, start=<step> to go on from another step, or another folder"
            )
