"""Reference for problems/natural-convection.yaml: Chebyshev collocation, Newton's method for all unknowns together.

Velocity and temperature are polynomials of degree N, the pressure one of degree N - 2, found from the equations at the
inner Chebyshev points. The accuracy of each unknown, below, comes from two degrees; the file states the largest.

Source: Bernardi, Maday, Int. J. Numer. Methods Fluids 8 (1988) 537-557 (degrees N and N - 2).

`python scripts/references/natural_convection.py` writes problems/references/natural_convection.npz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from polynomials import chebyshev_nodes, differentiation, interpolation, second_derivative_without_flux
from scatter import check_each, even_points, write_reference

PR, RA = 0.71, 1e4
COUNT = 3000
STAGES = ((18, 1e3), (18, 4e3), (18, RA), (30, RA), (38, RA))  # degree and Ra; each starts from the one before
ACCURACY = {"u": 5e-7, "v": 5e-7, "p": 1e-6, "T": 5e-7}


@dataclass(frozen=True)
class Flow:
    """u, v on all nodes, first axis x; p on the inner ones; T on all nodes along x and the inner ones along y."""

    nodes: np.ndarray
    u: np.ndarray
    v: np.ndarray
    p: np.ndarray
    T: np.ndarray

    def along_y(self, name: str) -> np.ndarray:
        return self.nodes if name in "uv" else self.nodes[1:-1]

    def at(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """The unknowns at points (N,), with p = 0 at (0, 0)."""
        values = {name: self._values(name, x, y) for name in "uvp"}
        values["p"] = values["p"] - self._values("p", np.zeros(1), np.zeros(1))
        return {**values, "T": self._values("T", x, y)}

    def _values(self, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        on_x, on_y, f = self.nodes if name != "p" else self.nodes[1:-1], self.along_y(name), getattr(self, name)
        if name == "T":  # its ends follow from what is inside, as nothing flows through floor and ceiling
            _, from_inner = second_derivative_without_flux(self.nodes)
            ends = f @ from_inner.T
            f, on_y = np.concatenate([ends[:, :1], f, ends[:, 1:]], axis=1), self.nodes
        return np.einsum("ni,ij,nj->n", interpolation(on_x, x), f, interpolation(on_y, y), optimize=True)

    def nusselt(self) -> float:
        """The heat through the wall x = 0."""
        y, weights = np.polynomial.legendre.leggauss(40)
        y, d = 0.5 * (1 + y), 1e-3
        nodes = d * np.arange(7)  # one-sided differences of sixth order, of a polynomial that is smooth on that scale
        slope = differentiation(nodes)[0]
        values = np.stack([self._values("T", np.full_like(y, s), y) for s in nodes])
        return float(-(0.5 * weights) @ (slope @ values))


def solve(degree: int, ra: float, guess: Flow | None) -> Flow:
    nodes, inner, n = chebyshev_nodes(degree), slice(1, degree), degree - 1
    d = differentiation(nodes)
    d2, e, one = d @ d, differentiation(nodes[inner]), np.eye(n)
    t2, from_inner = second_derivative_without_flux(nodes)
    t1 = d[inner, inner] + d[inner][:, [0, degree]] @ from_inner
    d_x, d_y = np.kron(d[inner, inner], one), np.kron(one, d[inner, inner])
    laplacian = np.kron(d2[inner, inner], one) + np.kron(one, d2[inner, inner])
    p_x, p_y = np.kron(e, one), np.kron(one, e)
    T_y, T_laplacian = np.kron(one, t1), np.kron(d2[inner, inner], one) + np.kron(one, t2)
    u, v, p = np.zeros((degree + 1, degree + 1)), np.zeros((degree + 1, degree + 1)), np.zeros((n, n))
    T = np.repeat(1 - nodes[:, None], n, axis=1)
    if guess is not None:
        near, old = nodes[inner], guess.nodes
        w, w_inner = interpolation(old, near), interpolation(old[1:-1], near)
        u[inner, inner], v[inner, inner] = w @ guess.u @ w.T, w @ guess.v @ w.T
        p, T[inner] = w_inner @ guess.p @ w_inner.T, w @ guess.T @ w_inner.T
    size = n * n
    A, B, C, E = (slice(k * size, (k + 1) * size) for k in range(4))
    for _ in range(30):
        flat = {name: f[inner, inner].ravel() for name, f in (("u", u), ("v", v))}
        u_x, u_y, v_x, v_y = (f[inner, inner].ravel() for f in (d @ u, u @ d.T, d @ v, v @ d.T))
        heat, heat_x, heat_y = T[inner].ravel(), (d @ T)[inner].ravel(), (T[inner] @ t1.T).ravel()
        curved_u, curved_v = ((d2 @ f + f @ d2.T)[inner, inner].ravel() for f in (u, v))
        residual = np.concatenate([
            flat["u"] * u_x + flat["v"] * u_y + p_x @ p.ravel() - PR * curved_u,
            flat["u"] * v_x + flat["v"] * v_y + p_y @ p.ravel() - PR * curved_v - ra * PR * heat,
            u_x + v_y,
            flat["u"] * heat_x + flat["v"] * heat_y - ((d2 @ T)[inner] + T[inner] @ t2.T).ravel(),
            [p.sum()],
        ])  # fmt: skip
        carry = flat["u"][:, None] * d_x + flat["v"][:, None] * d_y
        matrix = np.zeros((4 * size + 1, 4 * size + 1))
        matrix[A, A] = carry - PR * laplacian + np.diag(u_x)
        matrix[A, B], matrix[A, C] = np.diag(u_y), p_x
        matrix[B, A], matrix[B, B] = np.diag(v_x), carry - PR * laplacian + np.diag(v_y)
        matrix[B, C], matrix[B, E] = p_y, -ra * PR * np.eye(size)
        matrix[C, A], matrix[C, B] = d_x, d_y
        matrix[E, A], matrix[E, B] = np.diag(heat_x), np.diag(heat_y)
        matrix[E, E] = flat["u"][:, None] * d_x + flat["v"][:, None] * T_y - T_laplacian
        matrix[C, -1] = matrix[-1, C] = 1  # p is determined up to a constant, and so is the mass balance
        step = -np.linalg.solve(matrix, residual)
        for f, part in ((u, A), (v, B)):
            f[inner, inner] += step[part].reshape(n, n)
        p = p + step[C].reshape(n, n)
        T[inner] += step[E].reshape(n, n)
        largest = np.abs(step[: 2 * size]).max() / max(np.abs(u).max(), 1e-300)
        print(f"  degree {degree}, Ra = {ra:g}: step {largest:.1e}", flush=True)
        if largest < 1e-11:
            break
    return Flow(nodes, u, v, p, T)


def main() -> None:
    x, y = even_points(COUNT, [(0, 1), (0, 1)]).T
    flow, levels = None, []
    for degree, ra in STAGES:
        flow = solve(degree, ra, flow)
        print(f"  heat through the hot wall: {flow.nusselt():.8f}")
        levels.append(flow.at(x, y))
    coarse, values = levels[-2:]
    check_each(coarse, values, ACCURACY, "degrees", "the collocation has not converged")
    write_reference("natural_convection.npz", max(ACCURACY.values()), x=x, y=y, **values)


if __name__ == "__main__":
    main()
