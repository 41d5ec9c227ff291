"""A POUnet whose partition is a shallow network of normalized Gaussians [Gulian, eq. (19)].

    phi_a(x) = exp(-|z - c_a|^2 / s_a^2) / sum_b exp(-|z - c_b|^2 / s_b^2),  z the point in [-1, 1]^d

Centres c_a and shapes s_a are the hidden parameters; each phi_a is multiplied by the polynomials of total degree m.
Where Gaussians are anisotropic, -|L_a (z - c_a)|^2 with a matrix L_a for each stands in the exponents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, final

import torch
from torch import Tensor

from pinnsolve.bases.jets import Jet
from pinnsolve.bases.pou.partition import PouNet, check_shapes, read_counts, width_of
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex


@final
@dataclass(frozen=True, eq=False)
class PouRBF(PouNet):
    """`partitions` P, polynomials of total degree `degree`; `scale`: 1 over the shapes at the start.

    Hidden parameters: `centres` (P, d) on [-1, 1]^d, uniform at the start, and `log_shapes` (P,), by which a shape
    stays positive and is moved in proportion to its size; of `anisotropic` Gaussians `factors` (P, d, d), the L_a,
    round at the start.
    """

    kind = "pou_rbf"
    partitions: int
    degree: int
    scale: float
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor]
    anisotropic: bool = False
    smoothness: int = MAX_ORDER

    def _limited_by(self) -> str:
        return "a partition of Gaussians"

    def _logits(self, points: Tensor, targets: Sequence[MultiIndex], hidden: Mapping[str, Tensor]) -> Jet:
        """The jet of -|z - c_a|^2 / s_a^2: (N, P), all of it, as it is a polynomial of degree two."""
        z, rates = self._reference(points)
        if self.anisotropic:
            return self._turned_logits(z, rates, hidden)
        factor = -torch.exp(-2.0 * hidden["log_shapes"])  # (P,)
        away = z[:, None, :] - hidden["centres"]  # (N, P, d)
        jet = {(0,) * self.dimension: (away**2).sum(dim=-1) * factor}
        for axis in range(self.dimension):
            once = tuple(int(i == axis) for i in range(self.dimension))
            jet[once] = 2.0 * rates[axis] * away[..., axis] * factor
            jet[tuple(2 * i for i in once)] = (2.0 * rates[axis] ** 2 * factor).expand(away.shape[:2])
        return jet

    def _turned_logits(self, z: Tensor, rates: Tensor, hidden: Mapping[str, Tensor]) -> Jet:
        """The jet of -|L_a (z - c_a)|^2."""
        L = hidden["factors"]
        form = L.mT @ L  # (P, d, d)
        away = z[:, None, :] - hidden["centres"]  # (N, P, d)
        pulled = (form @ away[..., None])[..., 0]
        jet = {(0,) * self.dimension: -(away * pulled).sum(dim=-1)}
        for i in range(self.dimension):
            once = tuple(int(a == i) for a in range(self.dimension))
            jet[once] = -2.0 * rates[i] * pulled[..., i]
            for j in range(i, self.dimension):
                twice = tuple(int(a == i) + int(a == j) for a in range(self.dimension))
                jet[twice] = (-2.0 * rates[i] * rates[j] * form[:, i, j]).expand(away.shape[:2])
        return jet

    def settings(self) -> dict[str, Any]:
        settings = {"kind": self.kind, "partitions": self.partitions, "degree": self.degree, "scale": self.scale}
        return {**settings, "anisotropic": True} if self.anisotropic else settings

    def describe(self) -> str:
        scale = "" if self.scale == 1 else f", scale {self.scale:g}"
        scale += ", anisotropic" if self.anisotropic else ""
        return f"{self.kind}, {self.partitions} partitions{scale}, Legendre polynomials of degree {self.degree}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> PouRBF:
        partitions, degree, scale, anisotropic = _read(settings)
        d = len(lower)
        width_of(partitions, degree, d)
        generator = torch.Generator().manual_seed(seed)
        unit = torch.rand(partitions, d, generator=generator, dtype=torch.float64)
        shapes = {"log_shapes": lower.new_full((partitions,), -log(scale))}
        if anisotropic:
            shapes = {"factors": scale * torch.eye(d, dtype=lower.dtype, device=lower.device).repeat(partitions, 1, 1)}
        hidden = {"centres": (2.0 * unit - 1.0).to(lower), **shapes}
        return cls(partitions, degree, scale, lower, upper, hidden, anisotropic)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor) -> PouRBF:
        partitions, degree, scale, anisotropic = _read(settings)
        d = len(lower)
        shapes = {"factors": (partitions, d, d)} if anisotropic else {"log_shapes": (partitions,)}
        hidden = check_shapes(cls.kind, hidden, {"centres": (partitions, d), **shapes})
        return cls(partitions, degree, scale, lower, upper, hidden, anisotropic)


def _read(settings: Mapping[str, Any]) -> tuple[int, int, float, bool]:
    partitions, degree = read_counts(PouRBF.kind, settings, ("scale", "anisotropic"))
    scale = settings.get("scale")
    scale = 1.0 if scale is None else scale
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise PinnsolveError(f"basis setting 'scale' must be a positive number, not {scale!r}")
    anisotropic = settings.get("anisotropic") or False
    if not isinstance(anisotropic, bool):
        raise PinnsolveError(f"basis setting 'anisotropic' must be true or false, not {anisotropic!r}")
    return partitions, degree, float(scale), anisotropic
