"""The quadratic energy of a linear problem of second order, as values: what its gradient is made of.

Of a problem in the form div sigma_a + q_a = 0, with fluxes sigma_ai = sum C_aibj d_j u_b (see `energy_finder`), the
fluxes, the sources q_a, and what holds on the boundary. No array library.
"""

from __future__ import annotations

from dataclasses import dataclass

from pinnsolve.compiler.terms import Term
from pinnsolve.geometry.regions import Piece


class NoEnergy(Exception):
    """The problem has no energy, or one that is not known here."""


@dataclass(frozen=True)
class Wall:
    """What holds on a piece of the boundary: a face of a box, or a part of the boundary of a shape.

    `names`: of the conditions; `given`: a term with a residual for every unknown u_a: u_a - g where it is `held`, else
    the outward flux that is stated, h - beta u_a.
    """

    piece: Piece
    held: tuple[bool, ...]
    names: tuple[str, ...]
    given: Term


@dataclass(frozen=True)
class Energy:
    """Of one material. `names`: of the equations; `fluxes`: a term with the residuals sigma_ai, unknown by unknown;
    `sources`: one with q_a; `walls`: what holds on all of the boundary."""

    names: tuple[str, ...]
    fluxes: Term
    sources: Term
    walls: tuple[Wall, ...]

    @property
    def couples(self) -> bool:
        """Whether the flux of an unknown holds slopes of another, as in elastic bodies."""
        return any(len({f.unknown for f, _ in line.features}) > 1 for line in self.fluxes.linearizations)
