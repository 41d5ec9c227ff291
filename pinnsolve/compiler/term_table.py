"""CompiledProblem -> a row per term for people: its operator, region, points, weight, linear or not.

Input: a problem and what it compiles to. Output: rows of plain values that `pinnsolve check` prints. No array library.
"""

from __future__ import annotations

from math import comb

import sympy as sp

from pinnsolve import defaults, extensions
from pinnsolve.compiler.applicability import why_not_cells
from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, features_of, is_candidate
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.stated import StatedBetween, StatedTerm

MAX_OPERATOR = 240  # characters of an operator that are shown
MAX_DIGITS = 4  # of numerator and denominator of a fraction that is shown as it is


def plan(problem: Problem, compiled: CompiledProblem) -> list[dict]:
    """Rows with the keys name, kind, operator, region, points, weight, linear.

    `points` is about how many the first basis is solved on (wider ones take more), "by cell" where the solve chooses
    cells and with them its points, or the name of the data file;
    `weight` is a number, an expression in `W`, or "auto".
    """
    counts = collocation_of(problem, compiled)
    return [
        {
            "name": term.name,
            "kind": term.kind,
            "operator": operator_text(statement, problem.coordinates),
            "region": str(term.region),
            "points": _points(term, problem, counts),
            "weight": _weight(statement, problem),
            "linear": term.linear,
        }
        for term, statement in zip(compiled.terms, problem.statements, strict=True)
    ] + [_between(item, problem) for item in problem.between]


def _between(item: StatedBetween, problem: Problem) -> dict:
    """The row of what holds where two regions meet."""
    linear = all(is_linear(r, linearize(r, ()), ()) for r in item.residuals)
    return {
        "name": item.name,
        "kind": "condition",
        "operator": operator_text(item, problem.coordinates),
        "region": f"{item.sides[0].label}/{item.sides[1].label}",
        "points": "by cell",
        "weight": "auto",
        "linear": linear,
    }


# -- points and weights -----------------------------------------------------------------------------------------


def collocation_of(problem: Problem, compiled: CompiledProblem) -> defaults.Collocation | None:
    """Point counts of the first basis; None where the solve chooses cells and with them its points."""
    solve = problem.settings
    plain = solve.method == "auto" and solve.basis is None and solve.collocation is None
    by_cell = plain and solve.precision == "float64" and solve.device == "cpu" and why_not_cells(compiled) is None
    return None if by_cell else _collocation(problem, compiled.order)


def _collocation(problem: Problem, order: int) -> defaults.Collocation:
    """Point counts for the basis that the file asks for, or for the first of the default ones."""
    return defaults.collocation(problem.settings.collocation, len(problem.coordinates), *first_width(problem, order))


def first_width(problem: Problem, order: int) -> tuple[int, bool]:
    """How many functions the first basis of a solve without cells has, and whether they will move."""
    solve, dimension = problem.settings, len(problem.coordinates)
    basis, moves = solve.basis, solve.method not in ("auto", "least_squares")
    custom = basis is not None and basis.kind not in (None, *extensions.NETWORKS)
    if not moves and not custom and (basis is None or basis.width is None):
        return defaults.widths(dimension)[0], False
    activation = (basis and basis.activation) or ("tanh" if order > 1 else "relu")
    width = (basis and basis.width) or defaults.FIXED_WIDTH.get(activation, defaults.DEFAULT_FIXED_WIDTH)
    if basis is not None and basis.kind in extensions.PARTITIONED:
        degree = defaults.PARTITION_DEGREE if basis.degree is None else basis.degree
        width = (basis.partitions or defaults.PARTITIONS) * comb(degree + dimension, dimension)
    return width, moves or (solve.method == "auto" and width <= defaults.MOVING_WIDTH)


def _points(term: Term, problem: Problem, counts: defaults.Collocation | None) -> int | str:
    if term.data_file is not None:
        return term.data_file.name
    if counts is None:
        return "by cell"
    dimension = len(problem.coordinates)
    fills = any(piece.fills for piece in term.region.pieces)
    wanted = counts.interior if fills else counts.boundary
    return sum(_on_piece(dimension - p.held, wanted, counts.sampling) for p in term.region.pieces)


def _on_piece(dimension: int, wanted: int, sampling: str) -> int:
    """A point is one point, and a grid has as many points along each axis."""
    if dimension == 0:
        return 1
    return max(2, round(wanted ** (1 / dimension))) ** dimension if sampling in ("grid", "chebyshev") else wanted


def _weight(statement: StatedTerm, problem: Problem) -> float | str:
    asked = problem.settings.term_weights
    if isinstance(asked, str):
        return asked
    # a periodic condition on several coordinates is several terms; the file knows it by one name
    return asked.get(statement.name, asked.get(statement.key.partition(".")[2], 1))


# -- operators --------------------------------------------------------------------------------------------------


def operator_text(statement: StatedTerm | StatedBetween, coordinates: tuple[str, ...]) -> str:
    """The residuals as a reader would write them, left of `= 0`: `u_t + u*u_x - nu*u_xx`."""
    return ", ".join(left_side(residual, coordinates) for residual in statement.residuals)


def left_side(residual: sp.Expr, coordinates: tuple[str, ...]) -> str:
    """One of these, cut where it is long."""
    text = _residual_text(residual, coordinates)
    return text if len(text) <= MAX_OPERATOR else text[: MAX_OPERATOR - 4] + " ..."


def _residual_text(residual: sp.Expr, coordinates: tuple[str, ...]) -> str:
    """The residual with summands of unknowns first; derivatives as indices, long numbers cut to six digits."""
    text, summands = "", sp.Add.make_args(residual)
    stated = [summand for summand in summands if not any(map(is_candidate, summand.free_symbols))]
    for summand in sorted(stated, key=_rank):
        part = short_text(summand, coordinates)
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    text = text if len(stated) == len(summands) else f"{text} - candidates"
    return f"-{text[3:]}" if text.startswith(" -") else text[3:]


def short_text(expression: sp.Expr, coordinates: tuple[str, ...]) -> str:
    """An expression with derivatives as indices, and long numbers cut to six digits."""
    words = {s: sp.Symbol(s.feature.label(coordinates)) for s in expression.atoms(FeatureSymbol)}
    words |= {n: sp.sign(n) * sp.Symbol(f"{abs(float(n)):.6g}") for n in expression.atoms(sp.Number) if _is_long(n)}
    return to_text(substituted(expression, words), coordinates)


def _rank(summand: sp.Expr) -> tuple:
    """Unknowns before sources, low order before high, `u_xx` before `u_yy`."""
    highest = max(features_of(summand), key=lambda f: f.order, default=None)
    if highest is None:
        return (1,)
    return 0, highest.order, tuple(-a for a in highest.alpha), highest.side, highest.unknown


def _is_long(number: sp.Number) -> bool:
    return number.is_Float or max(abs(number.p), number.q) >= 10**MAX_DIGITS
