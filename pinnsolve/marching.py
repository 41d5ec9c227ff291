"""Time slabs: a problem in time solved slab after slab, each with functions placed where the solution is steep.

For problems whose solution develops layers, which no set of functions drawn beforehand resolves. Every slab is a small
nonlinear least-squares problem on a network of one layer; it starts from the end of the slab before, and a part of its
functions (and of its points) is drawn where the solution there is steep, their slopes of the size of its gradient
(placement by the data: Bolager et al., Sampling weights of deep neural networks, NeurIPS 2023). The length of a slab
follows from its residual on unseen points. Two marches of different resolution give the error.

Input: a `Work`. Output: a `Result` on a basis of time slabs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp
import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.assembly import Assembly, State
from pinnsolve.bases.base import Basis
from pinnsolve.bases.slabs import TimeSlabs
from pinnsolve.discretization import sample_problem, term_weights, zero_state
from pinnsolve.estimate import Approximation, Estimate, relative_norms
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.geometry.sampling import Points, sample_region
from pinnsolve.least_squares import solve_dense
from pinnsolve.solvers import LeastSquares
from pinnsolve.strategies import Result, Work
from pinnsolve.terms import CompiledProblem, Linearization, Term, coordinate_symbol, feature_symbol

WIDTHS = {2: (400, 550, 750), 3: (900, 1200, 1500)}  # of the marches, by number of coordinates, time included
BUDGETS = (0.1, 0.03, 0.01)  # of each march: a slab's share of the tolerance
PLACED = 0.6  # share of the functions and half of the points that go where the solution is steep
SPREAD = 2.0  # factor by which the slope of a placed function may differ from the solution's own
SCALE = 4.0  # of the functions that are not placed
TILT_TIME, TILT_SPACE = 1.0, 0.3  # random part of a placed function's slopes, over a slab and over the box
FIRST, SHORTEST = 1 / 40, 1 / 80  # lengths of slabs, of all time
CHECK = 4000  # unseen points that judge a slab
EFFECTIVE_ORDER = 5.0  # of a slab's error in its length, for the choice of the next length


def can_march(problem: CompiledProblem) -> bool:
    """Whether the problem evolves from its start: every term holds there or at all times."""
    if problem.time is None or problem.unknown_parameters or len(problem.coordinates) not in WIDTHS:
        return False
    axis = problem.coordinates.index(problem.time)
    starts = [_is_start(term, problem) for term in problem.terms]
    for term, start in zip(problem.terms, starts, strict=True):
        held = any(a == axis for piece in term.region.pieces for a, _ in piece.fixed)
        odd = term.data_file is not None or any(f.operator for f in term.features)
        if odd or (held and not start) or any(p.partner and p.partner[0] == axis for p in term.region.pieces):
            return False
    return any(starts) and max(_time_orders(problem).values()) > 0


def _is_start(term: Term, problem: CompiledProblem) -> bool:
    axis = problem.coordinates.index(problem.time)
    begin = problem.intervals[axis][0]
    return bool(term.region.pieces) and all((axis, begin) in piece.fixed for piece in term.region.pieces)


def _time_orders(problem: CompiledProblem) -> dict[str, int]:
    """The highest time derivative of each unknown in the equations: how much a slab hands over."""
    axis = problem.coordinates.index(problem.time)
    orders = dict.fromkeys(problem.unknowns, 0)
    for term in problem.terms:
        for feature in term.features if term.kind == "equation" else ():
            orders[feature.unknown] = max(orders[feature.unknown], feature.alpha[axis])
    return orders


# -- one slab as a problem --------------------------------------------------------------------------------


def _handed(unknown: str, k: int) -> sp.Symbol:
    return coordinate_symbol(f"handed over {unknown} {k}")


def slab_problem(problem: CompiledProblem, begin: float, end: float, first: bool) -> CompiledProblem:
    """The problem on [begin, end]; after the first slab, the start is what the slab before hands over."""
    axis = problem.coordinates.index(problem.time)
    intervals = tuple((begin, end) if i == axis else ends for i, ends in enumerate(problem.intervals))
    if first:
        return replace(problem, intervals=intervals)
    starts = [term for term in problem.terms if _is_start(term, problem)]
    kept = tuple(term for term in problem.terms if term not in starts)
    residuals, linearizations = [], []
    for unknown, order in _time_orders(problem).items():
        for k in range(order):
            symbol = feature_symbol(unknown, tuple(k * (i == axis) for i in range(len(intervals))))
            residuals.append(symbol - _handed(unknown, k))
            linearizations.append(Linearization(((symbol.feature, sp.Integer(1)),), ()))
    region = Region(f"{problem.time} = {begin:g}", (Piece(((axis, begin),)),))
    handover = Term(starts[0].name, "condition", region, tuple(residuals), tuple(linearizations), True)
    return replace(problem, intervals=intervals, terms=(*kept, handover))


# -- the march ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slab:
    begin: float
    end: float
    approximation: Approximation
    error: float  # estimated from residuals on unseen points, relative


@dataclass(frozen=True)
class _March:
    """One run through time. `budget` is the relative error that a slab may have; `seed` draws functions and points."""

    work: Work
    width: int
    budget: float
    seed: int

    @property
    def axis(self) -> int:
        return self.work.problem.coordinates.index(self.work.problem.time)

    def run(self) -> tuple[list[_Slab], Mapping[str, int], str, str]:
        """The slabs, the number of points per term, and the status and message that ended the march."""
        begin, final = self.work.problem.intervals[self.axis]
        span, length, slabs, points = final - begin, FIRST * (final - begin), [], {}
        while begin < final - 1e-12 * span:
            end = begin + length
            if end > final - 0.2 * length:
                end = final
            before = slabs[-1] if slabs else None
            slab, assembly, status, message = self._solve(begin, end, before)
            if status != "finished":
                return slabs, points, status, message
            ratio = self.budget / max(slab.error, 1e-300) if math.isfinite(slab.error) else 0.0
            factor = min(2.0, max(0.3, 0.9 * ratio ** (1 / EFFECTIVE_ORDER)))
            if ratio < 1.0 and length > SHORTEST * span:
                length = max((end - begin) * min(factor, 0.7), SHORTEST * span)
                continue
            slabs.append(slab)
            for term in assembly.terms:
                points[term.term.name] = points.get(term.term.name, 0) + term.points.count
            begin, length = end, max((end - begin) * factor, SHORTEST * span)
        return slabs, points, "finished", f"{len(slabs)} time slabs"

    def _solve(self, begin: float, end: float, before: _Slab | None):
        work = self.work
        problem = slab_problem(work.problem, begin, end, before is None)
        steep = _Steepness(before, self.axis) if before else None
        lower, upper = work.lower.clone(), work.upper.clone()
        lower[self.axis], upper[self.axis] = begin, end
        local = replace_work(work, problem, lower, upper, self.seed + round(1e6 * begin))
        settings = {"kind": "mlp", "width": self.width, "depth": 1, "activation": "tanh", "scale": SCALE}
        drawn = local.basis(settings)
        basis = drawn if steep is None else steep.place(drawn, int(PLACED * self.width), local.seed)
        points = self._points(local, steep, before, 1.0)
        # by the functions as drawn: steep ones would make the equation count for next to nothing
        numbers = term_weights(problem, local.weights_at(self.width), points, drawn)
        assembly = Assembly(problem, points, numbers)
        state = zero_state(problem, basis) if before is None else _carried(before, basis, points, self.axis)
        phase = f"{problem.time} = {begin:.4g} to {end:.4g}"
        outcome = work.drive(LeastSquares(steps=12, stagnation=0.5), assembly, basis, state, phase)
        approximation = Approximation(basis, outcome.best.state)
        check = Assembly(problem, self._points(local, None, before, CHECK / (3 * self.width), "uniform"), numbers)
        error = slab_error(check, approximation, end - begin) if math.isfinite(outcome.best.loss) else math.inf
        status = "finished" if outcome.status == "diverged" else outcome.status  # a shorter slab may not diverge
        return _Slab(begin, end, approximation, error), assembly, status, outcome.message

    def _points(self, local: Work, steep, before, share: float, sampling: str = "sobol") -> dict[str, Points]:
        counts = local.counts(math.ceil(share * self.width), False)
        counts = replace(counts, sampling=sampling, boundary=max(counts.boundary, counts.interior // 3))
        seed = local.seed + (defaults.CHECK_SEED if sampling == "uniform" else 0)
        points = sample_problem(local.problem, counts, seed, local.lower)
        for i, term in enumerate(local.problem.terms):
            handover = before is not None and term is local.problem.terms[-1]
            inside = any(not piece.fixed for piece in term.region.pieces)
            if steep is not None and (handover or inside) and term.region.where is None:
                points[term.name] = steep.denser(points[term.name], term.region, local, seed + 31 * i)
            if handover:
                columns = _handover_values(before.approximation, points[term.name].x[0], term, local.problem)
                points[term.name] = Points(points[term.name].x, None, columns)
        return points


def replace_work(work: Work, problem: CompiledProblem, lower: Tensor, upper: Tensor, seed: int) -> Work:
    """The work of one slab: its own problem, box and seed, nothing settled."""
    return replace(work, problem=problem, lower=lower, upper=upper, seed=seed, term_weights={}, history=[])


def _handover_values(before: Approximation, x: Tensor, term: Term, problem: CompiledProblem) -> dict[str, Tensor]:
    """What the slab before hands over at points of its end (N, d), as columns by name."""
    axis = problem.coordinates.index(problem.time)
    tables = before.basis.derivatives(x, list(dict.fromkeys(f.alpha for f in term.features)))
    return {
        _handed(f.unknown, f.alpha[axis]).name: tables[f.alpha]
        @ before.state.coefficients[problem.unknowns.index(f.unknown)]
        for f in term.features
    }


def _carried(before: _Slab, basis: Basis, points: Mapping[str, Points], axis: int) -> State:
    """The state closest to the end of the slab before, held constant in time: where Newton begins."""
    x = max((p.x[0] for p in points.values()), key=len)
    frozen = x.clone()
    frozen[:, axis] = before.end
    zero = (0,) * x.shape[1]
    matrix = basis.derivatives(x, [zero])[zero]
    values = before.approximation.values(frozen)
    coefficients = torch.stack([solve_dense(matrix, v, 1e-10).x for v in values])
    return State(coefficients, before.approximation.state.parameters)


def slab_error(check: Assembly, approximation: Approximation, length: float) -> float:
    """The relative error that a slab adds, from residuals on unseen points.

    A residual of the start or of a boundary value counts as it is, one of an equation of order m in time by
    length^m / m! over the size of the highest time derivative's coefficient.
    """
    problem = check.problem
    axis = problem.coordinates.index(problem.time)
    total = 0.0
    for term in check.terms:
        values = term.values(term.matrices(approximation.basis, None), approximation.state)
        residuals = term.residuals(values, approximation.state)
        for residual, coefficients in zip(residuals, term.coefficients_of(values, approximation.state), strict=True):
            size = float(residual.square().mean().sqrt())
            if term.term.kind == "equation":
                order = max((f.alpha[axis] for f in coefficients), default=0)
                leading = [c for f, c in coefficients.items() if f.alpha[axis] == order]
                scale = max(float(torch.as_tensor(c, dtype=torch.float64).abs().mean()) for c in leading)
                size *= length ** max(order, 1) / math.factorial(max(order, 1)) / max(scale, 1e-12)
            elif term.term.order > 0 and not _is_start(term.term, problem):
                size *= length
            total += size
    values = approximation.values(check.terms[0].points.x[0])
    return total / max(float(values.square().mean().sqrt()), 1e-300)


# -- where it is steep ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Steepness:
    """The gradient at the end of a slab, taken as that of the next one."""

    before: _Slab
    axis: int

    def gradients(self, x: Tensor, span: Tensor) -> Tensor:
        """(unknowns, N, d) gradients over the unit box, each unknown relative to half its range."""
        frozen = x.clone()
        frozen[:, self.axis] = self.before.end
        d = x.shape[1]
        alphas = [tuple(int(i == j) for j in range(d)) for i in range(d)]
        zero = (0,) * d
        tables = self.before.approximation.basis.derivatives(frozen, [zero, *alphas])
        c = self.before.approximation.state.coefficients.T  # (W, unknowns)
        u = tables[zero] @ c
        half = ((u.max(dim=0).values - u.min(dim=0).values) / 2).clamp_min(1e-12)
        return torch.stack([(tables[a] @ c / half).T * span[i] for i, a in enumerate(alphas)], dim=2)

    def place(self, basis: Basis, count: int, seed: int) -> Basis:
        """The basis with its first `count` functions moved to where the solution is steep."""
        generator = torch.Generator().manual_seed(seed)
        span = basis.upper - basis.lower
        unit = torch.rand(20_000, basis.dimension, generator=generator, dtype=torch.float64).to(basis.lower)
        g = self.gradients(basis.lower + unit * span, span)
        flat = g.reshape(-1, basis.dimension)
        size = flat.norm(dim=1) + 1e-12
        drawn = torch.multinomial(size.cpu(), count, True, generator=generator).to(size.device)
        factor = torch.exp((2 * torch.rand(count, generator=generator, dtype=torch.float64) - 1) * math.log(SPREAD))
        tilt = torch.full((basis.dimension,), TILT_SPACE, dtype=torch.float64)
        tilt[self.axis] = TILT_TIME
        noise = tilt * torch.randn(count, basis.dimension, generator=generator, dtype=torch.float64)
        normals = flat[drawn] * factor.to(flat)[:, None] + noise.to(flat)
        places = unit[drawn % unit.shape[0]]
        slopes, offsets = basis.hidden["layer0.slopes"].clone(), basis.hidden["layer0.offsets"].clone()
        slopes[:count], offsets[:count] = normals, -(normals * places).sum(dim=1)
        return basis.with_hidden({"layer0.slopes": slopes, "layer0.offsets": offsets})

    def denser(self, points: Points, region: Region, local: Work, seed: int) -> Points:
        """The points with the second half drawn anew, by the size of the gradient.

        The first half of a Sobol sequence is one; every second point of it would leave half the box empty.
        """
        candidates = sample_region(region, local.problem.intervals, 8 * points.count, "uniform", seed)
        x = candidates.x[0].to(points.x)
        size = self.gradients(x, local.upper - local.lower).norm(dim=2).sum(dim=0) + 1e-12
        count = points.count - points.count // 2
        drawn = torch.multinomial(size.cpu(), count, True, generator=torch.Generator().manual_seed(seed))
        return Points(
            torch.cat([points.x[:, : points.count // 2], points.x.new_tensor(x[drawn].cpu().numpy())[None]], dim=1)
        )


# -- all of it --------------------------------------------------------------------------------------------------


def marched(work: Work, tolerance: float, fallback: Result) -> Result:
    """Marches of growing resolution until two agree to `tolerance`, and the best of them and of `fallback`.

    A march that is stopped leaves what there was before it, with the status that says so.
    """
    before: Approximation | None = None
    best = fallback
    x = work.check_points()
    for level, (width, share) in enumerate(zip(WIDTHS[work.dimension], BUDGETS, strict=True)):
        march = _March(work, width, share * tolerance, work.seed + 977 * level)
        slabs, points, status, message = march.run()
        if status != "finished":
            return replace(best, status=status, message=message)
        solution = joined(work, slabs)
        if before is not None:
            u = solution.values(x)
            estimate = Estimate(relative_norms(work.problem.unknowns, u - before.values(x), u), {}, 1.0)
            if best.estimate is None or estimate.worst < best.estimate.worst:
                best = work.best = Result(
                    solution, None, estimate, "finished", message, "time slabs, least_squares", points
                )
            if estimate.worst <= tolerance:
                break
        before = solution
    return best


def joined(work: Work, slabs: list[_Slab]) -> Approximation:
    """The slabs as one approximation."""
    axis = work.problem.coordinates.index(work.problem.time)
    edges = (slabs[0].begin, *(slab.end for slab in slabs))
    parts = tuple(slab.approximation.basis for slab in slabs)
    basis = TimeSlabs(axis, edges, parts, work.lower, work.upper)
    coefficients = torch.cat([slab.approximation.state.coefficients for slab in slabs], dim=1)
    return Approximation(basis, State(coefficients, slabs[0].approximation.state.parameters))
