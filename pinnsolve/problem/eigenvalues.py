"""What makes a problem one for eigenvalues: linear, without sources, and polynomial in the eigenvalue.

Input: a spec and its statements. Output: `Eigenvalues`; what is wrong goes to a reporter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sympy as sp

from pinnsolve.language.derivatives import partial_derivative
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol
from pinnsolve.problem.stated import Eigenvalues, StatedTerm
from pinnsolve.spec.spec import Spec

HIGHEST = 2  # power of the eigenvalue


def read_eigenvalues(spec: Spec, statements: Sequence[StatedTerm], report: Callable[..., None]) -> Eigenvalues | None:
    """The eigenvalues that a spec asks for; `report(path, message, hint)` is told why there can be none."""
    asked = spec.parsed.eigenvalues
    if asked is None:
        return None
    symbol, degree = coordinate_symbol(asked.name), 0
    if spec.data or spec.unknown_parameters:
        report(("eigenvalues",), "eigenvalues are not sought together with data or unknown parameters")
    for statement in statements:
        for residual in statement.residuals:
            path = tuple(statement.key.split("."))
            for message, hint in _problems(residual, asked.name):
                report(path, message, hint)
            degree = max(degree, _degree(residual, symbol))
    if not degree:
        report(("eigenvalues", "name"), f"no equation and no condition holds `{asked.name}`")
    return Eigenvalues(asked.name, asked.count, asked.near, min(max(degree, 1), HIGHEST))


def _degree(residual: sp.Expr, symbol: sp.Symbol) -> int:
    return int(sp.degree(residual, symbol)) if residual.is_polynomial(symbol) and residual.has(symbol) else 0


def _problems(residual: sp.Expr, name: str) -> Iterator[tuple[str, str | None]]:
    symbol = coordinate_symbol(name)
    features = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
    if not residual.is_polynomial(symbol) or _degree(residual, symbol) > HIGHEST:
        yield f"`{name}` stands only in powers up to {HIGHEST}", "introduce an unknown for the rest"
    if any(set(features) & partial_derivative(residual, s).free_symbols for s in features):
        yield "an eigenvalue problem is linear in its unknowns", None
    elif sp.expand(residual.xreplace(dict.fromkeys(features, sp.S.Zero))) != 0:
        yield (
            "an eigenvalue problem has no sources: every equation and condition holds where the unknowns are zero",
            "the size of a mode is not stated: its mean square is one",
        )
