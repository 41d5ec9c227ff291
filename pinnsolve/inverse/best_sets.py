"""Sets of candidates from a linearized least squares: of every size, the one that leaves least of the data.

With S and b, the squares are constant - 2 b^T theta + theta^T S theta, and a set leaves the more of them the smaller
b_M^T S_MM^-1 b_M is. As long as there are few sets of a size, all are tried (best subset regression: Miller, Subset
Selection in Regression, 2002, chapter 3); else candidates are dropped one by one, the least significant first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

MOST_SETS = 20_000  # of one size that are all tried
AT_ONCE = 4096  # sets whose systems are solved together
ROUNDING = 1e-13  # of an information matrix with ones on its diagonal


def best_sets(S: Tensor, b: Tensor, candidates: Sequence[int]) -> list[tuple[int, ...]]:
    """Of every size from none to all, the best set of the candidates among the P parameters; the others always stay.

    S (P, P), b (P,).
    """
    kept = [i for i in range(len(b)) if i not in candidates]
    C, g = _eliminated(S, b, kept, list(candidates))
    scale = 1.0 / torch.diagonal(C).clamp_min(1e-300).sqrt()
    C, g = scale[:, None] * C * scale, scale * g
    found: list[tuple[int, ...]] = [()]
    dropped = {len(one): one for one in _dropped_one_by_one(C, g)}
    for size in range(1, len(g) + 1):
        few = math.comb(len(g), size) <= MOST_SETS
        found.append(_best_of(C, g, size) if few else dropped[size])
    return [tuple(candidates[i] for i in one) for one in found]


def _eliminated(S: Tensor, b: Tensor, kept: list[int], rest: list[int]) -> tuple[Tensor, Tensor]:
    """S and b of the `rest`, where those `kept` are always the best."""
    if not kept:
        return S[rest][:, rest], b[rest]
    coupling = torch.linalg.lstsq(S[kept][:, kept], S[kept][:, rest]).solution
    return S[rest][:, rest] - S[rest][:, kept] @ coupling, b[rest] - coupling.T @ b[kept]


def gains(S: Tensor, b: Tensor, sets: Tensor) -> Tensor:
    """(N,) b_M^T S_MM^-1 b_M for sets (N, k)."""
    found = []
    for some in sets.split(AT_ONCE):
        A = S[some[:, :, None], some[:, None, :]] + ROUNDING * torch.eye(sets.shape[1]).to(S)
        right = b[some]
        found.append((right * torch.linalg.solve(A, right)).sum(dim=1))
    return torch.cat(found)


def _best_of(S: Tensor, b: Tensor, size: int) -> tuple[int, ...]:
    numbers = itertools.chain.from_iterable(itertools.combinations(range(len(b)), size))
    sets = torch.as_tensor(np.fromiter(numbers, np.int64)).reshape(-1, size)
    return tuple(sets[int(gains(S, b, sets).argmax())].tolist())


def _dropped_one_by_one(S: Tensor, b: Tensor) -> Iterator[tuple[int, ...]]:
    """All, then without the one whose estimate is smallest beside its standard error, and so on."""
    left = list(range(len(b)))
    while left:
        yield tuple(left)
        smaller = torch.tensor([[i for i in left if i != one] for one in left])
        least = int(gains(S, b, smaller).argmax()) if len(left) > 1 else 0
        left.pop(least)
