"""Results whose errors count by name, where a file gives tolerances of unknowns and quantities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pinnsolve.adapt.context import Result
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.quantities import Measured, measured_quantities


def counted(problem: CompiledProblem, result: Result) -> Result:
    """The result with what its errors count, and the errors of the quantities that do; itself where all unknowns count
    alike, or its error is not estimated."""
    counts = problem.counts
    if not counts or result.estimate is None:
        return result
    asked = [q.name for q in problem.quantities if counts[q.name]]
    if result.estimate.counts and len(result.estimate.quantities) == len(asked):
        return result
    estimate = result.estimate
    found = measured_quantities(problem, result.approximation, result.corrected, estimate.relative, asked=asked)
    errors = {name: relative_error(measured) for name, measured in found.items()}
    return replace(result, estimate=replace(result.estimate, counts=counts, quantities=errors))


def relative_error(measured: Measured) -> float:
    """The largest error of a quantity relative to its largest value; itself where that is zero."""
    error, size = float(np.max(measured.errors)), float(np.max(np.abs(measured.values)))
    return error / size if size > 0 else error
