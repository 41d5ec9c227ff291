"""Problem -> CompiledProblem: fold parameters, linearize every term, decide what is linear.

The compiler differentiates each residual by each feature (and each unknown parameter) it holds; a term whose
coefficients hold neither is linear and needs no Newton. Nothing here knows of bases, points or solvers, and no
array library is imported.
"""

from __future__ import annotations

import sympy as sp

from pinnsolve.derivatives import SizeError, partial_derivative
from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.problem import Problem, Statement
from pinnsolve.terms import CompiledProblem, FeatureSymbol, Linearization, Regularization, Term, coordinate_symbol
from pinnsolve.terms_folding import substituted

_STEPS = (sp.sign, sp.floor, sp.ceiling, sp.Heaviside)  # their derivative is 0, and they are not constant


def compile_problem(problem: Problem) -> CompiledProblem:
    """The passes in order. Raises `ProblemError` for a term whose linearization would be too large."""
    parameters = {coordinate_symbol(name): _number(value) for name, value in problem.parameters.items()}
    unknown_parameters = tuple(coordinate_symbol(p.name) for p in problem.unknown_parameters)
    terms, errors = [], []
    for statement in problem.statements:
        try:
            terms.append(_compile(statement, parameters, unknown_parameters))
        except SizeError as error:
            spec = problem.spec
            file = str(spec.file) if spec.file else None
            errors.append(Diagnostic(str(error), "error", file, spec.place(statement.key), statement.key))
    if errors:
        raise ProblemError(errors)
    return CompiledProblem(
        problem.coordinates,
        problem.intervals,
        problem.time,
        problem.unknowns,
        problem.unknown_parameters,
        tuple(terms),
        tuple(Regularization(name, r.seminorm, r.weight) for name, r in problem.spec.regularization.items()),
    )


def _number(value: float) -> sp.Number:
    """Whole numbers stay exact: u**n keeps its form, and a factor 0 takes its term away."""
    return sp.Integer(int(value)) if value.is_integer() and abs(value) < 2**53 else sp.Float(value)


def _compile(statement: Statement, parameters: dict, unknown_parameters: tuple[sp.Symbol, ...]) -> Term:
    residuals = tuple(substituted(residual, parameters) for residual in statement.residuals)
    linearizations = tuple(_linearize(residual, unknown_parameters) for residual in residuals)
    return Term(
        name=statement.name,
        kind=statement.kind,
        region=statement.region,
        residuals=residuals,
        linearizations=linearizations,
        linear=all(map(_is_linear, residuals, linearizations, [unknown_parameters] * len(residuals))),
        data_file=statement.data_file,
        noise=statement.noise,
        robust=statement.robust,
    )


def _linearize(residual: sp.Expr, unknown_parameters: tuple[sp.Symbol, ...]) -> Linearization:
    symbols = (s for s in residual.free_symbols if isinstance(s, FeatureSymbol))
    held = [p for p in unknown_parameters if p in residual.free_symbols]
    features = [(s.feature, partial_derivative(residual, s)) for s in sorted(symbols, key=_place)]
    return Linearization(tuple(features), tuple((p.name, partial_derivative(residual, p)) for p in held))


def _place(symbol: FeatureSymbol) -> tuple:
    return symbol.feature.sort_key()


def _is_linear(residual: sp.Expr, linearization: Linearization, unknown_parameters: tuple[sp.Symbol, ...]) -> bool:
    """Linear, or refused by default: a coefficient that holds any feature or unknown parameter is not constant."""

    def holds_unknowns(expression: sp.Expr) -> bool:
        return any(isinstance(s, FeatureSymbol) or s in unknown_parameters for s in expression.free_symbols)

    coefficients = [c for _, c in linearization.features + linearization.parameters]
    return not any(map(holds_unknowns, [*coefficients, *residual.atoms(*_STEPS)]))
