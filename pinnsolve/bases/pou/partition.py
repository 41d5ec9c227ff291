"""The common part of the partition-of-unity bases: softmax of logits, polynomials of total degree, and their products.

Input: jets of logits, points. Output: jets of phi_a(x) P_b(x), the functions of a POUnet (Lee, Trask, Patel, Gulian &
Cyr, Partition of unity networks, arXiv:2101.11256, eq. (1); [Gulian, eq. (16)]).
"""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import comb
from typing import Any

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.jets import EXPONENTIAL, RECIPROCAL, Indices, Jet, closure, compose, multiply
from pinnsolve.bases.legendre import legendre
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.language.symbols import MultiIndex

MOST_FUNCTIONS = 20_000
MOST_DEGREE = 40


class PouNet(Basis):
    """A softmax of logits times polynomials of total degree `degree`.

    Function a n + b is phi_a P_b, of n polynomials.
    """

    partitions: int
    degree: int

    @abstractmethod
    def _logits(self, points: Tensor, targets: Sequence[MultiIndex], hidden: Mapping[str, Tensor]) -> Jet:
        """The jet of what the partition is the softmax of: (N, P) per target; derivatives that are zero may lack."""

    @abstractmethod
    def _limited_by(self) -> str:
        """The words for that which has no derivatives beyond `smoothness`."""

    @property
    def width(self) -> int:
        return width_of(self.partitions, self.degree, self.dimension)

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        alphas = tuple(alphas)
        if not alphas:
            return {}
        check_alphas(alphas, self.dimension, self.smoothness, self._limited_by())
        inner = closure(alphas)
        partition = softmax(self._logits(points, inner, self.hidden if hidden is None else hidden), inner)
        return times_polynomials(partition, polynomials(*self._reference(points), self.degree, alphas), alphas)

    def logits(self, points: Tensor, hidden: Mapping[str, Tensor] | None = None) -> Tensor:
        """The logits, whose softmax is the partition: (N, P)."""
        zero = (0,) * self.dimension
        return self._logits(points, [zero], self.hidden if hidden is None else hidden)[zero]

    def partition(self, points: Tensor) -> Tensor:
        """phi_a at the points: (N, P)."""
        return torch.softmax(self.logits(points), dim=1)

    def _reference(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The points in [-1, 1]^d, and the derivatives (d,) of that map."""
        rates = 2.0 / (self.upper - self.lower)
        return (points - self.lower) * rates - 1.0, rates


def softmax(logits: Jet, targets: Sequence[MultiIndex]) -> Jet:
    """The jet of exp(y_a) / sum_b exp(y_b), (N, P) per target, from that of y: not negative, and of sum one."""
    zero = (0,) * len(next(iter(logits)))
    # a softmax does not change when all its arguments are shifted alike, at each point by what avoids overflow
    shifted = {**logits, zero: logits[zero] - logits[zero].detach().amax(dim=-1, keepdim=True)}
    inner = closure(tuple(targets))
    numerators = compose(EXPONENTIAL, shifted, inner)
    totals = {alpha: value.sum(dim=-1, keepdim=True) for alpha, value in numerators.items()}
    return multiply(numerators, compose(RECIPROCAL, totals, inner), targets)


@lru_cache(maxsize=64)
def total_degree(dimension: int, degree: int) -> Indices:
    """The exponents of the polynomials of total degree up to `degree`: C(degree + d, d) of them."""
    return tuple(k for k in product(range(degree + 1), repeat=dimension) if sum(k) <= degree)


def polynomials(z: Tensor, rates: Tensor, degree: int, targets: Sequence[MultiIndex]) -> Jet:
    """The jet of the products of Legendre polynomials of total degree up to `degree`: (N, C(degree + d, d)).

    `z`: (N, d), the points in [-1, 1]^d; `rates`: (d,) derivatives of z in the coordinates that `targets` count.
    Derivatives of an order above the degree are zero and left out.
    """
    exponents = total_degree(z.shape[1], degree)
    wanted = [alpha for alpha in closure(tuple(targets)) if sum(alpha) <= degree]
    orders = [max(alpha[axis] for alpha in wanted) for axis in range(z.shape[1])]
    tables = [legendre(z[:, axis], degree, order) for axis, order in enumerate(orders)]
    columns = torch.tensor(exponents, device=z.device).T
    result = {}
    for alpha in wanted:
        value = 1.0
        for axis, k in enumerate(alpha):
            value = value * (tables[axis][k][:, columns[axis]] * rates[axis] ** k)
        result[alpha] = value
    return result


def times_polynomials(partition: Jet, polynomial: Jet, targets: Sequence[MultiIndex]) -> Jet:
    """The jet of phi_a P_b, (N, P n) with b running fastest, zeros where a derivative is zero."""
    left = {alpha: value[:, :, None] for alpha, value in partition.items()}
    right = {alpha: value[:, None, :] for alpha, value in polynomial.items()}
    products = multiply(left, right, targets)
    like = next(iter(products.values()))
    return {alpha: products.get(alpha, torch.zeros_like(like)).flatten(1) for alpha in targets}


def width_of(partitions: int, degree: int, dimension: int) -> int:
    """Count the functions of a POUnet. Raises `ResourceError` where these are far too many."""
    width = partitions * comb(degree + dimension, dimension)
    if width > MOST_FUNCTIONS:
        raise ResourceError(
            f"{partitions} partitions with polynomials of degree {degree} in {dimension} coordinates are {width} "
            f"functions; at most {MOST_FUNCTIONS} are allowed"
        )
    return width


def read_counts(kind: str, settings: Mapping[str, Any], others: Sequence[str]) -> tuple[int, int]:
    """(partitions, degree) of the settings of a problem file, whose keys may further be those of `others`.

    Raises `PinnsolveError` for what makes no sense.
    """
    if settings.get("kind", kind) != kind:
        raise PinnsolveError(f"settings of basis kind {settings['kind']!r} given to {kind!r}")
    names = ("partitions", "degree", *others)
    for name in settings:
        if name not in (*names, "kind"):
            close = difflib.get_close_matches(str(name), names, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise PinnsolveError(f"a basis of kind {kind!r} has no setting {name!r}; it has {', '.join(names)}{meant}")
    return (
        _whole("partitions", settings.get("partitions"), defaults.PARTITIONS, 1, None),
        _whole("degree", settings.get("degree"), defaults.PARTITION_DEGREE, 0, MOST_DEGREE),
    )


def _whole(name: str, value: Any, default: int, least: int, most: int | None) -> int:
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        upto = "" if most is None else f" and at most {most}"
        raise PinnsolveError(f"basis setting {name!r} must be a whole number of at least {least}{upto}, not {value!r}")
    return value


def check_shapes(kind: str, hidden: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The hidden parameters in the order expected. Raises `PinnsolveError` for a missing one or a wrong shape."""
    found = {name: tuple(value.shape) for name, value in hidden.items()}
    if found != dict(expected):
        wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        listed = ", ".join(f"{name}: {found.get(name)} for {expected.get(name)}" for name in wrong[:4])
        raise PinnsolveError(f"hidden parameters do not match the settings of this {kind} ({listed})")
    return {name: hidden[name] for name in expected}
