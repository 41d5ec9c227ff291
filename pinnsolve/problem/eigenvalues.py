"""What makes a problem one for eigenvalues: linear, without sources, and polynomial in the eigenvalue.

Input: a spec and its statements. Output: `Eigenvalues`; what is wrong goes to a reporter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import sympy as sp

from pinnsolve.language.complex_numbers import vanishes
from pinnsolve.language.components import component_names
from pinnsolve.language.derivatives import partial_derivative
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol
from pinnsolve.problem.stated import Eigenvalues, StatedTerm
from pinnsolve.spec.spec import Spec

HIGHEST = 4  # power of the eigenvalue

Symbols = tuple[sp.Symbol, ...]


def read_eigenvalues(spec: Spec, statements: Sequence[StatedTerm], report: Callable[..., None]) -> Eigenvalues | None:
    """The eigenvalues that a spec asks for; `report(path, message, hint)` is told why there can be none."""
    asked = spec.parsed.eigenvalues
    if asked is None:
        return None
    found = Eigenvalues(asked.name, asked.count, asked.near)
    symbols, degree = tuple(map(coordinate_symbol, found.symbols)), 0
    if spec.data or spec.unknown_parameters:
        report(("eigenvalues",), "eigenvalues are not sought together with data or unknown parameters")
    for statement in statements:
        problems: dict[tuple[str, str | None], None] = {}
        for residual in statement.residuals:
            problems |= dict.fromkeys(_problems(residual, asked.name, symbols))
            degree = max(degree, _degree(residual, symbols))
        if found.is_complex and not problems and not _is_periodic(statement) and not _over_complex(statement, symbols):
            problems[_NOT_COMPLEX] = None
        for message, hint in problems:
            report(tuple(statement.key.split(".")), message, hint)
    if not degree:
        report(("eigenvalues", "name"), f"no equation and no condition holds `{asked.name}`")
    return replace(found, degree=min(max(degree, 1), HIGHEST))


_NOT_COMPLEX = (
    "an eigenvalue problem with complex numbers is linear over them",
    "`re`, `im`, `conj` and `abs` of unknowns or of the eigenvalue have no place in it, and all unknowns are complex",
)


def _is_periodic(statement: StatedTerm) -> bool:
    """Whether it ties values in two places; the parts of these stand one after the other."""
    return any(piece.partner is not None for piece in statement.region.pieces)


def _over_complex(statement: StatedTerm, symbols: Symbols) -> bool:
    """Whether residuals are pairs of parts of complex ones, linear in unknowns and analytic in the eigenvalue.

    Both are the equations of Cauchy and Riemann, for the parts of each unknown and of the eigenvalue.
    """
    residuals = statement.residuals
    if len(residuals) % 2:
        return False
    for one, two in zip(residuals[::2], residuals[1::2], strict=True):
        held = {s for r in (one, two) for s in r.free_symbols if isinstance(s, FeatureSymbol)}
        pairs = {_both(s.feature) for s in held}
        if any(r.has(*symbols) for r in (one, two)):
            pairs.add(symbols)
        for x, y in pairs:
            real = partial_derivative(one, x) - partial_derivative(two, y)
            imaginary = partial_derivative(one, y) + partial_derivative(two, x)
            if not vanishes(real) or not vanishes(imaginary):
                return False
    return True


def _both(feature: Feature) -> Symbols:
    """The symbols of both parts of what a feature is a part of."""
    whole = feature.unknown.rpartition("_")[0]
    one, two = (FeatureSymbol(replace(feature, unknown=name)) for name in component_names(whole))
    return one, two


def _degree(residual: sp.Expr, symbols: Symbols) -> int:
    """The power of the eigenvalue in a residual, which is a polynomial in it."""
    held = [s for s in symbols if residual.has(s)]
    return int(sp.Poly(residual, *held).total_degree()) if held and residual.is_polynomial(*held) else 0


def _problems(residual: sp.Expr, name: str, symbols: Symbols) -> Iterator[tuple[str, str | None]]:
    features = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
    if not residual.is_polynomial(*symbols) or _degree(residual, symbols) > HIGHEST:
        yield f"`{name}` stands only in powers up to {HIGHEST}", "introduce an unknown for the rest"
    if any(set(features) & partial_derivative(residual, s).free_symbols for s in features):
        yield "an eigenvalue problem is linear in its unknowns", None
    elif sp.expand(residual.xreplace(dict.fromkeys(features, sp.S.Zero))) != 0:
        yield (
            "an eigenvalue problem has no sources: every equation and condition holds where the unknowns are zero",
            "the size of a mode is not stated: its mean square is one",
        )
