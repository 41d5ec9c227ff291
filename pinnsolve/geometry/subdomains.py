"""Conditions and subdomains as tests of points, for terms that hold, and functions that live, in a part of the domain.

Input: a condition on coordinates, or a `Subdomain` and the domain that it is part of. Output: which points lie in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.regions import Intervals, Subdomain
from pinnsolve.geometry.shapes import MeshFile, ShapeTree
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, boolean
from pinnsolve.language.to_torch import Evaluator

# relative to the interval of a coordinate: points this near are in, so that both sides of an interface are. They are
# moved by the smaller one where that will do, and what is said of them is right to rounding
NEAR = (1e-13, 1e-9)


@lru_cache(maxsize=64)  # quantities ask for the same at every time
def where_function(where: sp.Basic | None, coordinates: tuple[str, ...]) -> Callable[..., Tensor] | None:
    """A condition on coordinates, and normals of a boundary, as a function of points and these, (N, d) -> (N,) bool."""
    if where is None:
        return None
    evaluator = Evaluator([where])

    def inside(x: Tensor, normals: Tensor | None = None) -> Tensor:
        values = {coordinate_symbol(c): x[:, i] for i, c in enumerate(coordinates)}
        if normals is not None:
            values |= {coordinate_symbol(f"n_{c}"): normals[:, i] for i, c in enumerate(coordinates)}
        value = evaluator(values)[0]
        return value if isinstance(value, Tensor) else torch.full((x.shape[0],), bool(value))

    return inside


@dataclass(frozen=True)
class PartOfDomain:
    """A subdomain of a box with these `coordinates` and `intervals`, or of the `shape` in it."""

    place: Subdomain
    coordinates: tuple[str, ...]
    intervals: Intervals
    time: str | None
    shape: ShapeTree | None = None

    def inside(self, x: Tensor) -> Tensor:
        """(N,) which of the points (N, d) lie in it."""
        if self.place.groups and isinstance(self.shape, MeshFile):
            space = [i for i, c in enumerate(self.coordinates) if c != self.time]
            shape, points = make_shape(self.shape), x[:, space].double()
            return torch.stack([shape.in_region(points, group) for group in self.place.groups]).any(dim=0)
        return where_function(self.place.holds, self.coordinates)(x)

    def moved(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The points (N, d), those within `NEAR` of it moved into it; and (N,) which lie in it now.

        A function that ends at an interface has a value there: the limit from its own side.
        """
        moved, found = x.clone(), self.inside(x).clone()
        space = [i for i, c in enumerate(self.coordinates) if c != self.time]
        for near, axis, sign in itertools.product(NEAR, space, (-1, 1)):
            doubtful = (~found).nonzero()[:, 0]
            if not len(doubtful):
                break
            low, high = self.intervals[axis]
            tried = x[doubtful].clone()
            tried[:, axis] = (tried[:, axis] + sign * near * (high - low)).clamp(low, high)
            now = self.inside(tried)
            moved[doubtful[now]], found[doubtful[now]] = tried[now], True
        return moved, found


def plain_places(places: Mapping[str, Subdomain], coordinates: Sequence[str]) -> dict[str, Any]:
    """Plain values from which `restored_places` makes the same."""
    names = tuple(coordinates)
    return {
        name: {"groups": list(p.groups)} if p.groups else {"where": to_text(p.holds, names)}
        for name, p in places.items()
    }


def restored_places(plain: Mapping[str, Any], coordinates: Sequence[str]) -> dict[str, Subdomain]:
    """The subdomains by name that `plain_places` wrote."""
    scope = Scope(coordinates=tuple(coordinates))
    found = {}
    for name, item in plain.items():
        where = item.get("where")
        found[name] = (
            Subdomain(name, groups=tuple(item["groups"])) if where is None else Subdomain(name, boolean(where, scope))
        )
    return found
