"""The viewer that is committed, ``lljupyter/jupyter/static/widget.js``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import lljupyter

BUNDLE = Path(lljupyter.__file__).parent / "jupyter" / "static" / "widget.js"
JS = Path(__file__).parents[2] / "js"


def test_the_bundle_is_small():
    assert 10_000 < BUNDLE.stat().st_size <= 150_000


def test_the_bundle_was_built_from_the_sources_beside_it():
    if not (JS / "src").is_dir():
        pytest.skip("the sources of the viewer are not beside the package")
    paths = [p for p in (JS / "src").rglob("*") if p.is_file()] + [JS / "package-lock.json"]
    digest = hashlib.sha256()
    for name, path in sorted((p.relative_to(JS).as_posix().encode(), p) for p in paths):
        digest.update(name + b"\0" + path.read_bytes() + b"\0")
    banner = BUNDLE.read_text(encoding="utf-8").split("\n", 1)[0]
    expected = f"/* lljupyter viewer, sources sha256:{digest.hexdigest()} */"
    assert banner == expected, "npm run build was not run after a change"


def test_the_bundle_asks_nothing_of_the_network():
    text = BUNDLE.read_text(encoding="utf-8")
    hosts = set(re.findall(r"(?:https?|wss?):/*([\w.-]+)|[\"'`]//([\w.-]+\.\w+)", text))
    assert {a or b for a, b in hosts} <= {"www.w3.org"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket\(|importScripts|sendBeacon", text)


def test_the_bundle_is_one_module_with_a_default_export():
    text = BUNDLE.read_text(encoding="utf-8")
    assert re.search(r"export\s*\{[^}]*\bdefault\b", text) or "export default" in text
    assert not re.search(r"^\s*import\s", text, re.MULTILINE)
