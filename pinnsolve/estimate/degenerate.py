"""Does diffusion vanish where the solution does, and does what is spread keep its total?

Where the coefficient of the highest derivatives is zero with the solution, as in flow through a porous medium, fronts
with kinks travel into what is at rest. A linearization sees neither: least squares of the equation as it is written may
lose much of what is spread at the front, a little at every step, and their corrections say nothing of it. What the
residuals of a solution add up to, over all the domain and until a time, has come from nowhere or was lost.

Input: a compiled problem, a solution, its estimate, terms at fresh points. Output: what is lost, with sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from pinnsolve.assembly.rows import Assembly, TermRows
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.estimate.balances import lost_until
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.language.symbols import Feature, FeatureSymbol

VANISHES, LEAST_SHARE = 1e-3, 0.05  # of its largest value; of the domain in which it does
BEYOND = 2.0  # times the estimate is the least share of a total that contradicts it
SENTENCE = (
    "in `{name}` the coefficients of the highest derivatives of `{u}` vanish in a part of the domain, at whose edge "
    "kinks travel, and {percent:.2g} % of `{u}` were lost there or came from nowhere. A degenerate diffusion has weak "
    "solutions; add a small one that does not vanish, such as `1e-3*{second}`"
)


@dataclass(frozen=True)
class Lost:
    """The `share` of its total that an unknown has lost or gained, and what is to be said of that."""

    unknown: str
    share: float
    sentence: str


def lost_totals(
    problem: CompiledProblem, solution: Approximation, estimate: Mapping[str, float], check: Assembly
) -> Iterator[Lost]:
    """Of every equation whose diffusion vanishes, what it loses where that is more than its estimate allows."""
    for rows in check.terms if problem.time is not None and not problem.linear else ():
        found = _evolving(problem, rows.term)
        if found is None or not _vanishes(rows, solution):
            continue
        unknown, factor = found
        size = float(solution.values(rows.points.x[0])[problem.unknowns.index(unknown)].abs().mean())
        share = lost_until(problem, solution, rows.term.name) / max(abs(factor) * size, 1e-300)
        if share > max(BEYOND * estimate.get(unknown, 0.0), float(problem.settings.tolerance)):
            yield Lost(unknown, share, SENTENCE.format(
                name=rows.term.name, u=unknown, percent=100 * share, second=_second(problem, unknown)
            ))  # fmt: skip


def _evolving(problem: CompiledProblem, term: Term) -> tuple[str, float] | None:
    """The unknown whose first derivative in time an equation holds, by a number, which is the second."""
    if term.kind != "equation" or len(term.residuals) != 1 or term.region.where is not None:
        return None
    axis = problem.coordinates.index(problem.time)
    found = [(f, c) for f, c in term.linearizations[0].features if f.alpha[axis]]
    if len(found) != 1 or found[0][0].order != 1 or not found[0][1].is_number:
        return None
    return found[0][0].unknown, float(found[0][1])


def _vanishes(rows: TermRows, solution: Approximation) -> bool:
    """Whether the coefficients of the highest derivatives depend on the unknowns, and vanish in part of the domain."""
    features = [f for f in rows.term.features if f.operator is None]
    highest = max((f.order for f in features), default=0)
    depends = any(
        f.order == highest and any(isinstance(s, FeatureSymbol) for s in c.free_symbols)
        for f, c in rows.term.linearizations[0].features
    )
    if highest < 2 or not depends:
        return False
    values = rows.combined(solution.basis, solution.state)
    coefficients = rows.linearized(values, solution.state)[1][0]
    size = torch.zeros(rows.points.count, dtype=torch.float64)
    for f, c in coefficients.items():
        if isinstance(f, Feature) and f.order == highest:
            size += torch.nan_to_num(torch.as_tensor(c).abs().to(size), posinf=0.0)
    return float((size <= VANISHES * size.max()).double().mean()) >= LEAST_SHARE


def _second(problem: CompiledProblem, unknown: str) -> str:
    axes = [c for c in problem.coordinates if c != problem.time]
    return f"D({unknown}, {axes[0]}, {axes[0]})" if len(axes) == 1 else f"laplacian({unknown})"
