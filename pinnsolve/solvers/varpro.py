"""`varpro`: Levenberg-Marquardt on the reduced residual (variable projection).

The residual with optimal coefficients is P(xi^H) r, where P projects away from the range of A. Its Jacobian in the
hidden parameters is approximated by P J (Kaufman 1975, a simplification of Golub & Pereyra 1973), and J is the Jacobian
of the residual at fixed coefficients, one gradient per row. A trial step is judged by the loss after a new solve for
the coefficients, so only the hidden parameters are damped (Marquardt 1963; gain ratio as Nielsen 1999). Deep networks
have more hidden parameters than there are rows; the step is then found in the space of the rows, where it is the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State, stacked
from pinnsolve.assembly.rows import Assembly, TermRows, apply_features, losses
from pinnsolve.bases.base import Basis
from pinnsolve.language.symbols import Feature
from pinnsolve.least_squares import range_basis, solve_dense
from pinnsolve.least_squares.tall_skinny import triangle_of
from pinnsolve.solvers.base import Iterate, Solver
from pinnsolve.solvers.gauss_newton import gauss_newton
from pinnsolve.solvers.least_squares import newton
from pinnsolve.solvers.optimizers import steps_of

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

MOST_TRIALS = 12
SETTLED = 0.01  # fall of the loss by a Newton step, relative to it, below which the coefficients are settled
GIVE_UP = 1e-10  # relative fall of the loss below which a step counts as none
STALLED = 3  # such steps one after another, at which it ends


@dataclass(frozen=True)
class _Memory:
    damping: float
    growth: float
    stalled: int = 0


@dataclass(frozen=True)
class VarPro(Solver):
    """`moves`: the beginnings of the names of the hidden parameters that move; without any, all do."""

    steps: int = 300
    damping: float = 1e-2
    newton_steps_at_start: int = 30
    newton_steps: int = 2
    enough: float = 1e-30
    moves: tuple[str, ...] = ("",)
    name: str = "varpro"

    @classmethod
    def from_settings(cls, settings: SolveSettings) -> VarPro:
        return cls(steps=steps_of(settings, "varpro"))

    def init(self, assembly: Assembly, basis: Basis, state: State) -> Iterate:
        return self._solved(assembly, basis, state, self.newton_steps_at_start, 0, _Memory(self.damping, 2.0))

    def step(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        memory = iterate.memory
        if not iterate.basis.hidden:
            return self._settled(assembly, iterate)
        moving = {n: v for n, v in iterate.basis.hidden.items() if n.startswith(self.moves)}
        reduced = _Reduced.at(assembly, iterate.basis, iterate.state, sorted(moving))
        flat, rebuild = _flatten(moving)
        damping, growth = memory.damping, memory.growth
        for _ in range(MOST_TRIALS):
            delta = reduced.step(damping)
            if delta is not None:
                basis = iterate.basis.with_hidden({**iterate.basis.hidden, **rebuild(flat + delta)})
                predicted = reduced.predicted(delta)
                state = _carried(assembly, iterate, basis)
                trial = self._solved(assembly, basis, state, self.newton_steps, iterate.step + 1, memory)
                fall = iterate.loss - trial.loss
                if fall > 0 and predicted > 0:
                    gain = fall / predicted
                    factor = max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
                    small = fall < GIVE_UP * iterate.loss
                    kept = _Memory(max(damping * factor, 1e-15), 2.0, memory.stalled + 1 if small else 0)
                    return self._with(trial, kept, damping)
            damping, growth = damping * growth, growth * 2.0
        return self._with(iterate, _Memory(damping, growth, STALLED), damping, iterate.step + 1)

    def _settled(self, assembly: Assembly, iterate: Iterate) -> Iterate:
        """The step on a basis whose functions do not move: only the coefficients do, until they no longer help."""
        number = iterate.step + 1
        found = self._solved(assembly, iterate.basis, iterate.state, self.newton_steps, number, iterate.memory)
        helps = iterate.loss - found.loss >= GIVE_UP * iterate.loss
        return found if helps and not assembly.problem.linear else replace(found, memory=_Memory(0.0, 0.0, STALLED))

    @staticmethod
    def _with(iterate: Iterate, memory: _Memory, damping: float, step: int | None = None) -> Iterate:
        info = {**iterate.info, "damping": damping}
        number = iterate.step if step is None else step
        return Iterate(iterate.basis, iterate.state, iterate.loss, iterate.terms, number, info, memory)

    def _solved(self, assembly: Assembly, basis: Basis, state: State, steps: int, number: int, memory) -> Iterate:
        """Coefficients for the basis, from those before: one solve, or a few Newton steps."""
        system = BasisSystem(assembly, basis)
        if assembly.problem.linear:
            # one assembly, and the loss from its own rows: no second evaluation
            rows, reduced = system.factorized(state, (), parameters=True)
            delta, change = reduced.step(rows, state.parameters, system.bounds)
            moved = State(state.coefficients + delta, state.parameters + change)
            terms = _by_term(rows, reduced.left(moved.vector() - state.vector()))
            return Iterate(basis, moved, math.fsum(terms.values()), terms, number, reduced.rank_info(), memory)
        at = gauss_newton(system, state, newton(system, steps, SETTLED, leaves=False), system.bounds)
        return Iterate(basis, at.state, at.loss, at.terms, number, at.reduced.rank_info(), memory)

    def kept(self, iterate: Iterate) -> Mapping[str, Any]:
        return asdict(iterate.memory)

    def taken_up(self, assembly: Assembly, iterate: Iterate, kept: Mapping[str, Any]) -> Iterate:
        return replace(iterate, memory=_Memory(**kept))

    def finished(self, iterate: Iterate) -> bool:
        return iterate.step >= self.steps or iterate.loss <= self.enough or iterate.memory.stalled >= STALLED


def _carried(assembly: Assembly, before: Iterate, basis: Basis) -> State:
    """Coefficients to start from on another basis: those of the iterate, or of its functions, whichever fit better.

    The second are those of one Gauss-Newton step from the functions of the iterate, not its coefficients.

    On a basis of nearly dependent functions coefficients are large; on others that have moved they are another function
    altogether, a bad one for Newton's method to start from. A linear problem needs no start.
    """
    state = before.state
    if assembly.problem.linear:
        return state
    rows, sides = [], []
    for term in assembly.terms:
        old = term.matrices(before.basis, None)
        values = term.values(old, state)
        here = term.rows_at(values, old, state)
        rows.append(term.rows_at(values, term.matrices(basis, None), state).A)
        sides.append(here.A @ state.vector() - here.r[0])
    among = assembly.among
    solved = solve_dense(torch.cat(rows), torch.cat(sides), among=among)
    moved = state.moved(solved.x - state.vector())
    carried = State(moved.coefficients, Bounds.of(assembly.problem, moved.parameters).hold(moved.parameters))
    here, there = (math.fsum(losses(assembly.residual_parts(basis, s), among).values()) for s in (state, carried))
    return carried if there < here else state


def _by_term(blocks, rest: Tensor) -> dict[str, float]:
    terms: dict[str, float] = {}
    position = 0
    for block in blocks:
        rows = block.r.numel()
        share = block.among.total(float((rest[position : position + rows] ** 2).sum()))
        terms[block.name] = terms.get(block.name, 0.0) + share
        position += rows
    return terms


@dataclass(frozen=True)
class _Reduced:
    """The linearized reduced residual r + J delta in the hidden parameters that move.

    `J`: (rows, hidden), projected; `gradient`: J' r; `scales`: Marquardt's; `gram`: J' J or, with fewer rows than
    hidden parameters, J S^-1 J' of the scales S. Rows are those of all processes: the triangle of theirs, once there
    are more of them than hidden parameters.
    """

    J: Tensor
    r: Tensor
    gradient: Tensor
    scales: Tensor
    gram: Tensor

    @classmethod
    def at(cls, assembly: Assembly, basis: Basis, state: State, names: list[str]) -> _Reduced:
        A, r = stacked(assembly.blocks(basis, state))
        J = torch.cat([jacobian(term, basis, state, names) for term in assembly.terms])
        among = assembly.among
        Q = range_basis(A, among)  # of the kept directions alone: those that the solve drops stay in the residual
        J = J - Q @ among.summed(Q.T @ J)
        if among.size > 1:  # few rows with the same products
            both = torch.cat(among.gathered(triangle_of(torch.cat([J, r[:, None]], dim=1))))
            J, r = both[:, :-1], both[:, -1]
        diagonal = J.square().sum(dim=0)
        scales = diagonal.clamp_min(1e-12 * float(diagonal.max()) + 1e-300)
        gram = J.T @ J if J.shape[0] >= J.shape[1] else (J / scales) @ J.T
        return cls(J, r, J.T @ r, scales, gram)

    def step(self, damping: float) -> Tensor | None:
        """-(J' J + damping S)^-1 J' r, or None where that is not to be had in this precision."""
        by_rows = self.gram.shape[0] < self.J.shape[1]
        shift = torch.full_like(self.r, damping) if by_rows else damping * self.scales
        factor, failed = torch.linalg.cholesky_ex(self.gram + torch.diag(shift))
        if int(failed):
            return None
        if not by_rows:
            return -torch.cholesky_solve(self.gradient[:, None], factor)[:, 0]
        return -(self.J.T @ torch.cholesky_solve(self.r[:, None], factor)[:, 0]) / self.scales

    def predicted(self, delta: Tensor) -> float:
        """By how much the loss falls if the linearization holds."""
        change = self.J @ delta
        return float(-(2 * self.gradient @ delta + change @ change))


def _flatten(hidden: Mapping[str, Tensor]):
    names = sorted(hidden)
    flat = torch.cat([hidden[n].reshape(-1) for n in names])

    def rebuild(vector: Tensor) -> dict[str, Tensor]:
        result, position = {}, 0
        for n in names:
            size = hidden[n].numel()
            result[n] = vector[position : position + size].reshape(hidden[n].shape)
            position += size
        return result

    return flat, rebuild


def jacobian(term: TermRows, basis: Basis, state: State, names: Sequence[str] | None = None) -> Tensor:
    """d(scaled residual)/d(hidden parameters) at fixed coefficients: (rows, hidden).

    Hidden parameters are those of `names`, or all of them sorted by name.

    One reverse sweep per point, vectorized: each residual depends on the hidden parameters only through the
    features at its own point.
    """
    values = term.values(term.matrices(basis, None), state)
    unknowns = term.problem.unknowns
    x = term.points.x.transpose(0, 1)  # (N, sides, d)
    names = sorted(basis.hidden) if names is None else names
    moving, still = {n: basis.hidden[n] for n in names}, {n: v for n, v in basis.hidden.items() if n not in names}
    results = []
    for coefficients in term.coefficients_of(values, state):
        features = [f for f in coefficients if isinstance(f, Feature)]
        ones = torch.ones_like(x[:, 0, 0])
        columns = torch.stack([coefficients[f] * ones for f in features], dim=1)  # (N, features)

        def scalar(hidden, point, factors, features=features):
            hidden, total = {**still, **hidden}, 0.0
            for side, asked in term.asked.items():
                here = {(f.alpha, f.operator): None for f in features if f.side == side}
                if not here:
                    continue
                answers = apply_features(basis, point[side][None], [a for a in asked if a in here], hidden)
                for i, f in enumerate(features):
                    if f.side == side:
                        c = state.coefficients[unknowns.index(f.unknown)]
                        total = total + factors[i] * (answers[(f.alpha, f.operator)][0] @ c)
            return total

        gradients = torch.func.vmap(torch.func.grad(scalar), in_dims=(None, 0, 0))(moving, x, columns)
        results.append(torch.cat([gradients[n].reshape(x.shape[0], -1) for n in names], dim=1))
    return torch.cat(results) * term.scale
