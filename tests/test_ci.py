"""What CI runs agrees with what the package declares."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DECLARED = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the source distribution has no .github")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path):
    """To a commit, since a tag can be moved, with the version that it had beside it."""
    actions = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_every_python_that_is_declared_is_tested():
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', DECLARED)
    tested = re.search(r"^ +python: \[(.*)\]", (WORKFLOWS[-1]).read_text(encoding="utf-8"), re.MULTILINE)
    assert WORKFLOWS[-1].name == "tests.yml"
    assert re.findall(r'"(3\.\d+)"', tested[1]) == declared
    assert f'requires-python = ">={declared[0]}"' in DECLARED


def test_the_oldest_torch_that_is_declared_is_tested():
    declared = re.search(r'"torch>=(\d+\.\d+)"', DECLARED)[1]
    assert f'"torch=={declared}.* ' in WORKFLOWS[-1].read_text(encoding="utf-8")


def test_pinned_tools_are_those_of_the_test_extra():
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line for line in pinned if not re.fullmatch(r"[\w-]+==[\w.]+", line)] == []
    assert [line for line in pinned if not re.search(rf'"{line.split("==")[0]}[">]', DECLARED)] == []


def test_the_commands_of_ci_exist():
    scripts = [*WORKFLOWS, ROOT / ".github" / "CONTRIBUTING.md", ROOT / ".pre-commit-config.yaml"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    named = set(re.findall(r"\.ci/[\w.]+", text))
    assert named >= {".ci/run", ".ci/nightly", ".ci/constraints.txt"}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_command_that_ci_takes_from_the_readme_runs_everything():
    pattern = re.search(r"grep -m1 -E '(.*?)' README.md", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))[1]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    command = next(line for line in readme if re.search(pattern, line))
    assert command.endswith('-m pytest -m ""')
