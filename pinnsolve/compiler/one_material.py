"""The terms of a problem as they are in one of its materials, where comparisons that tell materials apart are decided.

Input: terms, and the levels that are negative in the material or not. Output: the terms, of equations those that hold
in it. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.compiler.jumps import stepwise
from pinnsolve.compiler.linearization import linearize
from pinnsolve.compiler.terms import Term
from pinnsolve.language.substitution import substituted

Signs = tuple[tuple[sp.Expr, bool], ...]


class NoEnergy(Exception):
    """The problem has no energy, or one that is not known here."""


def in_material(terms: tuple[Term, ...], signs: Signs) -> tuple[Term, ...]:
    """The terms in a material; the same where there is but one. Raises `NoEnergy` where the material does not tell
    whether an equation holds."""
    if not signs:
        return terms
    found = []
    for term in terms:
        where = None if term.region.where is None else _decided(term.region.where, signs)
        if where == sp.false:
            continue
        if term.kind == "equation" and where not in (None, sp.true):
            raise NoEnergy
        residuals = tuple(_decided(r, signs) for r in term.residuals)
        lines = tuple(linearize(r, ()) for r in residuals)
        region = replace(term.region, where=None if where == sp.true else where)
        found.append(replace(term, region=region, residuals=residuals, linearizations=lines))
    return tuple(found)


def _decided(e: sp.Basic, signs: Signs) -> sp.Basic:
    """With the comparisons of levels of the material put in."""
    e = stepwise(e)
    known: dict[sp.Basic, sp.Basic] = {}
    for relation in e.atoms(Relational):
        value = _value(relation, signs)
        if value is not None:
            known[relation] = value
    return sp.sympify(substituted(e, known)) if known else e


def _value(relation: Relational, signs: Signs) -> sp.Basic | None:
    level = relation.lhs - relation.rhs
    outcome: Mapping[type, bool] = {sp.Lt: True, sp.Le: True, sp.Gt: False, sp.Ge: False}
    if type(relation) not in outcome:
        return None
    for known, negative in signs:
        if level == known:
            return sp.true if outcome[type(relation)] == negative else sp.false
        if level == -known:
            return sp.true if outcome[type(relation)] != negative else sp.false
    return None
