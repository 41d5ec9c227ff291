"""How well a linearized least squares foretells data that it has not seen: cross-validation without fitting again.

With H the influence of the data on their own fit, the residuals that a group of values has in the fit to all others are
(I - H_gg)^-1 r_g (Allen's PRESS: Technometrics 16 (1974) 125-127; Cook & Weisberg, Residuals and Influence in
Regression, 1982, section 2.2). H is that of the coefficients with the parameters held, which every set of parameters
shares, and that of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock
from pinnsolve.assembly.schur_complement import applied, products
from pinnsolve.inverse.statement import InverseProblem, data_rows
from pinnsolve.solvers.gauss_newton import Iterate

MOST_HELD_OUT = 400  # measured points that are held out, each for itself
WEAK = 1e-13  # eigenvalues of an information matrix with ones on its diagonal that are none


@dataclass(frozen=True)
class Linearized:
    """The least squares at a state, as one in the parameters alone, in standard deviations of the data.

    The squares are constant - 2 b^T theta + theta^T S theta. `Q` (M, P): derivatives of the residuals `r` (M,) of the
    data; `parameters` (P,) there; `freedom`: degrees of freedom that the coefficients take of the `count` values.
    `groups`: by term of data, the numbers (G, R) of the residuals that are held out together, and the influence
    (G, R, R) of the coefficients.
    """

    S: Tensor
    b: Tensor
    Q: Tensor
    r: Tensor
    parameters: Tensor
    freedom: float
    count: int
    groups: Sequence[tuple[Tensor, Tensor]]

    def best(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The parameters (P,) that are best where all but those chosen are zero, and their covariance (k, k) without
        the factor of the noise."""
        chosen = list(chosen)
        S = self.S[chosen][:, chosen]
        theta = torch.zeros_like(self.parameters)
        covariance = S
        if chosen:
            scale = 1.0 / torch.diagonal(S).clamp_min(1e-300).sqrt()
            values, vectors = torch.linalg.eigh(scale[:, None] * S * scale)
            values = values.clamp_min(WEAK * float(values.max()))
            covariance = scale[:, None] * ((vectors / values) @ vectors.T) * scale
            theta[chosen] = covariance @ self.b[chosen]
        return theta, covariance

    def held_out(self, chosen: Sequence[int]) -> Tensor:
        """The squares (G,) of the residuals that groups have in fits to all the others, where only those chosen are not
        zero."""
        theta, covariance = self.best(chosen)
        r, Q = self.r + self.Q @ (theta - self.parameters), self.Q[:, list(chosen)]
        found = []
        for rows, influence in self.groups:
            H = influence + Q[rows] @ covariance @ Q[rows].mT
            alone = torch.linalg.lstsq(torch.eye(H.shape[1]).to(H) - H, r[rows][:, :, None]).solution
            found.append((alone[:, :, 0] ** 2).sum(dim=1))
        return torch.cat(found)


def linearized(statement: InverseProblem, found: Iterate) -> Linearized:
    """The least squares at an iterate whose factorization is that of its state."""
    unit, reduced = statement.measurements.unit, found.reduced
    measured = [block.name in statement.measurements.names for block in found.rows]
    Q = torch.cat([q.flatten(0, 1) for q, m in zip(reduced.Q, measured, strict=True) if m]) / unit
    r = torch.cat([block.r.flatten() for block, m in zip(found.rows, measured, strict=True) if m]) / unit
    slope = products(reduced.Q, [block.r[:, :, None] for block in found.rows])[:, 0] / unit**2
    S, parameters = reduced.S / unit**2, found.state.parameters
    keep = torch.cat([source.keep.flatten() for source in data_rows(found.system)])
    groups = [(rows, *_influence(found, measured, rows)) for rows in _groups(found)]
    tested = sum(rows.numel() for rows, _, _ in groups)
    freedom = sum(trace for _, _, trace in groups) * int(keep.sum()) / tested
    pairs = [(rows, influence) for rows, influence, _ in groups]
    return Linearized(S, S @ parameters - slope, Q, r, parameters, freedom, int(keep.sum()), pairs)


def _groups(found: Iterate) -> list[Tensor]:
    """By term of data, the numbers (G, R) of the residuals that are held out together: those of one point."""
    groups, first = [], 0
    for source in data_rows(found.system):
        members, M = source.keep.shape
        residuals = len(source.term.residuals)
        number = first + torch.arange(members * M).reshape(members, residuals, M // residuals)
        kept = source.keep.reshape(members, residuals, -1)[:, 0]
        here = number.permute(0, 2, 1)[kept]
        groups.append(here[:: max(1, math.ceil(len(here) / MOST_HELD_OUT))])
        first += members * M
    return groups


def _influence(found: Iterate, measured: Sequence[bool], rows: Tensor) -> tuple[Tensor, float]:
    """(G, R, R) the influence of the groups' values on their own fit, parameters held; and the trace of it."""
    G, R = rows.shape
    columns = _columns(found.reduced.matrices, measured, rows.flatten())
    fitted = applied(found.reduced.matrices, found.reduced.least(columns))
    of_data = torch.cat([f.flatten(0, 1) for f, m in zip(fitted, measured, strict=True) if m])  # (M, G R)
    own = of_data[rows[:, :, None], torch.arange(G * R).reshape(G, 1, R)]
    return own, float(torch.diagonal(own, dim1=1, dim2=2).sum())


def _columns(matrices: Sequence[RowBlock], measured: Sequence[bool], rows: Tensor) -> list[Tensor]:
    """Right-hand sides (G, M, K) per block: ones at the K rows of the data, zero elsewhere."""
    columns, first = [], 0
    for block, is_data in zip(matrices, measured, strict=True):
        column = torch.zeros(block.r.numel(), len(rows), dtype=block.r.dtype)
        if is_data:
            here = ((rows >= first) & (rows < first + block.r.numel())).nonzero()[:, 0]
            column[rows[here] - first, here] = 1.0
            first += block.r.numel()
        columns.append(column.reshape(*block.r.shape, -1))
    return columns
