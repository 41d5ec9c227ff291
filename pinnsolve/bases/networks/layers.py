"""The common part of the network bases: their settings, and affine maps and first layers on jets.

Input: settings from a problem file, hidden parameters by name. Output: checked settings, jets.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from pinnsolve.bases.jets import Jet, compose_affine
from pinnsolve.bases.networks.activations import Activation, activation
from pinnsolve.bases.networks.initialization import NAMES, NetworkShape, initial_layers
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.language.symbols import MultiIndex

MOST_HIDDEN_PARAMETERS = 200_000_000  # 1.6 GB in float64


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of a network basis, checked: a `PinnsolveError` says which is wrong, what was found, what is right.

    `width`: the number of functions W, also of the inner layers. `depth`: the number of layers L. `activation` and
    `initialization`: by name. `scale`: how fast the initial functions vary over the box; 1 is as in [Gulian], and wide
    bases of a bounded activation can use more (see `initialization.initial_layers`).
    """

    width: int = 64
    depth: int = 1
    activation: str = "tanh"
    initialization: str = "box"
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise PinnsolveError(f"basis setting {name!r} must be a whole number of at least 1, not {value!r}")
        activation(self.activation)
        if not isinstance(self.initialization, str) or self.initialization not in NAMES:
            raise PinnsolveError(f"unknown initialization {self.initialization!r}; there are {', '.join(NAMES)}")
        scale = self.scale
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
            raise PinnsolveError(f"basis setting 'scale' must be a positive number, not {scale!r}")

    @classmethod
    def read(cls, kind: str, settings: Mapping[str, Any], **defaults: Any) -> NetworkSettings:
        """From the mapping of a problem file; `kind` there, if given, must be the class's own."""
        given = dict(settings)
        if given.pop("kind", kind) != kind:
            raise PinnsolveError(f"settings of basis kind {settings['kind']!r} given to {kind!r}")
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                close = difflib.get_close_matches(str(name), names, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else ""
                listed = ", ".join(names)
                raise PinnsolveError(f"a basis of kind {kind!r} has no setting {name!r}; it has {listed}{meant}")
        return cls(**{**defaults, **{name: value for name, value in given.items() if value is not None}})

    @property
    def function(self) -> Activation:
        return activation(self.activation)

    def as_dict(self, kind: str) -> dict[str, Any]:
        return {"kind": kind, **asdict(self)}

    def describe(self, kind: str) -> str:
        scale = "" if self.scale == 1 else f", scale {self.scale:g}"
        start = f"{NAMES[self.initialization]} initialization{scale}"
        return f"{kind}, width {self.width}, depth {self.depth}, {self.activation}, {start}"

    def initial_hidden(self, lower: Tensor, residual: bool, seed: int) -> dict[str, Tensor]:
        """Hidden parameters by name, of the type and on the device of `lower` (d,)."""
        dimension = lower.shape[0]
        count = self.width * (dimension + 1) + (self.depth - 1) * self.width * (self.width + 1)
        if count > MOST_HIDDEN_PARAMETERS:
            raise ResourceError(
                f"a basis of width {self.width} and depth {self.depth} has {count:.1e} hidden parameters; "
                f"at most {MOST_HIDDEN_PARAMETERS:.0e} are allowed"
            )
        shape = NetworkShape(dimension, self.width, self.depth, residual)
        layers = initial_layers(self.initialization, self.function, shape, self.scale, seed)
        hidden = {}
        for index, (slopes, offsets) in enumerate(layers):
            hidden[f"layer{index}.slopes"] = slopes.to(lower)
            hidden[f"layer{index}.offsets"] = offsets.to(lower)
        return hidden

    def check_hidden(self, hidden: Mapping[str, Tensor], dimension: int) -> dict[str, Tensor]:
        """The hidden parameters, sorted by layer. Raises `PinnsolveError` for a missing one or a wrong shape."""
        expected = {}
        for index in range(self.depth):
            expected[f"layer{index}.slopes"] = (self.width, dimension if index == 0 else self.width)
            expected[f"layer{index}.offsets"] = (self.width,)
        found = {name: tuple(value.shape) for name, value in hidden.items()}
        if found != expected:
            wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            listed = ", ".join(f"{name}: {found.get(name)} for {expected.get(name)}" for name in wrong[:4])
            raise PinnsolveError(f"hidden parameters do not match width {self.width}, depth {self.depth} ({listed})")
        return {name: hidden[name] for name in expected}


def first_layer(
    function: Activation,
    points: Tensor,
    lower: Tensor,
    span: Tensor,
    hidden: Mapping[str, Tensor],
    targets: Sequence[MultiIndex],
) -> Jet:
    """The jet of s(T_1 x) in the problem's coordinates: {alpha: (N, W)} for the targets only.

    `points`: (N, d); `span` = upper - lower: (d,). T_1 is affine, so each is a derivative of s times powers of slopes.
    """
    slopes = hidden["layer0.slopes"]
    value = torch.addmm(hidden["layer0.offsets"], (points - lower) / span, slopes.t())
    gradient = (slopes / span).t().contiguous()
    return compose_affine(function.function, value, gradient, targets)


def affine_layer(jet: Jet, hidden: Mapping[str, Tensor], index: int) -> Jet:
    """The jet of T x for the jet of x: {alpha: (N, W)}."""
    # one product for all derivatives: in `vmap(grad)` each would otherwise leave its own (W, W) per point
    slopes, offsets = hidden[f"layer{index}.slopes"], hidden[f"layer{index}.offsets"]
    products = torch.cat(list(jet.values())) @ slopes.t()
    pieces = products.view(len(jet), -1 if products.numel() else 0, slopes.shape[0]).unbind(0)
    return {alpha: piece if any(alpha) else piece + offsets for alpha, piece in zip(jet, pieces, strict=True)}
