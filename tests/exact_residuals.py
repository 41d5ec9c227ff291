"""Residuals of exact solutions in the equations and conditions of a file, by sympy and numpy alone.

The points are drawn here, so that the sampling and the code generation of the solver are not judged by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.special
import sympy as sp

from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.factory import make_shape
from pinnsolve.language.operators import OPERATORS
from pinnsolve.language.symbols import coordinate_symbol, features_of
from pinnsolve.problem.problem import Problem

POINTS = 40
NARROW = 30  # times as many where a `where` may leave few of them
# derivatives hold almost everywhere, as in the files: what a kink would give at its very place is left out
FUNCTIONS = {"besselj": scipy.special.jv, "DiracDelta": lambda x, *order: np.zeros_like(x)}
NONE: Mapping[str, float] = {}


def evaluate(expression: sp.Expr, values: dict[str, np.ndarray]) -> np.ndarray:
    """An expression of coordinates, normals, columns and parameters at points: each value (N,) -> (N,)."""
    symbols = [coordinate_symbol(name) for name in values]
    function = sp.lambdify(symbols, expression, [FUNCTIONS, "scipy", "numpy"])
    return np.broadcast_to(function(*values.values()), np.shape(next(iter(values.values())))).astype(float)


def derivative(expression: sp.Expr, coordinates: tuple[str, ...], alpha: tuple[int, ...]) -> sp.Expr:
    for coordinate, order in zip(coordinates, alpha, strict=True):
        if order:
            expression = expression.diff(coordinate_symbol(coordinate), order)
    steps = [d for d in expression.atoms(sp.Derivative, sp.Subs) if d.has(sp.floor)]
    return expression.xreplace(dict.fromkeys(steps, sp.Integer(0)))


class ExactBasis:
    """A basis of one function, the exact solution of one unknown in one coordinate: custom operators take bases."""

    def __init__(self, coordinate: str, exact: sp.Expr):
        self.coordinate, self.exact = coordinate, exact

    def derivatives(self, points, alphas):
        import torch

        at = {self.coordinate: points[:, 0].numpy()}
        by_order = {a: derivative(self.exact, (self.coordinate,), a) for a in alphas}
        return {a: torch.from_numpy(evaluate(e, at))[:, None] for a, e in by_order.items()}


def feature_values(problem: Problem, exact: dict[str, sp.Expr], feature, at: dict[str, np.ndarray]) -> np.ndarray:
    if feature.operator is None:
        return evaluate(derivative(exact[feature.unknown], problem.coordinates, feature.alpha), at)
    import torch

    (coordinate,) = problem.coordinates
    basis = ExactBasis(coordinate, exact[feature.unknown])
    return OPERATORS[feature.operator].apply(basis, torch.from_numpy(at[coordinate])[:, None])[:, 0].numpy()


def residuals(
    problem: Problem, exact: dict[str, sp.Expr], term: Term, places, true_parameters: Mapping[str, float] = NONE
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per residual of the term: its values and its scale, the size of its largest summand, at `places`.

    `places` are (values, partner values): names to (N,), the partner's on the far side of a periodic pair.
    """
    here, there = places
    known = {**here, **{k: np.array(v) for k, v in true_parameters.items()}}
    found = []
    for residual in term.residuals:
        names, values = {}, dict(known)
        for i, f in enumerate(features_of(residual)):
            symbol = next(s for s in residual.free_symbols if getattr(s, "feature", None) == f)
            names[symbol] = coordinate_symbol(f"feature{i}")
            at = {c: (there if f.side else here)[c] for c in problem.coordinates}
            values[f"feature{i}"] = feature_values(problem, exact, f, at)
        values = {k: np.broadcast_to(v, here[problem.coordinates[0]].shape) for k, v in values.items()}
        plain = residual.xreplace(names)
        summands = [np.abs(evaluate(part, values)) for part in summands_of(plain)]
        found.append((evaluate(plain, values), 1 + np.max(summands, axis=0)))
    return found


def summands_of(expression: sp.Expr) -> list[sp.Expr]:
    """Products of sums multiplied out; arguments of functions stay as they are: exp(a)/exp(b) overflows."""
    products = (sp.expand_mul(part, deep=False) for part in sp.Add.make_args(expression))
    return [part for product in products for part in sp.Add.make_args(product)]


def places_of(problem: Problem, term: Term):
    """Random points on each piece of the term's region, its normals, and the partner points of a periodic pair."""
    random = np.random.default_rng(0)
    lower, upper = np.array(problem.intervals).T
    for piece in term.region.pieces:
        count = POINTS if problem.shape is None else 4 * POINTS
        if term.region.where is not None and piece.part is None:
            count *= NARROW
        points = lower + (upper - lower) * random.random((count, len(lower)))
        if len(problem.space_axes) > 3 and problem.shape is not None:  # of the box next to nothing is inside
            points[:, problem.space_axes] /= len(problem.space_axes) ** 0.5
        normals = None
        if piece.part is not None:
            points, normals = on_the_boundary(problem, piece, points, random)
        for axis, value in piece.fixed:
            points[:, axis] = value
        if problem.shape is not None:
            points = points[inside(problem, points, piece.region)] if normals is None else points
        values = dict(zip(problem.coordinates, points.T, strict=True))
        values |= normals_of(problem, piece, normals, len(points))
        if term.region.where is not None:
            kept = evaluate(sp.Piecewise((1, term.region.where), (0, True)), values) > 0
            values = {name: column[kept] for name, column in values.items()}
            if not kept.any():
                continue
        partner = dict(values)
        if piece.partner is not None:
            axis, value = piece.partner
            partner[problem.coordinates[axis]] = np.full_like(values[problem.coordinates[axis]], value)
        yield values, partner


def normals_of(problem: Problem, piece, normals: np.ndarray | None, count: int) -> dict[str, np.ndarray]:
    """`n_x`, ... (count,) each, on a face of a box or on the boundary of a shape; nothing inside."""
    names = [f"n_{problem.coordinates[i]}" for i in problem.space_axes]
    if normals is not None:
        return dict(zip(names, normals.T, strict=True))
    if piece.outward is None:
        return {}
    axis, sign = piece.outward
    return {n: np.full(count, float(sign if i == axis else 0)) for n, i in zip(names, problem.space_axes, strict=True)}


def inside(problem: Problem, points: np.ndarray, region: str | None = None) -> np.ndarray:
    import torch

    shape, x = make_shape(problem.shape), torch.from_numpy(points[:, problem.space_axes])
    return (shape.inside(x) if region is None else shape.in_region(x, region)).numpy()


def on_the_boundary(problem: Problem, piece, points: np.ndarray, random) -> tuple[np.ndarray, np.ndarray]:
    """The points moved to a part of the boundary of a shape, as many as remain, and the normals there."""
    import torch

    axes = list(problem.space_axes)
    plane = None if piece.plane is None else (axes.index(piece.plane[0]), piece.plane[1])
    unit = torch.from_numpy(random.random((len(points), max(3, len(axes)))))
    found = make_shape(problem.shape).spread(unit, piece.part, plane)
    points = points[found.chosen.numpy()]
    points[:, axes] = found.x.numpy()
    return points, found.normals.numpy()


def worst(
    problem: Problem, compiled: CompiledProblem, exact: dict[str, sp.Expr], true_parameters: Mapping[str, float] = NONE
) -> dict[str, float]:
    """Per equation and condition, the largest residual next to its scale."""
    found = {}
    for term in compiled.terms:
        elsewhere = term.name in {f"{unknown} elsewhere" for unknown in problem.homes}
        if term.kind == "data" or elsewhere:  # an exact solution says nothing of where an unknown does not live
            continue
        per_place = [residuals(problem, exact, term, places, true_parameters) for places in places_of(problem, term)]
        assert per_place, f"no points on {term.name}"
        found[term.name] = max(np.max(np.abs(r) / scale) for place in per_place for r, scale in place)
    return found
