"""From a model, a loader and options to a session that is ready to run, in four steps; see ``session.py``."""

from lljupyter.compute.prepare.session import Prepared, prepare

__all__ = ["Prepared", "prepare"]
