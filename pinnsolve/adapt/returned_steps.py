"""Which of the two solutions of a march is returned: that of its steps, or the corrected one, which goes on beside it.

The estimate is the difference of the two. Of the error of the steps it misses what the corrected solution lacks itself,
a share that the coefficients tell: those that the richer space and the stage more have added are what the steps lack,
those of the last degrees before them are what steps of so much lower degrees would lack, and errors go on falling by
their ratio. Where that is not small the difference is too small for the steps; but it is no less than the error of the
corrected solution, as long as that is the smaller one, and this one is returned.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.adapt.collocation_step import Step
from pinnsolve.adapt.radau import radau
from pinnsolve.assembly.system import units
from pinnsolve.bases.legendre import held
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import enriched_space

MISSED = 0.1  # of an error, by which its estimate may be too small


def returned(steps: Sequence[Step]) -> list[tuple[Space, Tensor]]:
    """The space of every step, and its values (s + 1, C, U, n) at the start and at the nodes of s stages."""
    if share_missed(steps) > MISSED:
        return [(enriched_space(step.space), step.corrected) for step in steps]
    return [(step.space, step.values) for step in steps]


def share_missed(steps: Sequence[Step]) -> float:
    """What the corrected solution lacks itself of what the steps lack, of the unknown where that is most."""
    squares, fine = [], None
    for step in steps:
        if fine is None or step.space is not fine[0]:  # what a space knows of its cut cells serves all steps on it
            fine = step.space, enriched_space(step.space)
        squares.append(_squares(step, fine[1]))
    added, last = (torch.stack(parts).sum(dim=0) for parts in zip(*squares, strict=True))
    return float(torch.sqrt(added / units(last, added)).max())


def _squares(step: Step, fine: Space) -> tuple[Tensor, Tensor]:
    """(U,) each, over a step: squares of the corrected solution, which is in the `fine` space, in the functions that
    the steps do not have, and in the last ones that they have, of as many degrees in space and of one in time."""
    share = step.space.cells.volume * step.dt
    modal = torch.einsum("ij,jcun->icun", radau(len(step.corrected) - 1).modal(), step.corrected)
    squares = torch.einsum("icun,c->iun", fine.orthonormal(modal) ** 2, share)
    fewer = [2 * p - q for p, q in zip(step.space.degrees, fine.degrees, strict=True)]
    known, known_before = (held(fine.exponents, degrees, fine.ball) for degrees in (step.space.degrees, fewer))
    in_space = squares.sum(dim=0)
    added = in_space[:, ~known].sum(dim=1) + squares[-1].sum(dim=1)
    last = in_space[:, known & ~known_before].sum(dim=1) + squares[-2].sum(dim=1)
    return added, last
