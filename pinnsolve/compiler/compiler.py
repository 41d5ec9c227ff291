"""Problem -> CompiledProblem: fold parameters, linearize every term, decide what is linear.

The compiler differentiates each residual by each feature (and each unknown parameter) it holds; a term whose
coefficients hold neither is linear and needs no Newton. Nothing here knows of bases, points or solvers, and no
array library is imported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from pinnsolve.compiler.applicability import why_not_cells, why_not_own_cells
from pinnsolve.compiler.balances import compiled_balances
from pinnsolve.compiler.exactness import exactness_errors
from pinnsolve.compiler.integrals import compiled_integrals, compiled_quantity, integral_names
from pinnsolve.compiler.jumps import ManyJumps
from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.materials import HIGHEST, with_materials
from pinnsolve.compiler.term_table import collocation_of
from pinnsolve.compiler.terms import Between, CompiledProblem, Integral, Regularization, StateFunction, Term
from pinnsolve.errors import ProblemError
from pinnsolve.language.components import by_component
from pinnsolve.language.derivatives import SizeError
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import UnknownParameter, coordinate_symbol
from pinnsolve.problem.checks import undetermined_constants
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.rough_functions import rough_function
from pinnsolve.problem.stated import StatedTerm
from pinnsolve.spec.parsed import TermWeights


def compile_problem(problem: Problem) -> CompiledProblem:
    """The passes in order. Raises `ProblemError` for a term whose linearization would be too large, and for a function
    that is sought in a way that is not known for it."""
    rough_function(problem)
    parameters = {coordinate_symbol(name): _number(value) for name, value in problem.parameters.items()}
    sought = (*problem.unknown_parameters, *_sought(problem))
    unknown_parameters = tuple(coordinate_symbol(p.name) for p in sought)
    terms, errors = [], []
    names = integral_names(problem)
    integrals: tuple[Integral, ...] = ()
    for statement in problem.statements:
        try:
            integrals = integrals or compiled_integrals(problem, names, parameters, unknown_parameters)
            terms.append(_compile(statement, parameters | names, unknown_parameters, integrals))
        except SizeError as error:
            errors.append(problem.spec.diagnostic(tuple(statement.key.split(".")), str(error)))
    if errors:
        raise ProblemError(errors)
    compiled = CompiledProblem(
        problem.axes,
        problem.intervals,
        problem.unknowns,
        problem.unknown_parameters,
        tuple(terms),
        problem.shape,
        regularization=tuple(
            Regularization(name, r.seminorm, r.weight)
            for name, r in by_component(problem.spec.regularization, problem.complex_unknowns).items()
            if isinstance(r.seminorm, int)  # functions that jump are found in another way
        ),
        quantities=tuple(compiled_quantity(q, parameters) for q in problem.quantities),
        integrals=integrals,
        state_functions=tuple(
            StateFunction(name, f.of, f.positive, f.monotone) for name, f in problem.spec.state_functions.items()
        ),
        eigenvalues=problem.eigenvalues,
        settings=problem.settings,
        homes=problem.homes,
        between=tuple(
            Between(b.name, tuple(substituted(r, parameters) for r in b.residuals), b.sides) for b in problem.between
        ),
        term_weights=_term_weights(problem),
        undetermined_constants=undetermined_constants(problem.statements),
        complex_unknowns=problem.complex_unknowns,
        vectors=problem.vectors,
    )
    try:
        compiled = with_materials(compiled, [s.fluxes for s in problem.statements], parameters)
    except ManyJumps as error:
        raise ProblemError([problem.spec.diagnostic(("equations", error.name), str(error), error.hint)]) from None
    compiled = replace(compiled, balances=compiled_balances(problem, compiled, parameters))
    if problem.homes or problem.between:
        _check_places(problem, compiled)
    if found := exactness_errors(problem, compiled):
        raise ProblemError(found)
    return replace(compiled, unknown_parameters=(*compiled.unknown_parameters, *_sought(problem)))


def _check_places(problem: Problem, compiled: CompiledProblem) -> None:
    """Raises `ProblemError` where unknowns live in regions, and the solve has no cells of each."""
    errors = []
    if not compiled.materials or collocation_of(problem, compiled) is not None:
        reason = why_not_cells(compiled) or _why_no_materials(problem, compiled)
        message = f"unknowns that live in regions need cells of each region, and {reason}"
        errors.append(problem.spec.diagnostic(("unknowns",), message))
    if errors:
        raise ProblemError(errors)


def _why_no_materials(problem: Problem, compiled: CompiledProblem) -> str:
    """In words, what keeps the domain from being cut into its regions."""
    if (reason := why_not_own_cells(problem.settings)) is not None:
        return reason
    if compiled.order > HIGHEST:
        return f"what is continuous between regions is known for equations up to order {HIGHEST} only"
    return "too many comparisons tell them apart; use fewer regions, of simpler shapes"


def _sought(problem: Problem) -> tuple[UnknownParameter, ...]:
    """An eigenvalue is an unknown parameter of the terms, a complex one two."""
    asked = problem.eigenvalues
    if asked is None:
        return ()
    values = (asked.near.real, asked.near.imag)
    bounds = (-math.inf, math.inf)
    return tuple(UnknownParameter(name, value, bounds) for name, value in zip(asked.symbols, values, strict=False))


def _term_weights(problem: Problem) -> TermWeights | None:
    """The weights that the file asks for, by the names of terms; None for `auto`."""
    asked = problem.spec.parsed.term_weights
    if asked is None:
        return None
    # a condition periodic in several coordinates is a term for each; the file knows it by its own name
    written = {s.name: s.key.partition(".")[2] or s.name for s in problem.statements}
    return replace(asked, trees={name: asked.trees[key] for name, key in written.items() if key in asked.trees})


def _number(value: float) -> sp.Number:
    """Whole numbers stay exact: u**n keeps its form, and a factor 0 takes its term away."""
    return sp.Integer(int(value)) if value.is_integer() and abs(value) < 2**53 else sp.Float(value)


def _compile(
    statement: StatedTerm, replaced: dict, unknown_parameters: tuple[sp.Symbol, ...], integrals: Sequence[Integral]
) -> Term:
    """`replaced`: values of parameters, and the names of integrals."""
    residuals = tuple(substituted(residual, replaced) for residual in statement.residuals)
    numbers = (*unknown_parameters, *(coordinate_symbol(one.name) for one in integrals))
    linearizations = tuple(linearize(residual, numbers) for residual in residuals)
    nonlinear = {coordinate_symbol(one.name) for one in integrals if not one.linear}
    linear = all(map(is_linear, residuals, linearizations, [numbers] * len(residuals)))
    return Term(
        name=statement.name,
        kind=statement.kind,
        region=statement.region,
        residuals=residuals,
        linearizations=linearizations,
        linear=linear and not any(nonlinear & residual.free_symbols for residual in residuals),
        data_file=statement.data_file,
        noise=statement.noise,
        robust=statement.robust,
        exactly=statement.exactly,
    )
