"""Which material a point is in: the signs of levels in the coordinates of space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.expressions import Scope, expression, to_text
from pinnsolve.numeric import Evaluator
from pinnsolve.terms import coordinate_symbol


@dataclass(frozen=True, eq=False)
class MaterialMap:
    """`levels`: expressions in the `coordinates`, which are numbers `axes` of a point.

    Materials are numbered by the signs of their levels, all negative first, the last level changing fastest.
    """

    levels: tuple[sp.Expr, ...]
    coordinates: tuple[str, ...]
    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """(N,) numbers of the materials at points (N, d)."""
        places = {coordinate_symbol(c): x[:, a] for c, a in zip(self.coordinates, self.axes, strict=True)}
        number = torch.zeros(len(x), dtype=torch.long)
        for value in Evaluator(list(self.levels))(places):
            value = torch.as_tensor(value, dtype=x.dtype).expand(len(x))
            number = 2 * number + (value >= 0).long()
        return number

    def settings(self) -> dict[str, Any]:
        """Plain values from which `restored` makes the same."""
        names = list(self.coordinates)
        return {"levels": [to_text(e, names) for e in self.levels], "coordinates": names, "axes": list(self.axes)}

    @classmethod
    def restored(cls, settings: Mapping[str, Any]) -> MaterialMap:
        names: Sequence[str] = settings["coordinates"]
        scope = Scope(coordinates=tuple(names))
        return cls(tuple(expression(t, scope) for t in settings["levels"]), tuple(names), tuple(settings["axes"]))
