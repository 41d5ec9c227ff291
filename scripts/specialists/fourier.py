"""Fourier methods on a ring, for periodic problems and for solitons on a line long enough to be one.

Stiff nonlinear equations march by exponential time differencing of fourth order, the Korteweg-de Vries equation by the
integrating factor with the classical Runge-Kutta method, the nonlinear Schroedinger equation by a splitting of fourth
order (Yoshida, Physics Letters A 150 (1990) 262-268).
"""

from __future__ import annotations

import allen_cahn
import kuramoto_sivashinsky
import numpy as np
from etdrk4 import march

from specialists import Field, Specialist, at_levels


def series(coefficients: np.ndarray, x: np.ndarray, low: float, high: float) -> np.ndarray:
    """A real Fourier series at x (N,); coefficients (modes/2 + 1,) as numpy's rfft gives them on low + i*h."""
    modes = 2 * (len(coefficients) - 1)
    phases = np.exp(2j * np.pi * np.outer((x - low) / (high - low), np.arange(len(coefficients))))
    phases[:, 1:-1] *= 2
    return (phases @ coefficients).real / modes


def field(fields: dict[float, np.ndarray], low: float, high: float) -> Field:
    """Of Fourier coefficients at levels of time."""

    return at_levels(fields, ("u",), lambda c, points: [series(c, points[:, 1], low, high)])


def kept(states, times: np.ndarray, step: float) -> dict[float, np.ndarray]:
    """Of the states after each step, those at `times`."""
    wanted = {round(t / step): t for t in times}
    return {wanted[n]: state for n, state in enumerate(states) if n in wanted}


# -- exponential time differencing ----------------------------------------------------------------------------


def burgers() -> Specialist:
    viscosity = 0.01 / np.pi

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        modes, steps = resolution
        k = np.pi * np.arange(modes // 2 + 1)
        low = np.arange(modes // 2 + 1) < modes // 3

        def nonlinear(v: np.ndarray) -> np.ndarray:
            return -0.5j * k * low * np.fft.rfft(np.fft.irfft(v * low, modes) ** 2)

        start = np.fft.rfft(-np.sin(np.pi * (-1 + 2 * np.arange(modes) / modes))).astype(complex)
        states = march(start, -viscosity * k**2, nonlinear, 1 / steps, steps)
        return field(kept(states, times, 1 / steps), -1, 1)

    ladder = ((256, 200), (512, 200), (640, 400), (768, 400), (1024, 800), (1536, 1600), (2048, 3200), (3072, 6400))
    return Specialist("Fourier, ETDRK4", ladder, solve, levels=100)


def allen_cahn_ring() -> Specialist:
    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        modes, steps = resolution
        k = np.arange(modes // 2 + 1)
        start = (allen_cahn.start_coefficients(k) * modes * (-1.0) ** k).astype(complex)

        def nonlinear(v: np.ndarray) -> np.ndarray:
            u = np.fft.irfft(v, modes)
            return np.fft.rfft(5 * (u - u**3))

        linear = -allen_cahn.DIFFUSIVITY * (np.pi * k) ** 2
        return field(kept(march(start, linear, nonlinear, 1 / steps, steps), times, 1 / steps), -1, 1)

    ladder = ((128, 200), (256, 200), (512, 200), (512, 400), (1024, 400), (2048, 800))
    return Specialist("Fourier, ETDRK4", ladder, solve, levels=allen_cahn.TIMES)


def kuramoto(until: float) -> Specialist:
    levels = round(kuramoto_sivashinsky.LEVELS * until)

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        modes, every = resolution
        step = 1 / (kuramoto_sivashinsky.LEVELS * every)
        linear, nonlinear = kuramoto_sivashinsky.right_side(modes)
        states = march(kuramoto_sivashinsky.start(modes), linear, nonlinear, step, levels * every)
        return field(kept(states, times, step), 0, 2 * np.pi)

    ladder = ((128, 1), (192, 2), (192, 4), (192, 8), (256, 8), (256, 16), (384, 32), (512, 64))
    return Specialist("Fourier, ETDRK4", ladder, solve, levels=levels)


# -- waves ----------------------------------------------------------------------------------------------------


def advection() -> Specialist:
    def solve(modes: int, times: np.ndarray) -> Field:
        start = np.fft.rfft(np.sin(2 * np.pi * np.arange(modes) / modes))
        turns = np.exp(-40j * np.outer(times, np.arange(modes // 2 + 1)))
        return field(dict(zip(times, turns * start, strict=True)), 0, 2 * np.pi)

    return Specialist("Fourier, exact in time", (8,), solve, levels=100)


def korteweg_de_vries() -> Specialist:
    a, b, meeting, half = 2, 1, 1.5, 32.0

    def solitons(x: np.ndarray) -> np.ndarray:  # at the start, as in the problem file
        tall, small = a * x + a**3 * meeting, b * x + b**3 * meeting
        above = a**2 - b**2 + b**2 * np.cosh(tall) + a**2 * np.cosh(small)
        return (
            (a**2 - b**2) * above / ((a - b) * np.cosh((tall + small) / 2) + (a + b) * np.cosh((tall - small) / 2)) ** 2
        )

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        modes, steps = resolution
        step = 3 / steps
        k = np.pi / half * np.arange(modes // 2 + 1)
        half_turn = np.exp(1j * k**3 * step / 2)

        def rate(v: np.ndarray) -> np.ndarray:
            return -3j * k * np.fft.rfft(np.fft.irfft(v, modes) ** 2)

        def states(v: np.ndarray):
            yield v
            for _ in range(steps):
                first = rate(v)
                second = rate(half_turn * (v + step / 2 * first))
                third = rate(half_turn * v + step / 2 * second)
                fourth = rate(half_turn**2 * v + step * half_turn * third)
                v = half_turn**2 * (v + step / 6 * first) + step / 6 * (2 * half_turn * (second + third) + fourth)
                yield v

        start = np.fft.rfft(solitons(-half + 2 * half * np.arange(modes) / modes))
        return field(kept(states(start), times, step), -half, half)

    ladder = ((256, 800), (384, 1600), (512, 1600), (512, 3200), (640, 6400), (768, 12800), (768, 25600))
    return Specialist("Fourier, integrating factor, RK4, on a longer line", ladder, solve, levels=100)


def schroedinger() -> Specialist:
    height, speed, half, until = 2, 1, 16.0, np.pi / 2
    outer = 1 / (2 - 2 ** (1 / 3))
    shares = (outer, 1 - 2 * outer, outer)  # of three symmetric splittings of second order

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        modes, steps = resolution
        step = until / steps
        x = -half + 2 * half * np.arange(modes) / modes
        k = 2 * np.pi * np.fft.fftfreq(modes, 2 * half / modes)
        drifts = [(share * step, np.exp(-0.5j * k**2 * share * step)) for share in shares]

        def states(h: np.ndarray):
            yield np.fft.fft(h)
            for _ in range(steps):
                for dt, drift in drifts:
                    h = h * np.exp(0.5j * dt * np.abs(h) ** 2)
                    h = np.fft.ifft(drift * np.fft.fft(h))
                    h = h * np.exp(0.5j * dt * np.abs(h) ** 2)
                yield np.fft.fft(h)

        fields = kept(states(height / np.cosh(height * x) * np.exp(1j * speed * x)), times, step)

        def parts(coefficients: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            h = np.exp(1j * np.outer(points[:, 1] + half, k)) @ coefficients / modes
            return h.real, h.imag

        return at_levels(fields, ("u", "v"), parts)

    ladder = ((256, 200), (256, 400), (384, 800), (384, 1600), (512, 3200), (512, 6400))
    return Specialist("Fourier splitting, on a longer line", ladder, solve, levels=100, unknowns=("u", "v"))
