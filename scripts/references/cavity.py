"""Reference for problems/cavity.yaml: Chebyshev collocation with the singularities of the upper corners taken out.

The lid's velocity 4 x (1 - x) has a slope in the corners that the walls have not, so the vorticity jumps there and the
pressure goes like log r. Both come from a Stokes flow in the corner, known in closed form; it is subtracted, and what
remains (its leading singularity is r**2.74 in the velocity) is a polynomial of degree N for the velocities and N - 2
for the pressure, found by Newton's method from the equations at the inner Chebyshev points. The accuracy of each
unknown, below, comes from two degrees; the file states that of the pressure.

Sources: Botella, Peyret, Computers & Fluids 27 (1998) 421-433 (subtraction); Moffatt, J. Fluid Mech. 18 (1964) 1-18
(exponents); Bernardi, Maday, Int. J. Numer. Methods Fluids 8 (1988) 537-557 (degrees N and N - 2).

`python scripts/references/cavity.py` writes problems/references/cavity.npz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from polynomials import chebyshev_nodes, differentiation, interpolation
from scatter import check_each, even_points, write_reference

RE = 100.0
COUNT = 3000
DEGREES = (32, 52, 60)  # each starts from the one before; the last two are compared
ACCURACY = {"u": 5e-8, "v": 5e-8, "p": 1e-6}
# In the lower left corner the pressure is p(0, 0) + O(r**1.74), but odd about the diagonal, on which it stays within
# 1e-9 of p(0, 0) for r below 0.02; the polynomial itself is least accurate in the corner.
NEAR_CORNER = 0.01


# -- the Stokes flow of the corners ---------------------------------------------------------------------------


def corner(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Stokes flow in the corner (0, 1), walls at rest at x = 0 and moving at 4 x at y = 1: u, v, p and slopes."""
    below = 1 - y
    angle = np.arctan2(below, x)  # from the lid
    r2 = x**2 + below**2
    r2 = np.where(r2 == 0, 1.0, r2)  # the slopes are not asked for in the corner itself
    cross = 4 * x * below / r2
    return {
        "u": 4 * x + (4 * angle - 2 * np.pi) * below,
        "v": 4 * x * angle,
        "p": 4 / RE * np.log(r2),
        "u_x": 4 - 4 * below**2 / r2,
        "u_y": 2 * np.pi - 4 * angle - cross,
        "v_x": 4 * angle - cross,
        "v_y": -4 * x**2 / r2,
    }


def both_corners(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The sum of the flow in (0, 1) and of its mirror image in (1, 1)."""
    left, right = corner(x, y), corner(1 - x, y)
    sign = {"u": 1, "v": -1, "p": -1, "u_x": -1, "u_y": 1, "v_x": 1, "v_y": -1}
    return {name: left[name] + sign[name] * right[name] for name in left}


# -- the rest of the flow -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """What remains of the flow beside the corners': u, v on all nodes, p on the inner ones, first axis x."""

    nodes: np.ndarray
    u: np.ndarray
    v: np.ndarray
    p: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """u, v, p of the whole flow at points (N,), with p = 0 at (0, 0)."""
        corners = both_corners(x, y)
        inner = self.nodes[1:-1]
        spot = np.full(1, NEAR_CORNER)
        level = both_corners(spot, spot)["p"] + _tensor(inner, self.p, spot, spot)
        return {
            "u": corners["u"] + _tensor(self.nodes, self.u, x, y),
            "v": corners["v"] + _tensor(self.nodes, self.v, x, y),
            "p": corners["p"] + _tensor(inner, self.p, x, y) - level,
        }


def _tensor(nodes: np.ndarray, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ij,nj->n", interpolation(nodes, x), values, interpolation(nodes, y), optimize=True)


def solve(degree: int, guess: Flow | None = None) -> Flow:
    """Newton's method for velocity and pressure together, from rest or from a guess; the matrix is dense."""
    nodes = chebyshev_nodes(degree)
    inner = slice(1, degree)
    n = degree - 1
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    d = differentiation(nodes)
    d2 = d @ d
    e = differentiation(nodes[inner])  # for the pressure
    one = np.eye(n)
    d_x, d_y = np.kron(d[inner, inner], one), np.kron(one, d[inner, inner])
    laplacian = np.kron(d2[inner, inner], one) + np.kron(one, d2[inner, inner])
    p_x, p_y = np.kron(e, one), np.kron(one, e)

    s = both_corners(x, y)
    u, v = -s["u"], -s["v"]
    u[:, -1] += 4 * nodes * (1 - nodes)
    u[inner, inner] = v[inner, inner] = 0
    p = np.zeros((n, n))
    if guess is not None:
        near = nodes[inner]
        w, w_p = interpolation(guess.nodes, near), interpolation(guess.nodes[1:-1], near)
        u[inner, inner], v[inner, inner], p = w @ guess.u @ w.T, w @ guess.v @ w.T, w_p @ guess.p @ w_p.T
    s = {name: values[inner, inner].ravel() for name, values in s.items()}

    size = n * n
    for _ in range(20):
        slopes = {"u_x": d @ u, "u_y": u @ d.T, "v_x": d @ v, "v_y": v @ d.T}
        slopes = {name: s[name] + values[inner, inner].ravel() for name, values in slopes.items()}
        whole_u, whole_v = (s[name] + f[inner, inner].ravel() for name, f in (("u", u), ("v", v)))
        carry = whole_u[:, None] * d_x + whole_v[:, None] * d_y - laplacian / RE
        curved_u, curved_v = ((d2 @ f + f @ d2.T)[inner, inner].ravel() / RE for f in (u, v))
        residual = np.concatenate(
            [
                whole_u * slopes["u_x"] + whole_v * slopes["u_y"] + p_x @ p.ravel() - curved_u,
                whole_u * slopes["v_x"] + whole_v * slopes["v_y"] + p_y @ p.ravel() - curved_v,
                slopes["u_x"] + slopes["v_y"],
                [p.sum()],
            ]
        )
        matrix = np.zeros((3 * size + 1, 3 * size + 1))
        one_, two, three = slice(0, size), slice(size, 2 * size), slice(2 * size, 3 * size)
        matrix[one_, one_] = carry + np.diag(slopes["u_x"])
        matrix[one_, two] = np.diag(slopes["u_y"])
        matrix[one_, three] = p_x
        matrix[two, one_] = np.diag(slopes["v_x"])
        matrix[two, two] = carry + np.diag(slopes["v_y"])
        matrix[two, three] = p_y
        matrix[three, one_], matrix[three, two] = d_x, d_y
        matrix[three, -1] = matrix[-1, three] = 1  # p is determined up to a constant, and so is the mass balance
        step = -np.linalg.solve(matrix, residual)
        u[inner, inner] += step[one_].reshape(n, n)
        v[inner, inner] += step[two].reshape(n, n)
        p += step[three].reshape(n, n)
        largest = np.abs(step[: 2 * size]).max()
        print(f"  degree {degree}: step {largest:.1e}, mass balance off by {abs(step[-1]):.1e}", flush=True)
        if largest < 1e-11:
            break
    return Flow(nodes, u, v, p)


def main() -> None:
    x, y = even_points(COUNT, [(0, 1), (0, 1)]).T
    flow, levels = None, []
    for degree in DEGREES:
        flow = solve(degree, flow)
        levels.append(flow.at(x, y))
    coarse, values = levels[-2:]
    check_each(coarse, values, ACCURACY, "degrees", "the collocation has not converged")
    write_reference("cavity.npz", max(ACCURACY.values()), x=x, y=y, **values)


if __name__ == "__main__":
    main()
