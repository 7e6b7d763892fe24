"""Records checkpoints from any training loop."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lljupyter.geometry.parameters import hash_tensors, states_of, unwrapped
from lljupyter.process.atomic import atomic

PATTERN = "step-{:09d}.safetensors"


class TrajectoryRecorder:
    """Writes the states of a model while it is trained, for ``loss_surface(..., trajectory=path)``.

    A context manager: on entry the present state is written, then one after every so many steps of the optimizer,
    and on leaving the final one. Each checkpoint is a safetensors file of its own, ``step-000001200.safetensors``,
    with the parameters and floating-point buffers; it is there whole or not at all. Nothing is kept in memory,
    but for a model on an accelerator the one checkpoint that a thread writes while training goes on; all are there when
    the block is left. When a folder has checkpoints already, counting goes on from the last one, which the model has to
    be at.

    Args:
        model: The model that is trained. Not changed.
        optimizer: Its optimizer; its steps are counted.
        path: A folder for the checkpoints, made if it is missing.
        every: Number of steps (or epochs) between checkpoints.
        unit: "step" or "epoch".
        steps_per_epoch: Optimizer steps in an epoch, ``len(loader)``; needed for "epoch", and labels checkpoints.
        start: The step that training resumes from, when that is not the last recorded one, 0 for a new run; later
            checkpoints are removed, as they belong to a run that is given up. After steps that were not recorded it
            is above the last one: the trajectory goes straight from there to the model as it is on entry.

    Attributes:
        step: Number of optimizer steps so far.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If a number is out of range, the folder holds checkpoints of another model, or (without ``start``)
            the model is not at the last one; on entry, if another recorder wrote to the folder meanwhile.
        OSError: If a checkpoint could not be written; from a thread, when the next one is due or on leaving.

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
        if not isinstance(optimizer, torch.optim.Optimizer):
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
        self._hook: Any = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        recorded = self._recorded()
        if recorded:
            self._check(recorded[-1], start)
        self.step = start if start is not None else (recorded[-1] if recorded else 0)
        self._last = -1
        self._found: list[int] | None = recorded  # until it is entered

    def __enter__(self) -> TrajectoryRecorder:
        if self._hook is not None:
            raise RuntimeError("expected a recorder that is not recording yet, got one within itself; enter it once")
        if self._found is not None and self._recorded() != self._found:
            raise ValueError(
                f"expected {self.path} as it was when the recorder was made, got checkpoints that another one wrote; "
                "choose a folder of its own for every run"
            )
        for step in self._found or ():
            if step > self.step:
                (self.path / PATTERN.format(step)).unlink(missing_ok=True)
        self._found = None
        self._write()
        self._hook = self._optimizer.register_step_post_hook(self._stepped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hook.remove()
        self._hook = None
        if self._last != self.step and kind is None:
            self._write()
        try:
            self._finish()
        except Exception:
            if kind is None:  # else the error that ended training is the one to see
                raise

    def _stepped(self, *_: Any) -> None:
        self.step += 1
        if self.step % self._every == 0:
            self._write()

    def _write(self) -> None:
        label = f"step {self.step}"
        told = {"step": str(self.step)}
        if (rate := self._optimizer.param_groups[0].get("lr")) is not None:  # some optimizers set it by themselves
            told["learning_rate"] = str(float(rate))
        if self._steps_per_epoch is not None:
            epoch, rest = divmod(self.step, self._steps_per_epoch)
            told["epoch"] = f"{self.step / self._steps_per_epoch:g}"
            label = label if rest else f"epoch {epoch}"
        self._finish()
        path, states = self.path / PATTERN.format(self.step), states_of(self._model)
        if _away(states):
            copies = {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in states.items()}
            self._thread = threading.Thread(target=self._save_beside, args=(path, copies, {**told, "label": label}))
            self._thread.start()
        else:
            _save(path, {name: tensor.contiguous() for name, tensor in states.items()}, {**told, "label": label})
        self._last = self.step

    def _save_beside(self, path: Path, states: dict[str, Tensor], metadata: dict[str, str]) -> None:
        try:
            _save(path, states, metadata)
        except Exception as error:
            self._error = error

    def _finish(self) -> None:
        """Waits until the last checkpoint is written, and raises what went wrong with it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _recorded(self) -> list[int]:
        """Returns the steps that the folder has checkpoints of."""
        found = (re.fullmatch(r"step-(\d+)\.safetensors", file.name) for file in self.path.glob("step-*.safetensors"))
        return sorted(int(match[1]) for match in found if match)

    def _check(self, last: int, start: int | None) -> None:
        file, states = self.path / PATTERN.format(last), states_of(self._model)
        try:
            with safe_open(file, framework="pt") as recorded:
                shapes = {name: tuple(recorded.get_slice(name).get_shape()) for name in recorded.keys()}  # noqa: SIM118
                same = shapes.keys() == states.keys() and all(
                    hash_tensors([("", recorded.get_tensor(name))]) == hash_tensors([("", tensor)])
                    for name, tensor in states.items()
                )
        except SafetensorError as error:
            raise ValueError(
                f"expected a whole checkpoint in {file}, got one that is cut short or damaged ({error}); "
                "remove it, or choose another folder"
            ) from error
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


def _away(states: dict[str, Tensor]) -> bool:
    """Says whether writing is worth a thread: an accelerator would wait for it.

    A step on the processor passes over the parameters several times, so that one checkpoint in many steps is little,
    and a thread that takes turns with training costs small models more than it saves (2.2 ms against 1.1 ms, measured).
    """
    return any(tensor.device.type != "cpu" for tensor in states.values())


def _save(path: Path, states: dict[str, Tensor], metadata: dict[str, str]) -> None:
    # Not flushed to the disk: a crash of the process leaves no torn file, and training does not wait.
    with atomic(path, durable=False) as temporary:
        try:
            save_file(_apart(states), temporary, metadata)
        except SafetensorError as error:
            raise OSError(
                f"expected to write {path}, got: {error}; check the folder and the room on the disk"
            ) from error


def _apart(states: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns tensors of which no two share memory, as a buffer may with a parameter: the format refuses these."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in states.items():
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return apart
