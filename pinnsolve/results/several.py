"""Several solutions of one problem, from several first guesses: which are the same, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from pinnsolve.geometry.factory import make_shape
from pinnsolve.results.solution import Solution
from pinnsolve.runtime import random_tensor

POINTS = 500  # at which solutions are compared
SAME = 10.0  # times their estimated errors is the distance of solutions that are one
LEAST = 1e-9  # relative distance of solutions that are one, however small the estimates
KEPT = ("status", "message", "estimated_error", "relative_l2_error", "quantities", "parameters")


def with_others(first: Solution, others: Sequence[Solution]) -> Solution:
    """The first solution with the others, and a line for each of all in its result under `solutions`."""
    found, entries = [first, *others], []
    for number, one in enumerate(found):
        same = next((k + 1 for k, other in enumerate(found[:number]) if are_same(one, other)), None)
        said = {key: one.result[key] for key in KEPT if one.result.get(key)}
        entries.append({"guess": number + 1, **said, **({} if same is None else {"same_as": same})})
    different = sum("same_as" not in entry for entry in entries)
    message = f"{first.result.get('message', '')}; {len(found)} guesses led to {different} different solutions"
    return replace(first, others=tuple(others), result={**first.result, "message": message, "solutions": entries})


def are_same(one: Solution, other: Solution) -> bool:
    """Whether two solutions differ by no more than their errors."""
    x = _points(one)
    zero = (0,) * x.shape[1]
    a, b = (s.basis.combined(x, [zero], s.coefficients)[zero] for s in (one, other))
    size = torch.maximum(a.norm(dim=1), b.norm(dim=1))
    away = (a - b).norm(dim=1)
    errors = [s.result.get("estimated_error") or {} for s in (one, other)]
    allowed = [max(LEAST, SAME * sum(float(e.get(name) or 0.0) for e in errors)) for name in one.unknowns]
    return bool((away <= torch.tensor(allowed).to(size) * size.clamp_min(1e-300)).all())


def _points(solution: Solution) -> torch.Tensor:
    """(N, d) at random in the domain."""
    low, high = (torch.tensor([ends[i] for ends in solution.intervals], dtype=torch.float64) for i in (0, 1))
    unit = random_tensor(torch.rand, POINTS, len(low), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = low + unit * (high - low)
    if solution.shape is None:
        return x.to(solution.coefficients)
    space = [i for i, name in enumerate(solution.coordinates) if name != solution.time]
    inside = make_shape(solution.shape).inside(x[:, space])
    return x[inside].to(solution.coefficients)
