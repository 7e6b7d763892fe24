from __future__ import annotations

import os

import pytest
import torch

from lljupyter.process import memory
from lljupyter.process.memory import available_bytes

CPU = torch.device("cpu")


def test_what_caches_hold_counts_as_available(monkeypatch, tmp_path):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:  9000 kB\nMemFree:   100 kB\nMemAvailable:   2500 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", told)
    assert available_bytes(CPU) == 2500 * 1024


def test_without_that_file_free_pages_count(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    pages = {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__, raising=False)
    assert available_bytes(CPU) == 4096000


def test_nothing_known_is_a_guess(monkeypatch, tmp_path):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(os, "sysconf", unknown, raising=False)
    assert available_bytes(CPU) == pytest.approx(8e9)
