"""Checkpoints read side by side, block by block."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from support.reference import run

from lljupyter.geometry import blocks as reading
from lljupyter.geometry import checkpoint as checkpoint_module
from lljupyter.geometry.checkpoints import open_checkpoints


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), max_size=3).map(tuple), st.integers(0, 60))
def test_pieces_hold_every_entry_once_and_no_more_than_they_may(shape, most):
    seen = np.zeros(shape, dtype=int)
    for piece in reading.pieces(shape, most):
        assert seen[piece].size <= max(most, 1)
        seen[piece] += 1
    assert (seen == 1).all()


def test_only_a_block_of_the_checkpoints_is_read_at_a_time(tmp_path, monkeypatch):
    center, states = run(n=5, n_rows=1000)
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"{index}.safetensors")
    monkeypatch.setattr(reading, "BLOCK", 240)
    shapes = [tuple(b.shape) for name, _, b in reading.differences(open_checkpoints(tmp_path), center) if name == "w"]
    assert shapes == [(6, 40)] * 100


def test_files_are_let_go_of_now_and_then_so_that_their_pages_do_not_pile_up(tmp_path, monkeypatch):
    center, states = run(n=5, n_rows=1000)
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"{index}.safetensors")
    opened, safe_open = [], checkpoint_module.safe_open
    monkeypatch.setattr(
        checkpoint_module, "safe_open", lambda path, **options: opened.append(path) or safe_open(path, **options)
    )
    monkeypatch.setattr(reading, "BLOCK", 240)
    checkpoints = open_checkpoints(tmp_path)
    n_blocks = sum(1 for _ in reading.differences(checkpoints, center))
    assert n_blocks == 100 + 25 + 1
    assert len(opened) == 6 * 8  # 30,006 entries, closed whenever more than 16 blocks of 240 were read
