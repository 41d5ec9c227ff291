"""Polynomials by their values at nodes: differentiation and interpolation by the barycentric formula.

Source: Berrut, Trefethen, Barycentric Lagrange interpolation, SIAM Review 46 (2004) 501-517.
"""

from __future__ import annotations

import numpy as np


def chebyshev_nodes(degree: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """The degree + 1 extrema of the Chebyshev polynomial, from low to high."""
    angles = np.pi * np.arange(-degree, degree + 1, 2) / (2 * degree)
    return low + (high - low) * (1 + np.sin(angles)) / 2


def barycentric_weights(nodes: np.ndarray) -> np.ndarray:
    capacity = (nodes.max() - nodes.min()) / 4  # products of gaps in units of it neither grow nor vanish
    gaps = (nodes[:, None] - nodes) / capacity + np.eye(len(nodes))
    return 1 / gaps.prod(axis=1)


def differentiation(nodes: np.ndarray) -> np.ndarray:
    """Values at the nodes -> values of the derivative there."""
    w = barycentric_weights(nodes)
    gaps = nodes[:, None] - nodes + np.eye(len(nodes))
    d = w / w[:, None] / gaps
    np.fill_diagonal(d, 0)
    return d - np.diag(d.sum(axis=1))


def second_derivative_without_flux(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values at the inner nodes -> second derivatives there, and -> the two end values that make both slopes zero."""
    d, ends, inner = differentiation(nodes), [0, len(nodes) - 1], slice(1, len(nodes) - 1)
    from_inner = -np.linalg.solve(d[np.ix_(ends, ends)], d[ends, inner])
    second = (d @ d)[inner]
    return second[:, inner] + second[:, ends] @ from_inner, from_inner


def interpolation(nodes: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values at the nodes -> values at x (N,): (N, nodes)."""
    gaps = x[:, None] - nodes
    on_node = gaps == 0
    parts = barycentric_weights(nodes) / np.where(on_node, 1.0, gaps)
    rows = on_node.any(axis=1, keepdims=True)
    return np.where(rows, on_node, parts / parts.sum(axis=1, keepdims=True))
