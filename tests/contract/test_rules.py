"""The rules of drawing that Python and the viewer share: both agree with the golden files."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from contract.cases import FOLDER, RULES, difference, written

JS = FOLDER.parents[2] / "js"


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
