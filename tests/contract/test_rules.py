"""The rules of drawing that Python and the viewer share: both agree with the golden files."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from contract.cases import FOLDER, RULES, written

JS = FOLDER.parents[2] / "js"


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


@pytest.mark.parametrize("rule", RULES)
def test_python_draws_as_the_golden_files_say(rule):
    """A rule was changed on purpose? Change js/src as well, then ``PYTHONPATH=tests python -m contract.cases``."""
    golden = json.loads((FOLDER / f"{rule}.json").read_text(encoding="utf-8"))
    assert difference(json.loads(written(rule)), golden, rule) is None


def test_every_golden_file_has_a_rule():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(RULES)


@pytest.mark.skipif(
    shutil.which("node") is None or not (JS / "node_modules").is_dir(),
    reason="needs node and `npm ci` in js/; CI runs these tests in any case",
)
def test_the_viewer_draws_as_the_golden_files_say():
    run = subprocess.run(["node", "tests/run.mjs", "contract"], cwd=JS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
