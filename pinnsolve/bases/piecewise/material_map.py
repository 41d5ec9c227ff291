"""A map from points to materials: the group of cells of a mesh, and the signs of levels in the coordinates of space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, expression, to_text
from pinnsolve.language.to_torch import Evaluator


@dataclass(frozen=True, eq=False)
class Groups:
    """Parts of a mesh: `points` (P, k), and for each part the sides of its boundary, as numbers of points."""

    points: list[list[float]]
    sides: list[list[list[int]]]

    @classmethod
    def of(cls, points: Sequence[Sequence[float]], sides: Sequence[Sequence[Sequence[int]]]) -> Groups:
        """Only the points that sides need."""
        used = sorted({node for part in sides for side in part for node in side})
        number = {node: i for i, node in enumerate(used)}
        numbered = [[[number[node] for node in side] for side in part] for part in sides]
        return cls([list(points[node]) for node in used], numbered)

    @cached_property
    def levels(self) -> list[Callable[[Tensor], Tensor]]:
        from pinnsolve.geometry.mesh_boundary import level_of_sides  # not needed without a mesh

        return [level_of_sides(self.points, part) for part in self.sides]

    def __call__(self, x: Tensor) -> Tensor:
        """(N,) the part that points (N, k) are in, or nearest to."""
        return torch.stack([level(x) for level in self.levels]).argmin(dim=0)


@dataclass(frozen=True, eq=False)
class MaterialMap:
    """`levels`: expressions in the `coordinates`, which are numbers `axes` of a point; `groups` of a mesh, if any.

    Materials are numbered by their group, then by the signs of their levels, all negative first, the last level
    changing fastest. `kept`: of these numbers, in order, those that there are materials of, where not of all.
    """

    levels: tuple[sp.Expr, ...]
    coordinates: tuple[str, ...]
    axes: tuple[int, ...]
    groups: Groups | None = None
    kept: tuple[int, ...] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """(N,) numbers of the materials at points (N, d)."""
        space = x[:, list(self.axes)]
        number = torch.zeros(len(x), dtype=torch.long) if self.groups is None else self.groups(space)
        places = {coordinate_symbol(c): space[:, i] for i, c in enumerate(self.coordinates)}
        for value in self._evaluated(places) if self.levels else ():
            value = torch.as_tensor(value, dtype=x.dtype).expand(len(x))
            number = 2 * number + (value >= 0).long()
        if self.kept is None:
            return number
        kept = torch.tensor(self.kept)
        return torch.searchsorted(kept, number).clamp(max=len(kept) - 1)

    @cached_property
    def _evaluated(self) -> Evaluator:
        return Evaluator(list(self.levels))

    def settings(self) -> dict[str, Any]:
        """Plain values from which `restored` makes the same."""
        names = list(self.coordinates)
        levels = [to_text(e, names) for e in self.levels]
        settings: dict[str, Any] = {"levels": levels, "coordinates": names, "axes": list(self.axes)}
        if self.kept is not None:
            settings["kept"] = list(self.kept)
        if self.groups is not None:
            settings["groups"] = {"points": self.groups.points, "sides": self.groups.sides}
        return settings

    @classmethod
    def restored(cls, settings: Mapping[str, Any]) -> MaterialMap:
        names: Sequence[str] = settings["coordinates"]
        scope = Scope(coordinates=tuple(names))
        levels = tuple(expression(t, scope) for t in settings["levels"])
        groups = Groups(**settings["groups"]) if "groups" in settings else None
        kept = tuple(settings["kept"]) if "kept" in settings else None
        return cls(levels, tuple(names), tuple(settings["axes"]), groups, kept)
