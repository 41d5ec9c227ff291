"""What is wrong with the values of data files, which are read when a problem is solved, and here to find it before."""

from __future__ import annotations

from collections.abc import Iterator

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.files.tables import measured_columns, reference_columns
from pinnsolve.problem.problem import Problem


def table_errors(problem: Problem) -> Iterator[Diagnostic]:
    """The errors that a solve would stop at in the files of data, and in that of a reference."""
    for name, item in problem.spec.data.items():
        path = problem.spec.folder / item.file
        try:
            measured_columns(path, f"data.{name}", problem.coordinates, problem.intervals)
        except ProblemError as error:
            yield from error.diagnostics
    if problem.reference is not None and not problem.exact:
        try:
            reference_columns(problem.reference, problem.coordinates, problem.unknowns)
        except ProblemError as error:
            yield from error.diagnostics
