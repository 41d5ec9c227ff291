"""Residual network basis: Phi = (I + s.T_L) ... (I + s.T_2)(s.T_1) [Gulian, eq. (10)]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.jets import closure, compose
from pinnsolve.bases.networks.layers import NetworkSettings, affine_layer, first_layer
from pinnsolve.language.symbols import MultiIndex

DEFAULT_DEPTH = 4  # a residual network of one layer is a plain one


@final
@dataclass(frozen=True, eq=False)
class ResNet(Basis):
    """The W outputs of the last of L layers; hidden parameters are named and shaped as those of `MLP`."""

    kind = "resnet"
    network: NetworkSettings
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor]
    span: Tensor = field(init=False, repr=False)
    width: int = field(init=False)
    smoothness: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", self.upper - self.lower)
        object.__setattr__(self, "width", self.network.width)
        object.__setattr__(self, "smoothness", self.network.function.function.smoothness)

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        if not alphas:
            return {}
        check_alphas(alphas, self.dimension, self.smoothness, self.network.activation)
        hidden = self.hidden if hidden is None else hidden
        function, depth = self.network.function, self.network.depth
        inner = alphas if depth == 1 else closure(alphas)
        jet = first_layer(function, points, self.lower, self.span, hidden, inner)
        for index in range(1, depth):
            targets = alphas if index == depth - 1 else inner
            jet = compose(function.function, affine_layer(jet, hidden, index), targets, plus=jet)
        return jet

    def settings(self) -> dict[str, Any]:
        return self.network.as_dict(self.kind)

    def describe(self) -> str:
        return self.network.describe(self.kind)

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> ResNet:
        network = NetworkSettings.read(cls.kind, settings, depth=DEFAULT_DEPTH)
        return cls(network, lower, upper, network.initial_hidden(lower, residual=True, seed=seed))

    @classmethod
    def restore(cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor) -> ResNet:
        network = NetworkSettings.read(cls.kind, settings, depth=DEFAULT_DEPTH)
        return cls(network, lower, upper, network.check_hidden(hidden, lower.shape[0]))
