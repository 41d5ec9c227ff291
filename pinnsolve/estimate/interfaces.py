"""What a solution on cells misses where two materials meet: values and fluxes that are to go on from one to the other.

No equation and no condition of the file holds there, so that a function of one material alone, or a flux that ends at
the interface, would pass both unseen. Residuals count by their integral over the interface, relative to what the
derivatives one order higher amount to in the whole domain, as jumps between cells of one material do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import Side
from pinnsolve.assembly.cut_rows import OnBoundary, cross_section, interface_in_cells
from pinnsolve.assembly.rows import TermRows
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import Interface
from pinnsolve.estimate.independent_look import Look, Missed, applied
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import Feature

DENSER = 0.7  # times the points of the rows at interfaces: others than theirs, and fewer
MOST_CELLS = 8000  # of solutions that are looked at: of more, interfaces take long to follow


def between_materials(look: Look, basis: PouCells) -> Iterator[Missed]:
    """What is missed of the conditions between materials."""
    space = basis.space
    if space.cells.parts is None or space.cells.count > MOST_CELLS:
        return
    for interface in look.problem.interfaces:
        if interface.axis is None:
            sides = interface_in_cells(space, interface.sides, DENSER)
            if sides is not None:
                yield from _Meeting(look, space, interface, sides).missed()


class _Meeting:
    """Two materials at points of their interface."""

    def __init__(self, look: Look, space: Space, interface: Interface, sides: tuple[OnBoundary, OnBoundary]):
        self.look, self.space, self.problem = look, space, look.problem
        self.sides = [Side(one.cells, space.tables(one.reference)) for one in sides]
        self.x = sides[0].x.flatten(0, 1)
        points = Points(self.x.expand(2, *self.x.shape), sides[0].normals, {})
        self.rows = TermRows(interface.term, points, look.problem, 1.0)
        pairs, cells = torch.stack([one.cells for one in sides], dim=1), space.cells
        free = [a for a in range(cells.dimension) if a not in cells.parts.within.axes]
        lasting = cells.size[pairs][..., free].amin(dim=1).prod(dim=1)
        area = (sides[0].weights * (lasting * cross_section(space, pairs))[:, None]).reshape(-1)
        self.share = area / cells.volume.sum()  # (N,) area over the volume of the domain

    def missed(self) -> Iterator[Missed]:
        around = self.look.around or self.look.solution
        at = self._values(around)
        residuals, linearizations = self.rows.linearized(at, around.state)
        if self.look.around is not None:
            values = self._values(self.look.solution)
            residuals = torch.stack([applied(item, values) for item in linearizations])
        for residual, coefficients in zip(residuals, linearizations, strict=True):
            features = [f for f in coefficients if isinstance(f, Feature)]
            if not features:
                continue
            order = max(f.order for f in features)
            names = " and ".join(dict.fromkeys(f"`{f.unknown}`" for f in features))
            size, parts = self._size(coefficients), self.share * torch.nan_to_num(residual.abs(), posinf=0.0)
            place = tuple(self.x[int(parts.argmax())].tolist())
            name = f"the continuity of {'the flux of ' if order else ''}{names} between materials"
            yield Missed(name, "continuity", order, float(parts.sum()) / max(size, 1e-300), place, 0.0, size)

    def _values(self, solution) -> dict[Feature, Tensor]:
        """The features (N,) of a solution, each on its side."""
        c, unknowns = solution.state.coefficients, self.problem.unknowns
        c = c.reshape(len(c), self.space.cells.count, -1).transpose(0, 1)
        return {
            f: self.sides[f.side].values(self.space, c, f.alpha, unknowns.index(f.unknown)).reshape(-1)
            for f in self.rows.features
        }

    def _size(self, coefficients: Mapping) -> float:
        """What a residual is relative to: that of the side on which it is smaller."""
        sizes: dict[int, float] = {}
        for f, c in coefficients.items():
            if isinstance(f, Feature):
                mean = float(torch.as_tensor(c, dtype=torch.float64).abs().mean())
                sizes[f.side] = sizes.get(f.side, 0.0) + mean * self._above(f)
        return min(sizes.values())

    def _above(self, feature: Feature) -> float:
        """The mean size of derivatives one order above a feature, in the directions of space."""
        number, axes = self.problem.unknowns.index(feature.unknown), self.space.cells.parts.within.axes
        above = [tuple(k + (a == axis) for a, k in enumerate(feature.alpha)) for axis in axes]
        averages = self.look.averages_of(above)
        return max(float(averages[alpha][number]) + self.look.least(number, alpha) for alpha in above)
