"""The method of manufactured solutions: a problem changed so that a stated function solves it.

What every equation and condition says of the function is taken from it as a source (Roache, J. Fluids Eng. 124 (2002)
4-10). Input: a `Problem`, and a function for each unknown. Output: the problem with sources, which knows its solution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from pinnsolve.errors import Diagnostic, ExpressionError, ProblemError
from pinnsolve.language.complex_numbers import PartsError, parts
from pinnsolve.language.components import component_names
from pinnsolve.language.derivatives import partial_derivative
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, features_of
from pinnsolve.language.to_sympy import Scope, expression
from pinnsolve.problem.checks.counts import is_periodic
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.stated import StatedTerm

WAVES = 2.0  # radians over an interval, of a function that is not periodic
HEIGHT = 0.4  # of its waves about one: the product over the coordinates stays positive, as logarithms want it


def with_manufactured(problem: Problem, texts: Mapping[str, str] | None = None) -> Problem:
    """The problem whose solution are the `texts`, by unknown, or where there are none smooth functions of our choice.

    Newton's method starts from the solution, since what is verified is how well it is approximated. Raises
    `ProblemError` where a solution cannot be manufactured, or a text is wrong.
    """
    reason = why_not(problem)
    if reason is not None:
        raise ProblemError([Diagnostic(f"no solution can be manufactured: {reason}", hint="state `exact` in the file")])
    known = _stated(problem, texts) if texts else {}
    functions = {
        unknown: known.get(unknown, _smooth(problem, number)) for number, unknown in enumerate(problem.unknowns)
    }
    statements = tuple(s if is_periodic(s) else _with_source(s, functions, problem) for s in problem.statements)
    return replace(problem, statements=statements, exact=functions, guess=functions, reference=None)


def why_not(problem: Problem) -> str | None:
    """In words, why a solution cannot be manufactured; None where it can."""
    if problem.of_kind("data") or problem.unknown_parameters:
        return "the problem holds data, or constants that are not known"
    if problem.ranges:
        return "parameters have ranges; give each one value, as by `--set parameters.nu=0.1`"
    if problem.eigenvalues is not None:
        return "eigenvalue problems have no sources"
    if problem.between or any(s.fluxes for s in problem.statements):
        return "coefficients jump, and so do slopes of the solution"
    if any(f.operator is not None for s in problem.statements for r in s.residuals for f in features_of(r)):
        return "custom operators are known by their values alone"
    held = {f.unknown for s in problem.of_kind("equation") for r in s.residuals for f in features_of(r)}
    return None if held >= set(problem.unknowns) else "an unknown has no equation"


def _stated(problem: Problem, texts: Mapping[str, str]) -> dict[str, sp.Expr]:
    scope = Scope(
        coordinates=problem.coordinates,
        time=problem.time,
        parameters=tuple(problem.parameters),
        complex_unknowns=problem.complex_unknowns,
    )
    values = {coordinate_symbol(name): sp.Float(value) for name, value in problem.parameters.items()}
    found: dict[str, sp.Expr] = {}
    errors = []
    for unknown, text in texts.items():
        if unknown not in problem.spec.unknowns:
            known = ", ".join(problem.spec.unknowns)
            errors.append(Diagnostic(f"`{unknown[:60]}` is not an unknown", hint=f"the unknowns are {known}"))
            continue
        try:
            names = component_names(unknown) if unknown in problem.complex_unknowns else (unknown,)
            both = parts(substituted(expression(text, scope), values))
            if both[len(names) :] not in ((), (sp.S.Zero,)):
                raise PartsError(f"`{unknown}` is real")
            found |= dict(zip(names, both, strict=False))
        except ExpressionError as error:
            errors.append(Diagnostic(error.message, text=text, offset=error.offset, hint=error.hint))
        except PartsError as error:
            errors.append(Diagnostic(str(error), text=text))
    if errors:
        raise ProblemError(errors)
    return found


def _smooth(problem: Problem, number: int) -> sp.Expr:
    """A product of waves about one, periodic where the problem is; another one for each unknown."""
    periodic = {p.partner[0] for s in problem.statements for p in s.region.pieces if p.partner is not None}
    result: sp.Expr = sp.S.One
    for axis, (name, (low, high)) in enumerate(zip(problem.coordinates, problem.intervals, strict=True)):
        along = (coordinate_symbol(name) - sp.Float(low)) / sp.Float(high - low)
        waves = 2 * sp.pi if axis in periodic else sp.Float(WAVES)
        result *= 1 + sp.Float(HEIGHT) * sp.sin(waves * along + sp.Rational(7 * number + 3 * axis + 2, 10))
    return result


def _with_source(statement: StatedTerm, functions: Mapping[str, sp.Expr], problem: Problem) -> StatedTerm:
    """The statement less what its residuals are of the functions."""
    residuals = tuple(r - _of_functions(r, functions, problem) for r in statement.residuals)
    return replace(statement, residuals=residuals)


def _of_functions(residual: sp.Expr, functions: Mapping[str, sp.Expr], problem: Problem) -> sp.Expr:
    values = {}
    for symbol in residual.free_symbols:
        if isinstance(symbol, FeatureSymbol):
            value = functions[symbol.feature.unknown]
            for name, order in zip(problem.coordinates, symbol.feature.alpha, strict=True):
                for _ in range(order):
                    value = partial_derivative(value, coordinate_symbol(name))
            values[symbol] = value
    return substituted(residual, values)
