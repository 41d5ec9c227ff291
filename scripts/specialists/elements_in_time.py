"""Finite elements by scikit-fem (extra `dev`), for problems in time in two coordinates of space.

Linear problems, M u' + K u = g and M u'' + K u = 0, march by implicit Runge-Kutta methods of high order. On such a
problem a step is a rational function of the matrices, and that has partial fractions: one sparse system for each pair
of poles, which SuperLU factors once for all steps (Hairer, Wanner, Solving Ordinary Differential Equations II, sections
IV.3 and IV.8). Heat marches by Radau's method of order 5, which damps what is stiff; waves by Gauss's method of order
8, which keeps their energy.

The channel is solved by Taylor-Hood elements and steps of the reference's kind: one matrix for all of them, as the
convection is extrapolated, which bounds their length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.polynomial import Polynomial

from specialists import Field, Specialist, at_levels
from specialists.fourier import kept

# -- marching -------------------------------------------------------------------------------------------------


def exponential(above: int, below: int) -> tuple[Polynomial, Polynomial]:
    """Pade's numerator and denominator, of these degrees, of the exponential function."""

    def polynomial(degree: int, sign: int) -> Polynomial:
        order = above + below
        return Polynomial(
            [
                sign**j * math.comb(degree, j) * math.factorial(order - j) / math.factorial(order)
                for j in range(degree + 1)
            ]
        )

    return polynomial(above, 1), polynomial(below, -1)


def factored(matrix):
    """SuperLU of a matrix that is symmetric and needs no pivots."""
    from scipy.sparse.linalg import splu

    return splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )  # fmt: skip


def fraction(poles: np.ndarray, residues: np.ndarray, K, M) -> Callable[[np.ndarray], np.ndarray]:
    """f(-K/M) for the function f that has these poles, all simple, and vanishes far away; poles come in pairs."""
    parts = []
    for pole, residue in zip(poles, residues, strict=True):
        if abs(pole.imag) < 1e-12:
            parts.append((residue.real, factored(K + pole.real * M), float))
        elif pole.imag > 0:
            parts.append((2 * residue, factored(K + pole * M), complex))

    def applied(u: np.ndarray) -> np.ndarray:
        right = M @ u
        return -sum((residue * factors.solve(right.astype(kind))).real for residue, factors, kind in parts)

    return applied


def cooled(K, M, u: np.ndarray, step: float, steps: int) -> Iterator[np.ndarray]:
    """u after none and every step of M u' + K u = 0, by Radau's method IIA of order 5."""
    above, below = exponential(2, 3)
    poles = below.roots().astype(complex)
    advanced = fraction(poles, above(poles) / below.deriv()(poles), step * K, M)
    yield u
    for _ in range(steps):
        u = advanced(u)
        yield u


def swung(K, M, u: np.ndarray, step: float, steps: int) -> Iterator[np.ndarray]:
    """u after none and every step of M u'' + K u = 0 from rest, by Gauss's method of order 8.

    Velocities drop out: with its function R, two steps make u(t + h) + u(t - h) = (R(z) + R(-z)) u(t), z^2 = -h^2 K/M.
    What is added to 1 in half of that sum is a fraction of z^2 with the squares of the poles of R.
    """
    _, below = exponential(4, 4)
    poles = below.roots().astype(complex)
    bent = fraction(poles**2, poles * below(-poles) / below.deriv()(poles), step**2 * K, M)
    yield u
    change = bent(u)
    for _ in range(steps):
        u = u + change
        yield u
        change = change + 2 * bent(u)


# -- rectangles -----------------------------------------------------------------------------------------------


def rectangles(x: np.ndarray, y: np.ndarray, degree: int, highest: int | None = None):
    """A basis of polynomials of that degree on the cells of a grid; the points of quadrature suit the highest degree
    that it meets."""
    from skfem import Basis, ElementQuadP, MeshQuad

    return Basis(MeshQuad.init_tensor(x, y), ElementQuadP(degree), intorder=2 * (highest or degree) + 2)


def stiffness(basis, along: float = 1.0, across: float = 1.0):
    from skfem import BilinearForm
    from skfem.helpers import grad

    return BilinearForm(
        lambda u, v, w: along * grad(u)[0] * grad(v)[0] + across * grad(u)[1] * grad(v)[1]
    ).assemble(basis)  # fmt: skip


def mass(basis, weight: Callable[..., np.ndarray] | float = 1.0):
    from skfem import BilinearForm

    return BilinearForm(lambda u, v, w: (weight(*w.x) if callable(weight) else weight) * u * v).assemble(basis)


def tested(basis, values: Callable[..., np.ndarray]) -> np.ndarray:
    """The integrals of values times every function of the basis."""
    from skfem import LinearForm

    return LinearForm(lambda v, w: values(*w.x) * v).assemble(basis)


def field(basis, fields: dict[float, np.ndarray]) -> Field:
    """Of coefficients at levels of time."""

    return at_levels(fields, ("u",), lambda c, points: [basis.probes(points[:, 1:].T) @ c])


def within(basis, K, M, start: Callable[..., np.ndarray]):
    """Of a problem that is zero on all walls: K, M, the start, and what puts zeros on the walls, of the rest."""
    free = np.setdiff1d(np.arange(basis.N), basis.get_dofs().flatten())
    K, M = (matrix[free][:, free] for matrix in (K, M))

    def whole(u: np.ndarray) -> np.ndarray:
        result = np.zeros(basis.N)
        result[free] = u
        return result

    return K, M, factored(M).solve(tested(basis, start)[free]), whole


# -- heat -----------------------------------------------------------------------------------------------------


def heat_multiscale() -> Specialist:
    import skfem  # noqa: F401  what is missing is said before anything is timed

    until = 5.0

    def start(x, y):
        return np.sin(20 * np.pi * x) * np.sin(np.pi * y)

    def solve(resolution: tuple[int, int, int], times: np.ndarray) -> Field:
        along, across, steps = resolution
        basis = rectangles(np.linspace(0, 1, along + 1), np.linspace(0, 1, across + 1), 4)
        K = stiffness(basis, 1 / (500 * np.pi) ** 2, 1 / np.pi**2)
        K, M, u, whole = within(basis, K, mass(basis), start)
        states = kept(cooled(K, M, u, until / steps, steps), times, until / steps)
        return field(basis, {t: whole(u) for t, u in states.items()})

    cells = ((12, 1), (16, 1), (22, 2), (26, 2), (32, 3), (38, 3), (48, 4), (56, 5), (64, 5), (80, 6), (96, 7))
    ladder = tuple((*pair, 50) for pair in (*cells, (112, 9), (144, 11)))
    ladder += ((160, 12, 100), (200, 15, 100), (240, 18, 100), (300, 22, 100), (360, 26, 100), (450, 30, 100))
    return Specialist("scikit-fem, Q4 elements, Radau IIA", ladder, solve, levels=50)


def heat_many_holes() -> Specialist:
    import gmsh  # noqa: F401  what is missing is said before anything is timed
    import heat_many_holes as plate

    def solve(resolution: tuple[float, int, int, int], times: np.ndarray) -> Field:
        *mesh, steps = resolution
        basis, K, M, g = plate.assembled(*mesh)
        lasting = factored(K).solve(g)
        step = plate.END / steps
        states = kept(cooled(K, M, -lasting, step, steps), times, step)
        fields = {t: lasting + u for t, u in states.items()}

        def values(coefficients: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
            return [plate.Places(basis, points[:, 1:]).values(basis, coefficients)]

        return at_levels(fields, ("u",), values)

    meshes = ((3.0, 10, 2), (3.0, 10, 3), (2.0, 10, 3), (1.7, 12, 3), (1.5, 14, 3))
    ladder = tuple((*mesh, 80) for mesh in meshes)
    ladder += ((1.4, 14, 3, 160), (1.2, 16, 3, 160), (1.0, 16, 3, 160), (0.8, 20, 3, 160), (0.7, 24, 3, 160))
    return Specialist("scikit-fem, curved P2 and P3 triangles, Radau IIA", ladder, solve, levels=2 * plate.LEVELS)


# -- waves ----------------------------------------------------------------------------------------------------


def wave_long() -> Specialist:
    import skfem  # noqa: F401  what is missing is said before anything is timed

    until = 100.0

    def start(x, y):
        return np.sin(np.pi * x) * np.sin(np.pi * y) + np.sin(3 * np.pi * x) * np.sin(2 * np.pi * y) / 2

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        cells, steps = resolution
        line = np.linspace(0, 1, cells + 1)
        basis = rectangles(line, line, 4)
        K, M, u, whole = within(basis, stiffness(basis, 1.0, 2.0), mass(basis), start)
        states = kept(swung(K, M, u, until / steps, steps), times, until / steps)
        return field(basis, {t: whole(u) for t, u in states.items()})

    ladder = ((3, 500), (3, 600), (4, 700), (5, 1000), (6, 1000), (7, 1200), (8, 1200), (9, 1400), (10, 1400))
    ladder += ((12, 1600), (14, 1800), (16, 2000))
    return Specialist("scikit-fem, Q4 elements, Gauss of order 8", ladder, solve, levels=100)


def wave_variable() -> Specialist:
    import skfem  # noqa: F401  what is missing is said before anything is timed
    from walled_planes import uneven

    until = 5.0

    def start(x, y):
        return np.exp(-((x + 0.5) ** 2 + y**2) / (2 * 0.3**2))

    def solve(resolution: tuple[int, int], times: np.ndarray) -> Field:
        cells, steps = resolution
        line = np.linspace(-1, 1, cells + 1)
        basis = rectangles(line, line, 4)
        u = factored(mass(basis)).solve(tested(basis, start))
        M = mass(basis, lambda x, y: 1 / uneven(x, y))
        return field(basis, kept(swung(stiffness(basis), M, u, until / steps, steps), times, until / steps))

    ladder = ((6, 50), (8, 50), (10, 50), (12, 50), (16, 100), (20, 100), (24, 100), (28, 150), (32, 150), (40, 150))
    ladder += ((48, 150), (56, 200), (64, 200), (80, 250), (96, 300))
    return Specialist("scikit-fem, Q4 elements, Gauss of order 8", ladder, solve, levels=50)


# -- flow -----------------------------------------------------------------------------------------------------


class At:
    """The functions of a scalar basis at its points of quadrature, as sparse matrices: values, slopes along x and y."""

    def __init__(self, basis):
        from scipy.sparse import csr_matrix

        shape, dofs = basis.dx.shape, basis.element_dofs
        columns = np.repeat(dofs[:, :, None], shape[1], axis=2).ravel()
        rows = np.tile(np.arange(basis.dx.size), len(dofs))

        def matrix(parts):
            values = np.concatenate([np.broadcast_to(part, shape).ravel() for part in parts])
            return csr_matrix((values, (rows, columns)), shape=(basis.dx.size, basis.N))

        functions = [one[0] for one in basis.basis]
        self.values = matrix([np.asarray(one) for one in functions])
        self.along, self.across = (matrix([one.grad[axis] for one in functions]) for axis in (0, 1))


def stretched(along: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid for the channel, fine where fluid leaves by the inflow, at the outflow and, less so, along the walls."""
    from channel_in_time import BREAKS

    breaks, y = BREAKS[0], np.arange(across + 1) / across
    x = np.interp(np.linspace(0, len(breaks) - 1, along + 1), np.arange(len(breaks)), breaks)
    return x, (y + 3 * (1 - np.cos(np.pi * y)) / 2) / 4


def side(basis, x: float):
    """The same functions on the side of the channel there."""
    from skfem import FacetBasis

    facets = basis.mesh.facets_satisfying(lambda place: place[0] == x)
    return FacetBasis(basis.mesh, basis.elem, facets=facets, intorder=basis.elem.maxdeg)


def system(basis, pressure, at: At, step: float):
    """The matrix of u, v and p at the end of a step."""
    from channel_in_time import NU
    from scipy.sparse import bmat, diags
    from skfem import BilinearForm

    weights, pressures = diags(basis.dx.ravel()), At(pressure).values
    stiff = at.along.T @ weights @ at.along + at.across.T @ weights @ at.across
    along, across = (pressures.T @ weights @ slopes for slopes in (at.along, at.across))
    pull = NU * BilinearForm(lambda u, v, w: u.grad[1] * v).assemble(side(basis, 2.0))  # so that p = 0, not nu u_x = p
    own = 11 / 6 / step * (at.values.T @ weights @ at.values) + NU * stiff
    return bmat([[own, pull, -along.T], [None, own, -across.T], [along, across, None]], "csr")


def given(basis) -> tuple[np.ndarray, np.ndarray]:
    """Which coefficients of a component conditions give, and those of u for an inflow of strength 1."""
    walls = basis.get_dofs(lambda x: (x[1] == 0.0) | (x[1] == 1.0)).flatten()
    entrance = basis.get_dofs(lambda x: x[0] == 0.0).flatten()
    inflow = np.zeros(basis.N)
    inflow[entrance] = side(basis, 0.0).project(lambda x: np.sin(np.pi * x[1]))[entrance]
    inflow[walls] = 0.0
    return np.union1d(walls, entrance), inflow


def flow(basis, pressure, step: float, steps: int) -> Iterator[list[np.ndarray]]:
    """u, v, p after none and every step: backward differences of third order, with the convection extrapolated."""
    from channel_in_time import BACKWARD, EXTRAPOLATED
    from scipy.sparse.linalg import splu

    at, n, weights = At(basis), basis.N, basis.dx.ravel()
    fixed, inflow = given(basis)
    matrix = system(basis, pressure, at, step)
    free = np.setdiff1d(np.arange(matrix.shape[0]), np.concatenate([fixed, n + fixed]))
    factors = splu(matrix[free][:, free].tocsc())
    pushed = np.concatenate([inflow, np.zeros(n + pressure.N)])
    taken = (matrix @ pushed)[free]
    M, stirred = mass(basis), tested(basis, lambda x, y: -np.sin(np.pi * x) * np.sin(np.pi * y))

    def carried(parts: list[np.ndarray]) -> np.ndarray:
        u, v = (weights * (at.values @ part) for part in parts)
        return np.concatenate([at.values.T @ (u * (at.along @ part) + v * (at.across @ part)) for part in parts])

    state, rest = np.zeros(len(pushed)), np.zeros(pressure.N)
    states, convections = [state] * 3, [np.zeros(2 * n)] * 3
    yield np.split(state, [n, 2 * n])
    for number in range(1, steps + 1):
        t = number * step
        u, v, _ = np.split(sum(c * one for c, one in zip(BACKWARD, states, strict=True)) / step, [n, 2 * n])
        right = np.concatenate([M @ u, M @ v + math.sin(math.pi * t) * stirred])
        right -= sum(c * one for c, one in zip(EXTRAPOLATED, convections, strict=True))
        strength = sum(math.sin(k * math.pi * t) for k in (1, 3, 5))
        state = strength * pushed
        state[free] += factors.solve(np.concatenate([right, rest])[free] - strength * taken)
        *parts, _ = whole = np.split(state, [n, 2 * n])
        states, convections = [state, *states[:2]], [carried(parts), *convections[:2]]
        yield whole


def channel() -> Specialist:
    import channel_in_time as reference
    import skfem  # noqa: F401  what is missing is said before anything is timed

    def solve(resolution: tuple[int, int, int], times: np.ndarray) -> Field:
        *cells, steps = resolution
        basis, pressure = (rectangles(*stretched(*cells), degree, 4) for degree in (4, 3))
        step = reference.END / steps
        fields = kept(flow(basis, pressure, step, steps), times, step)

        def values(parts: list[np.ndarray], points: np.ndarray) -> list[np.ndarray]:
            both = zip((basis, basis, pressure), parts, strict=True)
            return [one.probes(points[:, 1:].T) @ part for one, part in both]

        return at_levels(fields, "uvp", values)

    ladder = ((6, 3, 1000), (6, 4, 1000), (7, 4, 1000), (9, 5, 1200), (10, 6, 1300), (11, 6, 1400))
    ladder += ((12, 6, 1500), (13, 7, 1800), (14, 8, 2000), (16, 8, 2500), (18, 9, 2600), (20, 10, 3000))
    method = "scikit-fem, Q4-Q3 elements, BDF3"
    return Specialist(method, ladder, solve, levels=2 * reference.LEVELS, unknowns=("u", "v", "p"))
