"""Rows by leverage: fewer collocation points, drawn where they tell most of the coefficients.

Of the least squares of `problems/poisson-5d.yaml` on random sines, rows are kept out of a pool of 4 per function and
kind (equation, boundary), drawn by leverage, the squared norms of the rows of an orthonormal basis of the range, and
weighted by one over their probability (Cohen & Migliorati, SMAI J. Comput. Math. 3 (2017) 181-203); or drawn alike; or
they are those of Sobol points of the same number. Errors are relative L2 norms at points that no row stands for.
"""

from __future__ import annotations

from pathlib import Path

import torch
from common import ROOT, figure, main, save, write_table
from torch import Tensor

import pinnsolve as ps
from pinnsolve.assembly.basis_system import BasisSystem
from pinnsolve.assembly.collocation import sample_problem, term_weights, zero_state
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases import Basis, make_basis
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.defaults import Collocation
from pinnsolve.estimate.measured_errors import exact_values

POOL, SHARES = 4.0, (3.0, 2.0, 1.5, 1.0)  # points per function in the domain, and about as many on the boundary
POINTS, SEEDS = 4000, 3


def rows_at(problem, basis: Basis, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """The rows (M, W) and right-hand side (M,) at Sobol points, so many per function."""
    compiled = compile_problem(problem)
    boundary = int(share * basis.width / (2 * len(compiled.coordinates)))
    points = sample_problem(compiled, Collocation(int(share * basis.width), boundary, "sobol"), seed, basis.lower)
    weights = term_weights(compiled, {}, points, basis)
    blocks = BasisSystem(Assembly(compiled, points, weights), basis).rows(zero_state(compiled, basis))
    return torch.cat([block.A for block in blocks]), -torch.cat([block.r.flatten() for block in blocks])


def least(A: Tensor, b: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(A, dim=0)
    return torch.linalg.lstsq(A / size, b[:, None], driver="gelsd").solution[:, 0] / size


def drawn_rows(A: Tensor, b: Tensor, count: int, leverage: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """So many of the rows, without any twice; by leverage with their weights, or alike."""
    chances = torch.ones_like(b) if leverage is None else leverage
    chances = chances / chances.sum()
    chosen = torch.multinomial(chances, count, generator=torch.Generator().manual_seed(seed))
    weight = 1.0 / torch.sqrt(count * chances[chosen])
    return A[chosen] * weight[:, None], b[chosen] * weight


def compute(quick: bool, folder: Path) -> list[dict]:
    problem = ps.load(ROOT / "problems" / "poisson-5d.yaml")
    rows = []
    for width in (60,) if quick else (500, 1000):
        basis = make_basis({"kind": "mlp", "width": width, "activation": "sin"}, [0.0] * 5, [1.0] * 5, 0)
        x = torch.rand(POINTS, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        zero, exact = (0,) * 5, torch.as_tensor(exact_values(problem, x)["u"])
        functions = basis.derivatives(x, [zero])[zero]
        A, b = rows_at(problem, basis, POOL, SEEDS)
        leverage = torch.linalg.svd(A / torch.linalg.vector_norm(A, dim=0), full_matrices=False)[0].square().sum(dim=1)
        for share in SHARES:
            for seed in range(1 if quick else SEEDS):
                plain = rows_at(problem, basis, share, seed)
                count = len(plain[1])
                ways = {"Sobol": plain, "leverage": drawn_rows(A, b, count, leverage, seed)}
                ways["alike"] = drawn_rows(A, b, count, None, seed)
                for way, system in ways.items():
                    error = float((functions @ least(*system) - exact).norm() / exact.norm())
                    rows.append({"width": width, "rows": count, "way": way, "seed": seed, "error": error})
    write_table(folder / "leverage.csv", rows)
    draw(rows, folder / "leverage.png")
    return summary(rows)


def summary(rows: list[dict]) -> list[dict]:
    """Medians over seeds."""
    found = []
    for key in dict.fromkeys((r["width"], r["rows"]) for r in rows):
        mine = [r for r in rows if (r["width"], r["rows"]) == key]
        ways = {way: [r["error"] for r in mine if r["way"] == way] for way in ("Sobol", "leverage", "alike")}
        medians = {way: float(torch.tensor(errors, dtype=torch.float64).median()) for way, errors in ways.items()}
        found.append({"width": key[0], "rows": key[1], **medians})
    return found


def draw(rows: list[dict], path: Path) -> None:
    """Error against the number of rows."""
    widths = list(dict.fromkeys(r["width"] for r in rows))
    drawn, axes = figure(1, len(widths), 4.2, 3.2)
    for axis, width in zip(axes[0], widths, strict=True):
        table = [r for r in summary(rows) if r["width"] == width]
        for way in ("Sobol", "leverage", "alike"):
            axis.loglog([r["rows"] for r in table], [r[way] for r in table], "o-", label=way)
        axis.set(title=f"W = {width}", xlabel="rows", ylabel="error")
        axis.legend(fontsize=8)
    save(drawn, path)


if __name__ == "__main__":
    main(__doc__, compute)
