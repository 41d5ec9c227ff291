"""Reference for problems/channel-in-time.yaml: spectral elements, backward differences in time.

Velocities are polynomials of degree N, pressures of N - 2 (Maday & Patera, Spectral element methods for the
incompressible Navier-Stokes equations, 1989). Third-order backward differences, with the convective terms extrapolated,
leave one matrix for all steps (Karniadakis, Israeli & Orszag, J. Comput. Phys. 97 (1991) 414-443). At the outflow the
weak form asks for Dn(v) = 0 by itself; it would ask for nu u_x = p, too, and with nu u_x = -nu v_y taken away asks for
p = 0. The accuracy of each unknown comes from two resolutions.

`python scripts/references/channel_in_time.py` writes problems/references/channel_in_time.npz.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from scatter import check_each, even_points, write_reference
from scipy.sparse import bmat, csr_matrix, diags, kron
from scipy.sparse.linalg import splu

NU, END, LEVELS = 0.01, 5.0, 50
BREAKS = (
    (0.0, 0.02, 0.07, 0.2, 0.5, 1.0, 1.5, 1.93, 2.0),
    (0.0, 0.5, 1.0),
)  # of elements, which are short along x where fluid leaves by the inflow, and at the outflow
COUNT = 5000
ACCURACY = {"u": 1e-4, "v": 1e-4, "p": 1e-4}
RESOLUTIONS = (((12, 17), 3000), ((13, 18), 3500))  # degrees along x and y, steps
BACKWARD, EXTRAPOLATED = (3.0, -1.5, 1.0 / 3.0), (3.0, -3.0, 1.0)  # of the last values, beside 11/6 of the new one


class Line:
    """Continuous polynomials of degree `n` on elements between `breaks`, by their values at Gauss-Lobatto points.

    Quadrature is by Gauss points. `values`, `slopes`: (points, nodes); `pressures`: (points, n - 1 per element).
    """

    def __init__(self, breaks: tuple[float, ...], n: int):
        self.breaks, self.n = np.array(breaks), n
        inner = legendre.legroots(legendre.legder([0.0] * n + [1.0]))
        self.local = np.concatenate([[-1.0], inner, [1.0]])
        self.from_values = np.linalg.inv(legendre.legvander(self.local, n))
        points, weights = legendre.leggauss(math.ceil(1.5 * n) + 2)
        middle, half = 0.5 * (self.breaks[1:] + self.breaks[:-1]), 0.5 * np.diff(self.breaks)
        placed = [m + h * self.local for m, h in zip(middle, half, strict=True)]
        self.nodes = np.concatenate([placed[0][:1], *(part[1:] for part in placed)])
        self.points = np.concatenate([m + h * points for m, h in zip(middle, half, strict=True)])
        self.weights = np.concatenate([h * weights for h in half])
        self.values, self.slopes, self.pressures = self.at(self.points), self.at(self.points, 1), self.flat(self.points)

    def _placed(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The elements of points, their places there in [-1, 1], and the halves of the lengths."""
        which = np.clip(np.searchsorted(self.breaks, x, side="right") - 1, 0, len(self.breaks) - 2)
        half = 0.5 * np.diff(self.breaks)[which]
        return which, (x - self.breaks[which]) / half - 1.0, half

    def at(self, x: np.ndarray, derivative: int = 0) -> np.ndarray:
        """(points, nodes): values at x of the functions that are 1 at one node, or their derivatives."""
        which, place, half = self._placed(x)
        powers = [legendre.legval(place, legendre.legder(row, derivative)) for row in np.eye(self.n + 1)]
        table = np.stack(powers, axis=1) @ self.from_values / half[:, None] ** derivative
        result = np.zeros((len(x), len(self.nodes)))
        np.add.at(result, (np.arange(len(x))[:, None], which[:, None] * self.n + np.arange(self.n + 1)), table)
        return result

    def flat(self, x: np.ndarray) -> np.ndarray:
        """(points, pressures): Legendre polynomials of degree n - 2 on every element."""
        which, place, _ = self._placed(x)
        result = np.zeros((len(x), (len(self.breaks) - 1) * (self.n - 1)))
        columns = which[:, None] * (self.n - 1) + np.arange(self.n - 1)
        result[np.arange(len(x))[:, None], columns] = legendre.legvander(place, self.n - 2)
        return result

    def tested(self, left: np.ndarray, right: np.ndarray) -> csr_matrix:
        """The integrals of products."""
        return csr_matrix(left.T @ (self.weights[:, None] * right))


@dataclass
class Channel:
    """The discrete channel, with steps of length `dt`."""

    x: Line
    y: Line
    dt: float

    @property
    def shape(self) -> tuple[int, int]:
        """Of the nodes of one component of the velocity."""
        return len(self.x.nodes), len(self.y.nodes)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def mass(self) -> csr_matrix:
        return kron(self.x.tested(self.x.values, self.x.values), self.y.tested(self.y.values, self.y.values), "csr")

    @cached_property
    def fixed(self) -> np.ndarray:
        """Numbers of the values that conditions give: all but the outflow's, of both components."""
        inside = np.zeros(self.shape, bool)
        inside[1:, 1:-1] = True
        one = np.flatnonzero(~inside.ravel())
        return np.concatenate([one, one + self.size])

    @cached_property
    def factors(self):
        x, y = self.x, self.y
        stiff = kron(x.tested(x.slopes, x.slopes), y.tested(y.values, y.values))
        stiff += kron(x.tested(x.values, x.values), y.tested(y.slopes, y.slopes))
        along = kron(x.tested(x.pressures, x.slopes), y.tested(y.pressures, y.values))
        across = kron(x.tested(x.pressures, x.values), y.tested(y.pressures, y.slopes))
        outflow = csr_matrix(([1.0], ([len(x.nodes) - 1], [len(x.nodes) - 1])), (len(x.nodes),) * 2)
        pull = NU * kron(outflow, y.tested(y.values, y.slopes))
        own = 11.0 / 6.0 / self.dt * self.mass + NU * stiff
        matrix = bmat([[own, pull, -along.T], [None, own, -across.T], [along, across, None]], "csr")
        keep = np.ones(matrix.shape[0])
        keep[self.fixed] = 0.0
        return splu((diags(keep) @ matrix + diags(1.0 - keep)).tocsc())

    def tested(self, values: np.ndarray) -> np.ndarray:
        """The integrals of values at the quadrature points times every polynomial."""
        weighed = self.x.weights[:, None] * values * self.y.weights
        return (self.x.values.T @ weighed @ self.y.values).ravel()

    def carried(self, velocity: np.ndarray) -> np.ndarray:
        """(2 n,): the convective terms of a velocity (2 n,)."""
        x, y = self.x, self.y
        u, v = parts = velocity.reshape(2, *self.shape)
        u, v = (x.values @ part @ y.values.T for part in (u, v))
        return np.concatenate(
            [self.tested(u * (x.slopes @ part @ y.values.T) + v * (x.values @ part @ y.slopes.T)) for part in parts]
        )

    def pushed(self, t: float) -> np.ndarray:
        """The values at the inflow, as in the whole velocity."""
        shape = np.zeros(self.shape)
        shape[0] = np.sin(math.pi * self.y.nodes) * sum(math.sin(k * math.pi * t) for k in (1, 3, 5))
        shape[:, [0, -1]] = 0.0
        return np.concatenate([shape.ravel(), np.zeros(self.size)])

    def states(self, steps: int):
        """Time, velocity and Legendre coefficients of the pressure after every step."""
        n = self.size
        stirred = self.tested(-np.outer(np.sin(math.pi * self.x.points), np.sin(math.pi * self.y.points)))
        still = np.zeros(self.x.pressures.shape[1] * self.y.pressures.shape[1])
        before = [np.zeros(2 * n)] * 3
        carried = [np.zeros(2 * n)] * 3
        for step in range(1, steps + 1):
            t = step * self.dt
            known = sum(c * b for c, b in zip(BACKWARD, before, strict=True)) / self.dt
            right = np.concatenate([self.mass @ known[:n], self.mass @ known[n:]])
            right -= sum(c * b for c, b in zip(EXTRAPOLATED, carried, strict=True))
            right[n:] += math.sin(math.pi * t) * stirred
            right[self.fixed] = self.pushed(t)[self.fixed]
            solution = self.factors.solve(np.concatenate([right, still]))
            before = [solution[: 2 * n], *before[:2]]
            carried = [self.carried(before[0]), *carried[:2]]
            yield t, before[0], solution[2 * n :]


def solve(points: np.ndarray, levels: np.ndarray, degrees: tuple[int, int], steps: int) -> dict[str, np.ndarray]:
    """u, v, p at points (N, 2) at the middles of levels of time (N,)."""
    lines = [Line(breaks, degree) for breaks, degree in zip(BREAKS, degrees, strict=True)]
    channel = Channel(*lines, END / steps)
    tables = [line.at(points[:, k]) for k, line in enumerate(lines)]
    flat = [line.flat(points[:, k]) for k, line in enumerate(lines)]
    found = {name: np.empty(len(points)) for name in "uvp"}
    every = steps // LEVELS
    for step, (_, velocity, pressure) in enumerate(channel.states(steps), start=1):
        if step // every > levels.max():
            break
        if step % every == every // 2:
            here = levels == step // every
            for name, part in zip("uv", velocity.reshape(2, *channel.shape), strict=True):
                found[name][here] = np.einsum("ni,ij,nj->n", tables[0][here], part, tables[1][here])
            part = pressure.reshape(flat[0].shape[1], flat[1].shape[1])
            found["p"][here] = np.einsum("ni,ij,nj->n", flat[0][here], part, flat[1][here])
    return found


def main() -> None:
    points = even_points(COUNT, [(0, LEVELS), (0, 2), (0, 1)])
    levels = np.floor(points[:, 0]).astype(int)
    coarse, fine = (solve(points[:, 1:], levels, *resolution) for resolution in RESOLUTIONS)
    check_each(coarse, fine, ACCURACY, "resolutions", "the polynomials or steps have not converged")
    t = (levels + 0.5) * END / LEVELS
    write_reference("channel_in_time.npz", max(ACCURACY.values()), t=t, x=points[:, 1], y=points[:, 2], **fine)


if __name__ == "__main__":
    main()
