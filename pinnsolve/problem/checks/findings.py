"""Diagnostics of checks with their place in the problem file, and words for places.

Input: a `StatedProblem`, a key of its file, a message. Output: a `Diagnostic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy as sp

from pinnsolve.errors import Diagnostic
from pinnsolve.language.symbols import coordinate_symbol

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem


def warning(problem: StatedProblem, key: str, message: str, hint: str | None = None) -> Diagnostic:
    """Return a warning with its place in the problem file."""
    return _diagnostic(problem, key, message, hint, "warning")


def error(problem: StatedProblem, key: str, message: str, hint: str | None = None) -> Diagnostic:
    """Return an error with its place in the problem file."""
    return _diagnostic(problem, key, message, hint, "error")


def _diagnostic(problem: StatedProblem, key: str, message: str, hint: str | None, severity: str) -> Diagnostic:
    spec = problem.spec
    if key == "conditions" and not spec.conditions:
        key = "equations"  # what is missing has no line of its own
    file = str(spec.file) if spec.file else None
    return Diagnostic(message, severity, file, spec.place(key), key, hint=hint)


def quoted(names: tuple[str, ...] | list[str]) -> str:
    """`u`, `v`"""
    return ", ".join(f"`{name}`" for name in names)


def plane_text(problem: StatedProblem, axis: int, value: float) -> str:
    """`x = 0`"""
    return f"{problem.coordinates[axis]} = {value:.6g}"


def point_text(problem: StatedProblem, point: Mapping[int, float]) -> str:
    """`x = 0, y = 1`, from axis to value."""
    return ", ".join(plane_text(problem, axis, value) for axis, value in sorted(point.items()))


def constants(problem: StatedProblem) -> dict[sp.Symbol, float]:
    """The values of the parameters, and of those to be found where the search starts."""
    guesses = {coordinate_symbol(p.name): p.guess for p in problem.unknown_parameters}
    return {coordinate_symbol(name): value for name, value in problem.parameters.items()} | guesses
