"""Series in two coordinates, for problems in time on a periodic square or on one with walls.

The methods are those of the references (`scripts/references/periodic_planes.py` and `walled_planes.py`), at far lower
resolutions. Steps are such that every level of time, at which the points to compare at lie, ends one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import periodic_planes
from periodic_planes import Flow, vortices
from planes import at_points
from walled_planes import PLANES

from specialists import Field, Specialist, at_levels
from specialists.fourier import kept

METHOD = "Fourier, ETDRK4"

Resolution = tuple[int, int]  # modes along each axis, and steps


# -- periodic squares -----------------------------------------------------------------------------------------


def periodic(
    flow: Flow, ladder: tuple[Resolution, ...], raised: dict[str, Callable[[float], float]] | None = None
) -> Specialist:
    """`raised`: what is added to unknowns, by time, to have them at the level that the problem asks for."""
    raised = raised or {}

    def solve(resolution: Resolution, times: np.ndarray) -> Field:
        modes, steps = resolution
        states = kept(periodic_planes.states(flow, modes, steps), times, flow.until / steps)
        fields = {t: (t, state()) for t, state in states.items()}

        def values(known: tuple, points: np.ndarray) -> list[np.ndarray]:
            t, coefficients = known
            levels = [raised[unknown](t) if unknown in raised else 0.0 for unknown in flow.unknowns]
            both = zip(coefficients, levels, strict=True)
            return [at_points(one, *points[:, 1:].T, flow.low, flow.length) + level for one, level in both]

        return at_levels(fields, flow.unknowns, values)

    return Specialist(METHOD, ladder, solve, levels=periodic_planes.LEVELS, unknowns=flow.unknowns)


def at_every_level(modes: tuple[int, ...]) -> tuple[Resolution, ...]:
    """One step per level of time, whose error is far below that of these modes."""
    return tuple((m, periodic_planes.LEVELS) for m in modes)


def gray_scott() -> Specialist:
    ladder = ((144, 100), (160, 100), (160, 150), (192, 150), (216, 150), (256, 150), (256, 200), (288, 200))
    ladder += ((320, 250), (320, 350), (384, 350))
    return periodic(periodic_planes.FLOWS["gray_scott"], ladder)


def burgers() -> Specialist:
    modes = (20, 24, 28, 32, 36, 40, 48, 54, 64, 72, 80, 96, 108, 128, 144)
    return periodic(periodic_planes.FLOWS["burgers_2d"], at_every_level(modes))


def shear_layer() -> Specialist:
    modes = (20, 24, 28, 36, 40, 48, 54, 64, 72, 80, 96, 108)
    return periodic(periodic_planes.FLOWS["shear_layer"], at_every_level(modes))


def taylor_green() -> Specialist:
    """Exact in time, too, for the convective terms are a gradient, which leaves no trace in the vorticity."""
    nu = 0.05

    def stated(modes: int):
        return vortices(modes, nu, lambda x, y: (np.sin(x) * np.cos(y), -np.cos(x) * np.sin(y)))

    flow = Flow(("u", "v", "p"), 0.0, 2 * math.pi, 1.0, (16, 50), (8, 50), 1e-12, stated)
    return periodic(flow, at_every_level((8, 16)), {"p": lambda t: math.exp(-4 * nu * t) / 2})


# -- walls ----------------------------------------------------------------------------------------------------


def walled(name: str, method: str, ladder: tuple[Resolution, ...]) -> Specialist:
    plane = PLANES[name]

    def solve(resolution: Resolution, times: np.ndarray) -> Field:
        modes, steps = resolution
        fields = kept(plane.solve(modes, steps), times, plane.until / steps)

        def values(coefficients: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
            x, y = (plane.functions(modes, (z - plane.low) / plane.length) for z in points[:, 1:].T)
            return [np.einsum("nk,kl,nl->n", x, coefficients, y, optimize=True)]

        return at_levels(fields, ("u",), values)

    return Specialist(method, ladder, solve, levels=plane.levels)


def heat_long() -> Specialist:
    ladder = ((47, 1200), (53, 1400), (59, 1600), (63, 1800), (71, 2000), (79, 2000), (95, 2000), (95, 2600))
    ladder += ((107, 3000), (119, 3200), (127, 4000), (143, 4800), (159, 6000))
    return walled("heat_2d_long", "sine series, ETDRK4", ladder)


def wave_variable() -> Specialist:
    ladder = ((16, 100), (20, 150), (24, 150), (32, 200), (48, 250), (64, 300), (64, 400), (80, 450), (96, 500))
    ladder += ((128, 600), (128, 700), (160, 800), (192, 1000), (256, 1200), (320, 1500))
    return walled("wave_2d_variable", "cosine series, leaps of fourth order", ladder)
