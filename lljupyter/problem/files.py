"""A problem as a file, for another process to evaluate: tensors as safetensors, facts as JSON, code as a pickle.

All tensors lie beside the pickle, which holds only how the model, the loss and the batches are built from them.
Classes and functions that another process can import are named in it; those it can't, such as a model defined in a
notebook, are written out by cloudpickle.
"""

from __future__ import annotations

import io
import json
import os
import pickle
from dataclasses import fields
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lljupyter import __version__
from lljupyter.geometry.parameters import hash_tensors
from lljupyter.problem.model import available_device, tensors_by_name
from lljupyter.problem.problem import Problem
from lljupyter.process.atomic import atomic, checked_path

CODE = "code"  # the name of the pickle among the tensors
# Tensors of these types are stored as such, others as bytes.
STORED = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16)


def save_problem(problem: Problem, folder: str | os.PathLike[str]) -> Path:
    """Write a problem to a file named after a hash of its content.

    Args:
        problem: The problem; equal tensors and facts give the same file, which is written once.
        folder: Where to write it; made if it is missing.

    Returns:
        The path, ``<folder>/problem-<hash>.safetensors``.

    Raises:
        TypeError: If a part can't be pickled.
        ModuleNotFoundError: If that takes cloudpickle and it is not installed.
    """
    facts: dict[str, Any] = {"version": __version__, "device": str(problem.device), "states": list(problem.states)}
    objects: dict[str, Any] = {}
    for name in (field.name for field in fields(problem) if field.name not in facts):
        value = getattr(problem, name)
        (facts if _is_fact(value) else objects)[name] = value
    names = {tensor.untyped_storage().data_ptr(): f"states.{name}" for name, tensor in problem.states.items()}
    store = _TensorStore(problem.device, names)
    code = store.pickled(objects)
    tensors = {**store.storages, CODE: torch.frombuffer(bytearray(code), dtype=torch.uint8)}
    text = json.dumps({**facts, "tensors": store.views})
    digest = _digest(tensors, text)
    path = checked_path(folder, "problems") / f"problem-{digest}.safetensors"
    if not path.is_file():
        with atomic(path) as temporary:
            save_file(tensors, temporary, {"problem": text, "hash": digest})
    return path


def load_problem(path: str | os.PathLike[str], device: torch.device | str | None = None) -> Problem:
    """Open a problem that ``save_problem`` wrote. This runs code from the file: open only files you trust.

    Args:
        path: The file.
        device: Where to evaluate; None for the device that the problem had.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no such file, or was written by another version.
    """
    path = checked_path(path, "problem.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"expected the file of a problem, got none at {path}; write it with save_problem")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"expected the file of a problem, got {path}: {error}; write it with save_problem") from error
    text = metadata.get("problem", "")
    if not text or _digest(tensors, text) != metadata.get("hash"):
        raise ValueError(f"expected the file of a problem, got {path}, which is none or damaged; write it again")
    facts = json.loads(text)
    if facts["version"] != __version__:
        raise ValueError(
            f"expected a problem written by lljupyter {__version__}, got one of {facts['version']} in {path}; "
            "write it again with save_problem"
        )
    there = available_device(facts["device"] if device is None else device)
    code = tensors.pop(CODE).numpy().tobytes()
    objects = _Unpickler(code, tensors, facts.pop("tensors"), there).load()
    states = tensors_by_name(objects["model"], facts["states"])
    known = {field.name for field in fields(Problem)} - {"device", "states"}
    plain = {name: _tuples(value) for name, value in facts.items() if name in known}
    return Problem(**plain, **objects, device=there, states=states)


class _TensorStore:
    """Keeps the tensors of a pickle, each memory once, so that tied tensors stay tied.

    Args:
        home: The device of the problem.
        names: What to call some memories, by their address.

    Attributes:
        storages: ``{name: tensor}``, one axis each.
        views: How each tensor is made of them, see ``_view``.
    """

    def __init__(self, home: torch.device, names: dict[int, str]) -> None:
        self._home, self._names = home, names
        self.storages: dict[str, Tensor] = {}
        self.views: list[dict[str, Any]] = []
        self._indices: dict[int, int] = {}
        self._alive: list[Tensor] = []  # an address may be given away where its tensor is gone

    def pickled(self, objects: Any) -> bytes:
        """Return a pickle of objects without their tensors."""
        try:
            return self._dumped(_ImportablePickler, objects)
        except Exception:  # something that another process can't import
            try:
                return self._dumped(_code_pickler(), objects)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise TypeError(
                    f"expected a model, loss and data that can be pickled, got {type(error).__name__}: {error}; "
                    "remove locks, open files and the like from their attributes"
                ) from error

    def index(self, tensor: Tensor) -> int:
        """Return the number that stands for a tensor in the pickle."""
        if id(tensor) not in self._indices:
            self._indices[id(tensor)] = len(self.views)
            self._alive.append(tensor)
            self.views.append(
                {
                    "storage": self._storage(tensor),
                    "dtype": str(tensor.dtype).removeprefix("torch."),
                    "shape": list(tensor.shape),
                    "stride": list(tensor.stride()),
                    "offset": tensor.storage_offset(),
                    "parameter": isinstance(tensor, nn.Parameter),
                    "requires_grad": tensor.requires_grad,
                    "home": tensor.device == self._home,
                }
            )
        return self._indices[id(tensor)]

    def _storage(self, tensor: Tensor) -> str:
        storage = tensor.untyped_storage()
        name = self._names.setdefault(storage.data_ptr(), f"tensor.{len(self._names)}") if len(storage) else "empty"
        if name not in self.storages:
            dtype = tensor.dtype if tensor.dtype in STORED and len(storage) % tensor.itemsize == 0 else torch.uint8
            whole = torch.empty(0, dtype=dtype, device=tensor.device).set_(storage)
            self.storages[name] = whole.cpu()
        return name

    def _dumped(self, pickler: Any, objects: Any) -> bytes:
        self.storages, self.views, self._indices = {}, [], {}
        buffer = io.BytesIO()
        pickler(buffer, self).dump(objects)
        return buffer.getvalue()


class _OutsidePickler:
    """A mixin that leaves the tensors to a ``_TensorStore``."""

    def __init__(self, buffer: io.BytesIO, store: _TensorStore) -> None:
        super().__init__(buffer)  # type: ignore[call-arg]
        self._store = store

    def persistent_id(self, part: Any) -> int | None:
        # Others, such as sparse ones, are pickled as what they are made of.
        plain = type(part) in (Tensor, nn.Parameter) and part.layout == torch.strided and not part.is_quantized
        return self._store.index(part) if plain and not part.is_nested else None


class _ImportablePickler(_OutsidePickler, pickle.Pickler):
    """Refuses objects that would be stored by a name that another process cannot import."""

    def reducer_override(self, part: Any) -> Any:
        if isinstance(part, (type, FunctionType)) and part.__module__ == "__main__":
            raise pickle.PicklingError(f"{part.__qualname__} is defined in the running program")
        return NotImplemented


def _code_pickler() -> type:
    """Return a pickler that writes out classes and functions that can't be imported."""
    try:
        import cloudpickle
    except ImportError as error:
        raise ModuleNotFoundError(
            "expected cloudpickle to write out classes and functions that another process can't import, got no such "
            "package; pip install cloudpickle, or define them in a module"
        ) from error
    return type("_CodePickler", (_OutsidePickler, cloudpickle.Pickler), {})


class _Unpickler(pickle.Unpickler):
    """Puts the tensors back into a pickle."""

    def __init__(
        self, code: bytes, storages: dict[str, Tensor], views: list[dict[str, Any]], device: torch.device
    ) -> None:
        super().__init__(io.BytesIO(code))
        at_home = {view["storage"] for view in views if view["home"]}
        # Copies, as those of the file may begin anywhere in memory.
        storages = {n: s.to(device if n in at_home else "cpu", copy=True) for n, s in storages.items()}
        self._tensors = [_view(storages, view) for view in views]

    def persistent_load(self, index: int) -> Tensor:
        return self._tensors[index]


def _view(storages: dict[str, Tensor], view: dict[str, Any]) -> Tensor:
    raw: Tensor = storages[view["storage"]].view(torch.uint8).view(getattr(torch, view["dtype"]))
    tensor = raw.as_strided(view["shape"], view["stride"], view["offset"])
    if view["parameter"]:
        return nn.Parameter(tensor, view["requires_grad"])
    tensor.requires_grad_(view["requires_grad"])
    return tensor


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    about = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    return hash_tensors([*sorted(tensors.items()), ("facts", about)])


def _is_fact(value: Any) -> bool:
    """Return True if JSON keeps a value as it is, but for tuples, which ``_tuples`` restores."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_fact(part) for key, part in value.items())
    if isinstance(value, tuple):
        return all(_is_fact(part) for part in value)
    return value is None or type(value) in (bool, int, float, str)


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
