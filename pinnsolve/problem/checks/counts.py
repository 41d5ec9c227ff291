"""Does every unknown occur, are there as many equations as unknowns, is the basis smooth enough?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pinnsolve import extensions
from pinnsolve.errors import Diagnostic
from pinnsolve.geometry.shapes import region_names
from pinnsolve.language.symbols import coordinate_symbol, features_of, integrals_of, order_of
from pinnsolve.problem.checks.findings import constants, error, point_text, quoted, warning
from pinnsolve.problem.checks.pointwise import function_of, holds_at, scattered

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem, StatedTerm

SAMPLES = 64  # points at which equations restricted by `where` are counted


def is_periodic(statement: StatedTerm) -> bool:
    """A pair of faces tied together: it holds every unknown by itself and says nothing of any in particular."""
    return any(piece.partner is not None for piece in statement.region.pieces)


def fills_domain(statement: StatedTerm) -> bool:
    """A condition stated on the domain stands in for equations and for conditions elsewhere, as data do."""
    return statement.kind == "condition" and any(piece.fills for piece in statement.region.pieces)


def replaces_conditions(problem: StatedProblem) -> bool:
    """Tell whether data or conditions inside the domain can stand in for conditions on the boundary."""
    return any(s.kind == "data" or fills_domain(s) for s in problem.statements)


def held(statements: Iterable[StatedTerm]) -> set[str]:
    """The unknowns that occur in statements, periodic pairs left out."""
    return {f.unknown for s in statements if not is_periodic(s) for r in s.residuals for f in features_of(r)}


def unheld_unknowns(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Errors: an unknown that nothing is said about, or nothing said at all."""
    if all(is_periodic(s) for s in problem.statements):
        yield error(problem, "", "there is nothing to solve", "give `equations` and `conditions`, or `data`")
        return
    known = held(problem.statements)
    for name in problem.unknowns:
        if name not in known:
            message = f"the unknown `{name}` occurs in no equation, condition or data"
            yield error(
                problem, "unknowns", message, "add an equation or condition for it, or remove it from `unknowns`"
            )


def empty_statements(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Errors: an equation or condition without any unknown, or none where parameters have the values that are given."""
    zero = {coordinate_symbol(name): 0 for name, value in problem.parameters.items() if value == 0}
    sought = {coordinate_symbol(p.name) for p in problem.unknown_parameters}
    for statement in problem.statements:
        if statement.kind == "data" or is_periodic(statement):
            continue
        for residual in statement.residuals:
            here = {s: v for s, v in zero.items() if residual.has(s)}
            left = residual.subs(here) if here else residual
            if features_of(left) or integrals_of(left) or left.free_symbols & sought:
                continue
            where = f" where {', '.join(f'`{s}` = 0' for s in here)}" if features_of(residual) else ""
            hint = f"it says there that {left} = 0" if left != 0 else "it says nothing; leave it out"
            yield error(problem, statement.key, f"`{statement.name}` holds no unknown{where}", hint)


def settings_errors(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Errors of the settings: ReLU where second derivatives are needed; a piecewise linear function has none."""
    basis = problem.settings.basis
    if basis is None or basis.activation != "relu" or basis.kind not in (None, *extensions.BUILT_IN_BASES):
        return
    for statement in problem.statements:
        features = [f for r in statement.residuals for f in features_of(r)]
        if f := next((f for f in features if order_of(f) > 1), None):
            message = f"`relu` has no second derivatives, and `{statement.name}` needs {f.label(problem.coordinates)}"
            hint = "choose `tanh`, `sin`, `gaussian` or `softplus`"
            yield error(problem, "solve.basis.activation", message, hint)
            return


def equation_count(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warnings: an unknown without an equation; a number of equations that is not that of the unknowns."""
    equations = problem.of_kind("equation")
    if not equations:
        return
    in_equations = held(equations)
    others = held(s for s in problem.statements if s.kind == "data" or fills_domain(s))
    without = [name for name in problem.unknowns if name not in in_equations | others]
    for name in without:
        message = f"no equation contains `{name}`"
        yield warning(problem, "equations", message, "it is undetermined except where a condition fixes it")
    yield from _number_of_equations(problem, equations)


def _number_of_equations(problem: StatedProblem, equations: tuple[StatedTerm, ...]) -> Iterator[Diagnostic]:
    wanted, replaced = len(problem.unknowns), replaces_conditions(problem)
    counts = dict(_counts(problem, equations))
    most, (spot, fewest) = max(counts.values()), min(counts.items(), key=lambda item: item[1])
    unknowns = f"{wanted} unknown{'s' * (wanted > 1)} ({quoted(problem.unknowns)})"
    if problem.of_kind("data") and most < wanted:  # data may determine the rest
        return
    if most > wanted or (most < wanted and not replaced):
        message = f"{most} equation{'s' * (most != 1)} for {unknowns}"
        yield warning(problem, "equations", message, "as a rule there are as many equations as unknowns")
    elif fewest < wanted and not replaced:
        few = f"only {fewest} equation{'s hold' if fewest > 1 else ' holds'}" if fewest else "no equation holds"
        message = f"{few} {spot}, for {unknowns}"
        hint = "together, the `where` of the equations should cover the domain"
        yield warning(problem, "equations", message, hint)


def _counts(problem: StatedProblem, equations: tuple[StatedTerm, ...]) -> Iterator[tuple[str, int]]:
    """Spots of the domain in words, and how many equations hold there."""
    names = () if problem.shape is None else region_names(problem.shape)
    if any(piece.region for s in equations for piece in s.region.pieces):
        for name in names:
            holding = [s for s in equations if any(p.region in (None, name) for p in s.region.pieces)]
            yield f"in `{name}`", sum(len(s.residuals) for s in holding)
        return
    conditions = [s.region.where for s in equations]
    tests = [None if where is None else function_of(where) for where in conditions]
    symbols = [coordinate_symbol(c) for c in problem.coordinates]
    known = constants(problem)
    for point in scattered(1 if not any(tests) else SAMPLES, problem.intervals):
        at = {**known, **dict(zip(symbols, point, strict=True))}
        spot = f"at {point_text(problem, dict(enumerate(point)))}"
        yield spot, sum(len(s.residuals) for s, t in zip(equations, tests, strict=True) if holds_at(t, at))


def undetermined_parameters(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warnings: an unknown parameter that occurs nowhere, or that no data and no condition can determine."""
    symbols = {s for statement in problem.statements for r in statement.residuals for s in r.free_symbols}
    for parameter in problem.unknown_parameters:
        if coordinate_symbol(parameter.name) not in symbols:
            message = f"the unknown parameter `{parameter.name}` occurs in no equation, condition or data"
            hint = "use it in one of them, or remove it from `unknown_parameters`"
            yield warning(problem, f"unknown_parameters.{parameter.name}", message, hint)
    if problem.unknown_parameters and not replaces_conditions(problem) and len(problem.coordinates) == 1:
        yield from _conditions_for_parameters(problem)


def _conditions_for_parameters(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warnings for ordinary differential equations, which need a condition for each order and parameter."""
    features = {f for s in problem.of_kind("equation") for r in s.residuals for f in features_of(r)}
    if any(f.operator is not None for f in features):
        return
    orders = sum(max((f.order for f in features if f.unknown == name), default=0) for name in problem.unknowns)
    wanted = orders + len(problem.unknown_parameters)
    given = sum(len(s.residuals) * len(s.region.pieces) for s in problem.of_kind("condition"))
    if given < wanted:
        names = quoted([p.name for p in problem.unknown_parameters])
        message = f"nothing determines the unknown parameters {names}: there are no data"
        stated = f"without data, {wanted} conditions are needed (here {given})"
        hint = f"{stated}: state data, or a condition such as a normalization"
        yield warning(problem, "unknown_parameters", message, hint)


def incomplete_exact(problem: StatedProblem) -> Iterator[Diagnostic]:
    """Warning: an exact solution of some unknowns only."""
    missing = [name for name in problem.unknowns if name not in problem.exact]
    if problem.exact and missing:
        message = f"the exact solution of {quoted(missing)} is missing"
        yield warning(problem, "exact", message, "the error can be stated only for the others")
