"""Whether characteristics cross in a slab: a solution that goes on behind that is a weak one, if it is one at all.

Equations of first order with coefficients that hold unknowns, M_t u_t + sum_k M_k u_k = ..., carry signals at speeds
that are the eigenvalues of M_t^-1 M_k. Where these fall along their axis by more than a cell's length per slab, signals
meet inside of the slab. In a smooth solution that is never so: before, slabs become shorter. Where least squares have
gone beyond, they hold a jump whose speed nothing in the equations fixes (Dafermos, Hyperbolic Conservation Laws in
Continuum Physics, sections 1.4 and 8.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.adapt.time_slab import Slab
from pinnsolve.assembly.cell_rows import Side
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature, FeatureSymbol

ALONG, ACROSS = 17, (-0.7, 0.0, 0.7)  # points of a cell along the axis looked at, and along the others
MEETINGS = 2.0  # slabs' lengths in which signals would meet twice over: what is slower may be smooth
DROP = 0.2  # of the range of a speed: a fall that large, at both ends of a slab, is a shock and no ripple at a kink
COMPLEX = 1e-6  # imaginary parts of speeds, relative to them, from where there are no characteristics
WEAK = (
    "if no smooth solution goes on from there, only weak ones do, with shocks that depend on what the equations leave "
    "out: end the time before, or add a small viscosity (second derivatives) to the equations"
)
MESSAGE = "characteristics cross at about {time:.4g}, and no weak solution was sought; " + WEAK


class Characteristics:
    """The speeds of signals in a problem; see `characteristics_of`."""

    def __init__(self, problem: CompiledProblem, axis: int):
        self.problem, self.axis = problem, axis
        self.equations = [term for term in problem.terms if term.kind == "equation"]

    def cross(self, slab: Slab) -> bool:
        """Whether signals meet well inside of a slab, where it begins and where it ends."""
        axes = [a for a in range(slab.space.cells.dimension) if a != self.axis]
        return any(min(self._fall(slab, a, end) for end in (-1.0, 1.0)) > DROP for a in axes)

    def _fall(self, slab: Slab, along: int, end: float) -> float:
        """The largest fall of a speed within a cell, where it is so steep, relative to the range of that speed."""
        speeds, cells = self._speeds(slab, along, end), slab.space.cells
        fall = speeds[:, :, :-1] - speeds[:, :, 1:]  # (C, others, ALONG - 1, U)
        spacing = cells.size[:, along] / (ALONG - 1)
        steep = fall * slab.length(self.axis) > MEETINGS * spacing[:, None, None, None]
        run = largest = torch.zeros_like(fall[:, :, 0])
        for j in range(ALONG - 1):
            run = torch.where(steep[:, :, j], run + fall[:, :, j], 0.0)
            largest = torch.maximum(largest, run)
        spread = speeds.amax(dim=(0, 1, 2)) - speeds.amin(dim=(0, 1, 2))
        return float((largest.amax(dim=(0, 1)) / spread.clamp_min(1e-300)).max())

    def _speeds(self, slab: Slab, along: int, end: float) -> Tensor:
        """(C, others, ALONG, U) in increasing order, zero where they are no real numbers."""
        space, d = slab.space, slab.space.cells.dimension
        lines = [torch.tensor(ACROSS, dtype=torch.float64)] * d
        lines[self.axis], lines[along] = torch.tensor([end]).double(), torch.linspace(-1, 1, ALONG).double()
        order = [a for a in range(d) if a != along] + [along]
        grid = torch.meshgrid([lines[a] for a in order], indexing="ij")
        points = torch.stack([grid[order.index(a)].reshape(-1) for a in range(d)], dim=1)[None]  # (1, m, d)
        C = space.cells.count
        x = space.cells.physical(points, torch.arange(C)).expand(C, -1, -1).reshape(1, -1, d)
        side = Side(torch.arange(C), space.tables(points))
        first, second = self._matrices(slab, side, x, along)
        regular = torch.linalg.det(first).abs() > 0
        eye = torch.eye(first.shape[1], dtype=torch.float64)
        product = torch.linalg.solve(torch.where(regular[:, None, None], first, eye), second)
        values = torch.linalg.eigvals(torch.where(torch.isfinite(product), product, 0.0))
        real = (values.imag.abs() <= COMPLEX * values.abs()).all(dim=1, keepdim=True) & regular[:, None]
        speeds = torch.where(real, values.real, 0.0).sort(dim=1).values
        return speeds.reshape(C, -1, ALONG, speeds.shape[1])

    def _matrices(self, slab: Slab, side: Side, x: Tensor, along: int) -> tuple[Tensor, Tensor]:
        """(N, U, U) and (N, U, U): the coefficients of derivatives in time, and along an axis."""
        unknowns, d = self.problem.unknowns, x.shape[2]
        rows: tuple[list[Tensor], list[Tensor]] = ([], [])
        for term in self.equations:
            at = TermRows(term, Points(x), self.problem, 1.0)
            values = {
                f: side.values(slab.space, slab.c, f.alpha, unknowns.index(f.unknown)).reshape(-1)
                for f in term.features
            }
            for item in at.coefficients_of(values, State(slab.c, torch.zeros(0, dtype=torch.float64))):
                for kept, axis in zip(rows, (self.axis, along), strict=True):
                    alpha = tuple(int(a == axis) for a in range(d))
                    columns = [item.get(Feature(u, alpha), 0.0) for u in unknowns]
                    kept.append(torch.stack([torch.zeros(x.shape[1], dtype=torch.float64) + c for c in columns], dim=1))
        return torch.stack(rows[0], dim=1), torch.stack(rows[1], dim=1)


def characteristics_of(problem: CompiledProblem, axis: int) -> Characteristics | None:
    """The speeds of signals, where equations are of first order, as many as unknowns, and speeds depend on these."""
    equations = [term for term in problem.terms if term.kind == "equation"]
    plain = all(f.operator is None and f.order <= 1 for term in equations for f in term.features)
    count = sum(len(term.residuals) for term in equations)
    anywhere = all(term.region.where is None for term in equations)
    evolve = {f.unknown for term in equations for f in term.features if f.alpha[axis]}
    if problem.linear or problem.unknown_parameters or problem.shape is not None or not (plain and anywhere):
        return None
    if count != len(problem.unknowns) or evolve != set(problem.unknowns):
        return None
    return Characteristics(problem, axis) if _carried(equations, axis) else None


def _carried(equations: Sequence, axis: int) -> bool:
    """Whether the coefficient of a derivative in space holds unknowns."""
    return any(
        f.order and not f.alpha[axis] and any(isinstance(s, FeatureSymbol) for s in coefficient.free_symbols)
        for term in equations
        for linearization in term.linearizations
        for f, coefficient in linearization.features
    )
