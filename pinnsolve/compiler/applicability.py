"""Whether a problem can be solved by polynomials on cells. No array library."""

from __future__ import annotations

from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.shapes import Ball
from pinnsolve.spec.schema.solve import SolveSettings

MOST_AXES = 4  # of a grid of cells


def why_not_own_cells(settings: SolveSettings) -> str | None:
    """The reason, in words, why a solve with these settings would not be on cells of its own choice, or None."""
    if settings.method != "auto" or settings.basis is not None or settings.collocation is not None:
        return "`solve` asks for another method, basis or collocation"
    return why_not_double(settings)


def why_not_double(settings: SolveSettings) -> str | None:
    """The reason, in words, why a solve with these settings could not be on cells, or None."""
    return None if settings.precision == "float64" else "cells are solved in double precision"


def why_not_cells(problem: CompiledProblem) -> str | None:
    """The reason, in words, why a problem cannot be solved by polynomials on cells, or None."""
    if len(problem.coordinates) > MOST_AXES:
        return f"{len(problem.coordinates)} coordinates are too many for a grid of cells"
    if isinstance(problem.shape, Ball) and len(problem.shape.center) > 3:
        return "a ball in more than three coordinates has no grid of cells"
    if any(p.region is not None for t in problem.terms for p in t.region.pieces) and not problem.materials:
        return "equations hold in groups of cells of a mesh, and are of high order, or with data or unknown parameters"
    if any(f.operator is not None for term in problem.terms for f in term.features):
        return "a custom operator takes functions of the whole domain"
    if not any(term.kind in ("equation", "data") for term in problem.terms):
        return "there is no equation"
    if problem.unknown_parameters and not problem.integrals and not any(term.kind == "data" for term in problem.terms):
        return "unknown parameters without data follow from equations and conditions, together with the solution"
    return None


def comes_on_cells(settings: SolveSettings, problem: CompiledProblem) -> bool:
    """Whether polynomials on cells come first for a problem with these settings, or are all that there is."""
    asked = settings.basis.settings() if settings.basis else {}
    if problem.integrals or problem.candidates or problem.state_functions or problem.eigenvalues is not None:
        return True
    if asked.get("kind") == "pou_grid" and not asked.get("overlap"):
        return True
    open_choice = settings.method == "auto" and not asked and settings.collocation is None
    return open_choice and (why_not_double(settings) or why_not_cells(problem)) is None
