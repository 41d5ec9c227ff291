"""Problem -> CompiledProblem: fold parameters, linearize every term, decide what is linear.

The compiler differentiates each residual by each feature (and each unknown parameter) it holds; a term whose
coefficients hold neither is linear and needs no Newton. Nothing here knows of bases, points or solvers, and no
array library is imported.
"""

from __future__ import annotations

from pinnsolve.problem import Problem, Statement
from pinnsolve.terms import (
    CompiledProblem,
    FeatureSymbol,
    Linearization,
    Term,
    coordinate_symbol,
    drop_impulses,
    feature_symbol,
    features_of,
)


def compile_problem(problem: Problem) -> CompiledProblem:
    """The passes in order. The problem has been checked; nothing here can be a user's mistake."""
    parameters = {coordinate_symbol(name): value for name, value in problem.parameters.items()}
    unknown_parameters = tuple(p.name for p in problem.unknown_parameters)
    terms = tuple(_compile(statement, parameters, unknown_parameters) for statement in problem.statements)
    return CompiledProblem(
        problem.coordinates,
        problem.intervals,
        problem.time,
        problem.unknowns,
        problem.unknown_parameters,
        terms,
    )


def _compile(statement: Statement, parameters: dict, unknown_parameters: tuple[str, ...]) -> Term:
    residuals = tuple(residual.xreplace(parameters) for residual in statement.residuals)
    linearizations = tuple(_linearize(residual, unknown_parameters) for residual in residuals)
    return Term(
        name=statement.name,
        kind=statement.kind,
        region=statement.region,
        residuals=residuals,
        linearizations=linearizations,
        linear=all(_is_linear(linearization, unknown_parameters) for linearization in linearizations),
        data_file=statement.data_file,
        noise=statement.noise,
    )


def _linearize(residual, unknown_parameters: tuple[str, ...]) -> Linearization:
    features = []
    for f in features_of(residual):
        symbol = feature_symbol(f.unknown, f.alpha, f.operator, f.side)
        features.append((f, drop_impulses(residual.diff(symbol))))
    parameters = []
    for name in unknown_parameters:
        if coordinate_symbol(name) in residual.free_symbols:
            parameters.append((name, residual.diff(coordinate_symbol(name))))
    return Linearization(tuple(features), tuple(parameters))


def _is_linear(linearization: Linearization, unknown_parameters: tuple[str, ...]) -> bool:
    """Linear, or refused by default: a coefficient that holds any feature or unknown parameter is not constant."""
    unknown = {coordinate_symbol(name) for name in unknown_parameters}
    coefficients = [c for _, c in linearization.features + linearization.parameters]
    return not any(isinstance(s, FeatureSymbol) or s in unknown for c in coefficients for s in c.free_symbols)
