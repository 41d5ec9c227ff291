"""An inverse problem with all that its levels and marches share: weights, measurements, bounds, regularization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.adapt.hp_refinement import first_space
from pinnsolve.assembly.evolving_rows import evolving_continuity
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import DataRows, Measurements
from pinnsolve.assembly.parameter_rows import ParameterRows
from pinnsolve.assembly.reduced_data import ReducedData
from pinnsolve.assembly.regularization import RegularizationRows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import held_at, highest_orders, interface_rows, table_orders, term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.inverse.function_bases import SplineBasis, is_sought
from pinnsolve.inverse.regularization_choice import FIRST_WEIGHT, Smoothness
from pinnsolve.language.tabulated import Tabulated
from pinnsolve.runtime import go_on

OPEN_DEGREE = 14  # of the first cell where the start is open: coarser ones suppress what the data say of it
FIRST_DEGREE = 10  # in space of the first cell, where weights are chosen on it and there are three axes or more
MOST_DENSE = 600  # coefficients up to which functions that data hardly determine are found by QR
PRIOR = "what is known of parameters"  # the name of their rows
ASSUMED_WEIGHT = 1e-6  # of the smoothness of a start that is open, until its weight is chosen
FIT_SMOOTHNESS = 1e-3  # weight of the second derivatives in the first fit to the data


@dataclass(frozen=True)
class InverseProblem:
    """`weights`: the file's epsilon_k; `smoothness`: of unknown functions; `prior`: (K, P) rows that times the
    parameters are of size one, as far as is known before the data, and `loose` the least that may be said so;
    `functions`: the splines of unknown functions of the state; `held`: parameters stay as they are; `start`: (P,) of
    the parameters, where it is not their guess."""

    problem: CompiledProblem
    weights: Mapping[str, float]
    measurements: Measurements
    bounds: Bounds
    smoothness: tuple[Smoothness, ...] = ()
    prior: Tensor | None = None
    loose: Tensor | None = None
    functions: Mapping[str, SplineBasis] = field(default_factory=dict)
    held: bool = False
    start: Tensor | None = None
    check: Callable[[], None] = go_on  # called now and then, and may end the work on a level by an exception

    def with_weight(self, weight: float) -> InverseProblem:
        """With another weight of the data."""
        return replace(self, measurements=replace(self.measurements, weight=weight))

    def smoother(self) -> InverseProblem:
        """With the smoothness that is assumed where its weights are still to be chosen."""
        smoothness = tuple(
            replace(one, weight=ASSUMED_WEIGHT) if one.choice and one.weight == FIRST_WEIGHT else one
            for one in self.smoothness
        )
        return replace(self, smoothness=smoothness)

    @property
    def exact(self) -> CompiledProblem:
        """What is not measured."""
        return replace(self.problem, terms=tuple(t for t in self.problem.terms if t.data_file is None))

    @property
    def guess(self) -> Tensor:
        if self.start is not None:
            return self.start
        return torch.tensor([p.guess for p in self.problem.unknown_parameters], dtype=torch.float64)

    def system(self, space: Space) -> CellSystem:
        """The least squares of everything on a space."""
        unknowns, measurements = len(self.problem.unknowns), self.measurements
        unit = measurements.unit**2 * measurements.count  # of a weight of regularization
        sources = [
            *term_rows(self.exact, space, self.weights),
            *continuity_rows(space, self.problem.coordinates, self.orders),
            *evolving_continuity(self.problem, space),
            *interface_rows(self.problem, space),
            *measurements.rows(self.problem, space, self.check),
            *(one.rows(space, unknowns, unit) for one in self.smoothness),
            *self.prior_rows(space),
        ]
        made = CellSystem(space, sources, unknowns, check=self.check)
        return made.dense_up_to(MOST_DENSE if self.smoothness else 0)

    def is_dense(self, space: Space) -> bool:
        """Whether what data hardly determine is seen on a space: where it is small enough for QR."""
        return space.cells.count * space.functions * len(self.problem.unknowns) <= MOST_DENSE

    def prior_rows(self, space: Space) -> list[ParameterRows]:
        """What is known of the parameters beforehand, as rows."""
        if self.prior is None:
            return []
        columns = len(self.problem.unknowns) * space.functions
        return [ParameterRows(PRIOR, self.measurements.unit * self.prior, columns)]

    def first_space(self) -> Space:
        """One cell, with tables up to the highest derivative that anything asks for."""
        space = first_space(self.problem)
        highest = [max(k) for k in zip(table_orders(self.problem), *self.orders, strict=True)]
        degrees = space.degrees
        if self.smoothness and len(degrees) > 2:
            degrees = tuple(
                p if c == self.problem.time else max(p, FIRST_DEGREE)
                for p, c in zip(degrees, self.problem.coordinates, strict=True)
            )
        if leaves_start_open(self.exact) and len(degrees) == 2 and space.cells.count == 1:
            degrees = tuple(max(p, OPEN_DEGREE) for p in degrees)
        return Space(space.cells, degrees, tuple(highest))

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """Per unknown and axis, the order of derivative below which it is continuous."""
        result = highest_orders(self.problem)
        for one in self.smoothness:
            result[one.unknown] = tuple(max(k, one.order) for k in result[one.unknown])
        return result


def leaves_start_open(problem: CompiledProblem) -> bool:
    """Whether unknowns evolve from a start that no condition gives, a function of space that only data determine.

    Of ordinary differential equations the start is a few numbers, which need no smoothness.
    """
    if problem.time is None or len(problem.coordinates) < 2:
        return False
    axis = problem.coordinates.index(problem.time)
    exact = replace(problem, terms=tuple(t for t in problem.terms if t.data_file is None))
    wanted = sum(order[axis] for order in highest_orders(exact))
    return sum(len(t.residuals) for t in held_at(exact, axis, problem.intervals[axis][0])) < wanted


def data_rows(system: CellSystem) -> list[DataRows | ReducedData]:
    """The sources of measurements."""
    return [source for source in system.sources if isinstance(source, DataRows | ReducedData)]


def _holds_sought(term: Term) -> bool:
    """Whether a function that is sought, and has no values yet, stands in a term."""
    return any(is_sought(atom) for residual in term.residuals for atom in residual.atoms(Tabulated))


def first_fit(statement: InverseProblem, space: Space) -> Tensor:
    """(C, U, n): the data and all that is linear, made smooth; where Gauss-Newton starts."""
    problem, unknowns = statement.problem, len(statement.problem.unknowns)
    exact = replace(problem, terms=tuple(t for t in statement.exact.terms if t.linear and not _holds_sought(t)))
    sources = [
        *term_rows(exact, space, statement.weights),
        *continuity_rows(space, problem.coordinates, statement.orders),
        *evolving_continuity(problem, space),
        *(interface_rows(problem, space) if all(i.term.linear for i in problem.interfaces) else ()),
        *(r for r in statement.measurements.rows(problem, space) if r.term.linear and not _holds_sought(r.term)),
        *(RegularizationRows("smoothness", space, u, unknowns, 2, FIT_SMOOTHNESS**2) for u in range(unknowns)),
    ]
    system = CellSystem(space, sources, unknowns, linear=True)
    rows, reduced = system.factorized(State(system.zero(), statement.guess), (), parameters=False)
    return reduced.coefficients(rows)
