"""A POUnet whose partition is a shallow network of normalized Gaussians (the talk, equation (19)).

    phi_a(x) = exp(-|z - c_a|^2 / s_a^2) / sum_b exp(-|z - c_b|^2 / s_b^2),  z the point in [-1, 1]^d

Centres c_a and shapes s_a are the hidden parameters; each phi_a is multiplied by the polynomials of total degree m.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, final

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.partition import (
    check_shapes,
    polynomials,
    read_counts,
    softmax,
    times_polynomials,
    width_of,
)
from pinnsolve.errors import PinnsolveError
from pinnsolve.jets import Jet, closure
from pinnsolve.terms import MAX_ORDER, MultiIndex


@final
@dataclass(frozen=True, eq=False)
class PouRBF(Basis):
    """`partitions` P, polynomials of total degree `degree`; `scale`: 1 over the shapes at the start.

    Hidden parameters: `centres` (P, d) on [-1, 1]^d, uniform at the start, and `log_shapes` (P,), by which a shape
    stays positive and is moved in proportion to its size. Function a n + b is phi_a P_b, of n polynomials.
    """

    kind = "pou_rbf"
    partitions: int
    degree: int
    scale: float
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor]
    smoothness: int = MAX_ORDER

    @property
    def width(self) -> int:
        return width_of(self.partitions, self.degree, self.dimension)

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        if not alphas:
            return {}
        check_alphas(alphas, self.dimension, self.smoothness, "a partition of Gaussians")
        z, rates = self._reference(points)
        partition = softmax(self._logits(z, rates, self.hidden if hidden is None else hidden), closure(alphas))
        return times_polynomials(partition, polynomials(z, rates, self.degree, alphas), alphas)

    def logits(self, points: Tensor, hidden: Mapping[str, Tensor] | None = None) -> Tensor:
        """What the partition is the softmax of: (N, P)."""
        jet = self._logits(*self._reference(points), self.hidden if hidden is None else hidden)
        return jet[(0,) * self.dimension]

    def partition(self, points: Tensor) -> Tensor:
        """phi_a at the points: (N, P)."""
        return torch.softmax(self.logits(points), dim=1)

    def _reference(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The points in [-1, 1]^d, and the derivatives (d,) of that map."""
        rates = 2.0 / (self.upper - self.lower)
        return (points - self.lower) * rates - 1.0, rates

    def _logits(self, z: Tensor, rates: Tensor, hidden: Mapping[str, Tensor]) -> Jet:
        """The jet of -|z - c_a|^2 / s_a^2: (N, P), a polynomial of degree two."""
        factor = -torch.exp(-2.0 * hidden["log_shapes"])  # (P,)
        away = z[:, None, :] - hidden["centres"]  # (N, P, d)
        jet = {(0,) * self.dimension: (away**2).sum(dim=-1) * factor}
        for axis in range(self.dimension):
            once = tuple(int(i == axis) for i in range(self.dimension))
            jet[once] = 2.0 * rates[axis] * away[..., axis] * factor
            jet[tuple(2 * i for i in once)] = (2.0 * rates[axis] ** 2 * factor).expand(away.shape[:2])
        return jet

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "partitions": self.partitions, "degree": self.degree, "scale": self.scale}

    def describe(self) -> str:
        scale = "" if self.scale == 1 else f", scale {self.scale:g}"
        return f"{self.kind}, {self.partitions} partitions{scale}, Legendre polynomials of degree {self.degree}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> PouRBF:
        partitions, degree, scale = _read(settings)
        width_of(partitions, degree, len(lower))
        generator = torch.Generator().manual_seed(seed)
        unit = torch.rand(partitions, len(lower), generator=generator, dtype=torch.float64)
        hidden = {
            "centres": (2.0 * unit - 1.0).to(lower),
            "log_shapes": lower.new_full((partitions,), -log(scale)),
        }
        return cls(partitions, degree, scale, lower, upper, hidden)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor) -> PouRBF:
        partitions, degree, scale = _read(settings)
        expected = {"centres": (partitions, len(lower)), "log_shapes": (partitions,)}
        return cls(partitions, degree, scale, lower, upper, check_shapes(cls.kind, hidden, expected))


def _read(settings: Mapping[str, Any]) -> tuple[int, int, float]:
    partitions, degree = read_counts(PouRBF.kind, settings, ("scale",))
    scale = settings.get("scale")
    scale = 1.0 if scale is None else scale
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise PinnsolveError(f"basis setting 'scale' must be a positive number, not {scale!r}")
    return partitions, degree, float(scale)
