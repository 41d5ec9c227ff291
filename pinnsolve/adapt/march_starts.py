"""The start of a march by collocation: its rows, whether conditions contradict it, whether layers set out from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from pinnsolve.adapt.collocation_step import Moment
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.term_rows import term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.estimate.enriched_space import enriched_space

CONTRADICTS = 30.0  # times the error allowed: by what a start must miss the walls for kinks or layers to set out
CONSTRAINED = 1e4  # term weight of constraints beside what is stated of the start
SHORT = 1e-6  # of the time: over which derivatives in time are differences
STAYS = 0.3  # of what a start misses, that is no matter of the space: what is left of it in the richer space


@dataclass(frozen=True)
class Starts:
    """Of a problem between two times, the `interval`; `weights`: the file's epsilon_k by term."""

    stated: SpaceProblem
    weights: Mapping[str, float]
    interval: tuple[float, float]

    @property
    def levels(self) -> int:
        """How many orders in time steps start from: values, and derivatives of problems of second order."""
        return max(self.stated.levels - 1, 1)

    @property
    def whole(self) -> float:
        """How long it is."""
        return self.interval[1] - self.interval[0]

    @property
    def unknowns(self) -> int:
        """Of the start: those of the problem in space that are none of its derivatives in time beyond these."""
        return self.levels * len(self.stated.evolving)

    def rows(self, space: Space) -> list[RowSource]:
        """What is stated of the start, with the constraints that it must meet for pressures to be of any size."""
        stated, names = self.stated, self.stated.problem.unknowns[: self.unknowns]
        rows: list[RowSource] = [*term_rows(replace(stated.start, unknowns=names), space, self.weights)]
        if stated.constraints:
            bound = replace(stated.problem, terms=stated.constraints, unknowns=names)
            weights = {t.name: CONSTRAINED * self.weights.get(t.name, 1.0) for t in stated.constraints}
            evolves = [*stated.evolving, *(0 for _ in stated.continuous[len(stated.evolving) :])]
            orders = [order if k else (0,) * len(order) for order, k in zip(stated.continuous, evolves, strict=True)]
            between = continuity_rows(space, bound.coordinates, orders[: self.unknowns])
            rows += [*term_rows(bound, space, weights), *between]
        return rows

    def contradicted(self, space: Space, start: Moment, accuracy: float) -> bool:
        """Whether the start misses the conditions that hold at all times, by more than the space does not hold.

        Of second order its derivatives in time are told, too, and may contradict those of the conditions. Slopes that
        the boundary asks for diffuse inwards from nothing, and contradict no start of first order in time.
        """
        problem, fine = self.stated.problem, enriched_space(space)
        at_all_times = tuple(term for term in problem.terms if term.kind != "equation")
        if self.stated.constraints:  # of which the start may be a compromise
            at_all_times = (*self.stated.constraints, *self.stated.start.terms)
        if max(self.stated.evolving) == 1:
            at_all_times = tuple(term for term in at_all_times if not _is_of_slopes(term))
        wide = torch.stack([space.widened(one, fine) for one in start.c]) + start.e
        size = [float(space.rms(one).max()) for one in start.c]
        looks = [(partial(self.missed, replace(problem, terms=at_all_times)), size[0])]
        if len(start.c) > 1:  # values go on as they are told to, until walls bend them at once
            values = problem.unknowns[: len(self.stated.evolving)]
            of_values = tuple(term for term in at_all_times if all(f.unknown in values for f in term.features))
            looks.append(
                (partial(self.rate_missed, replace(problem, terms=of_values)), max(size[1], size[0] / self.whole))
            )
        for look, unit in looks:
            allowed, missed = CONTRADICTS * accuracy * unit, look(space, start.c)
            if missed > allowed and look(fine, wide) > max(allowed, STAYS * missed):
                return True
        return False

    def layered(self, space: Space, start: Moment, accuracy: float) -> bool:
        """Whether layers set out that begin as nothing: from rest, or where slopes on the boundary jump at once."""
        size = float(space.rms(start.c[0]).max())
        if size == 0.0:
            return True
        slopes = tuple(t for t in self.stated.problem.terms if t.kind != "equation" and _is_of_slopes(t))
        if not slopes or max(self.stated.evolving) > 1:
            return False
        return self.missed(replace(self.stated.problem, terms=slopes), space, start.c) > accuracy * size

    def missed(self, conditions: CompiledProblem, space: Space, start: Tensor) -> float:
        """The root of the loss of conditions at the start (L, C, U, n)."""
        return math.sqrt(sum(block.loss for block in self._rows_at(conditions, space, start, 0.0)))

    def rate_missed(self, conditions: CompiledProblem, space: Space, start: Tensor) -> float:
        """The same of their derivatives in time, where those of the values are what the start says; conditions of
        values alone."""
        later = torch.stack([start[0] + SHORT * self.whole * start[1], *start[1:]])
        two = zip(*(self._rows_at(conditions, space, *at) for at in ((start, 0.0), (later, SHORT))), strict=True)
        return math.sqrt(sum(replace(now, r=now.r - then.r).loss for then, now in two)) / (SHORT * self.whole)

    def _rows_at(self, conditions: CompiledProblem, space: Space, start: Tensor, share: float) -> list[RowBlock]:
        """Once that share of the time has passed, with the units of its start."""
        given = [one * self.whole**k for k, one in enumerate(start)]  # in its units
        c = torch.cat([*given, *torch.zeros_like(start[:1]).expand(self.stated.levels - len(start), -1, -1, -1)], 1)
        at_start, now = (
            torch.tensor([self.interval[0] + passed * self.whole, 1.0 / self.whole], dtype=torch.float64)
            for passed in (0.0, share)
        )
        sources = [rows.scaled_at(State(None, at_start)) for rows in term_rows(conditions, space, self.weights)]
        return [source.rows(State(c, now), matrix=False) for source in sources]


def _is_of_slopes(term: Term) -> bool:
    """Whether all conditions of a term are of derivatives."""
    return all(any(any(f.alpha) for f, _ in one.features) for one in term.linearizations)
