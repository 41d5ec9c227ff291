"""The basis of a march with any basis: that of each slab on its slab, zero outside it.

Made by the solver, from the bases of slabs that follow each other in time; a problem file names the basis of the slabs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pinnsolve.bases import restore_basis
from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MultiIndex


class TimeSlabs(Basis):
    """`bases` on boxes that follow each other along `axis`; the functions of all of them, one slab after another.

    Beyond the last slab its functions keep the values at its end. Hidden parameters are those of the slabs, with the
    number of the slab before the name.
    """

    kind: ClassVar[str] = "time_slabs"

    def __init__(self, bases: Sequence[Basis], axis: int, lower: Tensor, upper: Tensor):
        self.bases, self.axis, self.lower, self.upper = tuple(bases), axis, lower, upper
        self.ends = torch.stack([basis.upper[axis] for basis in bases])  # (slabs,)
        self.hidden = {f"{i}.{name}": value for i, basis in enumerate(bases) for name, value in basis.hidden.items()}
        self.width = sum(basis.width for basis in bases)
        self.smoothness = min(basis.smoothness for basis in bases)

    @property
    def active(self) -> int:
        return max(basis.active for basis in self.bases)

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        check_alphas(alphas, self.dimension, self.smoothness, "this basis")
        basis = self if hidden is None else self.with_hidden(hidden)
        result = {alpha: points.new_zeros(len(points), self.width) for alpha in alphas}
        first = 0
        for number, one in enumerate(basis.bases):
            rows, x, beyond = self._of(number, points)
            for alpha, table in one.derivatives(x, alphas).items():
                columns = torch.arange(first, first + one.width, device=points.device)
                inside = torch.where(beyond & (alpha[self.axis] > 0), 0.0, 1.0).to(table)
                result[alpha] = result[alpha].index_put((rows[:, None], columns), table * inside[:, None])
            first += one.width
        return result

    def combined(self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor) -> dict[MultiIndex, Tensor]:
        result = {alpha: coefficients.new_zeros(len(coefficients), len(points)) for alpha in alphas}
        parts = coefficients.split([basis.width for basis in self.bases], dim=1)
        for number, (basis, own) in enumerate(zip(self.bases, parts, strict=True)):
            rows, x, beyond = self._of(number, points)
            for alpha, values in basis.combined(x, alphas, own).items():
                result[alpha][:, rows] = torch.where(beyond & (alpha[self.axis] > 0), 0.0, values)
        return result

    def _of(self, number: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The points of a slab: their numbers (N,), places (N, d), and which lie beyond the last slab."""
        time = points[:, self.axis].detach().contiguous()
        rows = (torch.bucketize(time, self.ends[:-1]) == number).nonzero()[:, 0]
        x, end = points[rows], self.ends[-1]
        beyond = x[:, self.axis] > end
        held = torch.arange(x.shape[1], device=x.device) == self.axis
        return rows, torch.where(beyond[:, None] & held, end, x), beyond

    def settings(self) -> dict[str, Any]:
        slabs = [basis.settings() for basis in self.bases]
        return {"kind": self.kind, "axis": self.axis, "ends": self.ends.tolist(), "slabs": slabs}

    def describe(self) -> str:
        return f"{self.bases[-1].describe()}, in {len(self.bases)} time slabs"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> TimeSlabs:
        """Raises PinnsolveError: slabs come from marching, not from a problem file."""
        raise PinnsolveError("time slabs are made by the solver; name the basis of the slabs instead")

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> TimeSlabs:
        axis, ends, bases = settings["axis"], settings["ends"], []
        for i, one in enumerate(settings["slabs"]):
            prefix = f"{i}."
            own = {name.removeprefix(prefix): v for name, v in hidden.items() if name.startswith(prefix)}
            low, high = lower.clone(), upper.clone()
            low[axis], high[axis] = (ends[i - 1] if i else float(lower[axis])), ends[i]
            bases.append(restore_basis(one, own, low, high, lower.dtype, lower.device))
        return cls(bases, axis, lower, upper)
