"""A table of a function becomes that function: interpolation of gridded and of scattered values.

Input: the columns of a data file. Output: `TableFunction`, which is evaluated, with derivatives, at arrays of its
arguments. One argument: linear, nearest, or a cubic spline where it is as monotone as the table, else the monotone
cubic of Fritsch & Carlson (SIAM J. Numer. Anal. 17 (1980) 238-246). A full grid in two or three arguments: tensor
products of splines. Scattered values: radial basis functions of Duchon (cubic), taken once on a grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pinnsolve.errors import ExpressionError

MOST_ARGUMENTS = 3
MOST_SCATTERED = 20_000  # rows of a table that is no grid
NEIGHBOURS = 60  # of a point, that decide the value there, in large scattered tables
RESAMPLED = {2: 129, 3: 41}  # points per axis of the grid that stands for scattered values
OVERSHOOT = 1e-4  # of the range of a table, that a spline may go against its rows
NEAR = 1e-9  # relative to the range: beyond its ends by rounding


@dataclass(frozen=True, eq=False)
class TableFunction:
    """A function of one to three arguments, given by a table.

    `arguments`: their names, `lower` and `upper`: (k,) the range of the table; `nodes`: per argument, where rows are.
    `outside`: `error` (the function goes on with the slope at the end, so that searches may leave the range for a
    while), `hold`, or a number.
    """

    arguments: tuple[str, ...]
    nodes: tuple[np.ndarray, ...]
    interpolation: str
    outside: str | float
    _pieces: Any

    @property
    def lower(self) -> np.ndarray:
        return np.array([nodes[0] for nodes in self.nodes])

    @property
    def upper(self) -> np.ndarray:
        return np.array([nodes[-1] for nodes in self.nodes])

    def beyond(self, *arguments: np.ndarray) -> np.ndarray:
        """How far the arguments are outside of the range of the table, relative to it; 0 inside."""
        parts = []
        for x, low, high in zip(arguments, self.lower, self.upper, strict=True):
            far = np.maximum(np.maximum(low - x, x - high), 0.0) / (high - low)
            parts.append(np.where(far > NEAR, far, 0.0))
        return np.max(np.broadcast_arrays(*parts), axis=0)

    def steps(self) -> tuple[tuple[tuple[float, ...], ...], np.ndarray] | None:
        """Of a table that jumps: per argument where it does, and its values between these places, a dimension for each
        argument; None of others."""
        if self.interpolation != "nearest":
            return None
        places, known = corners(self), isinstance(self.outside, str)
        if not known:  # a number, from the ends of the table on
            places = tuple((n[0], *at, n[-1]) for n, at in zip(self.nodes, places, strict=True))
        inner = self.nodes if known else tuple(np.array([n[0] - 1, *n, n[-1] + 1]) for n in self.nodes)
        grid = np.meshgrid(*inner, indexing="ij")
        return tuple(tuple(map(float, at)) for at in places), self([0] * len(inner), *grid)

    def __call__(self, orders: Sequence[int], *arguments: np.ndarray) -> np.ndarray:
        """The derivative of these orders, per argument, at arrays of one shape."""
        arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arguments))
        inside = [np.clip(a, n[0], n[-1]) for a, n in zip(arrays, self.nodes, strict=True)]
        value = self._pieces(tuple(orders), inside)
        if self.outside == "error":
            return self._continued(orders, arrays, inside, value)
        out = self.beyond(*arrays) > 0
        if self.outside != "hold":
            return np.where(out, 0.0 if any(orders) else float(self.outside), value)
        for order, a, n in zip(orders, arrays, self.nodes, strict=True):
            value = np.where((order > 0) & ((a < n[0]) | (a > n[-1])), 0.0, value)
        return value

    def _continued(self, orders, arrays, inside, value) -> np.ndarray:
        """Beyond the table, the tangent plane at the nearest point of its range."""
        off = [a - i for a, i in zip(arrays, inside, strict=True)]
        out = np.any([o != 0 for o in off], axis=0)
        if not out.any():
            return value
        if sum(orders) > 1:
            return np.where(out, 0.0, value)
        if sum(orders) == 1:
            return value
        slopes = np.eye(len(off), dtype=int)
        return value + sum(o * self._pieces(tuple(s), inside) for o, s in zip(off, slopes, strict=True))


def table_function(
    columns: Mapping[str, np.ndarray], arguments: Sequence[str], column: str, interpolation: str, outside: str | float
) -> TableFunction:
    """The function of a table. Raises `ExpressionError` with what is wrong with the table."""
    places = [np.asarray(columns[name], dtype=np.float64) for name in arguments]
    values = np.asarray(columns[column], dtype=np.float64)
    if len(arguments) > MOST_ARGUMENTS:
        raise ExpressionError(f"a table has at most {MOST_ARGUMENTS} arguments, not {len(arguments)}")
    nodes = [np.unique(x) for x in places]
    for name, found in zip(arguments, nodes, strict=True):
        if len(found) < 2:
            raise ExpressionError(f"the column `{name}` holds one value: a function needs two at least")
    _refuse_repeated(places, arguments)
    gridded = len(values) == np.prod([len(n) for n in nodes])
    if not gridded:
        nodes, grid = _resampled(places, values, interpolation)
    else:
        grid = values[np.lexsort(tuple(reversed(places)))].reshape([len(n) for n in nodes])
    make = _PIECES[interpolation] if len(arguments) > 1 else _CURVES[interpolation]
    return TableFunction(tuple(arguments), tuple(nodes), interpolation, outside, make(nodes, grid))


def _refuse_repeated(places: Sequence[np.ndarray], arguments: Sequence[str]) -> None:
    rows = np.stack(places, axis=1)
    order = np.lexsort(rows.T[::-1])
    same = np.flatnonzero((np.diff(rows[order], axis=0) == 0).all(axis=1))
    if len(same):
        a, b = sorted(order[same[0] : same[0] + 2] + 1)
        place = ", ".join(f"{n} = {v:g}" for n, v in zip(arguments, rows[a - 1], strict=True))
        raise ExpressionError(f"data rows {a} and {b} are for the same place, {place}")


def _resampled(places, values: np.ndarray, interpolation: str) -> tuple[list[np.ndarray], np.ndarray]:
    """A grid that stands for scattered values."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator, RBFInterpolator

    if len(values) > MOST_SCATTERED:
        raise ExpressionError(f"a table that is no full grid has at most {MOST_SCATTERED} rows, not {len(values)}")
    points = np.stack(places, axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    count = RESAMPLED[points.shape[1]]
    nodes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    unit, axis = (points - low) / (high - low), np.linspace(0.0, 1.0, count)
    at = np.stack(np.meshgrid(*[axis] * len(nodes), indexing="ij"), axis=-1).reshape(-1, len(nodes))
    nearest = NearestNDInterpolator(unit, values)
    try:
        if interpolation == "nearest":
            found = nearest(at)
        elif interpolation == "linear":
            found = LinearNDInterpolator(unit, values)(at)
            found = np.where(np.isnan(found), nearest(at), found)
        else:
            few = None if len(values) <= 1000 else NEIGHBOURS
            found = RBFInterpolator(unit, values, neighbors=few, kernel="cubic")(at)
    except (ValueError, np.linalg.LinAlgError, RuntimeError):
        raise ExpressionError("the places of the rows lie on a line, or are too few, to tell a function") from None
    return nodes, found.reshape([count] * len(nodes))


# -- one argument ---------------------------------------------------------------------------------------------------


class _Curve:
    """A piecewise polynomial, and its derivatives."""

    def __init__(self, polynomial: Any):
        self._derivative = lru_cache(maxsize=8)(lambda order: polynomial.derivative(order) if order else polynomial)

    def __call__(self, orders: tuple[int, ...], x: Sequence[np.ndarray]) -> np.ndarray:
        return self._derivative(orders[0])(x[0])


def _curve_linear(nodes, values) -> _Curve:
    from scipy.interpolate import PPoly

    (x,) = nodes
    return _Curve(PPoly(np.stack([np.diff(values) / np.diff(x), values[:-1]]), x))


def _curve_nearest(nodes, values) -> _Curve:
    from scipy.interpolate import PPoly

    (x,) = nodes
    middles = np.concatenate([x[:1], 0.5 * (x[1:] + x[:-1]), x[-1:]])
    return _Curve(PPoly(values[None, :], middles))


def _curve_cubic(nodes, values) -> _Curve:
    """The spline, of order four, where it rises and falls as the table does; else what keeps to that by its slopes."""
    from scipy.interpolate import CubicSpline, PchipInterpolator

    (x,) = nodes
    if len(x) < 4:
        return _curve_linear(nodes, values) if len(x) == 2 else _Curve(PchipInterpolator(x, values))
    spline = CubicSpline(x, values)
    return _Curve(spline if _keeps_monotone(spline, x, values) else PchipInterpolator(x, values))


def _keeps_monotone(spline: Any, x: np.ndarray, values: np.ndarray) -> bool:
    """Whether the spline turns only beside rows where the table turns, but for very little of the table's range."""
    steps, size = np.sign(np.diff(values)), np.ptp(values)
    turns = np.zeros(len(x), dtype=bool)
    turns[1:-1] = steps[1:] * steps[:-1] < 0
    widths = np.diff(x)[:, None]
    slopes = spline(x[:-1, None] + widths * np.linspace(0.0, 1.0, 9), 1) * widths
    against = np.where(steps[:, None] == 0, np.abs(slopes), -slopes * steps[:, None])
    return bool((against[~(turns[:-1] | turns[1:])] <= OVERSHOOT * size).all())


# -- several ----------------------------------------------------------------------------------------------------------


class _Splines:
    """A tensor product of B-splines of one degree, less on axes with few nodes."""

    def __init__(self, nodes, values: np.ndarray, degree: int):
        from scipy.interpolate import NdBSpline, make_interp_spline

        coefficients, knots, degrees = values, [], []
        for axis, x in enumerate(nodes):
            k = min(degree, len(x) - 1)
            spline = make_interp_spline(x, np.moveaxis(coefficients, axis, 0), k=k)
            coefficients = np.moveaxis(spline.c, 0, axis)
            knots.append(spline.t)
            degrees.append(k)
        self._spline, self._degrees = NdBSpline(tuple(knots), coefficients, tuple(degrees)), degrees

    def __call__(self, orders: tuple[int, ...], x: Sequence[np.ndarray]) -> np.ndarray:
        if any(order > k for order, k in zip(orders, self._degrees, strict=True)):
            return np.zeros(np.shape(x[0]))
        return self._spline(np.stack(x, axis=-1), nu=orders)


class _Steps:
    """The value of the nearest node."""

    def __init__(self, nodes, values: np.ndarray):
        self._middles, self._values = [0.5 * (n[1:] + n[:-1]) for n in nodes], values

    def __call__(self, orders: tuple[int, ...], x: Sequence[np.ndarray]) -> np.ndarray:
        if any(orders):
            return np.zeros(np.shape(x[0]))
        return self._values[tuple(np.searchsorted(m, a) for m, a in zip(self._middles, x, strict=True))]


_CURVES = {"linear": _curve_linear, "nearest": _curve_nearest, "cubic": _curve_cubic}
_PIECES = {
    "linear": lambda nodes, values: _Splines(nodes, values, 1),
    "nearest": _Steps,
    "cubic": lambda nodes, values: _Splines(nodes, values, 3),
}


def corners(function: TableFunction) -> tuple[tuple[float, ...], ...]:
    """Per argument, where the function or its slope jumps: rows of linear tables, between rows of nearest ones."""
    if function.interpolation == "cubic":
        ends = ((n[0], n[-1]) for n in function.nodes)
        return tuple(tuple(map(float, e)) if function.outside != "error" else () for e in ends)
    if function.interpolation == "nearest":
        return tuple(tuple(0.5 * (n[1:] + n[:-1])) for n in function.nodes)
    return tuple(tuple(itertools.chain(map(float, n))) for n in function.nodes)
