"""Expressions of the unknowns of a solution and their derivatives, such as `u*D(u, x, x)`, at points.

Input: a `Solution` and texts. Output: `Expressions`, which are read and compiled once, and then give their values at
any points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pinnsolve.assembly.rows import apply_features
from pinnsolve.errors import ExpressionError, SolutionError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language.complex_numbers import PartsError, parts
from pinnsolve.language.expansion import exact_value
from pinnsolve.language.operators import OPERATORS
from pinnsolve.language.symbols import Feature, FeatureSymbol, coordinate_symbol
from pinnsolve.language.to_sympy import Scope, expression
from pinnsolve.language.to_torch import Evaluator

if TYPE_CHECKING:
    import sympy as sp

    from pinnsolve.results.solution import Solution

POINTS_AT_ONCE = 10_000  # that an operator is applied at: it answers with a number for every function of the basis


@dataclass(frozen=True)
class Expressions:
    """Expressions of everything the problem file names, by their texts; a complex one is two, `re(...)`, `im(...)`."""

    solution: Solution
    names: tuple[str, ...]
    constants: Mapping[str, float]
    evaluator: Evaluator

    @classmethod
    def of(cls, solution: Solution, texts: Sequence[str]) -> Expressions:
        """Read the texts. Raises `SolutionError` for what is no expression of these names."""
        constants, definitions = _names_of_file(solution.problem_text) if texts else ({}, {})
        constants |= {name: float(found["value"]) for name, found in solution.parameters.items()}
        scope = Scope(
            coordinates=solution.coordinates,
            time=solution.time,
            unknowns=(*solution.names, *solution.unknowns),
            complex_unknowns=solution.complex_unknowns,
            parameters=tuple(constants),
            definitions=definitions,
            operators=tuple(OPERATORS),
        )
        found: dict[str, sp.Expr] = {}
        for text in texts:
            found |= _read(text, scope)
        return cls(solution, tuple(found), constants, Evaluator(list(found.values())))

    def at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """(N,) by name, at points (N, d)."""
        if not self.names:
            return {}
        coordinates = self.solution.coordinates
        columns = (torch.from_numpy(column.copy()) for column in points.T)
        values: dict = {coordinate_symbol(name): c for name, c in zip(coordinates, columns, strict=True)}
        values |= {coordinate_symbol(name): value for name, value in self.constants.items()}
        for symbol in self.evaluator.symbols:
            if isinstance(symbol, FeatureSymbol):
                values[symbol] = torch.from_numpy(_feature_values(self.solution, points, symbol.feature))
        results = (torch.as_tensor(result, dtype=torch.float64) for result in self.evaluator(values))
        return {name: r.expand(len(points)).numpy() for name, r in zip(self.names, results, strict=True)}


def _read(text: str, scope: Scope) -> dict[str, sp.Expr]:
    """The real expressions that a text stands for, by the names of their columns."""
    try:
        real, imaginary = parts(expression(text, scope))
    except ExpressionError as error:
        raise SolutionError("\n".join(_explained(text, error))) from None
    except PartsError as error:
        raise SolutionError(f"--derivative {text}: {error}") from None
    return {text: real} if imaginary == 0 else {f"re({text})": real, f"im({text})": imaginary}


def _feature_values(solution: Solution, points: np.ndarray, feature: Feature) -> np.ndarray:
    """A derivative of an unknown, or what an operator registered through Python makes of it, at points: (N,)."""
    if feature.operator is None:
        return solution.values(points, feature.unknown, feature.alpha)
    asked, found = (feature.alpha, feature.operator), np.full(len(points), np.nan)
    coefficients = solution.coefficients[solution.unknowns.index(feature.unknown)]
    inside = np.flatnonzero(solution.in_domain(points))
    for start in range(0, len(inside), POINTS_AT_ONCE):
        some = inside[start : start + POINTS_AT_ONCE]
        x = torch.as_tensor(points[some]).to(coefficients)
        with torch.no_grad():
            found[some] = (apply_features(solution.basis, x, [asked], None)[asked] @ coefficients).cpu().numpy()
    return found


def _names_of_file(problem_text: str) -> tuple[dict[str, float], dict[str, str]]:
    """Parameters and definitions of a resolved problem file."""
    data = parse_yaml(problem_text).data if problem_text.strip() else {}
    exact: dict = {}
    definitions = {key: str(text) for key, text in (data.get("definitions") or {}).items()}
    for name, text in (data.get("parameters") or {}).items():
        if isinstance(text, dict):  # a range: a coordinate of the solution
            continue
        try:
            exact[name] = exact_value(text, exact)
        except ExpressionError:  # it depends on one
            definitions[name] = str(text)
    return {name: float(value) for name, value in exact.items()}, definitions


def _explained(text: str, error: ExpressionError) -> Iterator[str]:
    yield f"--derivative: {error.message}"
    yield f"    {text}"
    if error.offset is not None:
        yield "    " + " " * error.offset + "^"
    if error.hint:
        yield f"    {error.hint}"
