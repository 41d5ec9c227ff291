"""The materials of a domain whose coefficients jump, and the conditions between them.

Input: a compiled problem and what its equations take derivatives of. Output: the same with `Material`s and
`Interface`s. The comparisons of coordinates in equations, or in their `where`, tell the materials apart, and so do the
groups of cells of a mesh that equations hold in. Between two of them an unknown is continuous, and so is what its
equation takes the derivative of: of div(k grad u) the flux k Dn(u).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.compiler.held_inside import HeldPlane, held_planes, orders_across
from pinnsolve.compiler.jumps import differentiated, levels_of, refuse_jumps, stepwise
from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.material_planes import bounding_levels, neighbours, possible_signs
from pinnsolve.compiler.terms import CompiledProblem, Interface, Material, Term
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.geometry.mesh_groups import only, told_apart
from pinnsolve.geometry.regions import Piece, Region, Subdomain
from pinnsolve.geometry.shapes import (
    INTERFACE,
    Bounds,
    Box,
    Difference,
    HalfPlane,
    Implicit,
    Intersection,
    MeshFile,
    ShapeTree,
    bounds,
)
from pinnsolve.language.derivatives import partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol, feature_symbol, features_of
from pinnsolve.language.tabulated import jumping_tables
from pinnsolve.language.to_sympy import Fluxes

Moved = Mapping[sp.Symbol, sp.Expr]  # coordinates, and what takes their place

MOST_MATERIALS = 36  # every pair of them has an interface
BEYOND = 0.05  # of the extent of a domain, round which the levels are traced
SAME_PLACE = 1e-9  # value of a level on a plane that it names, too
HIGHEST = 2  # order of equations for which it is known what is continuous


def with_materials(
    problem: CompiledProblem, fluxes: Sequence[tuple[Fluxes, ...]], parameters: Mapping[sp.Symbol, sp.Expr]
) -> CompiledProblem:
    """The problem with its materials, if its coefficients jump in space; `fluxes` are those of every term."""
    equations = [(t, f) for t, f in zip(problem.terms, fluxes, strict=True) if t.kind == "equation"]
    space = problem.axes.space
    highest = max((t.order for t, _ in equations), default=0)
    stated = [e for t, _ in equations for e in (*t.residuals, t.region.where) if e is not None]
    stated += [e for _, parts in equations for flux in parts for _, *two in flux for e in map(stepwise, two)]
    compared = levels_of([substituted(e, parameters) for e in stated], space)
    planes = {} if _is_sought_for(problem) else _levels_of_planes(problem, compared)
    levels = (*compared, *(level for level in planes if level not in compared))
    if not 1 <= len(space) <= 3:
        return problem
    bases = _bases(problem, space)
    if compared and highest > HIGHEST:
        return problem
    signs = possible_signs(levels, problem)
    count = len(bases) * len(signs)
    if not signs or count > MOST_MATERIALS or any(map(jumping_tables, differentiated(equations))):
        refuse_jumps(equations, space, MOST_MATERIALS)
        return problem
    if not problem.homes and _seeks_functions(problem):
        return problem  # what is searched for is one function for all of the domain
    if len(bases) == 1 and not levels:
        return _everywhere(problem)
    folded = [(t, tuple(_folded(part, parameters) for part in f)) for t, f in equations]
    materials = _materials(problem, bases, levels, signs)
    pairs = neighbours(problem, levels, materials)
    at_planes = _AtPlanes(problem, planes, frozenset(compared))
    interfaces = tuple(
        Interface(pair, at_planes.term(*two) or _term(problem, folded, *two))
        for pair in pairs
        if (two := tuple(materials[i] for i in pair))
    )
    seams = _seams(problem, folded, materials, at_planes)
    held = tuple(i for i in (*interfaces, *seams) if i.term.residuals)  # without derivatives in space, nothing is
    return replace(problem, materials=materials, interfaces=held)


def _is_sought_for(problem: CompiledProblem) -> bool:
    """Whether values inside may be measurements of what is unknown, and not what holds the solution there."""
    return bool(problem.unknown_parameters) or any(t.data_file is not None for t in problem.terms)


def _seeks_functions(problem: CompiledProblem) -> bool:
    """Whether data are to determine functions, and not only constants, which no interface is known for."""
    if not any(t.data_file is not None for t in problem.terms):
        return False
    equations = sum(len(t.residuals) for t in problem.terms if t.kind == "equation")
    return bool(problem.regularization) or bool(problem.state_functions) or equations < len(problem.unknowns)


def _seams(
    problem: CompiledProblem, equations, materials: Sequence[Material], at_planes: _AtPlanes
) -> tuple[Interface, ...]:
    """Interfaces across periodic faces: the first material ends at the upper face, the second at the lower."""
    partners = {p.partner[0] for t in problem.terms for p in t.region.pieces if p.partner is not None}
    found = []
    for axis in sorted(partners & set(problem.axes.space_axes)):
        x, (low, high) = coordinate_symbol(problem.coordinates[axis]), problem.intervals[axis]
        for pair in itertools.permutations(range(len(materials)), 2):
            two = tuple(materials[i] for i in pair)
            term = at_planes.seam(*two, axis) or _term(problem, equations, *two, {x: x - sp.Float(high - low)})
            found.append(Interface(pair, term, axis))
    return tuple(found)


def _folded(fluxes: Fluxes, parameters: Mapping[sp.Symbol, sp.Expr]) -> Fluxes:
    return tuple((axis, *(substituted(stepwise(e), parameters) for e in (c, f))) for axis, c, f in fluxes)


def _bases(problem: CompiledProblem, space: Sequence[str]) -> list[ShapeTree]:
    """The domain in space, or the parts of its mesh in which the same terms hold."""
    if problem.shape is None:
        intervals = [ends for c, ends in zip(problem.coordinates, problem.intervals, strict=True) if c in space]
        return [Box(*zip(*intervals, strict=True))]
    names = dict.fromkeys(p.region for t in problem.terms for p in t.region.pieces if p.region is not None)
    if not names or not isinstance(problem.shape, MeshFile):
        return [problem.shape]
    mesh, found = read_mesh(problem.shape.path), []
    for within, without in told_apart(mesh, names):
        part = only(mesh, (within, without))
        parts = (*part.parts, INTERFACE) if INTERFACE not in part.parts else part.parts
        found.append(
            replace(problem.shape, lower=part.lower, upper=part.upper, parts=parts, regions=(), within=within,
                    without=without)
        )  # fmt: skip
    return found


def _everywhere(problem: CompiledProblem) -> CompiledProblem:
    """The problem, whose mesh has no cells outside the groups that its terms name."""
    terms = [
        replace(t, region=replace(t.region, pieces=tuple(replace(p, region=None) for p in t.region.pieces)))
        for t in problem.terms
    ]
    return replace(problem, terms=tuple(terms))


def _materials(
    problem: CompiledProblem, bases: Sequence[ShapeTree], levels: Sequence[sp.Expr], several: Sequence[tuple[bool, ...]]
) -> tuple[Material, ...]:
    """The parts of the domain in which no level changes its sign, for `several` combinations; some may be empty."""
    symbols = tuple(coordinate_symbol(name) for name in problem.axes.space)
    result = []
    for base, signs in itertools.product(bases, several):
        bounding = bounding_levels(problem, levels, signs)
        shapes = {i: _negative(levels[i], symbols, bounds(base)) for i in bounding}
        inside = [shape for i, shape in shapes.items() if signs[i]]
        outside = [shape for i, shape in shapes.items() if not signs[i]]
        tree = Intersection((base, *inside)) if inside else base
        tree = Difference(tree, tuple(outside)) if outside else tree
        within = base.within if isinstance(base, MeshFile) else ()
        result.append(Material(tree, tuple(zip(levels, signs, strict=True)), within))
    return tuple(result)


def _negative(level: sp.Expr, symbols: tuple[sp.Symbol, ...], ends: Bounds) -> ShapeTree:
    """Where a level is negative: beside a plane where it is linear, which is simpler than a traced zero set."""
    slopes = [sp.expand(level).coeff(x) for x in symbols]
    rest = sp.expand(level - sum(s * x for s, x in zip(slopes, symbols, strict=True)))
    if len(symbols) > 1 and all(e.is_number for e in (*slopes, rest)):
        normal = [float(s) for s in slopes]
        length = math.hypot(*normal)
        if length > 0:
            unit = tuple(n / length for n in normal)
            return HalfPlane(tuple(-float(rest) / length * n for n in unit), unit, INTERFACE)
    return Implicit(level, symbols, *_around(ends), INTERFACE)


def _around(ends: Bounds) -> Bounds:
    """A box round another, so that no part of its boundary is that of the domain."""
    margins = [BEYOND * (b - a) for a, b in zip(*ends, strict=True)]
    lower, upper = (
        tuple(a + sign * m for a, m in zip(end, margins, strict=True)) for end, sign in zip(ends, (-1, 1), strict=True)
    )
    return lower, upper


def decided(expression: sp.Basic, material: Material) -> sp.Basic:
    """An expression in a material, where its comparisons are true or false."""
    truth = {}
    for relation in expression.atoms(Relational):
        level = relation.lhs - relation.rhs
        if isinstance(relation, sp.Eq | sp.Ne):
            continue
        for known, negative in material.signs:
            if level in (known, -known):
                below = negative if level == known else not negative
                truth[relation] = sp.true if below == isinstance(relation, sp.Lt | sp.Le) else sp.false
    return substituted(expression, truth)


# -- what holds between two materials -----------------------------------------------------------------------------


def _term(problem: CompiledProblem, equations, one: Material, two: Material, there_at: Moved | None = None) -> Term:
    """Unknowns with second derivatives are continuous, and so are the normal fluxes, equation by equation.

    Of those with first derivatives alone, as the pressure of a viscous flow, fluxes say what is continuous. `there_at`:
    what coordinates are on the other side, where they are not the same.
    """
    smooth = _twice_differentiated(problem, equations)
    shared = smooth & living_in(problem, one) & living_in(problem, two)
    values = (feature_symbol(unknown, (0,) * len(problem.coordinates)) for unknown in problem.unknowns)
    residuals = [value - _other_side(value) for value in values if value.feature.unknown in shared]
    both = [
        [f for f in _normal_fluxes(problem, equations, m, smooth) if _flows(problem, f, one, two)] for m in (one, two)
    ]
    for here, there in zip(*both, strict=False):
        if here != 0 or there != 0:
            residuals.append(here - _other_side(substituted(there, there_at or {})))
    return _interface(problem, [*residuals, *_stated_between(problem, one, two)])


def living_in(problem: CompiledProblem, material: Material) -> set[str]:
    """The unknowns that live in a material: those without a place of their own live everywhere."""
    return {u for u in problem.unknowns if u not in problem.homes or lies_in(material, problem.homes[u])}


def lies_in(material: Material, place: Subdomain) -> bool:
    """Whether a material is part of a subdomain."""
    if place.groups:
        return any(group in place.groups for group in material.within)
    return decided(place.holds, material) == sp.true


def _flows(problem: CompiledProblem, flux: sp.Expr, one: Material, two: Material) -> bool:
    """Whether a flux can go on across an interface: not where an unknown of it ends there."""
    lives = living_in(problem, one) & living_in(problem, two)
    return all(feature.unknown in lives for feature in features_of(flux))


def _stated_between(problem: CompiledProblem, one: Material, two: Material) -> list[sp.Expr]:
    """What the file states between two regions, as residuals whose features are of side 0 in `one` and 1 in `two`.

    The normal of the file points out of the region named first, that of an interface out of `one`.
    """
    found = []
    for term in problem.between:
        first, second = ([lies_in(material, side) for side in term.sides] for material in (one, two))
        if first == [True, False] and second == [False, True]:
            swapped = False
        elif first == [False, True] and second == [True, False]:
            swapped = True
        else:
            continue
        found += [_sided(problem, residual, one, two, swapped) for residual in term.residuals]
    return found


def _sided(problem: CompiledProblem, residual: sp.Expr, one: Material, two: Material, swapped: bool) -> sp.Expr:
    """With each unknown on the side where it lives; one that lives on both is taken in the region named first."""
    here, there = living_in(problem, one), living_in(problem, two)
    moved: dict[sp.Symbol, sp.Expr] = {}
    for symbol in residual.free_symbols:
        if isinstance(symbol, FeatureSymbol):
            name = symbol.feature.unknown
            beyond = swapped if name in here and name in there else name in there
            if beyond:
                moved[symbol] = FeatureSymbol(_beyond(symbol.feature))
        elif swapped and symbol.name.startswith("n_"):
            moved[symbol] = -symbol
    return substituted(residual, moved)


def _interface(problem: CompiledProblem, residuals: Sequence[sp.Expr]) -> Term:
    sought = tuple(coordinate_symbol(p.name) for p in problem.unknown_parameters)
    linearizations = tuple(linearize(r, sought) for r in residuals)
    linear = all(is_linear(r, l, sought) for r, l in zip(residuals, linearizations, strict=True))
    region = Region("interface", (Piece(part=INTERFACE),))
    return Term("interface", "condition", region, tuple(residuals), linearizations, linear)


@dataclass(frozen=True)
class _AtPlanes:
    """What holds between two parts of a domain that only planes inside with conditions on them tell apart.

    `planes` by their levels; `compared`: the levels of comparisons in equations.
    """

    problem: CompiledProblem
    planes: Mapping[sp.Expr, HeldPlane]
    compared: frozenset[sp.Expr]

    def term(self, one: Material, two: Material) -> Term | None:
        """The term; None where materials differ, and nothing holds them there."""
        apart = self._apart(one, two)
        held = [self.planes[level] for level in apart if level in self.planes]
        if not held:
            return None
        if self.compared & set(apart):  # the flux of one material less that of the other is what holds the unknown
            return _interface(
                self.problem, [f - _other_side(f) for f in self._derivatives(held[0].axis) if not f.feature.order]
            )
        jumping = frozenset().union(*(plane.jumping for plane in held))
        return self._continuous(held[0].axis, jumping)

    def seam(self, one: Material, two: Material, axis: int) -> Term | None:
        """The same across periodic faces, where nothing is held."""
        apart = self._apart(one, two)
        return None if self.compared & set(apart) else self._continuous(axis, frozenset())

    def _apart(self, one: Material, two: Material) -> list[sp.Expr]:
        return [level for (level, here), (_, there) in zip(one.signs, two.signs, strict=True) if here != there]

    def _derivatives(self, axis: int) -> list[FeatureSymbol]:
        """All derivatives across a plane below the orders of the equations."""
        d = len(self.problem.coordinates)
        return [
            feature_symbol(unknown, tuple(k if a == axis else 0 for a in range(d)))
            for unknown, order in orders_across(self.problem, axis).items()
            for k in range(order)
        ]

    def _continuous(self, axis: int, jumping: Collection[tuple[str, int]]) -> Term:
        symbols = (s for s in self._derivatives(axis) if (s.feature.unknown, s.feature.alpha[axis]) not in jumping)
        return _interface(self.problem, [s - _other_side(s) for s in symbols])


def _levels_of_planes(problem: CompiledProblem, compared: Sequence[sp.Expr]) -> dict[sp.Expr, HeldPlane]:
    """The planes inside that something is held on, by the levels that vanish there; one of those compared, if it is."""
    found = {}
    for plane in held_planes(problem):
        x, value = coordinate_symbol(problem.coordinates[plane.axis]), sp.Float(plane.value)
        same = [l for l in compared if l.free_symbols == {x} and abs(float(l.subs(x, value))) < SAME_PLACE]
        found[same[0] if same else x - value] = plane
    return found


def _other_side(expression: sp.Expr) -> sp.Expr:
    symbols = (s for s in expression.free_symbols if isinstance(s, FeatureSymbol))
    return substituted(expression, {s: FeatureSymbol(_beyond(s.feature)) for s in symbols})


def _beyond(feature: Feature) -> Feature:
    return replace(feature, side=1)


def _twice_differentiated(problem: CompiledProblem, equations) -> set[str]:
    """The unknowns with second derivatives in space."""
    features = {f for t, _ in equations for f in t.features}
    return {f.unknown for f in features if sum(_in_space(problem, f)) > 1}


def _in_space(problem: CompiledProblem, feature: Feature) -> list[int]:
    return [feature.alpha[axis] for axis in problem.axes.space_axes]


def _normal_fluxes(problem: CompiledProblem, equations, material: Material, smooth: Collection[str]) -> list[sp.Expr]:
    """The normal fluxes of the equations of a material, in order; continuous parts are left out."""
    found = []
    for term, fluxes in equations:
        where = term.region.where
        if not _in_groups(term, material) or (where is not None and decided(where, material) == sp.false):
            continue
        whole = where is None and all(piece.region is None for piece in term.region.pieces)
        for several in fluxes:
            flux = sp.S.Zero
            for axis, coefficient, inner in several:
                known = all(f.unknown in smooth and not sum(_in_space(problem, f)) for f in features_of(inner))
                if axis not in problem.axes.space_axes or known:
                    continue
                # what stands before a derivative says how fluxes of several directions go together; jumps in it are
                # not jumps of the flux, unless the equation is one material's alone
                factor = _without_jumps(coefficient) if whole else decided(coefficient, material)
                normal = coordinate_symbol(f"n_{problem.coordinates[axis]}")
                flux += factor * decided(inner, material) * normal
            found.append(flux if whole else flux / _scale(flux))
    return found


def _scale(flux: sp.Expr) -> sp.Expr:
    """The divisor of a flux, which sides with equations of their own may state differently.

    It is a sign, or, where there is no derivative in a flux, all of its first coefficient.
    """
    symbols = [s for s in flux.free_symbols if isinstance(s, FeatureSymbol)]
    slopes = [s for s in symbols if s.feature.order]
    normals = {s: sp.S.One for s in flux.free_symbols if s.name.startswith("n_")}
    for symbol in sorted(slopes or symbols, key=lambda s: s.feature.sort_key()):
        factor = substituted(partial_derivative(flux, symbol), normals)
        if factor.is_number and factor != 0:
            return sp.sign(factor) if slopes else factor
    return sp.S.One


def _in_groups(term: Term, material: Material) -> bool:
    return any(piece.region is None or piece.region in material.within for piece in term.region.pieces)


def _without_jumps(expression: sp.Expr) -> sp.Expr:
    return substituted(expression, dict.fromkeys(expression.atoms(sp.Piecewise), sp.S.One))
