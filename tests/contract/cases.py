"""The rules of drawing that Python and the viewer share: cases, and what Python makes of them.

``PYTHONPATH=tests python -m contract.cases`` writes one golden file per rule into ``rules``. The tests in this folder
compare Python with the files, ``js/tests/contract`` compares the viewer with them. A rule is changed on both sides, and
the files are written anew.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contract import pictures, values
from support.jupyter.frames import wire_golden

FOLDER = Path(__file__).parent / "rules"

RULES: dict[str, Callable[[], Any]] = {
    "numbers": values.numbers,
    "labels": values.labels,
    "names": values.names,
    "layers": values.layers,
    "ticks": values.ticks,
    "levels": values.levels,
    "scales": pictures.scales,
    "surfaces": pictures.surfaces,
    "compared": pictures.compared,
    "bands": values.bands,
    "lines": pictures.lines,
    "paths": values.paths,
    "colors": values.colors,
    "grids": values.grids,
    "style": values.style,
    "warnings": values.warnings,
    "wire": wire_golden,
}


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, with "float nan" for NaN and its like, and 15 digits."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.15g}") if math.isfinite(value) else f"float {value}"
    return int(value) if isinstance(value, np.integer) else value


def difference(actual: Any, wanted: Any, path: str = "") -> str | None:
    """Return where two values differ, numbers by more than the rounding of another processor; None if they do not."""
    if isinstance(wanted, dict) and isinstance(actual, dict) and list(actual) == list(wanted):
        parts = [(actual[name], wanted[name], f"{path}.{name}") for name in wanted]
    elif isinstance(wanted, list) and isinstance(actual, list) and len(actual) == len(wanted):
        parts = [(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(actual, wanted, strict=True))]
    elif path.endswith("frame_base64"):
        bytes_of = [np.frombuffer(base64.b64decode(text), "<f4") for text in (actual, wanted)]
        same = len(bytes_of[0]) == len(bytes_of[1]) and np.allclose(*bytes_of, rtol=1e-6, atol=0, equal_nan=True)
        return None if same else f"{path}: other bytes"
    elif isinstance(wanted, float) and isinstance(actual, (int, float)):
        return None if math.isclose(actual, wanted, rel_tol=1e-9, abs_tol=1e-12) else f"{path}: {actual} not {wanted}"
    else:
        return None if actual == wanted else f"{path}: {actual!r} not {wanted!r}"
    return next((found for part in parts if (found := difference(*part)) is not None), None)


def written(rule: str) -> str:
    """Return the text of a golden file."""
    cases = plain(RULES[rule]())
    parts = cases if isinstance(cases, list) else [cases]
    return "[\n" + ",\n".join(json.dumps(part, ensure_ascii=False, allow_nan=False) for part in parts) + "\n]\n"


if __name__ == "__main__":
    for rule in RULES:
        path = FOLDER / f"{rule}.json"
        new = written(rule)
        # The last digits of another processor are no change of a rule.
        if not path.exists() or difference(json.loads(new), json.loads(path.read_text(encoding="utf-8"))):
            path.write_text(new, encoding="utf-8")
