"""The table of README.md and the files here name each other."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (HERE / "README.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][2:]


def test_every_row_names_its_kind_its_end_and_a_file_that_is_there():
    assert len({kind for kind, _, _ in ROWS}) == len(ROWS) > 10
    for kind, end, test in ROWS:
        assert re.search("right|refused|warned", end), kind
        folder = HERE.parents[2] if test.startswith("`tests/") else HERE
        assert (folder / test.strip("`")).is_file(), kind


def test_every_file_is_in_the_table():
    files = {path.relative_to(HERE).as_posix() for path in HERE.rglob("test_*.py")} - {Path(__file__).name}
    assert files == {test.strip("`") for _, _, test in ROWS if not test.startswith("`tests/")}
