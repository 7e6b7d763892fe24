from __future__ import annotations

import os

import pytest
import torch

from lljupyter.process import memory
from lljupyter.process.memory import available_bytes, out_of_memory, total_bytes, used_bytes

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


@pytest.fixture
def container(monkeypatch, tmp_path):
    """The files of a container, at first without a limit."""
    limit, used = tmp_path / "max", tmp_path / "current"
    limit.write_text("max\n")
    used.write_text("300\n")
    monkeypatch.setattr(memory, "LIMITS", ((tmp_path / "none", used), (limit, used)))
    return limit


def test_a_container_limits_what_there_is(container):
    whole = total_bytes(), available_bytes(CPU)
    container.write_text("1000\n")
    assert (total_bytes(), available_bytes(CPU)) == (1000, 700)
    container.write_text("200\n")
    assert available_bytes(CPU) == 0
    container.write_text(f"{2**62}\n")  # no limit, in version 1
    assert total_bytes() == whole[0]


def test_what_the_process_holds_is_known():
    before = used_bytes()
    held = torch.ones(50 << 20, dtype=torch.uint8)
    assert used_bytes() - before > 0.9 * held.numel()


def test_what_torch_says_when_memory_is_short_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("expected scalar type Float"))
