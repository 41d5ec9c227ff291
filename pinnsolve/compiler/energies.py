"""Which problems are solved by the least value of an energy, and what these energies are: one for each material.

Input: a compiled problem. Output: its energies (see `energy_finder`), or none. No array library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp

from pinnsolve.compiler.applicability import why_not_own_cells
from pinnsolve.compiler.energy_finder import EnergyFinder, check_interface
from pinnsolve.compiler.energy_parts import Energy, NoEnergy
from pinnsolve.compiler.one_material import in_material
from pinnsolve.compiler.terms import CompiledProblem, Interface, Material, Term
from pinnsolve.geometry.regions import Intervals
from pinnsolve.geometry.shapes import MeshFile, ShapeTree, primitives
from pinnsolve.language.derivatives import SizeError
from pinnsolve.language.symbols import coordinate_symbol


def energies_to_minimize(problem: CompiledProblem) -> tuple[Energy, ...]:
    """The energies, one for each material, that a solve of its own choice minimizes in place of squares of residuals;
    none where it does not.

    Elastic bodies bend for next to no energy, so that least squares see little of what infinite stresses at corners do;
    in three coordinates solutions are steep along whole edges. Elsewhere in the plane least squares do better.
    """
    d = len(problem.coordinates)
    if d < 2 or why_not_own_cells(problem.settings) is not None or (problem.shape is not None and d != 3):
        return ()
    energies = energies_of(problem)
    return energies if d > 2 or any(energy.couples for energy in energies) else ()


def energies_of(problem: CompiledProblem) -> tuple[Energy, ...]:
    """The energies of a problem, one for each material; none where it has none of this form."""
    simple = problem.linear and problem.time is None
    others = (
        problem.unknown_parameters, problem.integrals, problem.homes, problem.between, problem.regularization,
        problem.undetermined_constants, problem.candidates, problem.state_functions, problem.eigenvalues,
    )  # fmt: skip
    if not simple or any(others) or problem.exactly or problem.term_weights is not None:
        return ()
    if any(term.data_file is not None for term in problem.terms):
        return ()
    shape, materials = problem.shape, problem.materials
    if shape is not None and any(isinstance(leaf, MeshFile) for leaf in primitives(shape)):
        return ()
    if not all(_is_plane(level, problem.coordinates) for one in materials for level, _ in one.signs):
        return ()
    return _found(problem.terms, problem.unknowns, problem.coordinates, problem.intervals, shape, materials,
                  problem.interfaces)  # fmt: skip


def _is_plane(level: sp.Expr, coordinates: Sequence[str]) -> bool:
    """Whether a level is zero in a plane across an axis."""
    held = level.free_symbols
    return len(held) == 1 and held <= set(map(coordinate_symbol, coordinates)) and level.diff(*held).is_number


@lru_cache(maxsize=16)  # the same problem is asked about on every level
def _found(
    terms: tuple[Term, ...],
    unknowns: tuple[str, ...],
    coordinates: tuple[str, ...],
    intervals: Intervals,
    shape: ShapeTree | None,
    materials: tuple[Material, ...],
    interfaces: tuple[Interface, ...],
) -> tuple[Energy, ...]:
    try:
        finders = [
            EnergyFinder(in_material(terms, one), unknowns, coordinates, intervals, shape)
            for one in materials or (None,)
        ]
        found = tuple(finder.energy() for finder in finders)
        for interface in interfaces:
            check_interface(interface, [finders[side] for side in interface.sides])
    except (NoEnergy, SizeError):
        return ()
    return found
