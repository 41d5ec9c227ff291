"""How wrong a solution on cells is: its correction in a space of higher degrees, and which cells and axes to blame.

The correction solves the linearized least squares on the same cells with two more degrees per axis, on points of its
own (as in `defect_correction`; for spectral elements, hierarchical error estimates: Bank & Smith, SIAM J. Numer. Anal.
30 (1993) 921-935). Its part in the added degrees of an axis says where that axis is too coarse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.system import System, residual_norm
from pinnsolve.bases.legendre import BALL, exponents
from pinnsolve.bases.piecewise.space import Space

EXTRA_DEGREES = 2
CORRECTIONS = 3
MOST_LEFT = 0.99
ROUNDING = 1e-13  # relative to the solution


@dataclass(frozen=True)
class Correction:
    """`space`, `c`: the corrected solution; `delta`: (C, U, n) what was added; `left`: the share of the residual that
    stayed; `factor`, `matrices`: for further right-hand sides."""

    space: Space
    c: Tensor
    delta: Tensor
    left: float
    factor: object
    matrices: list

    def error(self, carried: Tensor | float = 0.0) -> Tensor:
        """(U,) root mean square of the correction, enlarged by what it left of the residual, and what is `carried`."""
        return self.space.rms(self.enlargement * self.delta + carried)

    @property
    def enlargement(self) -> float:
        """What is left of the residual is orthogonal to what was removed, and counts as much per row."""
        return 1.0 / math.sqrt(1.0 - min(self.left, MOST_LEFT) ** 2)


def enriched_space(space: Space) -> Space:
    """The same cells with `EXTRA_DEGREES` more per axis; one more where degrees fill a ball.

    In one or two variables, one would do nothing for a function that is even or odd about the middle of its cell. A
    ball that grows by one takes in functions of either kind.
    """
    extra = EXTRA_DEGREES if len(space.degrees) < BALL else 1
    return Space(space.cells, tuple(p + extra for p in space.degrees), space.orders)


def correct(system: System, c: Tensor, known: tuple | None = None) -> Correction:
    """The correction of c, which is already written in the space of `system`."""
    start = c
    rows = system.rows(c, with_matrix=known is None)
    factor, matrices = known if known is not None else (system.factorize(rows), rows)
    before = residual_norm(rows)
    now, size = before, float("inf")
    for _ in range(CORRECTIONS):
        step = system.step(factor, rows, matrices)
        trial = c + step
        rows = system.rows(trial, with_matrix=False)
        trial_norm, trial_size = residual_norm(rows), float(step.norm())
        if c is start:
            # whether it lowers the residual or not, the first step is what is known of the error
            c, size = trial, trial_size
            if not trial_norm <= before:  # rounding, or lost: nothing of the residual was explained
                now = before
                break
            now = trial_norm
            continue
        if not trial_norm <= now or not trial_size < 0.5 * size:
            break
        c, now, size = trial, trial_norm, trial_size
        if size <= 0.02 * float((c - start).norm()):
            break
    # of rounding nothing needs to be left over
    left = now / max(before, 1e-300) if float((c - start).norm()) > ROUNDING * float(start.norm()) else 0.0
    return Correction(system.space, c, c - start, left, factor, matrices)


def blame(delta: Tensor, space: Space, degrees: tuple[int, ...]) -> Tensor:
    """(C, d): sum of squares of delta (C, U, n) in functions that `degrees` do not hold, divided among the axes.

    A function outside counts to the axes in proportion to (k_a / p_a)^2.
    """
    k = exponents(space.degrees)
    share = (k / torch.tensor([max(p, 1) for p in degrees]).to(delta)) ** 2  # (n, d)
    if len(degrees) < BALL:
        share = torch.where(share > 1 + 1e-12, share, 0.0)
    else:
        share = torch.where(share.sum(dim=1, keepdim=True) > 1 + 1e-12, share, 0.0)
    share = share**2  # so that an axis takes most of the blame for what it alone exceeds
    return (space.orthonormal(delta) ** 2).sum(dim=1) @ (share / share.sum(dim=1, keepdim=True).clamp_min(1e-300))


def decay_rates(c: Tensor, space: Space) -> Tensor:
    """(C, d): the factor by which coefficients fall per degree, from a line through the upper half of log |c_k|."""
    energy = (space.spread(space.orthonormal(c)) ** 2).sum(dim=1)
    result = []
    for axis, p in enumerate(space.degrees):
        others = tuple(a + 1 for a in range(len(space.degrees)) if a != axis)
        e = energy.sum(dim=others) if others else energy
        total = e.sum(dim=1, keepdim=True).clamp_min(1e-300)
        # pairs of degrees together, since odd or even ones may vanish
        log = 0.5 * torch.log((e[:, :-1] + e[:, 1:]) / total + 1e-32)
        log = log[:, (p // 2) :]
        k = torch.arange(log.shape[1], dtype=c.dtype)
        k = k - k.mean()
        slope = (log * k).sum(dim=1) / (k**2).sum().clamp_min(1.0)
        result.append(torch.exp(slope))
    return torch.stack(result, dim=1)
