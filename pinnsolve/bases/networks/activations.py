"""The activations of the network bases: their derivatives, and the bounds that the Box initialization needs.

Input: a name from a problem file. Output: an `Activation`. Add one by adding it to `ACTIVATIONS`; the contract
tests of the bases then hold its derivatives.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import exp, expm1, log, log1p, sqrt

import torch
from torch import Tensor

from pinnsolve.bases.jets import Univariate
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MAX_ORDER

SOFTPLUS_LINEAR_FROM = 40.0  # log(1 + exp(y)) is y to float64 beyond; torch's own 20 is off by 2e-9


@dataclass(frozen=True)
class Activation:
    """A univariate function s and its bounds, which the Box initialization of residual layers uses.

    `bounds(top)`: the interval that holds s(y) for every y <= top. `argument(bound)`: how far y may go for |s(y)| to
    stay within a bound of at most 1, as (top, symmetric): y <= top, or |y| <= top if symmetric.
    """

    function: Univariate
    bounds: Callable[[float], tuple[float, float]]
    argument: Callable[[float], tuple[float, bool]]


def _relu_shapes(y: Tensor, orders: Collection[int]) -> dict[int, Tensor]:
    value = torch.relu(y)
    shapes = {0: value}
    if 1 in orders:
        shapes[1] = torch.sign(value.detach())  # the step is constant almost everywhere: nothing to go back through
    return shapes


def _tanh_shapes(y: Tensor, orders: Collection[int]) -> dict[int, Tensor]:
    """With s = 1 - tanh^2: s, -2 t s, 4 (s - 3 s^2 / 2), -8 (t s - 3 t s^2)."""
    t = torch.tanh(y)
    shapes = {0: t}
    highest = max(orders)
    if highest > 0:
        s = shapes[1] = torch.addcmul(y.new_ones(()), t, t, value=-1)
        if 2 in orders or 4 in orders:
            shapes[2] = t * s
        if 3 in orders:
            shapes[3] = torch.addcmul(s, s, s, value=-1.5)
        if 4 in orders:
            shapes[4] = torch.addcmul(shapes[2], shapes[2], s, value=-3)
    return shapes


def _sin_shapes(y: Tensor, orders: Collection[int]) -> dict[int, Tensor]:
    shapes = {}
    if any(k % 2 == 0 for k in orders):
        shapes[0] = shapes[2] = shapes[4] = torch.sin(y)
    if any(k % 2 for k in orders):
        shapes[1] = shapes[3] = torch.cos(y)
    return shapes


def _gaussian_shapes(y: Tensor, orders: Collection[int]) -> dict[int, Tensor]:
    """exp(-y^2) times Hermite polynomials: -2 y, 2 (2 y^2 - 1), -4 y (2 y^2 - 3), 4 (4 y^4 - 12 y^2 + 3)."""
    square = y * y
    value = torch.exp(-square)
    shapes = {0: value}
    if 1 in orders or 3 in orders:
        shapes[1] = y * value
    if 2 in orders:
        shapes[2] = (2 * square - 1) * value
    if 3 in orders:
        shapes[3] = (2 * square - 3) * shapes[1]
    if 4 in orders:
        shapes[4] = torch.addcmul(3 * value, 4 * square - 12, square * value)
    return shapes


def _softplus_shapes(y: Tensor, orders: Collection[int]) -> dict[int, Tensor]:
    """With g the logistic function and s = g - g^2: g, s, s - 2 s g, s - 6 s^2."""
    shapes = {}
    if 0 in orders:
        shapes[0] = torch.nn.functional.softplus(y, 1.0, SOFTPLUS_LINEAR_FROM)
    if max(orders) > 0:
        g = shapes[1] = torch.sigmoid(y)
        if max(orders) > 1:
            s = shapes[2] = torch.addcmul(g, g, g, value=-1)
            if 3 in orders:
                shapes[3] = torch.addcmul(s, s, g, value=-2)
            if 4 in orders:
                shapes[4] = torch.addcmul(s, s, s, value=-6)
    return shapes


def _softplus(y: float) -> float:
    return log1p(exp(-abs(y))) + max(y, 0.0)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(
        Univariate("relu", 1, (1.0, 1.0), _relu_shapes),
        bounds=lambda top: (0.0, top),
        argument=lambda bound: (bound, False),
    ),
    "tanh": Activation(
        Univariate("tanh", MAX_ORDER, (1.0, 1.0, -2.0, 4.0, -8.0), _tanh_shapes),
        bounds=lambda top: (-1.0, 1.0),
        argument=lambda bound: (bound, True),  # |tanh y| <= |y|
    ),
    "sin": Activation(
        Univariate("sin", MAX_ORDER, (1.0, 1.0, -1.0, -1.0, 1.0), _sin_shapes),
        bounds=lambda top: (-1.0, 1.0),
        argument=lambda bound: (bound, True),  # |sin y| <= |y|
    ),
    "gaussian": Activation(
        Univariate("gaussian", MAX_ORDER, (1.0, -2.0, 2.0, -4.0, 4.0), _gaussian_shapes),
        bounds=lambda top: (0.0, 1.0),
        argument=lambda bound: (-sqrt(max(0.0, -log(bound))), False),
    ),
    "softplus": Activation(
        Univariate("softplus", MAX_ORDER, (1.0, 1.0, 1.0, 1.0, 1.0), _softplus_shapes),
        bounds=lambda top: (0.0, _softplus(top)),
        argument=lambda bound: (log(expm1(bound)), False),
    ),
}


def activation(name: str) -> Activation:
    """The activation of that name. Raises `PinnsolveError` with the list, and a close match if there is one."""
    found = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if found is None:
        close = difflib.get_close_matches(str(name), ACTIVATIONS, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise PinnsolveError(f"unknown activation {name!r}; there are {', '.join(ACTIVATIONS)}{meant}")
    return found
