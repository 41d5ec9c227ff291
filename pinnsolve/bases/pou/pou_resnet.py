"""A POUnet whose partition is a deep network: a residual network, an affine map, and softmax [Gulian, Part III].

    phi = softmax(e^s (R Phi(x) + r)),  Phi the W functions of a residual network with Box initialization

Each phi_a is multiplied by the polynomials of total degree m. With relu the partition is piecewise smooth. [Gulian]
has no s; it makes the steps between partitions steeper without moving them, which descent on R and r alone does slowly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, final

import torch
from torch import Tensor

from pinnsolve.bases.jets import Jet
from pinnsolve.bases.networks.layers import NetworkSettings
from pinnsolve.bases.networks.resnet import DEFAULT_DEPTH, ResNet
from pinnsolve.bases.pou.partition import PouNet, check_shapes, read_counts, width_of
from pinnsolve.language.symbols import MultiIndex

NETWORK_SETTINGS = ("width", "depth", "activation", "initialization", "scale")
READOUT_SEED = 611_953  # apart from the seed of the layers


@final
@dataclass(frozen=True, eq=False)
class PouResNet(PouNet):
    """`partitions` P of the residual network `features`, polynomials of total degree `degree`.

    Hidden parameters: those of the network, `layer0.slopes` and so on, then `readout.slopes` (P, W),
    `readout.offsets` (P,) and `readout.sharpness` (1,), zero at the start.
    """

    kind = "pou_resnet"
    partitions: int
    degree: int
    features: ResNet
    hidden: Mapping[str, Tensor]
    lower: Tensor = field(init=False)
    upper: Tensor = field(init=False)
    smoothness: int = field(init=False)

    def __post_init__(self) -> None:
        for name in ("lower", "upper", "smoothness"):
            object.__setattr__(self, name, getattr(self.features, name))

    def _limited_by(self) -> str:
        return self.features.network.activation

    def _logits(self, points: Tensor, targets: Sequence[MultiIndex], hidden: Mapping[str, Tensor]) -> Jet:
        jet = self.features.derivatives(points, targets, hidden)
        factor = torch.exp(hidden["readout.sharpness"])
        slopes, offsets = factor * hidden["readout.slopes"], factor * hidden["readout.offsets"]
        return {alpha: value @ slopes.t() + (0.0 if any(alpha) else offsets) for alpha, value in jet.items()}

    def settings(self) -> dict[str, Any]:
        network = {name: getattr(self.features.network, name) for name in NETWORK_SETTINGS}
        return {"kind": self.kind, "partitions": self.partitions, "degree": self.degree, **network}

    def describe(self) -> str:
        network = self.features.describe().removeprefix(f"{self.features.kind}, ")
        return f"{self.kind}, {self.partitions} partitions, {network}, Legendre polynomials of degree {self.degree}"

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> PouResNet:
        """The readout starts normal with variance 1/W, and its offsets so that the mean logits of the box are zero.

        Partitions then start about equally large, with edges that cross the box.
        """
        partitions, degree, network = _read(settings)
        width_of(partitions, degree, len(lower))
        layers = network.initial_hidden(lower, residual=True, seed=seed)
        features = ResNet(network, lower, upper, layers)
        generator = torch.Generator().manual_seed(seed + READOUT_SEED)
        drawn = torch.randn(partitions, network.width, generator=generator, dtype=torch.float64)
        slopes = drawn.to(lower) / sqrt(network.width)
        unit = torch.rand(512, len(lower), generator=generator, dtype=torch.float64).to(lower)
        zero = (0,) * len(lower)
        images = features.derivatives(lower + unit * (upper - lower), [zero])[zero]
        offsets = -(images @ slopes.t()).mean(dim=0)
        readout = {"slopes": slopes, "offsets": offsets, "sharpness": lower.new_zeros(1)}
        hidden = {**layers, **{f"readout.{name}": value for name, value in readout.items()}}
        return cls(partitions, degree, features, hidden)

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> PouResNet:
        partitions, degree, network = _read(settings)
        readout = {"readout.slopes": (partitions, network.width), "readout.offsets": (partitions,)}
        readout["readout.sharpness"] = (1,)
        layers = {name: value for name, value in hidden.items() if name not in readout}
        layers = network.check_hidden(layers, lower.shape[0])
        ends = {name: value for name, value in hidden.items() if name in readout}
        kept = {**layers, **check_shapes(cls.kind, ends, readout)}
        return cls(partitions, degree, ResNet(network, lower, upper, layers), kept)


def _read(settings: Mapping[str, Any]) -> tuple[int, int, NetworkSettings]:
    partitions, degree = read_counts(PouResNet.kind, settings, NETWORK_SETTINGS)
    network = {name: settings[name] for name in NETWORK_SETTINGS if settings.get(name) is not None}
    return partitions, degree, NetworkSettings.read(ResNet.kind, network, depth=DEFAULT_DEPTH, activation="relu")
