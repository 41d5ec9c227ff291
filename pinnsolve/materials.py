"""Where coefficients jump: the materials a domain consists of, and what holds between them.

Input: a compiled problem and what its equations take derivatives of. Output: the same with `Material`s and
`Interface`s. The comparisons of coordinates in equations, or in their `where`, tell the materials apart. Between two of
them an unknown is continuous, and so is what its equation takes the derivative of: of div(k grad u) the flux k Dn(u).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.expressions import Fluxes
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.geometry.shape_tree import Box, Difference, Implicit, Intersection, bounds
from pinnsolve.linearization import is_linear, linearize
from pinnsolve.terms import (
    CompiledProblem,
    Feature,
    FeatureSymbol,
    Interface,
    Material,
    Term,
    coordinate_symbol,
    feature_symbol,
    features_of,
)
from pinnsolve.terms_folding import substituted

MOST_LEVELS = 3  # that tell materials apart: their number doubles with each
HIGHEST = 2  # order of equations for which it is known what is continuous
INTERFACE = "(interface)"  # the name of the boundary between materials: no file can use it


def with_materials(
    problem: CompiledProblem, fluxes: Sequence[tuple[Fluxes, ...]], parameters: Mapping[sp.Symbol, sp.Expr]
) -> CompiledProblem:
    """The problem with its materials, if its coefficients jump in space; `fluxes` are those of every term."""
    equations = [(t, f) for t, f in zip(problem.terms, fluxes, strict=True) if t.kind == "equation"]
    space = tuple(c for c in problem.coordinates if c != problem.time)
    highest = max((t.order for t, _ in equations), default=0)
    levels = _levels([e for t, _ in equations for e in (*t.residuals, t.region.where) if e is not None], space)
    if (
        len(space) not in (2, 3)
        or not levels
        or len(levels) > MOST_LEVELS
        or highest > HIGHEST
        or problem.unknown_parameters
    ):
        return problem
    folded = [(t, tuple(_folded(part, parameters) for part in f)) for t, f in equations]
    materials = _materials(problem, levels, space)
    pairs = itertools.combinations(range(len(materials)), 2)
    interfaces = tuple(Interface(pair, _term(problem, folded, *(materials[i] for i in pair))) for pair in pairs)
    return replace(problem, materials=materials, interfaces=interfaces)


def _folded(fluxes: Fluxes, parameters: Mapping[sp.Symbol, sp.Expr]) -> Fluxes:
    return tuple((axis, substituted(c, parameters), substituted(f, parameters)) for axis, c, f in fluxes)


def _levels(expressions: Sequence[sp.Basic], space: Sequence[str]) -> tuple[sp.Expr, ...]:
    """The levels whose signs decide the comparisons of space coordinates; a level and its negative are one."""
    symbols = {coordinate_symbol(name) for name in space}
    found: list[sp.Expr] = []
    for relation in (r for e in expressions for r in sorted(e.atoms(Relational), key=sp.default_sort_key)):
        level = relation.lhs - relation.rhs
        of_space = bool(relation.free_symbols) and relation.free_symbols <= symbols
        if of_space and not isinstance(relation, sp.Eq | sp.Ne) and level not in found and -level not in found:
            found.append(level)
    return tuple(found)


def _materials(problem: CompiledProblem, levels: Sequence[sp.Expr], space: Sequence[str]) -> tuple[Material, ...]:
    """The parts of the domain in which no level changes its sign; some may be empty."""
    intervals = [ends for c, ends in zip(problem.coordinates, problem.intervals, strict=True) if c in space]
    base = problem.shape or Box(*zip(*intervals, strict=True))
    symbols = tuple(coordinate_symbol(name) for name in space)
    shapes = [Implicit(level, symbols, *bounds(base), INTERFACE) for level in levels]
    result = []
    for signs in itertools.product((True, False), repeat=len(levels)):
        inside = [s for s, negative in zip(shapes, signs, strict=True) if negative]
        outside = [s for s, negative in zip(shapes, signs, strict=True) if not negative]
        tree = Intersection((base, *inside)) if inside else base
        tree = Difference(tree, tuple(outside)) if outside else tree
        result.append(Material(tree, tuple(zip(levels, signs, strict=True))))
    return tuple(result)


def _decided(expression: sp.Basic, material: Material) -> sp.Basic:
    """An expression in a material, where its comparisons are true or false."""
    truth = {}
    for relation in expression.atoms(Relational):
        level = relation.lhs - relation.rhs
        for known, negative in material.signs:
            if level in (known, -known):
                below = negative if level == known else not negative
                truth[relation] = sp.true if below == isinstance(relation, sp.Lt | sp.Le) else sp.false
    return substituted(expression, truth)


# -- what holds between two materials -----------------------------------------------------------------------------


def _term(problem: CompiledProblem, equations, one: Material, two: Material) -> Term:
    """Unknowns that are differentiated are continuous, and so are the normal fluxes, equation by equation."""
    residuals = []
    for unknown in problem.unknowns:
        if any(f.unknown == unknown and f.order for t, _ in equations for f in t.features):
            value = feature_symbol(unknown, (0,) * len(problem.coordinates))
            residuals.append(value - _other_side(value))
    for here, there in zip(*(_normal_fluxes(problem, equations, m) for m in (one, two)), strict=False):
        if here != 0 or there != 0:
            residuals.append(here - _other_side(there))
    linearizations = tuple(linearize(r, ()) for r in residuals)
    linear = all(is_linear(r, l, ()) for r, l in zip(residuals, linearizations, strict=True))
    region = Region("interface", (Piece(part=INTERFACE),))
    return Term("interface", "condition", region, tuple(residuals), linearizations, linear)


def _other_side(expression: sp.Expr) -> sp.Expr:
    symbols = (s for s in expression.free_symbols if isinstance(s, FeatureSymbol))
    return substituted(expression, {s: FeatureSymbol(_beyond(s.feature)) for s in symbols})


def _beyond(feature: Feature) -> Feature:
    return replace(feature, side=1)


def _normal_fluxes(problem: CompiledProblem, equations, material: Material) -> list[sp.Expr]:
    """Of the equations that hold in the material, in order."""
    found = []
    for term, fluxes in equations:
        where = term.region.where
        if where is not None and _decided(where, material) == sp.false:
            continue
        for several in fluxes:
            flux = sp.S.Zero
            for axis, coefficient, inner in several:
                if problem.coordinates[axis] == problem.time or not any(f.order for f in features_of(inner)):
                    continue
                # what stands before a derivative says how fluxes of several directions go together; jumps in it are
                # not jumps of the flux, unless the equation is one material's alone
                factor = _decided(coefficient, material) if where is not None else _without_jumps(coefficient)
                normal = coordinate_symbol(f"n_{problem.coordinates[axis]}")
                flux += factor * _decided(inner, material) * normal
            found.append(flux)
    return found


def _without_jumps(expression: sp.Expr) -> sp.Expr:
    return substituted(expression, dict.fromkeys(expression.atoms(sp.Piecewise), sp.S.One))
