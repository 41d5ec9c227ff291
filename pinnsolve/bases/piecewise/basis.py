"""The basis of a solve on cells: polynomials on each cell of a partition, zero outside it.

Made by the solver, which has cells and degrees from refinement; a problem file asks for `pou_grid`. Only the functions
of one cell are nonzero at a point, so values are combined cell by cell, and the whole table is only made on request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.piecewise.cut_cells import Within
from pinnsolve.bases.piecewise.material_map import MaterialMap
from pinnsolve.bases.piecewise.mesh import Cells, Parts
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex


class PouCells(Basis):
    """`cells` with Legendre polynomials of the `degrees` per coordinate; function j of cell c is number c n + j.

    The corners of the cells are kept with the hidden parameters, but no solver moves them: they would part. `apart`:
    the axis of time, where every slab is a step of a collocation method; see `Space`.
    """

    kind: ClassVar[str] = "pou_cells"
    smoothness = MAX_ORDER

    def __init__(
        self, cells: Cells, degrees: Sequence[int], lower: Tensor, upper: Tensor, slabs: int = 0,
        apart: int | None = None,
    ):  # fmt: skip
        self.lower, self.upper, self.slabs = lower, upper, slabs
        self.space = Space(cells, tuple(int(p) for p in degrees), (MAX_ORDER,) * len(lower), apart)
        self.hidden = {"cells_lower": cells.lower, "cells_upper": cells.upper}
        if cells.parts is not None:
            parts = cells.parts
            self.hidden |= {
                "frames_lower": parts.lower,
                "frames_upper": parts.upper,
                "material": parts.material.double(),
            }
        self.width = cells.count * self.space.functions

    @property
    def active(self) -> int:
        return self.space.functions

    @property
    def held(self) -> int:
        return sum(p + 1 for p in self.space.degrees)  # cell by cell; tables of few points are made a few at a time

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        check_alphas(alphas, self.dimension, self.smoothness, "this basis")
        space = self.space if hidden is None else self.with_hidden(hidden).space
        index = space.cells.locate(points.detach())
        tables = space.tables(space.cells.reference(points[:, None], index))
        n = space.functions
        columns = index[:, None] * n + torch.arange(n)
        result = {}
        for alpha in alphas:
            own = tables.table(alpha)[:, 0] * chain_factors(space.cells, index, alpha)[:, None]
            result[alpha] = points.new_zeros(len(points), self.width).scatter(1, columns, own)
        return result

    def combined(self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor) -> dict[MultiIndex, Tensor]:
        c = coefficients.reshape(len(coefficients), self.space.cells.count, -1).transpose(0, 1)
        return self.space.combined(c, points, alphas)

    def settings(self) -> dict[str, Any]:
        settings = {"kind": self.kind, "degrees": list(self.space.degrees), "slabs": self.slabs}
        if self.space.apart is not None:
            settings["apart"] = self.space.apart
        parts = self.space.cells.parts
        if parts is not None and parts.within.materials is not None:
            settings["materials"] = parts.within.materials.settings()
        return settings

    def describe(self) -> str:
        degrees = " x ".join(str(p) for p in self.space.degrees)
        slabs = f" in {self.slabs} time slabs" if self.slabs else ""
        count = self.space.cells.count
        return f"pou_grid: {count} cell{'s' * (count != 1)}{slabs}, Legendre polynomials of degree {degrees}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> PouCells:
        """Raises PinnsolveError: the cells come from refinement, not from a problem file."""
        raise PinnsolveError(
            "`pou_cells` is created by the solver and cannot be requested; use `pou_grid`, or leave `basis` out"
        )

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> PouCells:
        cells = Cells(hidden["cells_lower"], hidden["cells_upper"])
        if "frames_lower" in hidden:  # of a shape: for values, it does not matter any more which
            materials = MaterialMap.restored(settings["materials"]) if settings.get("materials") else None
            within = Within((), (), materials)
            frames = hidden["frames_lower"], hidden["frames_upper"]
            share, cut = torch.ones(cells.count, dtype=torch.float64), torch.zeros(cells.count, dtype=torch.bool)
            cells = replace(cells, parts=Parts(within, *frames, share, cut, hidden["material"].long()))
        slabs = int(settings.get("slabs", 0))
        return cls(cells, settings["degrees"], lower, upper, slabs, settings.get("apart"))
