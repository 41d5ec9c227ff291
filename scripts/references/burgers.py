"""Reference for problems/burgers.yaml: the Cole-Hopf solution by quadrature.

u(t, x) = -A/B, where A and B are integrals over y of sin(pi (x - y)) g and of g, with
g = exp(-cos(pi (x - y))/(2 pi nu) - y**2/(4 nu t)). Both integrands are entire and decay like Gaussians, so the
trapezoidal rule converges faster than any power of its step; exponents are shifted by their maximum first.
Source: Cole, Quart. Appl. Math. 9 (1951) 225-236; Basdevant et al., Computers & Fluids 14 (1986) 23-41.

`python scripts/references/burgers.py` writes problems/references/burgers.npz; with `--verify` it also solves the
equation itself by a Fourier method, which knows nothing of Cole and Hopf, and prints the difference.
"""

from __future__ import annotations

import sys

import numpy as np
from etdrk4 import march
from scatter import even_points, relative_difference, write_reference

NU = 0.01 / np.pi
COUNT = 6000
ACCURACY = 1e-11  # both checks below agree better than this


def cole_hopf(t: np.ndarray, x: np.ndarray, nodes: int = 601, block: int = 500, nu: float = NU) -> np.ndarray:
    """u at the points: t (N,), x (N,) -> (N,), with `nodes` trapezoidal nodes."""
    # y = sqrt(4 nu t) z makes the Gaussian exp(-z**2); the cosine's factor varies by exp(1/(pi nu)) = exp(100) at most,
    # so beyond |z| = 12 the integrand is below exp(100 - 144) of its maximum
    z = np.linspace(-12, 12, nodes)
    u = np.empty(len(t))
    for i in range(0, len(t), block):
        here = slice(i, i + block)
        s = np.pi * (x[here, None] - np.sqrt(4 * nu * t[here, None]) * z)  # (block, nodes)
        exponent = -np.cos(s) / (2 * np.pi * nu) - z**2
        g = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        u[here] = -(np.sin(s) * g).sum(axis=1) / g.sum(axis=1)
    return u


def fourier(times: int, x: np.ndarray, modes: int = 4096, step: float = 1e-4) -> tuple[np.ndarray, np.ndarray]:
    """Times (times + 1,) and u on x at them (times + 1, N), by a Fourier method on (-1, 1)."""
    grid = -1 + 2 * np.arange(modes) / modes
    k = np.pi * np.arange(modes // 2 + 1)
    kept = np.arange(modes // 2 + 1) < modes // 3  # the product of two fields is free of aliasing

    def nonlinear(v: np.ndarray) -> np.ndarray:
        return -0.5j * k * np.fft.rfft(np.fft.irfft(v * kept, modes) ** 2) * kept

    steps = round(1 / step)
    every = steps // times
    start = np.fft.rfft(-np.sin(np.pi * grid))
    basis = np.exp(1j * np.pi * np.outer(x + 1, np.arange(modes // 2 + 1))) / modes
    basis[:, 1:-1] *= 2
    rows = [
        (basis @ v).real
        for n, v in enumerate(march(start.astype(complex), -NU * k**2, nonlinear, step, steps))
        if n % every == 0
    ]
    return np.linspace(0, 1, times + 1), np.array(rows)


def main() -> None:
    t, x = even_points(COUNT, [(0, 1), (-1, 1)]).T
    u = cole_hopf(t, x)
    difference = relative_difference(cole_hopf(t, x, nodes=1201), u)
    print(f"difference between 601 and 1201 nodes: {difference:.1e}")
    if difference > ACCURACY:
        raise SystemExit("the quadrature has not converged")
    write_reference("burgers.npz", ACCURACY, t=t, x=x, u=u)
    if "--verify" in sys.argv[1:]:
        x = np.concatenate([np.linspace(-1, 1, 101), np.linspace(-0.03, 0.03, 101)])
        t, by_fourier = fourier(20, x)
        by_quadrature = cole_hopf(np.repeat(t, len(x)), np.tile(x, len(t))).reshape(by_fourier.shape)
        print(f"difference from the Fourier method: {relative_difference(by_fourier, by_quadrature):.1e}")


if __name__ == "__main__":
    main()
