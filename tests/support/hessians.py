"""Dense Hessians by torch, which the products are held to, and small networks drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
