"""Checks that need mathematics (stub while being written)."""

from __future__ import annotations

from pinnsolve.errors import Diagnostic


def check_problem(problem) -> list[Diagnostic]:
    """Return the errors and warnings of `problem`."""
    return []
