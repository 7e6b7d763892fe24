"""What widgets in tests are made of: a browser that keeps what it is sent, data, and a model that waits."""

from __future__ import annotations

import threading

import numpy as np
import torch
from comm.base_comm import BaseComm
from support.reference import PATIENCE, linear
from torch import nn

SENT: list[tuple[dict, list]] = []


class RecordingComm(BaseComm):
    """Keeps what is sent to the browser; ``broken`` makes it raise."""

    broken = False
    _reply_subshell_for = staticmethod(lambda data, default: "the thread that published last")

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if self.broken and msg_type == "comm_msg":
            raise RuntimeError("the socket is closed")
        SENT.append((data or {}, list(buffers or [])))

    def receive(self, data):
        self.handle_msg({"content": {"data": data}, "buffers": [], "metadata": {}})


def data(n: int = 7):
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(n, 3, generator=generator, dtype=torch.float64), torch.arange(n) % 2)]


class Held(nn.Module):
    """A linear model whose copies wait at every point after the first until ``go`` is set.

    The trial of the problem, which moves a copy in the thread of the caller, does not wait.
    """

    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.start = self.layer.weight.detach().clone()

    reached, go = threading.Event(), threading.Event()

    def forward(self, x):
        is_engine = threading.current_thread() is not threading.main_thread()
        if is_engine and not torch.equal(self.layer.weight, self.start):
            self.reached.set()
            assert self.go.wait(PATIENCE)
        return self.layer(x)


def frames():
    """What the browser knew after each message with a meta: (meta, frame). An equal frame is not sent again."""
    found, frame = [], b""
    for message, buffers in SENT:
        has_frame = ["frame"] in message.get("buffer_paths", [])
        if has_frame:
            frame = bytes(buffers[message["buffer_paths"].index(["frame"])])
        assert not has_frame or "meta" in message["state"], "a frame without its meta"
        if "version" in message.get("state", {}).get("meta", {}):
            found.append((message["state"]["meta"], frame))
    return found


def decoded(meta, frame):
    array = np.frombuffer(frame, "<f4").reshape(len(meta["layers"]), *meta["shape"])
    return dict(zip(meta["layers"], array, strict=True))
