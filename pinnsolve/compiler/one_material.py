"""The terms of a problem as they are in one of its materials, where comparisons that tell materials apart are decided.

Input: terms, and the material. Output: the terms, of equations those that hold in it. No array library.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from pinnsolve.compiler.energy_parts import NoEnergy
from pinnsolve.compiler.jumps import stepwise
from pinnsolve.compiler.linearization import linearize
from pinnsolve.compiler.materials import decided
from pinnsolve.compiler.terms import Material, Term


def in_material(terms: tuple[Term, ...], material: Material | None) -> tuple[Term, ...]:
    """The terms in a material; the same where there is but one. Raises `NoEnergy` where the material does not tell
    whether an equation holds."""
    if material is None:
        return terms
    found = []
    for term in terms:
        where = None if term.region.where is None else decided(stepwise(term.region.where), material)
        if where == sp.false:
            continue
        if term.kind == "equation" and where not in (None, sp.true):
            raise NoEnergy
        residuals = tuple(sp.sympify(decided(stepwise(r), material)) for r in term.residuals)
        lines = tuple(linearize(r, ()) for r in residuals)
        region = replace(term.region, where=None if where == sp.true else where)
        found.append(replace(term, region=region, residuals=residuals, linearizations=lines))
    return tuple(found)
