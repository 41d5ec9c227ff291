"""Does a solution meet the data as well as their noise lets it?

A basis that is too coarse for equations and data at once follows neither, and the linear estimate of its error sees
only what a slightly richer one would change. What the file states of the noise is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pinnsolve.compiler.terms import CompiledProblem

MISSED = 3.0  # times the noise that is stated: no sample of some ten values leaves so much


def missed_data(problem: CompiledProblem, terms: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Sentences on the data that a solution misses; `terms`: the report of each term, with its rms residual."""
    for term in problem.terms:
        if term.data_file is None or not term.noise or term.robust or term.name not in terms:
            continue
        times = terms[term.name]["rms_residual"] / term.noise
        if times > MISSED:
            yield (
                f"this does not solve the problem: the data `{term.name}` are missed by {times:.1f} times the noise "
                "that is stated; the basis is too coarse, or the equations or the noise are not those of the data"
            )
