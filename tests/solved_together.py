"""What the processes of `test_processes` do: solve problems together and alone, and compare.

Started by `torchrun`; every process prints one line of JSON: what it found, by the name of the problem.
"""

from __future__ import annotations

import json
import os

import numpy as np
import torch

import pinnsolve as ps
from pinnsolve.assembly.collocation import zero_state
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.extensions import solver_class
from pinnsolve.least_squares import StreamingQR, range_basis, solve_dense
from pinnsolve.method import solve_context
from pinnsolve.processes import launch
from pinnsolve.processes.communicator import ALONE, Communicator, Group
from pinnsolve.solvers import LSGD
from pinnsolve.solvers.base import Iterate

SQUARE = ps.Box(x=(0, 1), y=(0, 1))
WALLS = {"walls": ps.Condition(on="boundary", equation="u = x*y")}
NETWORK = {"kind": "mlp", "activation": "tanh", "scale": 1.0}


def problem(name: str, equation: str, conditions: dict = WALLS, **settings) -> ps.Problem:
    """One of a function on the square."""
    return ps.Problem(
        name=name, domain=SQUARE, unknowns="u", equations={"e": equation}, conditions=conditions,
        solve={"basis": {**NETWORK, "width": 7}, "collocation": {"interior": 101, "boundary": 11}, **settings},
    )  # fmt: skip


POISSON = "laplacian(u) = -sin(3*x)*exp(y)"
STEPS = {"steps": 4}
PROBLEMS = {
    "least_squares": problem("one", POISSON, method="least_squares"),
    "nonlinear": problem("two", "laplacian(u) = u**2 - 1", method="least_squares"),
    "lsgd": problem("three", POISSON, method="lsgd", optimizer=STEPS),
    "nonlinear lsgd": problem("four", "laplacian(u) = u**2 - 1", method="lsgd", optimizer=STEPS),
    "first phase": problem(
        "five", POISSON, method="lsgd",
        optimizer={**STEPS, "first_phase": {"steps": 3, "penalty": 0.1, "factor": 0.9, "stagnation": 2}},
    ),
    "varpro": problem("six", POISSON, method="varpro", optimizer=STEPS),
    "nonlinear varpro": problem("seven", "laplacian(u) = u**2 - 1", method="varpro", optimizer=STEPS),
    "gd": problem("eight", POISSON, method="gd", optimizer=STEPS),
    "lbfgs": problem("nine", POISSON, method="gd", optimizer={**STEPS, "name": "lbfgs"}),
}  # fmt: skip
# more functions than points, so that dampened steps are taken in the space of the rows
PROBLEMS["many hidden"] = problem(
    "ten", POISSON, method="varpro", optimizer=STEPS, basis={**NETWORK, "width": 6, "depth": 3},
    collocation={"interior": 25, "boundary": 3},
)  # fmt: skip


# a parameter from data with noise
PLACES = np.linspace(0.05, 0.95, 19)
NOISE = 0.01 * np.sin(50 * PLACES)
MEASURED = ps.Problem(
    name="measured", domain=ps.Box(x=(0, 1)), unknowns="u", unknown_parameters={"k": {"guess": 1.0}},
    equations={"e": "k*D(u, x, x) = -1"}, conditions={"ends": ps.Condition(on="boundary", equation="u = 0")},
    data={"probes": ps.Data(columns={"x": PLACES, "v": PLACES * (1 - PLACES) + NOISE}, equation="u = v", noise=0.01)},
    solve={"method": "least_squares", "basis": {**NETWORK, "width": 8}},
)  # fmt: skip


def solved(one: ps.Problem, among: Communicator) -> Iterate:
    """What the method of the file makes of its basis, without an estimate of the error."""
    settings, context = one.settings, solve_context(one, compile_problem(one), None, among)
    basis = context.basis(settings.basis.settings())
    context = context.weighted(basis)
    assembly, state = context.assembly(basis.width), zero_state(context.problem, basis)
    phases = [LSGD.first_phase(settings), solver_class(settings.method).from_settings(settings)]
    for phase in phases:
        if phase is not None:
            best = context.drive(phase, assembly, basis, state, phase.name).best
            basis, state = best.basis, best.state
    return best


def apart(one: Iterate, other: Iterate) -> float:
    """The largest difference of numbers of two solutions, relative to the largest number."""
    pairs = [(one.state.coefficients, other.state.coefficients)]
    pairs += [(value, other.basis.hidden[name]) for name, value in one.basis.hidden.items()]
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


def everywhere_the_same(found: Iterate, among: Group) -> bool:
    """Whether all processes hold the same bits."""
    held = [found.state.coefficients, *found.basis.hidden.values()]
    return all(bool((among.summed(v) == among.size * among.told(v.clone())).all()) for v in held)


def factorizations(among: Group) -> dict[str, float]:
    """Rows of all processes, factorized together and by this one."""
    generator = torch.Generator().manual_seed(3)
    A = torch.randn(40, 9, generator=generator, dtype=torch.float64)
    A[:, 8] = A[:, 0] + A[:, 1]  # of rank 8
    b = torch.randn(40, generator=generator, dtype=torch.float64)
    own = among.own(40)
    whole, shared = solve_dense(A, b), solve_dense(A[own], b[own], among=among)
    stream = StreamingQR(9, among)
    for row in range(among.rank, 40, among.size):
        stream.add(A[row : row + 1], b[row : row + 1])
    streamed = stream.solve()
    Q, mine = range_basis(A), range_basis(A[own], among)
    few = solve_dense(A[: among.rank, :3], b[: among.rank], among=among)  # no rows in the first process
    return {
        "dense": float((whole.x - shared.x).norm()),
        "streamed": float((whole.x - streamed.x).norm()),
        "rank": abs(whole.rank - 8) + abs(shared.rank - 8) + abs(streamed.rank - 8),
        "residual": abs(whole.residual_norm - shared.residual_norm),
        "range": float((Q[own] @ (Q.T @ b) - mine @ among.summed(mine.T @ b[own])).norm()),
        "finite": 0.0 if few.x.isfinite().all() else 1.0,
    }


def main() -> None:
    """Compare, and print."""
    among = launch.join(lambda: False, lambda: None)
    torch.set_num_threads(1)
    found = factorizations(among)
    for name, one in PROBLEMS.items():
        together = solved(one, among)
        found[name] = apart(solved(one, ALONE), together)
        found[f"{name}, elsewhere"] = 0.0 if everywhere_the_same(together, among) else 1.0
    alone, together = ps.solve(MEASURED), ps.solve(MEASURED, among=among)
    for name, value in alone.parameters["k"].items():
        found[f"parameter, {name}"] = abs(value - together.parameters["k"][name]) / abs(value)
    error, other = alone.result["estimated_error"]["u"], together.result["estimated_error"]["u"]
    found["estimate"] = abs(error - other) / error
    os.write(1, (json.dumps(found) + "\n").encode())
    launch.part()


if __name__ == "__main__":
    main()
