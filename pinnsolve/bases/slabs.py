"""A basis per slab of time: the partition of unity by characteristic functions of time intervals, networks inside.

The limit case of a partition that the POUnet talk names, along one axis. What marching in time ends with; each slab was
solved by itself, and only this basis lets the pieces be one solution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis
from pinnsolve.errors import PinnsolveError
from pinnsolve.registry import basis_class
from pinnsolve.terms import MultiIndex


@final
@dataclass(frozen=True, eq=False)
class TimeSlabs(Basis):
    """The functions of `parts`, each zero outside its slab [edges[i], edges[i + 1]) of coordinate `axis`.

    Hidden parameters are those of the parts, named `slab{i}.{name}`; the last slab holds its end.
    """

    kind = "slabs"
    axis: int
    edges: tuple[float, ...]
    parts: tuple[Basis, ...]
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor] = field(init=False)
    width: int = field(init=False)
    smoothness: int = field(init=False)

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.parts) + 1:
            raise PinnsolveError(f"{len(self.parts)} slabs have {len(self.parts) + 1} edges, not {len(self.edges)}")
        named = {f"slab{i}.{n}": v for i, part in enumerate(self.parts) for n, v in part.hidden.items()}
        object.__setattr__(self, "hidden", named)
        object.__setattr__(self, "width", sum(part.width for part in self.parts))
        object.__setattr__(self, "smoothness", min(part.smoothness for part in self.parts))

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        inner = points.new_tensor(self.edges[1:-1])
        slab = torch.bucketize(points[:, self.axis].contiguous(), inner, right=True)
        result = {alpha: points.new_zeros(points.shape[0], self.width) for alpha in alphas}
        start = 0
        for i, part in enumerate(self.parts):
            here = torch.nonzero(slab == i)[:, 0]
            if here.numel():
                own = None if hidden is None else _own(hidden, i)
                for alpha, values in part.derivatives(points[here], alphas, own).items():
                    result[alpha][here, start : start + part.width] = values  # into zeros of our own
            start += part.width
        return result

    def settings(self) -> dict[str, Any]:
        parts = [{**p.settings(), "lower": p.lower.tolist(), "upper": p.upper.tolist()} for p in self.parts]
        return {"kind": self.kind, "axis": self.axis, "edges": list(self.edges), "parts": parts}

    def describe(self) -> str:
        return f"{len(self.parts)} time slabs, each {self.parts[-1].describe()}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> TimeSlabs:
        """Raises PinnsolveError: slabs come from marching in time, not from a problem file."""
        raise PinnsolveError("a basis of time slabs is what marching in time makes; leave solve.basis out for that")

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> TimeSlabs:
        parts = []
        for i, item in enumerate(settings["parts"]):
            own = {key: value for key, value in item.items() if key not in ("lower", "upper")}
            box = (lower.new_tensor(item["lower"]), lower.new_tensor(item["upper"]))
            parts.append(basis_class(own["kind"]).restore(own, _own(hidden, i), *box))
        return cls(settings["axis"], tuple(settings["edges"]), tuple(parts), lower, upper)


def _own(hidden: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    prefix = f"slab{i}."
    return {name.removeprefix(prefix): value for name, value in hidden.items() if name.startswith(prefix)}
