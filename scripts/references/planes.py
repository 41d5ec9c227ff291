"""What references of problems with two periodic coordinates share: Fourier series on a square grid, its points.

A field is its (modes, modes) values on the grid; coefficients are those of `numpy.fft.rfft2`.
"""

from __future__ import annotations

import numpy as np


def wave_numbers(modes: int, length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k_x (modes, 1), k_y (1, modes/2 + 1), and which of them two thirds keep, so that squares are free of aliasing."""
    unit = 2 * np.pi / length
    x = np.fft.fftfreq(modes, 1.0 / modes)[:, None]
    y = np.arange(modes // 2 + 1)[None, :]
    kept = (np.abs(x) < modes / 3) & (y < modes / 3)
    return unit * x, unit * y, kept


def at_points(coefficients: np.ndarray, x: np.ndarray, y: np.ndarray, low: float, length: float) -> np.ndarray:
    """The Fourier series with these coefficients at points (N,)."""
    modes = coefficients.shape[0]
    unit = 2j * np.pi / length
    first = np.exp(unit * np.outer(x - low, np.fft.fftfreq(modes, 1.0 / modes)))
    second = np.exp(unit * np.outer(y - low, np.arange(modes // 2 + 1)))
    second[:, 1:-1] *= 2
    return np.einsum("nk,kl,nl->n", first, coefficients, second, optimize=True).real / modes**2
