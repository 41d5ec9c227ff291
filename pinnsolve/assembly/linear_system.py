"""What Gauss-Newton needs of a least squares: rows at a state, and how these are solved for a correction.

Two kinds of systems answer this: one basis on the whole domain, whose rows are dense (`basis_system`), and functions on
cells, whose normal equations are sparse in blocks (`system`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.compiler.terms import CompiledProblem

WEAK = 1e-12  # eigenvalues of the scaled Schur complement below this, relative to the largest, are no information


@dataclass(frozen=True)
class Bounds:
    """`low`, `high`: (P,) what holds the parameters, and their typical `size`, to compare them with each other."""

    low: Tensor
    high: Tensor
    size: Tensor

    @classmethod
    def of(cls, problem: CompiledProblem, like: Tensor | None = None) -> Bounds:
        """Those of the file; parameters are compared with their guesses, or the width of their bounds at zero."""
        like = torch.zeros(0, dtype=torch.float64) if like is None else like
        low, high = (like.new_tensor([p.bounds[i] for p in problem.unknown_parameters]) for i in (0, 1))
        guess = like.new_tensor([p.guess for p in problem.unknown_parameters])
        width = torch.where((high - low).isfinite(), high - low, 1.0)
        return cls(low, high, torch.where(guess == 0, width, guess.abs()))

    def hold(self, parameters: Tensor) -> Tensor:
        """(P,) parameters, moved to the bound that they are beyond."""
        return torch.minimum(torch.maximum(parameters, self.low), self.high)

    @classmethod
    def held(cls, parameters: Tensor) -> Bounds:
        """Those that hold parameters (P,) where they are."""
        return cls(parameters, parameters, torch.ones_like(parameters))

    def step(self, at: Tensor, S: Tensor, gradient: Tensor) -> Tensor:
        """The minimizer of d^T S d / 2 + gradient^T d within the bounds, by an active set."""
        free = torch.ones_like(at, dtype=torch.bool)
        moved = torch.zeros_like(at)
        for _ in range(2 * len(at) + 1):
            rest = gradient + S @ torch.where(free, torch.zeros_like(moved), moved)
            moved = torch.where(free, self._least(S, rest, free), moved)
            outside = free & ((at + moved < self.low) | (at + moved > self.high))
            if not bool(outside.any()):
                break
            moved = torch.where(outside, (at + moved).clamp(self.low, self.high) - at, moved)
            free &= ~outside
        return moved

    def _least(self, S: Tensor, gradient: Tensor, free: Tensor) -> Tensor:
        scale = torch.where(free, self.size, 0.0)
        values, vectors = torch.linalg.eigh(scale[:, None] * S * scale)
        known = values > WEAK * values.max().clamp_min(1e-300)
        inverse = torch.where(known, 1.0 / torch.where(known, values, 1.0), 0.0)
        return -scale * (vectors @ (inverse * (vectors.T @ (scale * gradient))))


class Factorization(ABC):
    """Rows at a state, factorized: corrections for the residuals of that state and of those near it."""

    @abstractmethod
    def corrected(self, state: State, rows: Sequence[RowBlock]) -> State:
        """A state near this one with smaller residuals than `rows`, those it has, and with its parameters."""

    def restored(self, state: State, rows: Sequence[RowBlock]) -> State:
        """The state, moved so that rows that are to vanish exactly do; itself where there are none."""
        return state

    @abstractmethod
    def step(self, rows: Sequence[RowBlock], at: Tensor, bounds: Bounds | None) -> tuple[Tensor, Tensor]:
        """The corrections of coefficients and of parameters (P,), which are at `at`; without bounds, they are held."""

    def foretold_loss(self) -> float:
        """What a whole step from its state leaves of the loss, if the linearization holds; NaN where that is not
        known."""
        return math.nan

    @abstractmethod
    def rank_info(self) -> dict[str, float | int]:
        """`rank`, `columns` and `condition` of the matrix."""


class LinearSystem(ABC):
    """A least squares: its rows at any state. `linear`: whether residuals are linear in the state."""

    linear: bool

    @abstractmethod
    def rows(self, state: State, matrix: bool = True) -> list[RowBlock]:
        """All rows at a state; without `matrix`, only their residuals."""

    def loss(self, state: State) -> float:
        """The sum of all squared residuals at a state."""
        return sum(block.loss for block in self.rows(state, matrix=False))

    @abstractmethod
    def factorized(
        self, state: State, rows: Sequence[RowBlock], parameters: bool
    ) -> tuple[list[RowBlock], Factorization]:
        """The rows at a state, with matrices, and their factorization; `rows`: there, perhaps without matrices."""

    @abstractmethod
    def relative_size(self, c: Tensor, change: Tensor) -> float:
        """The size of a change of coefficients, relative to that of what they are after it."""

    def reweighed(self, state: State) -> LinearSystem:
        """With the weights that robust losses give at a state; itself where there are none."""
        return self
