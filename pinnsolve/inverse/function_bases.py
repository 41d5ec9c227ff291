"""Splines for unknown functions of the state, on the range that the state visits.

A function is a sum of cubic B-splines of one or two arguments, times constants to find. Where all of these are positive
the function is, and where they grow so does the function (Ramsay, Statistical Science 3 (1988) 425-441), so that both
are bounds of the constants or of their differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from pinnsolve.compiler.linearization import is_linear, linearize
from pinnsolve.compiler.terms import CompiledProblem, StateFunction, Term
from pinnsolve.language.symbols import UnknownParameter, coordinate_symbol
from pinnsolve.language.tabulated import Tabulated, tabulated

DEGREE = 3
INTERVALS = {1: 12, 2: 5}  # between knots along an axis, by the number of arguments
QUADRATURE = 4  # points in an interval: exact for squares of cubics


@dataclass(frozen=True)
class SplineBasis:
    """The K splines of a function between `low` and `high`, by argument; outside it goes on with the slope there."""

    function: StateFunction
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def _along(self) -> int:
        """How many splines there are along an axis."""
        return INTERVALS[len(self.low)] + DEGREE

    @property
    def size(self) -> int:
        return self._along ** len(self.low)

    @property
    def constant(self) -> np.ndarray:
        """(K,) the constants of the function that is one."""
        return np.linalg.solve(self._mix, np.ones(self.size))

    @property
    def _mix(self) -> np.ndarray:
        """(K, K): from the constants to the factors of the B-splines; of monotone functions, these are their sums."""
        if self.function.monotone is None:
            return np.eye(self.size)
        sums = np.tril(np.ones((self.size, self.size)))
        return sums if self.function.monotone == "increasing" else sums[::-1].copy()

    def parameters(self) -> tuple[UnknownParameter, ...]:
        """The constants to find, which start from the function that is zero."""
        free, positive = (-math.inf, math.inf), (0.0, math.inf)
        differences = self.function.monotone is not None
        bounds = [positive if self.function.positive or (differences and k) else free for k in range(self.size)]
        return tuple(
            UnknownParameter(f"{self.function.name}[{k}]", 0.0, bound, function=self.function.name)
            for k, bound in enumerate(bounds)
        )

    def design(self, orders: tuple[int, ...], *x: np.ndarray) -> np.ndarray:
        """(N, K): the derivatives of these orders of what the constants stand before, at points (N,) by argument."""
        axes = [self._axis(a, order, x[a]) for a, order in enumerate(orders)]
        whole = axes[0]
        for other in axes[1:]:
            whole = (whole[:, :, None] * other[:, None, :]).reshape(len(whole), -1)
        return whole @ self._mix

    def _axis(self, axis: int, order: int, x: np.ndarray) -> np.ndarray:
        """(N, n): the splines along an axis."""
        low, high = self.low[axis], self.high[axis]
        inner = np.linspace(low, high, INTERVALS[len(self.low)] + 1)
        from scipy.interpolate import BSpline  # takes a third of a second, and few problems look for functions

        splines = BSpline(np.r_[[low] * DEGREE, inner, [high] * DEGREE], np.eye(self._along), DEGREE)
        inside = np.clip(x, low, high)
        beyond = (x - inside)[:, None]
        if order == 0:
            return splines(inside) + beyond * splines.derivative()(inside)
        found = splines.derivative(order)(inside)
        return found if order == 1 else np.where(beyond == 0, found, 0.0)

    def seminorm(self, order: int) -> Tensor:
        """(R, K): rows whose squares add up to the mean square of all derivatives of that order, along a unit box."""
        nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
        intervals = INTERVALS[len(self.low)]
        ends = np.linspace(0.0, 1.0, intervals + 1)
        unit = (ends[:-1, None] + (nodes + 1) / 2 / intervals).ravel()
        share = np.tile(weights / 2 / intervals, intervals)
        points = [p.ravel() for p in np.meshgrid(*[unit] * len(self.low), indexing="ij")]
        root = np.sqrt(math.prod(np.meshgrid(*[share] * len(self.low), indexing="ij"))).ravel()[:, None]
        x = [low + (high - low) * p for low, high, p in zip(self.low, self.high, points, strict=True)]
        parts = []
        for alpha in product(range(order + 1), repeat=len(self.low)):
            if sum(alpha) == order:
                repeated = math.factorial(order) / math.prod(map(math.factorial, alpha))
                spans = zip(self.low, self.high, alpha, strict=True)
                mapped = math.prod((high - low) ** k for low, high, k in spans)
                parts.append(math.sqrt(repeated) * mapped * root * self.design(alpha, *x))
        return torch.as_tensor(np.concatenate(parts))

    def constants_for(self, values: Callable[..., np.ndarray]) -> np.ndarray:
        """(K,) the constants of a function that is given by its values."""
        axes = [np.linspace(low, high, 4 * self._along) for low, high in zip(self.low, self.high, strict=True)]
        x = [p.ravel() for p in np.meshgrid(*axes, indexing="ij")]
        return np.linalg.lstsq(self.design((0,) * len(x), *x), values(*x), rcond=None)[0]


@dataclass(frozen=True)
class _Column:
    """One of the functions of a basis, as what evaluates a function of a table."""

    designs: Callable[..., np.ndarray]
    number: int
    outside: str = "hold"  # nothing is said of what is beyond

    def __call__(self, orders: tuple[int, ...], *x: np.ndarray) -> np.ndarray:
        shape = np.shape(x[0])
        flat = tuple(np.ascontiguousarray(one, dtype=float).ravel().tobytes() for one in x)
        return self.designs(orders, flat)[:, self.number].reshape(shape)


def splines_of(basis: SplineBasis) -> tuple[type[Tabulated], ...]:
    """The functions of a basis in sympy; all of them are evaluated together, and kept for the next to ask."""

    @lru_cache(maxsize=16)
    def designs(orders: tuple[int, ...], x: tuple[bytes, ...]) -> np.ndarray:
        return basis.design(orders, *map(np.frombuffer, x))

    name, arguments = basis.function.name, len(basis.low)
    return tuple(tabulated(f"{name}_spline{k}", arguments, _Column(designs, k)) for k in range(basis.size))


def with_bases(problem: CompiledProblem, bases: Mapping[str, SplineBasis]) -> CompiledProblem:
    """The problem with sums of splines in the place of its unknown functions, and their constants to find."""
    parameters = (*problem.unknown_parameters, *(p for basis in bases.values() for p in basis.parameters()))
    symbols = tuple(coordinate_symbol(p.name) for p in parameters)
    sums = {name: (splines_of(basis), [p.name for p in basis.parameters()]) for name, basis in bases.items()}

    def put(atom: Tabulated) -> sp.Expr:
        splines, names = sums[atom.table_name]
        pairs = zip(names, splines, strict=True)
        return sp.Add(*(coordinate_symbol(name) * s.derived(atom.orders)(*atom.args) for name, s in pairs))

    terms = tuple(_put(term, put, symbols) for term in problem.terms)
    return replace(problem, terms=terms, unknown_parameters=parameters)


def is_sought(atom: sp.Basic) -> bool:
    """Whether it is an unknown function of the state, or a derivative of one."""
    return isinstance(atom, Tabulated) and atom.table is None


def _put(term: Term, put: Callable[[Tabulated], sp.Expr], symbols: tuple[sp.Symbol, ...]) -> Term:
    if not any(is_sought(atom) for r in term.residuals for atom in r.atoms(Tabulated)):
        return term
    residuals = tuple(r.replace(is_sought, put) for r in term.residuals)
    linearizations = tuple(linearize(r, symbols) for r in residuals)
    linear = all(is_linear(r, one, symbols) for r, one in zip(residuals, linearizations, strict=True))
    return replace(term, residuals=residuals, linearizations=linearizations, linear=linear)
