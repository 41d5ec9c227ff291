"""Harmonic functions by least squares on a boundary: sums of known ones, fitted to Dirichlet values.

By the maximum principle the error inside is nowhere larger than the misfit on the boundary, which can be looked at
where it was not fitted.

Sources: Trefethen, Series solution of Laplace problems, ANZIAM Journal 60 (2018) 1-26; Betcke, Trefethen, SIAM Review
47 (2005) 469-491; Brubeck, Nakatsukasa, Trefethen, Vandermonde with Arnoldi, SIAM Review 63 (2021) 405-415.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scatter import relative_difference, write_reference


def reference_of(name: str, sums: tuple, z: np.ndarray, accuracy: float, elements: Callable) -> None:
    """Writes the finer of two sums at points z as a reference, if its misfit on the boundary and how far the other is
    from it stay below the accuracy; with `--verify`, says how far `elements(z)` are."""
    coarse, fine = sums
    u = fine(z)
    misfit, difference = fine.misfit() / np.abs(u).max(), relative_difference(coarse(z), u)
    print(f"misfit on the boundary {misfit:.1e}, difference between two sums {difference:.1e}")
    if max(misfit, difference) > accuracy:
        raise SystemExit("the sum has not converged")
    if "--verify" in sys.argv[1:]:
        print(f"difference to finite elements: {relative_difference(elements(z), u):.1e}")
    write_reference(name, accuracy, x=z.real, y=z.imag, u=u)


class PowersOf:
    """Powers 1, w, w**2, ... of w(z), made orthonormal on the points of the fit (Vandermonde with Arnoldi)."""

    def __init__(self, w: np.ndarray, degree: int):
        n = len(w)
        q = np.zeros((n, degree + 1), complex)
        self.h = np.zeros((degree + 1, degree), complex)
        q[:, 0] = 1
        for k in range(degree):
            v = w * q[:, k]
            for j in range(k + 1):
                self.h[j, k] = np.vdot(q[:, j], v) / n
                v = v - self.h[j, k] * q[:, j]
            self.h[k + 1, k] = np.linalg.norm(v) / np.sqrt(n)
            q[:, k + 1] = v / self.h[k + 1, k]
        self.on_fit = q

    def at(self, w: np.ndarray) -> np.ndarray:
        """(points, degree + 1) at other points."""
        q = np.zeros((len(w), self.h.shape[0]), complex)
        q[:, 0] = 1
        for k in range(self.h.shape[1]):
            q[:, k + 1] = (w * q[:, k] - q[:, : k + 1] @ self.h[: k + 1, k]) / self.h[k + 1, k]
        return q


def fit(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of the columns, each scaled to unit size first."""
    sizes = np.linalg.norm(table, axis=0)
    sizes[sizes == 0] = 1
    return np.linalg.lstsq(table / sizes, values, rcond=1e-15)[0] / sizes


def both_parts(table: np.ndarray) -> np.ndarray:
    """Real and imaginary parts side by side."""
    return np.concatenate([table.real, table.imag], axis=1)
