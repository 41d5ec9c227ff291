"""A basis of a few plane waves for tests: every derivative is known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pinnsolve.bases.base import Basis
from pinnsolve.results.solution import Solution

LOWER, UPPER = (0.0, -1.0), (1.0, 2.0)


@dataclass(frozen=True, eq=False)
class SineBasis(Basis):
    """Phi_j(x) = sin(w_j . x + b_j)."""

    hidden: dict
    lower: torch.Tensor
    upper: torch.Tensor
    smoothness: int = 4
    kind = "sine_for_tests"

    @property
    def width(self) -> int:
        return len(self.hidden["b"])

    def derivatives(self, points, alphas, hidden=None):
        w, b = self.hidden["w"], self.hidden["b"]
        phase = points @ w.T + b
        return {a: torch.sin(phase + math.pi / 2 * sum(a)) * torch.prod(w ** torch.tensor(a), dim=1) for a in alphas}

    def describe(self) -> str:
        return f"sine_for_tests, width {self.width}"

    def settings(self) -> dict:
        return {"kind": self.kind, "smoothness": self.smoothness}

    @classmethod
    def create(cls, settings, lower, upper, seed):
        raise NotImplementedError("`waves` makes them")

    @classmethod
    def restore(cls, settings, hidden, lower, upper):
        return cls(dict(hidden), lower, upper, settings["smoothness"])


def waves(dimension: int = 2, width: int = 3, smoothness: int = 4, seed: int = 0) -> SineBasis:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(width, dimension, generator=generator, dtype=torch.float64)
    b = torch.randn(width, generator=generator, dtype=torch.float64)
    lower = torch.tensor([LOWER[i % 2] for i in range(dimension)], dtype=torch.float64)
    upper = torch.tensor([UPPER[i % 2] for i in range(dimension)], dtype=torch.float64)
    return SineBasis({"w": w, "b": b}, lower, upper, smoothness)


def solution_of(
    coordinates=("t", "x"), unknowns=("u",), time="t", smoothness: int = 4, name="waves", **fields
) -> Solution:
    """A solution with coefficients 1, 2, 3, ... on a sine basis over `LOWER`..`UPPER`."""
    basis = waves(len(coordinates), smoothness=smoothness)
    count = len(unknowns) * basis.width
    coefficients = torch.arange(1.0, count + 1, dtype=torch.float64).reshape(len(unknowns), basis.width)
    intervals = tuple((LOWER[i % 2], UPPER[i % 2]) for i in range(len(coordinates)))
    return Solution(
        name=name,
        coordinates=tuple(coordinates),
        intervals=intervals,
        time=time,
        unknowns=tuple(unknowns),
        basis=basis,
        coefficients=coefficients,
        **fields,
    )


def closed_form(solution: Solution, row: int, points: np.ndarray, alpha) -> np.ndarray:
    """The derivative alpha of unknown number `row`, written out without torch."""
    w, b = solution.basis.hidden["w"].numpy(), solution.basis.hidden["b"].numpy()
    c = solution.coefficients.numpy()[row]
    waves_ = np.sin(points @ w.T + b + np.pi / 2 * sum(alpha)) * np.prod(w ** np.array(alpha), axis=1)
    return waves_ @ c
