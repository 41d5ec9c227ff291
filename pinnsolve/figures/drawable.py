"""What figures need of a solution: so that solutions can draw themselves and figures need not know their class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Drawable(Protocol):
    """The part of `results.solution.Solution` that figures look at; see there."""

    name: str
    coordinates: tuple[str, ...]
    intervals: tuple[tuple[float, float], ...]
    time: str | None
    unknowns: tuple[str, ...]
    result: dict
    history: Sequence[dict]
    diagnostics: Mapping[str, Any]
    shape: Any

    def __call__(self, **coordinates: Any) -> np.ndarray | dict[str, np.ndarray]:
        """Values at points, by NumPy's broadcasting."""

    def in_domain(self, points: np.ndarray) -> np.ndarray:
        """Which of the points (N, d) lie in the domain, (N,) bool."""
