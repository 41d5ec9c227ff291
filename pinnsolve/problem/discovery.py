"""The constants before the candidates of a discovery. No array library."""

from __future__ import annotations

import math

from pinnsolve.language.symbols import CANDIDATE, UnknownParameter
from pinnsolve.spec.spec import Spec


def candidate_parameters(equation: str, spec: Spec) -> tuple[UnknownParameter, ...]:
    """A constant for each candidate of an equation; its name is none that a file can give."""
    free, texts = (-math.inf, math.inf), spec.discover[equation]
    return tuple(UnknownParameter(f"{text}{CANDIDATE}{equation}", 0.0, free, (equation, text)) for text in texts)
