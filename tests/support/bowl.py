"""A surface that is easy to predict in places, and hard in others."""

from __future__ import annotations

import numpy as np


def bowl(a, b):
    """Spans two orders of magnitude, with a narrow ridge."""
    return np.exp(2 * (a**2 + 0.5 * b**2)) + 5 * np.exp(-30 * (a - 0.5 * b - 0.4) ** 2)


def bowl_on(n):
    axis = np.linspace(-1, 1, n)
    return bowl(*np.meshgrid(axis, axis)), axis
