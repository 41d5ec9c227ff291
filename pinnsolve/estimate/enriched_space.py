"""How wrong a solution on cells is: its correction in a space of higher degrees, and which cells and axes to blame.

The correction solves the linearized least squares on the same cells with two more degrees per axis, on points of its
own (as in `defect_correction`; for spectral elements, hierarchical error estimates: Bank & Smith, SIAM J. Numer. Anal.
30 (1993) 921-935). Its part in the added degrees of an axis says where that axis is too coarse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import RowBlock, State, residual_norm
from pinnsolve.assembly.schur_complement import BlockFactorization
from pinnsolve.assembly.system import CellSystem
from pinnsolve.bases.legendre import BALL, fill_ball, held
from pinnsolve.bases.piecewise.space import Space

EXTRA_DEGREES = 2
CORRECTIONS = 3
NEGLIGIBLE = 0.02  # of all corrections: one that small is the last
MOST_LEFT = 0.99
ROUNDING = 1e-13  # relative to the solution


@dataclass(frozen=True)
class Correction:
    """`space`, `state`: the corrected solution; `delta`: (C, U, n) what was added, `moved`: (P,) and to the parameters;
    `left`: the share of the residual that stayed; `first`, `rows`: before the correction, and after it; `reduced`: the
    factorization, for further right-hand sides; `seen`: the share of the error that it holds, as far as that is known
    from others."""

    space: Space
    state: State
    delta: Tensor
    moved: Tensor
    left: float
    first: Sequence[RowBlock]
    rows: Sequence[RowBlock]
    reduced: BlockFactorization
    seen: float = 1.0

    @property
    def c(self) -> Tensor:
        """(C, U, n): the coefficients of the corrected solution."""
        return self.state.coefficients

    def error(self, carried: Tensor | float = 0.0) -> Tensor:
        """(U,) root mean square of the correction, enlarged by what it left of the residual, and what is `carried`."""
        return self.space.rms(self.enlargement * self.delta + carried)

    @property
    def enlargement(self) -> float:
        """What is left of the residual is orthogonal to what was removed, and counts as much per row."""
        return 1.0 / (self.seen * math.sqrt(1.0 - min(self.left, MOST_LEFT) ** 2))


def enriched_space(space: Space) -> Space:
    """The same cells with `EXTRA_DEGREES` more per axis; one more in three and four variables.

    In one or two variables, one would do nothing for a function that is even or odd about the middle of its cell. A
    ball that grows by one takes in functions of either kind, but not those of one variable alone, as kinks may be.
    """
    extra = EXTRA_DEGREES if len(space.degrees) < BALL or space.ball else 1
    return replace(space, degrees=tuple(p + extra for p in space.degrees))


def correct(
    system: CellSystem, start: State, known: BlockFactorization | None = None, bounds: Bounds | None = None
) -> Correction:
    """The correction of a state that is already written in the space of `system`.

    Unknown parameters move within the `bounds`, if there are any. The factorization is that of the start, or `known`.
    """
    first = system.rows(start, matrix=known is None)
    reduced = known
    if reduced is None:
        first, reduced = system.factorized(start, first, bounds is not None)
    before = now = _norm(first)
    state, rows, size = start, first, math.inf
    for number in range(CORRECTIONS):
        step, moved = reduced.step(rows, state.parameters, bounds)
        trial = State(state.coefficients + step, state.parameters + moved)
        trial_rows = system.rows(trial, matrix=False)
        trial_norm, trial_size = _norm(trial_rows), float(step.norm())
        # whether it lowers the residual or not, the first step is what is known of the error
        if number and (not trial_norm <= now or not trial_size < 0.5 * size):
            break
        state, rows, size = trial, trial_rows, trial_size
        if not trial_norm <= now:  # rounding, or lost: nothing of the residual was explained
            break
        now = trial_norm
        if number and size <= NEGLIGIBLE * float((state.coefficients - start.coefficients).norm()):
            break
    delta, moved = state.coefficients - start.coefficients, state.parameters - start.parameters
    # of rounding nothing needs to be left over
    left = now / max(before, 1e-300) if float(delta.norm()) > ROUNDING * float(start.coefficients.norm()) else 0.0
    return Correction(system.space, state, delta, moved, left, first, rows, reduced)


def _norm(rows: Sequence[RowBlock]) -> float:
    """That of the residuals whose squares are least: what is to vanish exactly says nothing of the error."""
    return residual_norm([block for block in rows if not block.exact])


def blame(delta: Tensor, space: Space, degrees: tuple[int, ...]) -> Tensor:
    """(C, d): sum of squares of delta (C, U, n) in functions that `degrees` do not hold, divided among the axes.

    A function outside counts to the axes in proportion to (k_a / p_a)^2.
    """
    return (space.orthonormal(delta) ** 2).sum(dim=1) @ shares_of_axes(space, degrees)


def shares_of_axes(rich: Space, degrees: tuple[int, ...]) -> Tensor:
    """(n, d): for every function of the `rich` space that others do not hold the shares of the axes in the blame, one
    in all; see `blame`."""
    k = rich.exponents.double()
    share = (k / k.new_tensor([max(p, 1) for p in degrees])) ** 2
    outside = ~held(k, degrees, True)[:, None] if fill_ball(len(degrees), rich.ball) else share > 1 + 1e-12
    share = torch.where(outside, share, 0.0) ** 2  # squared: an axis takes most of the blame for what it alone exceeds
    return share / share.sum(dim=1, keepdim=True).clamp_min(1e-300)


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
