"""The interface of a basis: W functions of the coordinates, with all their derivatives.

Input: points and multi-indices. Output: one (N, W) tensor per multi-index. A basis is an immutable value, settings and
hidden parameters; a solver that moves the hidden parameters gets a new basis from `with_hidden`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from torch import Tensor

from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MAX_ORDER, MultiIndex


class Basis(ABC):
    """W functions Phi_j(x; xi^H) on a box, linear combinations of which are the unknowns.

    `lower`, `upper`: (d,), the box of the problem, which a basis maps to the unit box inside. `hidden`: the hidden
    parameters xi^H by name, {} for a fixed basis. `width`: W. `smoothness`: the highest order of derivative that is a
    function (1 for relu, whose second derivative lives on the cut planes where no point is).

    To add one: write `derivatives`, `settings`, `describe`, `create` and `restore`, and put it in the registry; with
    `refined`, it grows until a tolerance is met. A line in the contract tests checks it.
    """

    kind: ClassVar[str]
    lower: Tensor
    upper: Tensor
    hidden: Mapping[str, Tensor]
    width: int
    smoothness: int = MAX_ORDER
    by_operator: bool = False  # whether whole operators are asked for, by `applied`, and not a table per derivative

    @property
    def dimension(self) -> int:
        """The number of coordinates, d."""
        return self.lower.shape[0]

    @property
    def active(self) -> int:
        """The largest number of functions that are nonzero at one point: the cost of `combined` there."""
        return self.width

    @property
    def held(self) -> int:
        """About how many numbers `combined` holds per point."""
        return self.active

    @abstractmethod
    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        """D^alpha Phi_j at the points, for each multi-index asked for: {alpha: (N, W)}.

        `points`: (N, d) in the problem's coordinates, which `alphas` count as well (the chain rule of the map to the
        unit box is included). `hidden` replaces the basis's own. A pure function of both, through which autograd and
        `torch.func.grad`, `jacrev`, `jvp` and `vmap` (over points or hidden parameters) go. The tensors returned may
        share memory: do not write to them. Raises `PinnsolveError` for a multi-index of the wrong length, or of an
        order above `smoothness`.
        """

    def combined(self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor) -> dict[MultiIndex, Tensor]:
        """D^alpha of the functions with coefficients (U, W) at the points: {alpha: (U, N)}.

        A basis of functions that vanish on most of the box answers this without the whole table.
        """
        return {alpha: coefficients @ table.T for alpha, table in self.derivatives(points, alphas).items()}

    def applied(self, points: Tensor, coefficients: Mapping[MultiIndex, Tensor | float]) -> Tensor:
        """sum_alpha c_alpha D^alpha Phi_j at the points (N, d): (N, W). A coefficient is a number, or (N,).

        In many coordinates an operator has more derivatives than there is room for their tables.
        """
        result = points.new_zeros(len(points), self.width)
        for alpha, table in self.derivatives(points, tuple(coefficients)).items():
            c = coefficients[alpha]
            result += (c[:, None] if isinstance(c, Tensor) and c.ndim else c) * table
        return result

    def applied_to(self, points: Tensor, operator: Mapping[MultiIndex, Tensor | float], c: Tensor) -> Tensor:
        """(N,): what the operator, as in `applied`, makes of the function with coefficients c (W,)."""
        return self.applied(points, operator) @ c

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The settings that were asked for, JSON-able, `kind` included. With `hidden` they are enough for `restore`."""

    @abstractmethod
    def describe(self) -> str:
        """One line for a report: `mlp, width 32, depth 1, relu, Box initialization`."""

    @classmethod
    @abstractmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> Basis:
        """A basis with initial hidden parameters, which depend on the seed but not on the device.

        Type and device are those of `lower`. Raises `PinnsolveError` for settings that make no sense.
        """

    @classmethod
    @abstractmethod
    def restore(cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor) -> Basis:
        """The basis with these hidden parameters: `restore(b.settings(), b.hidden, b.lower, b.upper)` equals b."""

    def refined(self) -> Basis | None:
        """A richer basis of the same kind, to go on with where this one is not accurate enough; None if there is none.

        By default one made of the same settings with twice the `width`, if that is one of them.
        """
        settings = self.settings()
        if not isinstance(settings.get("width"), int):
            return None
        return self.create({**settings, "width": 2 * settings["width"]}, self.lower, self.upper, 0)

    def with_hidden(self, hidden: Mapping[str, Tensor]) -> Basis:
        """This basis with other hidden parameters."""
        return self.restore(self.settings(), hidden, self.lower, self.upper)


@lru_cache(maxsize=1024)
def check_alphas(alphas: tuple[MultiIndex, ...], dimension: int, smoothness: int, what: str) -> None:
    """Raise `PinnsolveError` unless every multi-index counts `dimension` coordinates and stays within `smoothness`."""
    for alpha in alphas:
        if len(alpha) != dimension or any(a < 0 for a in alpha):
            raise PinnsolveError(f"{alpha} is not a multi-index of {dimension} coordinates")
        if sum(alpha) > smoothness:
            raise PinnsolveError(f"{what} has derivatives to order {smoothness}, but {alpha} is of order {sum(alpha)}")
