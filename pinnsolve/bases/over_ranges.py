"""Functions of coordinates and of parameters: members at points of the ranges, interpolated between them.

Input: the bases of K members, or one that all share, and the multi-indices of their points. The last coordinates are
the parameters. Function k W + j is function j of a basis of width W times the weight of member k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pinnsolve import extensions
from pinnsolve.bases.base import Basis, check_alphas
from pinnsolve.bases.legendre import legendre_rows, tensor_index
from pinnsolve.bases.newton import Index, interpolation_matrix, newton_polynomials
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import MultiIndex

PIECE_NUMBERS = 2.5e5  # of a table of the members that is made at a time: what lies between stays in the cache
Range = tuple[float, float, bool]  # low, high, and whether it is spaced by the logarithm


class OverRanges(Basis):
    """`bases`: one for all members, or one for each; `indices`: (K, r) of their points, see `bases.newton`.

    No index comes before those below it. `ranges`: r of them; their parameters are the last coordinates.
    """

    kind: ClassVar[str] = "over_ranges"

    def __init__(self, bases: Sequence[Basis], indices: Sequence[Index], ranges: Sequence[Range]):
        self.bases, self.indices = tuple(bases), [tuple(index) for index in indices]
        self.ranges = [(float(low), float(high), bool(log)) for low, high, log in ranges]
        inner, ends = self.bases[0], list(zip(*self.ranges, strict=True))
        self.lower, self.upper = (
            torch.cat([corner, corner.new_tensor(end)])
            for corner, end in zip((inner.lower, inner.upper), ends[:2], strict=True)
        )
        self.hidden = {f"{i}/{name}": value for i, b in enumerate(self.bases) for name, value in b.hidden.items()}
        self.shared = len(self.bases) == 1
        widths = [b.width for b in self.bases] * (len(self.indices) if self.shared else 1)
        self.widths, self.width = widths, sum(widths)
        self.smoothness = min(b.smoothness for b in self.bases)
        self._orders = torch.tensor(self.indices).T  # (r, K)
        self._degrees = self._orders.amax(dim=1).tolist()
        self._matrix = interpolation_matrix(self.indices).to(inner.lower)

    @property
    def active(self) -> int:
        inner = self.bases[0]
        if self.shared and isinstance(inner, PouCells):  # whose tables are made cell by cell
            return len(self.indices) + sum(p + 1 for p in inner.space.degrees)
        return max(max(b.active for b in self.bases), 2 * len(self.indices))

    @property
    def inner_dimension(self) -> int:
        """The number of coordinates without those of ranges."""
        return self.dimension - len(self.ranges)

    def products(self, parameters: Tensor, alpha: MultiIndex) -> Tensor:
        """(K, N): the derivative `alpha` by the parameters (N, r) of the products of Newton polynomials."""
        return self._multiplied(self._tables(parameters, alpha), slice(None))

    def _tables(self, parameters: Tensor, alpha: MultiIndex) -> list[tuple[list[Tensor], Tensor | None]]:
        """Newton polynomials per parameter, (n, N) each, and a factor: products of these add up to the derivative."""
        places = [_unit(parameters[:, a], spanned) for a, spanned in enumerate(self.ranges)]
        return [
            ([newton_polynomials(y, n + 1, k)[k] for y, n, k in zip(places, self._degrees, beta, strict=True)], factor)
            for beta, factor in _chain(parameters, alpha, self.ranges)
        ]

    def _multiplied(self, tables: list[tuple[list[Tensor], Tensor | None]], here: slice) -> Tensor:
        """(K, m): the sum of products of tables, for the multi-indices of the members and some of the points."""
        total = None
        for axes, factor in tables:
            part = axes[0][:, here] if len(axes) == 1 else axes[0][:, here][self._orders[0]]
            for axis, wanted in zip(axes[1:], self._orders[1:], strict=True):
                part = part * axis[:, here][wanted]
            part = part if factor is None else part * factor[here]
            total = part if total is None else total + part
        return total

    def member_weights(self, parameters: Tensor, alpha: MultiIndex) -> Tensor:
        """(K, N): the derivative `alpha` by the parameters (N, r) of the weight of each member."""
        return self._matrix.T @ self.products(parameters, alpha)

    def derivatives(
        self, points: Tensor, alphas: Sequence[MultiIndex], hidden: Mapping[str, Tensor] | None = None
    ) -> dict[MultiIndex, Tensor]:
        if hidden is not None:
            return self.with_hidden(hidden).derivatives(points, alphas)
        alphas, d = tuple(alphas), self.inner_dimension
        check_alphas(alphas, self.dimension, self.smoothness, "this basis")
        found = [b.derivatives(points[:, :d], [alpha[:d] for alpha in alphas]) for b in self.bases]
        result = {}
        for alpha in alphas:
            weights = self.member_weights(points[:, d:], alpha[d:])
            tables = [found[0 if self.shared else k][alpha[:d]] for k in range(len(self.indices))]
            result[alpha] = torch.cat([table * weights[k, :, None] for k, table in enumerate(tables)], dim=1)
        return result

    def combined(self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor) -> dict[MultiIndex, Tensor]:
        d, result = self.inner_dimension, {}
        if self.shared and len(points) and bool((points[:, d:] == points[:1, d:]).all()):
            return self._at_one_value(points, alphas, coefficients)
        for alpha in alphas:
            if self.shared and isinstance(self.bases[0], PouCells):
                result[alpha] = self._on_shared_cells(points, alpha, coefficients)
                continue
            weights = self.member_weights(points[:, d:], alpha[d:])
            total = coefficients.new_zeros(len(coefficients), len(points))
            for k, part in enumerate(coefficients.split(self.widths, dim=1)):
                basis = self.bases[0 if self.shared else k]
                total += basis.combined(points[:, :d], [alpha[:d]], part)[alpha[:d]] * weights[k]
            result[alpha] = total
        return result

    def _at_one_value(
        self, points: Tensor, alphas: Sequence[MultiIndex], coefficients: Tensor
    ) -> dict[MultiIndex, Tensor]:
        """(U, N) each: at points that share the values of all parameters, where the members add up to one function."""
        d, result = self.inner_dimension, {}
        members = coefficients.reshape(len(coefficients), len(self.indices), -1)
        for by_parameters in {alpha[d:] for alpha in alphas}:
            own = torch.einsum("ukw,k->uw", members, self.member_weights(points[:1, d:], by_parameters)[:, 0])
            inner = [alpha[:d] for alpha in alphas if alpha[d:] == by_parameters]
            found = self.bases[0].combined(points[:, :d], inner, own)
            result |= {(*alpha, *by_parameters): found[alpha] for alpha in inner}
        return result

    def _on_shared_cells(self, points: Tensor, alpha: MultiIndex, coefficients: Tensor) -> Tensor:
        """(U, N): cell by cell, where the values of all members at all points are one product of matrices."""
        d, space = self.inner_dimension, self.bases[0].space
        members, unknowns = len(self.indices), len(coefficients)
        cell = space.cells.locate(points[:, :d])
        order = torch.argsort(cell)
        cell, points = cell[order], points[order]
        tables = self._tables(points[:, d:], alpha[d:])
        axes = _axes_tables(space, points[:, :d], cell, alpha[:d])
        few = len(points) < space.cells.count * space.functions  # then their products are turned, else coefficients
        c = coefficients.reshape(unknowns, members, -1)
        c = (c if few else self._matrix @ c).reshape(unknowns, members, space.cells.count, -1)
        found = coefficients.new_empty(unknowns, len(points))
        for number, here in _pieces(cell, max(256, int(PIECE_NUMBERS // members))):
            table, products = _products(axes, here, space), self._multiplied(tables, here)
            products = self._matrix.T @ products if few else products
            for u in range(unknowns):
                found[u, here] = ((c[u, :, number] @ table) * products).sum(dim=0)
        if any(alpha[:d]):
            found *= chain_factors(space.cells, cell, alpha[:d])
        result = torch.empty_like(found)
        result[:, order] = found
        return result

    def settings(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "bases": [b.settings() for b in self.bases],
            "indices": [list(index) for index in self.indices],
            "ranges": [list(spanned) for spanned in self.ranges],
        }

    def describe(self) -> str:
        members, inner = len(self.indices), self.bases[0].describe()
        many = f"{members} members" if members > 1 else "one member"
        return f"{many} interpolated over the range{'s' * (len(self.ranges) > 1)}" + (
            f", on {inner}" if self.shared else f", the first on {inner}"
        )

    @classmethod
    def create(cls, settings: Mapping[str, Any], lower: Tensor, upper: Tensor, seed: int) -> OverRanges:
        """Raises PinnsolveError: members are solved for, not asked for."""
        raise PinnsolveError("`over_ranges` is made by a solve over ranges of parameters and cannot be requested")

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], hidden: Mapping[str, Tensor], lower: Tensor, upper: Tensor
    ) -> OverRanges:
        d = len(lower) - len(settings["ranges"])
        bases = []
        for i, about in enumerate(settings["bases"]):
            own = {name.partition("/")[2]: value for name, value in hidden.items() if name.startswith(f"{i}/")}
            made = extensions.basis_class(about["kind"]).restore(about, own, lower[:d], upper[:d])
            bases.append(made)
        return cls(bases, [tuple(index) for index in settings["indices"]], [tuple(r) for r in settings["ranges"]])


# -- parts of it -------------------------------------------------------------------------------------------------------


def _unit(value: Tensor, spanned: Range) -> Tensor:
    """The place of values of a parameter in [-1, 1]."""
    low, high, log = spanned
    if log:
        return 2 * torch.log(value / low) / math.log(high / low) - 1
    return (2 * value - low - high) / (high - low)


def _chain(parameters: Tensor, alpha: MultiIndex, ranges: Sequence[Range]) -> list[tuple[MultiIndex, Tensor | None]]:
    """Pairs of a derivative by places in [-1, 1] and its factor (N,), which add up to the derivative by parameters.

    No factor is one.
    """
    if not any(alpha):
        return [(tuple(alpha), None)]
    terms: list[tuple[MultiIndex, Tensor]] = [((), torch.ones_like(parameters[:, 0]))]
    for axis, (order, (low, high, log)) in enumerate(zip(alpha, ranges, strict=True)):
        value = parameters[:, axis]
        if log:
            scale = 2 / math.log(high / low)
            found = [(j, s * scale**j * value**-order) for j, s in enumerate(_falling(order)) if s]
        else:
            found = [(order, torch.full_like(value, (2 / (high - low)) ** order))]
        terms = [((*beta, j), factor * more) for beta, factor in terms for j, more in found]
    return list(terms)


def _falling(order: int) -> list[float]:
    """Coefficients of theta (theta - 1) ... (theta - order + 1): v^n d^n/dv^n in powers of theta = v d/dv."""
    found = [1.0]
    for i in range(order):
        raised, same = [0.0, *found], [i * c for c in found] + [0.0]
        found = [a - b for a, b in zip(raised, same, strict=True)]
    return found


def _axes_tables(space: Space, x: Tensor, cell: Tensor, alpha: MultiIndex) -> list[Tensor]:
    """Per axis (p + 1, N): derivatives of the Legendre polynomials of the cells at points (N, d)."""
    columns = space.cells.reference(x[:, None], cell)[:, 0].T.contiguous()
    return [legendre_rows(s, p, k) for s, p, k in zip(columns, space.degrees, alpha, strict=True)]


def _pieces(cell: Tensor, most: int) -> Iterator[tuple[int, slice]]:
    """The cells in an increasing sequence (N,), each with at most so many of its points at a time."""
    numbers, counts = torch.unique_consecutive(cell, return_counts=True)
    start = 0
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        for first in range(start, start + count, most):
            yield number, slice(first, min(first + most, start + count))
        start += count


def _products(axes: Sequence[Tensor], here: slice, space: Space) -> Tensor:
    """(n, m): the functions of a cell at some of the points."""
    table = axes[0][:, here]
    for axis in axes[1:]:
        table = (table[:, None] * axis[None, :, here]).flatten(0, 1)
    return table if len(table) == space.functions else table[tensor_index(space.degrees, space.apart, space.ball)]
