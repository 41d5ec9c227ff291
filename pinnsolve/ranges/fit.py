"""Members that are solved so far, and how wrong the function between them may be.

Input: solved members by multi-index, and their values at points of the domain. Output: the surplus of each, its
distance from the interpolant of those before it; an estimate from the surpluses at the margin of the set, or from
members held out of the interpolation; and the indices to solve next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.system import shared, units
from pinnsolve.bases.newton import Index, interpolation_matrix, margin, points_of, sparse_products
from pinnsolve.language.components import by_component
from pinnsolve.ranges.member import SolvedMember

BACK = {1: 3, 2: 1}  # surpluses along an axis that tell what the next may be, by the number of ranges
DECAY = 0.5  # by which the surplus of a step further is foreseen to be smaller
ENOUGH, BETWEEN = 4, 1.5  # places drawn that tell of all others; times their largest error, what these may have
PLACES = 400  # of the ranges, at which the errors of members are combined
SEED = 7_919


@dataclass(frozen=True)
class Fit:
    """Indices in an order in which none comes before those below it, the members there and their values (K, U, N).

    `surpluses`: (U,) relative to the member, by index. `held_out`: members outside of the interpolation, with their
    values (U, N). `blocked`: indices of members that have no solution. `groups`: the unknowns that are one thing, the
    parts of a complex one or the components of a vector: their errors are relative to the size of the whole.
    """

    indices: tuple[Index, ...] = ()
    members: tuple[SolvedMember, ...] = ()
    values: Tensor = field(default_factory=lambda: torch.zeros(0))
    surpluses: Mapping[Index, Tensor] = field(default_factory=dict)
    held_out: tuple[tuple[SolvedMember, Tensor], ...] = ()
    blocked: frozenset[Index] = frozenset()
    groups: tuple[tuple[int, ...], ...] = ()

    def with_member(self, index: Index, member: SolvedMember, values: Tensor) -> Fit:
        """With one more, of values (U, N)."""
        surplus = values
        if self.indices:
            place = points_of([index])
            surplus = values - self.at(place)[0]
        return Fit(
            (*self.indices, index),
            (*self.members, member),
            torch.cat([self.values, values[None]]) if self.indices else values[None],
            {**self.surpluses, index: self._relative(surplus, values)},
            self.held_out,
            self.blocked,
            self.groups,
        )

    def at(self, places: Tensor) -> Tensor:
        """(M, U, N): the interpolant at places (M, r) in [-1, 1]^r."""
        return torch.tensordot(self.weights(places), self.values, dims=1)

    def weights(self, places: Tensor) -> Tensor:
        """(M, K): the weights of the members at places (M, r)."""
        zero = (0,) * places.shape[1]
        return sparse_products(places, self.indices, zero).T @ self._matrix

    @cached_property
    def _matrix(self) -> Tensor:
        return interpolation_matrix(self.indices)

    # -- errors --

    @cached_property
    def of_members(self) -> Tensor:
        """(U,) what the errors of the members, taken as independent, make of the interpolant, rms over the ranges."""
        errors = torch.tensor([_estimates(member) for member in self.members], dtype=torch.float64)  # (K, U)
        r = len(self.indices[0])
        places = 2 * torch.rand(PLACES, r, dtype=torch.float64, generator=torch.Generator().manual_seed(SEED)) - 1
        combined = torch.sqrt(self.weights(places) ** 2 @ errors**2)
        return combined.square().mean(dim=0).sqrt()

    @cached_property
    def of_interpolation(self) -> Tensor:
        """(U,) the contributions foreseen of the indices next to the set, and at least the error at held-out places.

        Where the solution is smooth in its parameters, each surplus is far below those before, and what is foreseen far
        above what comes; errors at several places that were drawn say more then.
        """
        ahead = [self.foreseen(index) for index in margin(self.indices)]
        error = torch.stack(ahead).sum(dim=0)
        found = self.of_held_out()
        if len(found) >= ENOUGH:
            error = torch.minimum(error, BETWEEN * torch.stack(found).amax(dim=0))
        for one in found:
            error = torch.maximum(error, one)
        return error

    def of_held_out(self) -> list[Tensor]:
        """(U,) relative errors at the held-out places."""
        result = []
        for member, values in self.held_out:
            place = torch.tensor([member.task.place], dtype=torch.float64)
            result.append(self._relative(self.at(place)[0] - values, values))
        return result

    def sizes(self, values: Tensor) -> Tensor:
        """(U,) root mean squares of values (U, N), those of one group alike."""
        return shared(values.square().mean(dim=1).sqrt(), self.groups)

    def _relative(self, error: Tensor, values: Tensor) -> Tensor:
        """(U,) root mean squares of errors (U, N), relative to the sizes of the values."""
        error = error.square().mean(dim=1).sqrt()
        return error / units(self.sizes(values), error)

    @cached_property
    def estimate(self) -> Tensor:
        """(U,) the error of the solution over the ranges, relative to the solution at the same parameters."""
        return self.of_members + self.of_interpolation

    def foreseen(self, index: Index, more: Mapping[Index, Tensor] | None = None) -> Tensor:
        """(U,) the surplus of an index, or of those that it opens the way to.

        Along each axis, the largest of the last few surpluses, of which some may vanish by symmetry, of all indices
        that are as large in the other places: where the solution is difficult at one end of a parameter, the way to
        difficult indices leads past easy ones. `more`: surpluses that are foreseen themselves.
        """
        known = {**self.surpluses, **(more or {})}
        found = [known[(0,) * len(index)] * 0.0]
        for axis, k in enumerate(index):
            last = range(max(k - BACK[min(len(index), 2)], 0), k)
            found += [s for j, s in known.items() if j[axis] in last and _reaches(j, index, axis)]
        return torch.stack(found).amax(dim=0)

    def next_indices(self, count: int) -> list[Index]:
        """The indices to solve next: one after the other that whose surplus is foreseen to be largest."""
        chosen: dict[Index, Tensor] = {}
        for _ in range(count):
            candidates = [i for i in margin((*self.indices, *chosen)) if i not in self.blocked]
            if not candidates:
                break
            ahead = {i: self.foreseen(i, chosen) for i in candidates}
            best = max(candidates, key=lambda i: float(ahead[i].max()))
            chosen[best] = DECAY * ahead[best]
        return list(chosen)


def _reaches(one: Index, other: Index, axis: int) -> bool:
    """Whether an index is at least as large as another in all places but one."""
    return all(j >= k for a, (j, k) in enumerate(zip(one, other, strict=True)) if a != axis)


def first_indices(ranges: int) -> list[Index]:
    """The middle, and five points along a single range, three along each of several."""
    along = 4 if ranges == 1 else 2
    zero = (0,) * ranges
    return [zero, *((*zero[:a], k, *zero[a + 1 :]) for k in range(1, along + 1) for a in range(ranges))]


def _estimates(member: SolvedMember) -> Sequence[float]:
    """The estimated error of each unknown of a member; one where it has none."""
    solution = member.solution
    found = by_component(solution.result.get("estimated_error") or {}, solution.complex_unknowns)
    return [1.0 if found.get(name) is None else float(found[name]) for name in solution.unknowns]


def all_converged(members: Iterable[SolvedMember]) -> bool:
    """Whether every member has a solution that meets the tolerance it was asked for."""
    return all(m.solution is not None and m.solution.result.get("status") == "converged" for m in members)
