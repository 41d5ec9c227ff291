"""How wrong a solution may be: its error, estimated by solving for it (defect correction).

The error e of a solution u solves the linearized equations L e = -r with r the residual of u. That problem is solved by
least squares on a basis and on points of their own, independent of those that gave u; the relative L2 norm of e is the
estimate (defect correction: Stetter, Numer. Math. 29 (1978) 425-443). Among several scales of the independent basis the
one with the smallest residual on further unseen points is taken. It is honest as far as that basis can see: an error
that neither basis resolves leaves its trace only in `residual_left`, by which `doubted` enlarges it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, State, stacked
from pinnsolve.assembly.rows import Assembly, TermRows, points_at_once
from pinnsolve.assembly.system import shared, units
from pinnsolve.bases.base import Basis
from pinnsolve.estimate.free_values import in_groups, less_free
from pinnsolve.least_squares import StreamingQR, solve_dense
from pinnsolve.problem.checks.neumann import free_axes

DENSE_BYTES, COPIES = 2e9, 4  # of rows that are factorized at once, and how often they are there then
DOUBTED, UNSEEN = 0.5, 0.9  # of the residual left: from where an estimate is enlarged, and hardly believed
MOST_ENLARGED = 10.0


@dataclass(frozen=True)
class Approximation:
    """A basis and a state: what a solve gives."""

    basis: Basis
    state: State

    def values(self, x: Tensor) -> Tensor:
        """(unknowns, N) at points (N, d)."""
        zero = (0,) * x.shape[1]
        blocks = x.split(points_at_once(self.basis.held))
        pieces = [self.basis.combined(block, [zero], self.state.coefficients)[zero] for block in blocks]
        return torch.cat(pieces, dim=1)


@dataclass(frozen=True)
class Estimate:
    """`relative`: estimated relative L2 error per unknown; `parameters`: estimated error per unknown parameter.

    `residual_left` is the part of the residual norm that the correction could not remove, relative to all of it: near 1
    means that the independent basis did not see the error either. `error`: the correction itself, where it is at hand,
    as much enlarged as the estimate, and without what noise of data adds.
    `counts`: how much errors count, by the name of an unknown or a quantity, 1 where it says nothing; `quantities`:
    relative errors of those that count.
    """

    relative: Mapping[str, float]
    parameters: Mapping[str, float]
    residual_left: float
    error: Approximation | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)

    @property
    def counted(self) -> dict[str, float]:
        """The errors times what they count; those that do not count are left out."""
        found = {name: self.counts.get(name, 1.0) for name in (*self.relative, *self.quantities)}
        errors = {**self.relative, **self.quantities}
        return {name: count * errors[name] for name, count in found.items() if count}

    @property
    def worst(self) -> float:
        """The largest error that counts; of all, as long as nothing is known of those that do."""
        return max((self.counted or self.relative).values())

    def with_noise(self, relative: Mapping[str, float], parameters: Mapping[str, float]) -> Estimate:
        """Errors of independent origin, added in squares."""
        return replace(
            self,
            relative={name: math.hypot(value, relative[name]) for name, value in self.relative.items()},
            parameters={name: math.hypot(value, parameters[name]) for name, value in self.parameters.items()},
            error=None,
        )

    def enlarged(self, factor: float) -> Estimate:
        """Every error of the solution times a factor."""
        return self._with({name: factor * value for name, value in self.relative.items()})

    def at_least(self, relative: Mapping[str, float]) -> Estimate:
        """The larger of two estimates, per unknown."""
        return self._with({name: max(value, relative.get(name, 0.0)) for name, value in self.relative.items()})

    def _with(self, relative: Mapping[str, float]) -> Estimate:
        """These errors, and the correction as much larger; none where that is so much that it no longer says where the
        error is."""
        factors = [relative[name] / value if value > 0 else 1.0 for name, value in self.relative.items()]
        if self.error is None or not max(factors) <= MOST_ENLARGED:
            return replace(self, relative=relative, error=None)
        state = self.error.state
        c = state.coefficients * state.coefficients.new_tensor(factors)[:, None]
        error = replace(self.error, state=replace(state, coefficients=c))
        return replace(self, relative=relative, error=error)


def estimate_error(
    solution: Approximation,
    corrections: Sequence[Basis],
    solve: Assembly,
    check: Assembly,
    x: Tensor,
    available: float = math.inf,
) -> Estimate:
    """Estimate the error of `solution` from its defect.

    `corrections`: independent bases to try; `solve`, `check`: assemblies on points of their own, with the same term
    weights; `x`: (N, d) where norms are taken; `available`: bytes that this process may take. Of unknowns that
    are determined up to a constant, that is left out.
    A basis with more functions than `solve` has rows would make any residual vanish at them: it says nothing, and if
    all are such, the error is taken to be everything (unless there is nothing but data, judged by others held out).
    """
    unknowns = solve.problem.unknowns
    names = [p.name for p in solve.problem.unknown_parameters]
    fitting = [b for b in corrections if len(unknowns) * b.width + len(names) <= solve.row_count]
    corrections = fitting if any(t.term.data_file is None for t in solve.terms) else corrections
    if not corrections:
        return Estimate(dict.fromkeys(unknowns, 1.0), dict.fromkeys(names, math.inf), 1.0)
    x = in_groups(x, solve.problem.terms, solve.problem.undetermined_constants)
    best: tuple[float, Approximation] | None = None
    with torch.no_grad():
        stated = _stated(check)
        before = _residuals(check, solution)[stated]
        for basis in corrections:
            delta = _defect_correction(solution, basis, solve, available)
            left = float((before + _linear_part(check, solution, basis, delta)[stated]).norm())
            if best is None or left < best[0]:
                error = Approximation(basis, _as_state(solution, basis, delta))
                best = (left, error)
        left, error = best
        e, u, parameters = error.values(x), solution.values(x), error.state.parameters
    for i, name in enumerate(unknowns):
        if name in solve.problem.undetermined_constants:
            axes = free_axes(solve.problem.terms, name)
            e[i], u[i] = less_free(e[i], x, axes), less_free(u[i], x, axes)
    return Estimate(
        relative_norms(unknowns, e, u, solve.problem.groups),
        {name: abs(float(parameters[i])) for i, name in enumerate(names)},
        left / max(float(before.norm()), 1e-300),
        error,
    )


def doubted(estimate: Estimate, solution: Approximation, check: Assembly) -> Estimate:
    """The estimate, enlarged where the independent basis left much of the residual.

    Of the error it is taken to have seen the part that it removed of the residual. Where that is next to nothing, the
    error is at least as large, relative to the solution, as the residual is to that of zero.
    """
    left = estimate.residual_left
    if left <= DOUBTED:
        return estimate
    larger = estimate.enlarged(min(1 / max(1 - left, 1e-9), MOST_ENLARGED))
    if left <= UNSEEN:
        return larger
    nothing = State(torch.zeros_like(solution.state.coefficients), solution.state.parameters)
    whole = residual_norm(check, Approximation(solution.basis, nothing))
    share = min(1.0, residual_norm(check, solution) / max(whole, 1e-300))
    return larger.at_least(dict.fromkeys(estimate.relative, share))


def held_out_errors(
    solution: Approximation, check: Assembly, others: Sequence[Approximation], x: Tensor
) -> dict[str, float]:
    """For regression: rms residual at the points held out, relative to the solution there.

    A few points may be met by chance: with `others`, fits to the same data, it is also how far the best of them lies
    from the solution at x (N, d).
    """
    unknowns = check.problem.unknowns
    residuals = check.unscaled_residuals(solution.basis, solution.state)
    r = torch.cat([part.reshape(-1) for part in residuals.values()])
    u = torch.cat([solution.values(t.points.x[0]) for t in check.terms], dim=1)
    errors = {name: float(r.norm() / u[i].norm()) for i, name in enumerate(unknowns)}
    if not others:
        return errors
    best = min(others, key=lambda fit: residual_norm(check, fit))
    u = solution.values(x)
    apart = relative_norms(unknowns, u - best.values(x), u, check.problem.groups)
    return {name: max(apart[name], error) for name, error in errors.items()}


def noise_spread(
    solution: Approximation, assembly: Assembly, x: Tensor, seed: int, draws: int = 4
) -> tuple[dict[str, float], dict[str, float]]:
    """How far noise of the data may have moved a solution: relative spread per unknown, and per unknown parameter.

    The noise is what the file states, or the rms residual of the data term. Monte Carlo over the linearized least
    squares, so correlations between points are those of the solve itself.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, noises = [], []
    for term in assembly.terms:
        block = term.rows_on(solution.basis, solution.state)
        rows.append(block.A)
        sigma, residuals = 0.0, len(term.term.residuals)
        if term.term.data_file is not None:
            sigma = (term.term.noise or 0.0) * term.scale or math.sqrt(block.loss / max(residuals * term.count, 1))
        random = torch.randn(residuals * term.count, draws, generator=generator, dtype=torch.float64)
        if term.own is not None:
            random = random.reshape(residuals, term.count, draws)[:, term.own].reshape(-1, draws)
        noises.append(sigma * random.to(block.r))
    A, b, among = torch.cat(rows), torch.cat(noises), assembly.among
    moved = [_as_state(solution, solution.basis, solve_dense(A, b[:, i], among=among).x) for i in range(draws)]
    unknowns = assembly.problem.unknowns
    u = solution.values(x)
    e = torch.stack([Approximation(solution.basis, state).values(x) for state in moved]).square().mean(dim=0).sqrt()
    parameters = torch.stack([state.parameters for state in moved]).square().mean(dim=0).sqrt()
    names = [p.name for p in assembly.problem.unknown_parameters]
    relative = relative_norms(unknowns, e, u, assembly.problem.groups)
    return relative, {name: float(parameters[i]) for i, name in enumerate(names)}


def relative_norms(
    unknowns: Sequence[str], errors: Tensor, values: Tensor, groups: Sequence[tuple[int, ...]] = ()
) -> dict[str, float]:
    """||error|| / ||value|| per row, by the rule of `units`; nothing is small beside a solution that vanishes.

    `groups`: rows that are the parts of complex unknowns or of vectors, see `shared`.
    """
    error, size = errors.norm(dim=1), shared(values.norm(dim=1), groups)
    relative = error / units(size, error)
    if not bool(size.any()):
        relative = torch.where(error > 0, math.inf, 0.0)
    return dict(zip(unknowns, relative.tolist(), strict=True))


def _stated(assembly: Assembly) -> Tensor:
    """Which residuals are of equations and conditions, (rows,) bool: noise in data is no error of the solution."""
    parts = [
        torch.full((t.points.count * len(t.term.residuals),), t.term.data_file is None, device=t.points.x.device)
        for t in assembly.terms
    ]
    stated = torch.cat(parts)
    return stated if bool(stated.any()) else ~stated


def _as_state(solution: Approximation, basis: Basis, delta: Tensor) -> State:
    unknowns = solution.state.coefficients.shape[0]
    zero = solution.state.coefficients.new_zeros(unknowns, basis.width)
    return State(zero, torch.zeros_like(solution.state.parameters)).moved(delta)


def _defect_rows(assembly: Assembly, solution: Approximation, basis: Basis):
    """Blocks of rows of the linearization at the solution, taken on another basis, with the solution's residuals.

    Every process yields as often as the others, and may be asked to end in between.
    """
    for term in assembly.terms:
        size = points_at_once(basis.active)
        for start in range(0, -(-term.count // assembly.among.size), size):
            assembly.check()
            index = slice(start, start + size)
            yield _rows_there(term, solution, basis, index)


def _rows_there(term: TermRows, solution: Approximation, basis: Basis, index: slice) -> RowBlock:
    """The rows of a term on a basis, linearized at a solution on another one, with the residuals of that."""
    if not (term.term.linear and basis.by_operator and solution.basis.by_operator):
        at = term.values_on(solution.basis, solution.state, index)
        return term.rows_on(basis, solution.state, index, values=at)
    state = solution.state
    zero = state.coefficients.new_zeros(len(state.coefficients), basis.width)
    block = term.rows_on(basis, replace(state, coefficients=zero), index)
    r = term.residuals_on(solution.basis, state, index) * term.scale
    return replace(block, r=r.reshape(1, -1))


def _defect_correction(solution: Approximation, basis: Basis, assembly: Assembly, available: float) -> Tensor:
    columns = len(assembly.problem.unknowns) * basis.width + len(assembly.problem.unknown_parameters)
    among = assembly.among
    needed = assembly.own_rows * columns * basis.lower.element_size()
    if among.all(needed <= min(DENSE_BYTES, available / COPIES)):
        A, r = stacked(_defect_rows(assembly, solution, basis))
        return solve_dense(A, -r, among=among, check=assembly.check).x
    stream = StreamingQR(columns, among, assembly.check)
    for block in _defect_rows(assembly, solution, basis):
        stream.add(block.A, -block.r[0])
    return stream.solve().x


def _linear_part(assembly: Assembly, solution: Approximation, basis: Basis, delta: Tensor) -> Tensor:
    """A delta on the points of an assembly, in the order of `residual_vector`."""
    parts = []
    for term in assembly.terms:
        pieces = []
        size = points_at_once(basis.active)
        for start in range(0, term.points.count, size):
            index = slice(start, start + size)
            block = _rows_there(term, solution, basis, index)
            pieces.append((block.A @ delta).reshape(len(term.term.residuals), -1))
        parts.append(torch.cat(pieces, dim=1).reshape(-1))
    return torch.cat(parts)


def residual_norm(assembly: Assembly, approximation: Approximation) -> float:
    """Root of the loss at the points of an assembly."""
    with torch.no_grad():
        return float(_residuals(assembly, approximation).norm())


def _residuals(assembly: Assembly, approximation: Approximation) -> Tensor:
    """All scaled residuals, as `residual_vector`, but in blocks: check points may be many."""
    parts = assembly.unscaled_residuals(approximation.basis, approximation.state)
    return torch.cat([(parts[t.term.name] * t.scale).reshape(-1) for t in assembly.terms])
