"""Is an unknown determined only up to a constant, and if so, do the data allow a solution at all?

A problem in which only derivatives of an unknown occur (pure Neumann conditions, the pressure of an incompressible
flow) cannot tell it from itself plus a constant. For c*laplacian(u) = f with fluxes given on all faces, the divergence
theorem asks that the integral of f be that of c*Dn(u) over the boundary (Evans, Partial Differential Equations,
appendix C.2); both are computed by Gauss-Legendre quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Protocol

import sympy as sp

from pinnsolve.errors import Diagnostic
from pinnsolve.geometry.regions import Region, face
from pinnsolve.language.components import real_names
from pinnsolve.language.derivatives import SizeError, partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, features_of, integrals_of
from pinnsolve.problem.checks.counts import is_periodic
from pinnsolve.problem.checks.faces import on_face
from pinnsolve.problem.checks.findings import constants, warning
from pinnsolve.problem.checks.pointwise import function_of, holds_at, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

NODES = 16  # of one panel of quadrature along an axis, fewer where there are many axes
BUDGET = 2400  # points of one integral
ROUNDING = 1e-9
INCOMPATIBLE = "the data are not compatible, so there is no solution"
SMOOTH = 1e-6  # relative doubt up to which quadrature is taken at its word


class HoldsResiduals(Protocol):
    """A statement of a problem, or a compiled term."""

    @property
    def residuals(self) -> tuple[sp.Expr, ...]: ...

    @property
    def region(self) -> Region: ...


def undetermined_constants(statements: Iterable[HoldsResiduals]) -> tuple[str, ...]:
    """The unknowns of which only derivatives occur, periodic pairs left out: determined up to a constant at best.

    A value at one time alone determines nothing at others, where there is no derivative in time.
    """
    statements = tuple(statements)
    features = [(f, s) for s in statements for r in _with_integrands(s) for f in features_of(r)]
    names = dict.fromkeys(f.unknown for f, _ in features)
    derived = {f.unknown for f, _ in features if f.order}
    free = {name: free_axes(statements, name) if name in derived else () for name in names}
    pinned = {
        f.unknown
        for f, s in features
        if not is_periodic(s)
        and (f.operator is not None or (f.order == 0 and not _is_at_one_value(s, free[f.unknown])))
    }
    return tuple(name for name in names if name not in pinned)


def _is_at_one_value(statement: HoldsResiduals, axes: Sequence[int]) -> bool:
    """Whether a statement holds at single values of some of the axes only."""
    pieces = statement.region.pieces
    return bool(pieces) and all(any(axis in axes for axis, _ in piece.fixed) for piece in pieces)


def _with_integrands(statement: HoldsResiduals) -> Iterator[sp.Expr]:
    """The residuals, and what the integrals in them are of."""
    for residual in statement.residuals:
        yield residual
        yield from (symbol.integrand for symbol in integrals_of(residual))


def free_axes(statements: Iterable[HoldsResiduals], name: str) -> tuple[int, ...]:
    """The axes along which an unknown has no derivative: up to a constant it is determined at each of their values.

    Periodic pairs are left out.
    """
    alphas = [
        f.alpha for s in statements if not is_periodic(s) for r in s.residuals for f in features_of(r)
        if f.unknown == name
    ]  # fmt: skip
    return tuple(axis for axis in range(len(alphas[0]) if alphas else 0) if not any(alpha[axis] for alpha in alphas))


def constant_warnings(
    problem: StatedProblem, assumed: Iterable[HoldsResiduals] = (), besides: Iterable[str] = ()
) -> Iterator[Diagnostic]:
    """Warnings, with the verdict on the data where there is one.

    What is `assumed` besides the statements counts, too. Unknowns in `besides` are left out, and so are those that the
    file does not ask for, where it gives tolerances by name.
    """
    statements = (*problem.statements, *assumed)
    asked = getattr(problem.settings.tolerance, "by_name", None)
    wanted = problem.unknowns if asked is None else real_names(tuple(asked), problem.complex_unknowns)
    valued = {f.unknown for s in statements if not is_periodic(s) for r in s.residuals for f in features_of(r)
              if f.order == 0}  # fmt: skip
    for name in undetermined_constants(statements):
        if name in besides or name not in wanted:
            continue
        free = free_axes(statements, name)
        point = ", ".join(
            f"{c}: {'...' if problem.shape is not None else f'{low:g}'}"
            for axis, (c, (low, _)) in enumerate(zip(problem.coordinates, problem.intervals, strict=True))
            if axis not in free
        )
        message = f"`{name}` is determined only up to a constant: only its derivatives occur"
        if free:
            of = " and ".join(problem.coordinates[axis] for axis in free)
            held = "" if name not in valued else f" but for single values of {of}, at which a condition holds it"
            message = (
                f"`{name}` is determined only up to a constant at every {of}: only its derivatives in other "
                f"coordinates occur{held}; it is compared, and given by slabs in time, with mean zero at every {of}"
            )
        if found := fluxes(problem):
            message += f"; {_verdict(*found)}"
        hint = f'fix it at a point: `{{at: {{{point}}}, equation: "{name} = 0"}}`'
        yield warning(problem, "conditions", message, hint)
    yield from _incompatible_beside_points(problem, statements)


def _incompatible_beside_points(problem: StatedProblem, statements: Sequence[HoldsResiduals]) -> Iterator[Diagnostic]:
    """A warning where an unknown is determined by its values at points alone, which let no flux through."""
    others = tuple(s for s in statements if not _only_at_points(problem, s))
    names = () if len(others) == len(statements) else undetermined_constants(others)
    if not set(names) - set(undetermined_constants(statements)):
        return
    verdict = _verdict(*found) if (found := fluxes(problem)) else ""
    if INCOMPATIBLE in verdict:
        hint = "change the source or a flux, so that both integrals are the same"
        yield warning(problem, "conditions", f"only a point fixes `{names[0]}`, and {verdict}", hint)


def _only_at_points(problem: StatedProblem, statement: HoldsResiduals) -> bool:
    """Whether a statement holds at points alone; a point inside of a line does not count, which may take a force."""
    dimension, pieces = len(problem.coordinates), statement.region.pieces
    ends = dimension > 1 or all(value in problem.intervals[axis] for p in pieces for axis, value in p.fixed)
    return bool(pieces) and ends and all(len(piece.fixed) == dimension for piece in pieces)


def says_no_solution(messages: Iterable[str]) -> str:
    """The first of the messages that says that there is no solution; empty if none does."""
    return next((message for message in messages if INCOMPATIBLE in message), "")


def _verdict(source: Integral, flux: Integral) -> str:
    size = source.size + flux.size
    first, second = (0.0 if abs(i.value) <= 1e-12 * size else i.value for i in (source, flux))
    numbers = f"the source integrates to {first:.6g}, the flux through the boundary to {second:.6g}"
    doubt = 10 * (source.doubt + flux.doubt) + ROUNDING * size
    if abs(first - second) > doubt:
        return f"{INCOMPATIBLE} ({numbers})"
    far = " as far as quadrature can tell" if doubt > SMOOTH * size else ""
    return f"the data are compatible{far} ({numbers})"


@dataclass(frozen=True)
class Integral:
    """A value, the doubt about it (its difference to a coarser rule), and the integral of the absolute value."""

    value: float
    doubt: float
    size: float

    def times(self, c: float) -> Integral:
        return Integral(c * self.value, abs(c) * self.doubt, abs(c) * self.size)


def fluxes(problem: StatedProblem) -> tuple[Integral, Integral] | None:
    """The integral of f over the box, and that of c*Dn(u) over its boundary.

    None unless the problem is c*laplacian(u) = f in space with a number c, and a flux or a periodic pair on all faces.
    The same of a shape, with fluxes given all round it.
    """
    equations = problem.of_kind("equation")
    if problem.time is not None or len(problem.unknowns) > 1 or len(equations) != 1 or problem.unknown_parameters:
        return None
    found = _poisson(problem, equations[0])
    if found is None:
        return None
    c, f = found
    if problem.shape is not None:
        return _of_shape(problem, c, f)
    source = _integral([(None, f)], {}, problem)
    parts = [_flux(problem, axis, side) for axis in range(len(problem.coordinates)) for side in (0, 1)]
    if source is None or None in parts:
        return None
    flux = Integral(*(math.fsum(getattr(p, name) for p in parts) for name in ("value", "doubt", "size")))
    return source, flux.times(c)


def _of_shape(problem: StatedProblem, c: float, f: sp.Expr) -> tuple[Integral, Integral] | None:
    """The integrals of `fluxes`, of a shape."""
    split = [
        (statement.region, _split(residual))
        for statement in problem.of_kind("condition")
        if all(piece.part is not None for piece in statement.region.pieces)
        for residual in statement.residuals
    ]
    firsts = [(region, *found) for region, found in split if found and _are_first(found[0])]
    if not firsts or len(problem.space_axes) > 3:  # no rule of quadrature covers more
        return None
    # looks at the shape, for which torch is loaded
    from pinnsolve.geometry.shape_fluxes import GivenFlux, InShape

    shape = InShape(problem.shape, problem.coordinates, constants(problem))
    given = [GivenFlux(region, _by_axis(factors, problem), rest) for region, factors, rest in firsts]
    source, flux = Integral(*shape.source(f)), Integral(*shape.flux(given))
    return (source, flux.times(c)) if math.isfinite(source.value + flux.value) else None


def _are_first(factors: Mapping[sp.Symbol, sp.Expr]) -> bool:
    return bool(factors) and all(isinstance(s, FeatureSymbol) and s.feature.order == 1 for s in factors)


def _by_axis(factors: Mapping[sp.Symbol, sp.Expr], problem: StatedProblem) -> tuple[sp.Expr, ...]:
    """The factors of first derivatives by every coordinate."""
    by_axis = {s.feature.alpha.index(1): factor for s, factor in factors.items() if isinstance(s, FeatureSymbol)}
    return tuple(by_axis.get(axis, sp.S.Zero) for axis in range(len(problem.coordinates)))


def _poisson(problem: StatedProblem, equation: StatedTerm) -> tuple[float, sp.Expr] | None:
    """c and f of an equation c*laplacian(u) = f."""
    if len(equation.residuals) != 1 or equation.region.where is not None:
        return None
    residual = equation.residuals[0]
    d = len(problem.coordinates)
    wanted = {tuple(2 * (i == axis) for i in range(d)) for axis in range(d)}
    split = _split(residual)
    if split is None or {f.alpha for f in features_of(residual)} != wanted:
        return None
    factors, rest = split
    numbers = {value_at(function_of(factor), constants(problem)) for factor in factors.values()}
    if len(numbers) != 1 or None in numbers:
        return None
    return numbers.pop(), -rest


def _split(residual: sp.Expr) -> tuple[dict[sp.Symbol, sp.Expr], sp.Expr] | None:
    """A linear residual as its coefficients and the rest; None for any other, or one with an operator."""
    symbols = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
    try:
        factors = {s: partial_derivative(residual, s) for s in symbols}
    except SizeError:
        return None
    if any(s.feature.operator for s in symbols) or any(c.atoms(FeatureSymbol) for c in factors.values()):
        return None
    return factors, substituted(residual, dict.fromkeys(symbols, sp.S.Zero))


Branches = list[tuple[sp.Basic | None, sp.Expr]]  # what holds where; the first that does counts


def _flux(problem: StatedProblem, axis: int, side: int) -> Integral | None:
    """The integral of Dn(u) over a face, from the conditions on it."""
    sign, end = 2 * side - 1, problem.intervals[axis][side]
    branches: Branches = []
    for statement in problem.of_kind("condition"):
        for piece in statement.region.pieces:
            if piece.partner is not None and piece.partner[0] == axis:
                return Integral(0.0, 0.0, 0.0)  # what leaves here enters on the other side
            if piece != face(axis, end, sign):
                continue
            given = (_given_flux(on_face(piece, residual, problem), axis) for residual in statement.residuals)
            where = statement.region.where
            where = where if where is None else on_face(piece, where, problem)
            branches += [(where, sign * flux) for flux in given if flux is not None]
    return _integral(branches, {axis: end}, problem) if branches else None


def _given_flux(residual: sp.Expr, axis: int) -> sp.Expr | None:
    """The derivative across a face that a condition gives there."""
    split = _split(residual)
    if split is None or len(split[0]) != 1:
        return None
    ((symbol, factor),) = split[0].items()
    alpha = symbol.feature.alpha
    return -split[1] / factor if sum(alpha) == 1 and alpha[axis] and factor != 0 else None


# -- quadrature ---------------------------------------------------------------------------------------------


def _integral(branches: Branches, fixed: Mapping[int, float], problem: StatedProblem) -> Integral | None:
    """Over the slice of the box in which the axes `fixed` are held; None where a function has no value.

    Axes on which nothing depends count by their length, so that the points go where they matter.
    """
    symbols = [coordinate_symbol(c) for c in problem.coordinates]
    held = set().union(*(part.free_symbols for branch in branches for part in branch if part is not None))
    free = [i for i in range(len(symbols)) if i not in fixed]
    factor = math.prod(high - low for i in free if symbols[i] not in held for low, high in [problem.intervals[i]])
    axes = [i for i in free if symbols[i] in held]
    at = {**constants(problem), **{symbols[axis]: value for axis, value in fixed.items()}}
    function = _first_that_holds(branches)
    per_axis = int(BUDGET ** (1 / max(len(axes), 1)) + 1e-9)
    box = {symbols[i]: problem.intervals[i] for i in axes}
    fine = _quadrature(function, at, box, per_axis)
    coarse = _quadrature(function, at, box, max(per_axis * 3 // 4, 1))
    if fine is None or coarse is None:
        return None
    return Integral(fine[0], abs(fine[0] - coarse[0]), fine[1]).times(factor)


def _first_that_holds(branches: Branches) -> Callable:
    functions = [(None if where is None else function_of(where), function_of(value)) for where, value in branches]

    def first(at: Mapping) -> float:
        for where, value in functions:
            if holds_at(where, at):
                return value(at)
        raise ValueError("nothing is given here")

    return first


def _quadrature(
    function: Callable, at: Mapping, box: Mapping[sp.Symbol, tuple[float, float]], per_axis: int
) -> tuple[float, float] | None:
    """The integrals of a function and of its absolute value, with about `per_axis` nodes along each axis."""
    panels = max(1, per_axis // NODES)
    rules = [list(_rule(low, high, panels, min(per_axis, NODES))) for low, high in box.values()]
    terms, at = [], dict(at)
    for chosen in product(*rules):
        at.update((symbol, x) for symbol, (x, _) in zip(box, chosen, strict=True))
        value = value_at(function, at)
        if value is None:
            return None
        terms.append(value * math.prod(w for _, w in chosen))
    return math.fsum(terms), math.fsum(map(abs, terms))


def _rule(low: float, high: float, panels: int, nodes: int) -> Iterator[tuple[float, float]]:
    """Nodes on an interval cut into panels, and their quadrature weights."""
    width = (high - low) / panels
    for k in range(panels):
        for x, w in gauss_legendre(nodes):
            yield low + width * (k + (1 + x) / 2), width * w / 2


@cache
def gauss_legendre(n: int) -> tuple[tuple[float, float], ...]:
    """Nodes on [-1, 1] and quadrature weights, by Newton's method on the Legendre polynomial."""
    rule = []
    for i in range(n):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(100):
            p, before = 1.0, 0.0
            for k in range(1, n + 1):
                p, before = ((2 * k - 1) * x * p - (k - 1) * before) / k, p
            slope = n * (x * p - before) / (x * x - 1)
            x, step = x - p / slope, p / slope
            if abs(step) < 1e-15:
                break
        rule.append((x, 2 / ((1 - x * x) * slope**2)))
    return tuple(rule)
