"""Plain network basis: Phi = s.T_L ... s.T_1, T_l affine and s an activation [Gulian, eq. (9)]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.jets import closure, compose
from pinnsolve.bases.networks.layers import NetworkSettings, affine_layer, first_layer
from pinnsolve.language.symbols import MultiIndex


@final
@dataclass(frozen=True, eq=False)
class MLP(Basis):
    """The W outputs of the last of L layers.

    Hidden parameters: `layer0.slopes` (W, d) on the unit box, `layer0.offsets` (W,), `layer1.slopes` (W, W), ...
    """

    kind = "mlp"
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
            jet = compose(function.function, affine_layer(jet, hidden, index), targets)
        return jet

    def settings(self) -> dict[str, Any]:
        return self.network.as_dict(self.kind)

    def describe(self) -> str:
        return self.network.describe(self.kind)

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> MLP:
        network = NetworkSettings.read(cls.kind, settings)
        return cls(network, lower, upper, network.initial_hidden(lower, residual=False, seed=seed))

    @classmethod
    def restore(cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor) -> MLP:
        network = NetworkSettings.read(cls.kind, settings)
        return cls(network, lower, upper, network.check_hidden(hidden, lower.shape[0]))
