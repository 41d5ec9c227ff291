"""Unknowns that are the components of a vector: by their names, or because an equation holds their divergence.

Input: a `Problem`. Output: the name of each vector, and its components by direction of space. No array library.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from pinnsolve.language.symbols import FeatureSymbol
from pinnsolve.language.systems import CARTESIAN
from pinnsolve.problem.stated import StatedProblem

FLOW = ("u", "v", "w")  # what components of a velocity are called where nobody says what they are
VECTORS = (2, 3)  # directions of space that a vector is worth drawing in


def vectors_of(problem: StatedProblem) -> dict[str, tuple[str, ...]]:
    """The components of each vector, one by direction of space, in the order of the coordinates.

    Unknowns `q_x`, `q_y` are one by their names, and others where an equation holds `D(u, x) + D(v, y)` with the same
    number before each and no other derivative. A complex unknown is no component; along curved coordinates, arrows and
    files would show other directions than those of the components.
    """
    space = [problem.coordinates[axis] for axis in problem.space_axes]
    if len(space) not in VECTORS or problem.spec.system != CARTESIAN:
        return {}
    real = [name for name in problem.spec.unknowns if name not in problem.complex_unknowns]
    found: dict[str, tuple[str, ...]] = {}
    for components in (*_by_name(real, space), *_by_divergence(problem)):
        free = set(components) <= set(real) and not any(set(components) & set(other) for other in found.values())
        if free:
            found[_name(components, space, {*problem.spec.unknowns, *problem.coordinates, *found})] = components
    return found


def _by_name(unknowns: Sequence[str], space: Sequence[str]) -> list[tuple[str, ...]]:
    """Those whose names end in the coordinates: `v_x`, `v_y`; or `vx`, `vy`."""
    stems = [name.removesuffix(space[0]) for name in unknowns if name.endswith(space[0]) and name != space[0]]
    whole = [tuple(stem + c for c in space) for stem in stems]
    return [components for components in whole if set(components) <= set(unknowns)]


def _by_divergence(problem: StatedProblem) -> list[tuple[str, ...]]:
    """Those whose divergence an equation holds."""
    residuals = [r for statement in problem.of_kind("equation") for r in statement.residuals]
    found = (_divergence(residual, problem) for residual in residuals)
    return [components for components in found if components is not None]


def _divergence(residual: sp.Expr, problem: StatedProblem) -> tuple[str, ...] | None:
    """The unknowns of whose derivatives a residual is the divergence, up to terms without derivatives."""
    derivatives = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol) and s.feature.order]
    axes, by_axis = problem.space_axes, {}
    if len(derivatives) != len(axes) or any(s.feature.operator is not None for s in derivatives):
        return None
    for symbol in derivatives:
        alpha = symbol.feature.alpha
        by_axis |= {axis: symbol for axis in axes if alpha[axis] == 1 and sum(alpha) == 1}
    if len(by_axis) != len(axes):
        return None
    symbols = [by_axis[axis] for axis in axes]
    factors = {sp.diff(residual, symbol) for symbol in symbols}
    components = tuple(symbol.feature.unknown for symbol in symbols)
    alike = len(factors) == 1 and next(iter(factors)).is_number and len(set(components)) == len(components)
    return components if alike else None


def _name(components: Sequence[str], space: Sequence[str], taken: set[str]) -> str:
    """What the names have in common, `velocity` of u, v and w, or all of them; never a name that is taken."""
    length = next((i for i, letters in enumerate(zip(*components, strict=False)) if len(set(letters)) > 1), None)
    stem = components[0][:length].rstrip("_")
    if not stem:
        stem = "velocity" if tuple(components) == FLOW[: len(space)] else "_".join(components)
    while stem in taken:
        stem += "_vector"
    return stem
