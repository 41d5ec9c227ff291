"""Terms, basis, points -> rows: the linearized K-term loss, block by block.

At a state (coefficients and unknown parameters) every term gives rows A of its linearization and its residual r,
both scaled so that the loss is the sum of squares: sum_k eps_k/N_k sum_i r_i^2 [Gulian, eq. (11)]. The
least-squares problem for the correction is min ||A delta + r||; from the zero state of a linear problem, delta is the
solution itself. Rows always come in blocks, so memory is bounded by whoever consumes them. Processes that divide the
rows hold their share of the points of every term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.bases.base import Basis
from pinnsolve.compiler.terms import CompiledProblem, Linearization, Term
from pinnsolve.errors import PinnsolveError
from pinnsolve.geometry.sampling import Points
from pinnsolve.language import operators
from pinnsolve.language.symbols import Feature, coordinate_symbol, feature_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.processes.communicator import ALONE, Communicator
from pinnsolve.runtime import go_on

BLOCK_NUMBERS = 1e6  # of a (points, width) table at a time, of which there is one per derivative
FeatureMatrices = dict[Feature, Tensor]  # (N, W) each


def points_at_once(functions: int) -> int:
    """At how many points so many functions are evaluated at a time, so that their tables stay small."""
    return max(64, min(8192, int(BLOCK_NUMBERS // functions)))


@lru_cache(maxsize=256)
def _evaluator(residuals: tuple[sp.Expr, ...], linearizations: tuple[Linearization, ...]) -> Evaluator:
    """Residuals, then the coefficients of every linearization; made once per term, however often points change."""
    expressions = [*residuals]
    for linearization in linearizations:
        expressions += [c for _, c in linearization.features] + [c for _, c in linearization.parameters]
    return Evaluator(expressions)


class TermRows:
    """One term at its points: evaluates its functions there once, and gives rows and residuals.

    Of `points` that are divided `among` processes, it holds those of this one; `count` is the number of all.
    """

    def __init__(
        self, term: Term, points: Points, problem: CompiledProblem, term_weight: float, among: Communicator = ALONE
    ):
        self.count, self.among, self.own = points.count, among, among.own(points.count)
        points = points if self.own is None else points.select(self.own)
        self.term, self.points, self.problem = term, points, problem
        self.features = term.features
        self.scale = (term_weight / max(self.count, 1)) ** 0.5
        self.parameter_names = tuple(p.name for p in problem.unknown_parameters)
        self.integral_names = term.integrals
        self._evaluate = _evaluator(term.residuals, term.linearizations)
        self._known = {coordinate_symbol(c): points.x[0][:, i] for i, c in enumerate(problem.coordinates)}
        if points.normals is not None:
            for i, c in enumerate(problem.coordinates):
                self._known[coordinate_symbol(f"n_{c}")] = points.normals[:, i]
        for name, column in points.columns.items():
            self._known[coordinate_symbol(name)] = column
        # (side, what the basis is asked for there)
        self.asked = {
            side: tuple(dict.fromkeys((f.alpha, f.operator) for f in self.features if f.side == side))
            for side in range(points.x.shape[0])
        }

    def matrices(self, basis: Basis, hidden: Mapping | None, index: slice | None = None) -> FeatureMatrices:
        """What the basis answers at the points: (n, W) per feature. The unknowns share the basis functions."""
        answers = {}
        for side, asked in self.asked.items():
            x = self.points.x[side] if index is None else self.points.x[side, index]
            answers[side] = apply_features(basis, x, asked, hidden)
        return {f: answers[f.side][(f.alpha, f.operator)] for f in self.features}

    def residuals(self, values: Mapping[Feature, Tensor], state: State, index: slice | None = None) -> Tensor:
        """Unscaled residuals (residual count, n) where the features take `values` (n,) each."""
        return self._evaluated(values, state, index)[0]

    def _evaluated(self, values, state: State, index=None) -> tuple[Tensor, list]:
        known = self._known if index is None else {s: v[index] for s, v in self._known.items()}
        arguments = {feature_symbol(f.unknown, f.alpha, f.operator, f.side): v for f, v in values.items()}
        arguments |= {coordinate_symbol(n): state.parameters[i] for i, n in enumerate(self.parameter_names)}
        arguments |= {coordinate_symbol(n): v for n, v in self.integrals(state, index).items()}
        results = self._evaluate({**known, **arguments})
        like = next(iter(known.values()))
        count = len(self.term.residuals)
        stacked = torch.stack(
            [r if isinstance(r, Tensor) and r.ndim else torch.full_like(like, 1.0) * r for r in results[:count]]
        )
        return stacked, results[count:]

    def integrals(self, state: State, index: slice | None = None) -> dict[str, Tensor]:
        """(n,) by name what the integrals that the term holds are at the points; zero where the state does not say."""
        if not self.integral_names:
            return {}
        x = self.points.x[0] if index is None else self.points.x[0, index]
        found = {} if state.integrals is None else state.integrals.at(x)
        return {name: found.get(name, torch.zeros_like(x[:, 0])) for name in self.integral_names}

    def values(self, matrices: FeatureMatrices, state: State) -> dict[Feature, Tensor]:
        unknowns = self.problem.unknowns
        return {f: m @ state.coefficients[unknowns.index(f.unknown)] for f, m in matrices.items()}

    def linearized(self, values: Mapping[Feature, Tensor], state: State) -> tuple[Tensor, list[dict]]:
        """Unscaled residuals (residual count, N), and per residual what `coefficients_of` gives."""
        residuals, flat = self._evaluated(values, state)
        return residuals, self._split(flat)

    def combined(self, basis: Basis, state: State, index: slice | None = None) -> dict[Feature, Tensor]:
        """The features (n,) of the functions that the state is, without the table of the basis where that is spared."""
        if any(f.operator is not None for f in self.features):
            return self.values(self.matrices(basis, None, index), state)
        values = {}
        for side, asked in self.asked.items():
            if not asked:  # integrals alone
                continue
            x = self.points.x[side] if index is None else self.points.x[side, index]
            answers = basis.combined(x, [alpha for alpha, _ in asked], state.coefficients)
            for f in self.features:
                if f.side == side:
                    values[f] = answers[f.alpha][self.problem.unknowns.index(f.unknown)]
        return values

    def values_on(
        self, basis: Basis, state: State, index: slice | None = None, hidden: Mapping | None = None
    ) -> dict[Feature, Tensor]:
        """The features (n,) of a state, by the table of each derivative where a basis has one."""
        if basis.by_operator:
            return self.combined(basis, state, index)
        return self.values(self.matrices(basis, hidden, index), state)

    def rows_on(
        self,
        basis: Basis,
        state: State,
        index: slice | None = None,
        hidden: Mapping | None = None,
        values: Mapping[Feature, Tensor] | None = None,
    ) -> RowBlock:
        """The rows on a basis, linearized at a state on it, or where the features take `values` (n,) each."""
        if self._takes_operators(basis):
            if values is None and self.term.linear:
                return self._linear_rows(basis, state, index)
            at = self.combined(basis, state, index) if values is None else values
            return self._rows_by_operator(at, basis, state, index)
        matrices = self.matrices(basis, hidden, index)
        return self.rows_at(self.values(matrices, state) if values is None else values, matrices, state, index)

    def coefficients_of(self, values: Mapping[Feature, Tensor], state: State) -> list[dict]:
        """Per residual: the linearization's coefficient per feature (and, keyed by name, per unknown parameter)."""
        return self._split(self._evaluated(values, state, None)[1])

    def _split(self, flat: list) -> list[dict]:
        result, position = [], 0
        for linearization in self.term.linearizations:
            keys = [f for f, _ in linearization.features] + [name for name, _ in linearization.parameters]
            result.append(dict(zip(keys, flat[position : position + len(keys)], strict=True)))
            position += len(keys)
        return result

    def rows(self, matrices: FeatureMatrices, state: State, index: slice | None = None) -> RowBlock:
        """The scaled rows and residuals at the state; residuals of one point side stand one after another."""
        return self.rows_at(self.values(matrices, state), matrices, state, index)

    def gathered(self, basis: Basis, state: State) -> RowBlock:
        """The rows at all points, for which the tables of the basis are made a few points at a time."""
        size, count, whole = points_at_once(basis.active), self.points.count, None
        if count <= size:
            return self.rows_on(basis, state)
        r = []
        for start in range(0, count, size):
            index = slice(start, start + size)
            block = self.rows_on(basis, state, index)
            A = block.A.reshape(len(self.term.residuals), -1, block.A.shape[1])
            if whole is None:
                whole = A.new_empty(len(A), count, A.shape[2])
            whole[:, index] = A
            r.append(block.r.reshape(len(A), -1))
        A, split = whole.reshape(1, -1, whole.shape[2]), whole.shape[2] - len(self.parameter_names)
        sides = [(torch.zeros(1, dtype=torch.long, device=A.device), A[..., :split])]
        parameters = A[..., split:] if self.parameter_names else None
        r = torch.cat(r, dim=1).reshape(1, -1)
        return RowBlock(self.term.name, r, sides, parameters, among=self.among)

    def residuals_of(self, basis: Basis, state: State) -> Tensor:
        """Unscaled residuals (residual count, N) at all points, a few points at a time."""
        pieces, size = [], points_at_once(basis.held)
        for start in range(0, max(self.points.count, 1), size):  # one even for a term without points
            index = slice(start, start + size)
            pieces.append(self.residuals_on(basis, state, index))
        return torch.cat(pieces, dim=1)

    def residuals_on(self, basis: Basis, state: State, index: slice | None = None) -> Tensor:
        """Unscaled residuals (residual count, n) at some points; of a linear term in one pass over the basis."""
        if not (self.term.linear and self._takes_operators(basis)):
            return self.residuals(self.combined(basis, state, index), state, index)
        residuals, flat = self._evaluated(self._zeros(index), state, index)
        for r, coefficients in zip(residuals, self._split(flat), strict=True):
            for unknown, c in zip(self.problem.unknowns, state.coefficients, strict=True):
                own = {f: k for f, k in coefficients.items() if isinstance(f, Feature) and f.unknown == unknown}
                for x, operator in self._operators(own, index):
                    r += basis.applied_to(x, operator, c)
        return residuals

    def _takes_operators(self, basis: Basis) -> bool:
        """Whether the rows on a basis are made by whole operators."""
        return basis.by_operator and all(f.operator is None for f in self.features)

    def _zeros(self, index: slice | None) -> dict[Feature, Tensor]:
        """The features (n,) of nothing."""
        x = self.points.x[0] if index is None else self.points.x[0, index]
        return dict.fromkeys(self.features, x.new_zeros(len(x)))

    def _operators(self, coefficients: Mapping[Feature, Tensor | float], index) -> Iterator[tuple[Tensor, dict]]:
        """For every side of the points, these (n, d) and the operator there."""
        for side in {f.side for f in coefficients}:
            x = self.points.x[side] if index is None else self.points.x[side, index]
            yield x, {f.alpha: c for f, c in coefficients.items() if f.side == side}

    def _linear_rows(self, basis: Basis, state: State, index: slice | None) -> RowBlock:
        """The rows of a linear term, which do not depend on the state, with its residuals there."""
        block = self._rows_by_operator(self._zeros(index), basis, state, index)
        c = state.coefficients.reshape(-1)
        return replace(block, r=block.r + block.A[:, : len(c)] @ c) if bool(c.any()) else block

    def rows_at(
        self, values: Mapping[Feature, Tensor], matrices: FeatureMatrices, state: State, index=None
    ) -> RowBlock:
        """Rows on the basis of `matrices`, linearized where the features take `values` (n,) each."""
        width = next(iter(matrices.values())).shape[1]

        def combined(coefficients: Mapping[Feature, Tensor | float]) -> Tensor:
            parts = [_times(c, matrices[f]) for f, c in coefficients.items()]
            return sum(parts[1:], parts[0])

        return self._block(values, state, index, width, combined)

    def _rows_by_operator(self, values: Mapping[Feature, Tensor], basis: Basis, state: State, index) -> RowBlock:
        """The same on a basis that applies whole operators."""

        def combined(coefficients: Mapping[Feature, Tensor | float]) -> Tensor:
            parts = [basis.applied(x, operator) for x, operator in self._operators(coefficients, index)]
            return sum(parts[1:], parts[0])

        return self._block(values, state, index, basis.width, combined)

    def _block(self, values, state: State, index, width: int, combined: Callable[[Mapping], Tensor]) -> RowBlock:
        """The scaled rows, where `combined` makes the table (n, width) of a sum of features with coefficients."""
        residuals, flat = self._evaluated(values, state, index)
        n = residuals.shape[1]
        blocks = []
        for coefficients in self._split(flat):
            columns = []
            for unknown in self.problem.unknowns:
                own = {f: c for f, c in coefficients.items() if isinstance(f, Feature) and f.unknown == unknown}
                columns.append(combined(own) if own else residuals.new_zeros(n, width))
            blocks.append(torch.cat(columns, dim=1) if len(columns) > 1 else columns[0])
        A = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
        sides = [(torch.zeros(1, dtype=torch.long, device=A.device), (A * self.scale)[None])]
        parameters = self._by_parameters(self._split(flat), residuals) if self.parameter_names else None
        r = residuals.reshape(1, -1) * self.scale
        return RowBlock(self.term.name, r, sides, parameters, among=self.among)

    def _by_parameters(self, linearizations: list[dict], residuals: Tensor) -> Tensor:
        """(1, rows, P): the scaled derivatives by the unknown parameters."""
        n = residuals.shape[1]
        columns = []
        for name in self.parameter_names:
            found = [item.get(name, 0.0) for item in linearizations]
            parts = [c if isinstance(c, Tensor) and c.ndim else residuals.new_full((n,), float(c)) for c in found]
            columns.append(torch.cat(parts))
        return (torch.stack(columns, dim=1) * self.scale)[None]


def _times(coefficient: Tensor | float, matrix: Tensor) -> Tensor:
    if isinstance(coefficient, Tensor):
        return (coefficient[:, None] if coefficient.ndim else coefficient) * matrix
    return matrix if coefficient == 1 else coefficient * matrix


def apply_features(basis: Basis, x: Tensor, asked, hidden: Mapping | None) -> dict:
    """(alpha, operator) -> (N, W) at the points x (N, d)."""
    alphas = [alpha for alpha, name in asked if name is None]
    derivatives = basis.derivatives(x, alphas, hidden) if alphas else {}
    answers = {(alpha, None): derivatives[alpha] for alpha in alphas}
    for alpha, name in asked:
        if name is not None:
            answers[(alpha, name)] = _apply_operator(name, basis if hidden is None else basis.with_hidden(hidden), x)
    return answers


def _apply_operator(name: str, basis: Basis, x: Tensor) -> Tensor:
    applied = operators.OPERATORS[name].apply(basis, x)
    if not isinstance(applied, Tensor) or applied.shape != (x.shape[0], basis.width):
        shape = tuple(applied.shape) if isinstance(applied, Tensor) else type(applied).__name__
        raise PinnsolveError(
            f"the operator `{name}` must return a tensor of shape (points, width) = ({x.shape[0]}, {basis.width}), "
            f"got {shape}"
        )
    return applied.to(x)  # nodes of a quadrature, say, come in double precision


class Assembly:
    """All terms at their points. Immutable; `term_weights` are numbers by term name.

    `points` are those of all processes `among` which they are divided. `check()` is called now and then by solves that
    take long, and ends them by raising.
    """

    def __init__(
        self,
        problem: CompiledProblem,
        points: Mapping[str, Points],
        term_weights: Mapping[str, float],
        among: Communicator = ALONE,
        check: Callable[[], None] = go_on,
    ):
        self.problem, self.term_weights, self.among = problem, dict(term_weights), among
        self.check = among.check if check is go_on else check
        self.terms = tuple(TermRows(t, points[t.name], problem, term_weights[t.name], among) for t in problem.terms)

    @property
    def points(self) -> dict[str, Points]:
        """The points of every term that this process holds."""
        return {t.term.name: t.points for t in self.terms}

    @property
    def row_count(self) -> int:
        """Of all processes."""
        return sum(t.count * len(t.term.residuals) for t in self.terms)

    @property
    def own_rows(self) -> int:
        """Of this process."""
        return sum(t.points.count * len(t.term.residuals) for t in self.terms)

    def blocks(self, basis: Basis, state: State, hidden: Mapping | None = None, rows: int = 8192) -> Iterator[RowBlock]:
        """The rows of every term, at most about `rows` points at a time."""
        for term in self.terms:
            for start in range(0, max(term.points.count, 1), rows):  # one even for a term without points
                index = None if term.points.count <= rows else slice(start, start + rows)
                yield term.rows_on(basis, state, index, hidden)

    def residual_vector(self, basis: Basis, state: State, hidden: Mapping | None = None) -> Tensor:
        """All scaled residuals of this process; the loss is the sum of their squares over all. Differentiable in state
        and hidden."""
        return torch.cat([r.reshape(-1) for r in self.residual_parts(basis, state, hidden).values()])

    def residual_parts(self, basis: Basis, state: State, hidden: Mapping | None = None) -> dict[str, Tensor]:
        """Scaled residuals (residual count, N) by term."""
        parts = {}
        for term in self.terms:
            values = term.values_on(basis, state, None, hidden)
            parts[term.term.name] = term.residuals(values, state) * term.scale
        return parts

    def unscaled_residuals(self, basis: Basis, state: State) -> dict[str, Tensor]:
        """Residuals (residual count, N) by term, without term weights, in blocks so that memory stays bounded."""
        return {term.term.name: term.residuals_of(basis, state) for term in self.terms}


def losses(parts: Mapping[str, Tensor], among: Communicator = ALONE) -> dict[str, float]:
    """The weighted loss per named term, from scaled residuals, which may be divided `among` processes."""
    return {name: among.total(float((r.detach() ** 2).sum())) for name, r in parts.items()}
