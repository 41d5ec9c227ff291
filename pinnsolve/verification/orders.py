"""How fast the error falls: with the size of cells at a fixed degree, and with the tolerance that is asked for.

Input: a `Problem` whose solution is known. Output: rows of a table, each from a solve of its own. Polynomials of degree
p approximate a smooth function to order p + 1 in the size h of cells, in the mean square. Least squares of equations of
order m make residuals of order p + 1 - m small, and by duality errors of twice that order at most (Bochev & Gunzburger,
Least-Squares Finite Element Methods, Springer (2009), section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinnsolve import pipeline
from pinnsolve.compiler.applicability import why_not_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.language.symbols import features_of
from pinnsolve.problem.problem import Problem

DEGREES = (3, 5)
TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8)
PARTITIONS = (1, 2, 4, 8, 16)  # per axis
MOST_COEFFICIENTS = {1: 4000, 2: 12000, 3: 6000, 4: 4000}  # by the number of coordinates: some seconds of work
ROUNDING = 1e-11  # relative errors below it say nothing of an order
SHORT_OF = 0.75  # of the order that is expected, which the last halving of cells may lack


@dataclass(frozen=True)
class CellRow:
    """Equal cells, `partitions` along each axis, of polynomials of a `degree`; errors are the largest of an unknown.

    `order`: by which power of h the error fell from the row before; None in the first and where rounding is all.
    """

    degree: int
    partitions: int
    coefficients: int
    error: float
    estimated: float
    order: float | None
    seconds: float


@dataclass(frozen=True)
class ToleranceRow:
    """A solve with a tolerance, as `run` does it."""

    tolerance: float
    error: float
    estimated: float
    status: str
    seconds: float


@dataclass(frozen=True)
class Verification:
    """What was measured, `against` the exact or a manufactured solution; `why_no_cells` in words, if there are none."""

    name: str
    against: str
    cells: tuple[CellRow, ...]
    tolerances: tuple[ToleranceRow, ...]
    why_no_cells: str = ""
    equation_order: int = 2

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences on what is not as it should be."""
        found = []
        for degree in dict.fromkeys(row.degree for row in self.cells):
            orders = [row.order for row in self.cells if row.degree == degree and row.order is not None]
            expected = self.expected_order(degree)
            if orders and orders[-1] < expected - SHORT_OF:
                found.append(f"cells of degree {degree} reach order {orders[-1]:.1f}, and {expected} is expected")
        for solve in self.tolerances:
            if solve.status == "converged" and solve.error > solve.tolerance:
                found.append(f"at tolerance {solve.tolerance:g} it converged, and the error is {solve.error:.1e}")
            elif solve.status != "converged":
                found.append(f"tolerance {solve.tolerance:g} was not reached: {solve.status}")
        return tuple(found)

    def expected_order(self, degree: int) -> int:
        """The order of the error of cells of a degree."""
        return min(degree + 1, 2 * (degree + 1 - self.equation_order))


def verify(
    problem: Problem,
    against: str,
    degrees: Sequence[int] = DEGREES,
    tolerances: Sequence[float] = TOLERANCES,
    told: Callable[[CellRow | ToleranceRow], None] = lambda row: None,
) -> Verification:
    """All rows, each told as it is measured. Raises `ProblemError` and `ResourceError` as a solve does."""
    reason = why_not_on_cells(problem)
    cells: list[CellRow] = []
    for row in () if reason else _on_cells(problem, degrees):
        cells.append(row)
        told(row)
    solves: list[ToleranceRow] = []
    for tolerance in tolerances:
        result = pipeline.solve(problem, tolerance=tolerance).result
        solves.append(ToleranceRow(tolerance, *_worst(result), result["status"], result["wall_time_s"]))
        told(solves[-1])
    order = max((f.order for s in problem.of_kind("equation") for r in s.residuals for f in features_of(r)), default=0)
    return Verification(problem.name, against, tuple(cells), tuple(solves), reason or "", order)


def why_not_on_cells(problem: Problem) -> str | None:
    """In words, why a problem is not solved on equal cells; None where it can be."""
    compiled = compile_problem(problem)
    if any(term.data_file is not None for term in compiled.terms):
        return "noise of the data, not the size of cells, says how large errors are"
    if problem.ranges:
        return "the error is that of an interpolation over ranges of parameters, too"
    if problem.shape is not None or compiled.materials:
        return "the domain is cut by curves or by what differs in its parts"
    return why_not_cells(compiled)


def _on_cells(problem: Problem, degrees: Sequence[int]) -> Iterator[CellRow]:
    """Cells are halved until they are many, or errors are rounding."""
    d, unknowns = len(problem.coordinates), len(problem.unknowns)
    for degree in degrees:
        before: CellRow | None = None
        for n in PARTITIONS:
            coefficients = unknowns * (n * (degree + 1)) ** d
            if coefficients > MOST_COEFFICIENTS.get(d, 0) and before is not None:
                break
            basis = {"kind": "pou_grid", "partitions": n, "degree": degree}
            result = pipeline.solve(problem, basis=basis, method="least_squares").result
            error, estimated = _worst(result)
            known = before is not None and min(error, before.error) > ROUNDING
            order = math.log2(before.error / error) if known and before is not None else None
            before = CellRow(degree, n, coefficients, error, estimated, order, result["wall_time_s"])
            yield before
            if error <= ROUNDING:
                break


def _worst(result: Mapping[str, Any]) -> tuple[float, float]:
    """The largest relative error of an unknown, and the largest estimate."""
    errors, estimates = result.get("relative_l2_error") or {}, result.get("estimated_error") or {}
    error, estimated = (
        max((v for v in found.values() if v is not None), default=math.nan) for found in (errors, estimates)
    )
    return error, estimated
