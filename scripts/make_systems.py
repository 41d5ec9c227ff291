"""Writes docs/systems.md: what pinnsolve does in the place of each method of the literature, with measured figures.

Every problem of the page is solved here, one after the other, with nothing set but what its file says; errors are
those against exact solutions or references. Published figures are relative L2 errors as their papers state them, of
the same problem.

    python scripts/make_systems.py [--only NAME ...]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import pinnsolve as ps

PAGE = Path(__file__).resolve().parents[1] / "docs" / "systems.md"
PROBLEMS = PAGE.parents[1] / "problems"

HEAD = """\
# Methods of the literature, and what takes their place

Networks that solve differential equations have brought forth many remedies for their training. Most of them have a
counterpart here that is part of the method, so that there is nothing to choose or to tune. The figures are those of
`pinnsolve run` with the files in `problems/`; errors are relative L2 errors at points that the solver
never used. This page is written by `scripts/make_systems.py`, with whatever came out.
"""


@dataclass(frozen=True)
class Row:
    """A remedy, what is done in its place, the problems that show it, and what a paper reports for the first "
    "of them."""

    remedy: str
    instead: str
    problems: tuple[str, ...]
    published: str = ""


ROWS = (
    Row(
        "Causal training: later times count only when earlier ones are solved",
        "Problems that evolve are solved in steps or slabs of time; errors are carried on from each to the next.",
        ("allen-cahn", "lorenz", "kdv-two-solitons", "akhmediev-breather"),
        "allen-cahn 1.4e-4 (Wang, Sankaran & Perdikaris, arXiv:2203.07404)",
    ),
    Row(
        "Loss balancing: adaptive weights of terms, gradient statistics, neural tangent kernels",
        "Rows are scaled by the size of their cell and the order of the equation; the least squares is solved, "
        "so weights "
        "change its answer only within the error of the functions.",
        ("kovasznay", "stokes", "hartmann"),
    ),
    Row(
        "Self-adaptive weights of points",
        "None are needed: quadrature weights make the residual an integral, and cells are refined where it is large.",
        ("burgers", "helmholtz-2d"),
        "burgers 6.7e-4 by plain networks (Raissi, Perdikaris & Karniadakis, J. Comput. Phys. 378 (2019) 686-707)",
    ),
    Row(
        "Adaptive sampling: points where residuals are large",
        "Refinement in degree and cells by the estimated error; sources, starts and coefficients are searched "
        "for peaks and "
        "layers before the first cell is made.",
        ("two-peaks", "moving-burgers", "inner-layer"),
    ),
    Row(
        "Domain decomposition: networks on subdomains with conditions between them",
        "Cells are subdomains, joined by rows of the same least squares; what differs between materials and "
        "regions is "
        "stated once.",
        ("two-materials", "conjugate-heat", "poisson-four-holes", "flow-mixing"),
    ),
    Row(
        "Hard constraints: functions that meet boundary conditions by their form",
        "Boundary rows weigh as much as the order of the equation asks for; their residual is of the size of "
        "the error.",
        ("annulus", "l-shape", "poisson-2d"),
    ),
    Row(
        "Fourier features, and activations that adapt, against the bias for low frequencies",
        "Polynomials of high degree on cells take high frequencies at once.",
        ("helmholtz-4pi", "advection-speed-40", "wave-1d"),
    ),
    Row(
        "Penalties and curricula for stiff systems",
        "Steps in time of the size that an estimate chooses, from 1e-6 to 1e4 in one solve.",
        ("robertson", "van-der-pol"),
    ),
    Row(
        "Networks with two outputs for complex waves",
        "`unknowns: {psi: complex}`.",
        ("schroedinger-soliton", "akhmediev-breather"),
    ),
    Row(
        "Systems of state and adjoint for optimal control, and coupled physics",
        "Any number of unknowns in one least squares; quantities with an error of their own.",
        ("optimal-control", "joule-heating", "nonlinear-diffusion-2d", "klein-gordon-2d"),
    ),
    Row(
        "Equations with singular points",
        "Where an equation degenerates, that the solution stays smooth takes the place of a condition.",
        ("legendre", "hypergeometric"),
    ),
    Row(
        "Constants found along with the solution",
        "Gauss-Newton over the constants, with standard errors from the noise of the data.",
        ("find-burgers", "find-lorenz"),
    ),
)


def measured(name: str) -> str:
    """The row of a problem: its tolerance, the largest error and estimate of an unknown, and the time."""
    problem = ps.load(str(PROBLEMS / f"{name}.yaml"))
    result = ps.solve(problem).result
    errors = [e for e in (result.get("relative_l2_error") or {}).values() if e is not None]
    estimates = [e for e in result["estimated_error"].values() if e is not None]
    parts = (
        f"[{name}](../problems/{name}.yaml)",
        f"{problem.settings.tolerance:.0e}",
        f"{max(errors):.1e}" if errors else "",
        f"{max(estimates):.1e}" if estimates else "",
        f"{result['wall_time_s']:.2g} s",
        result["status"].replace("_", " "),
    )
    print("  ".join(parts), flush=True)
    return f"| {' | '.join(parts)} |"


def section(row: Row, figures: dict[str, str]) -> str:
    lines = [f"## {row.remedy}", "", row.instead]
    if row.published:
        lines += ["", f"Published: {row.published}."]
    lines += ["", "| problem | tolerance | error | estimated | time | status |", "| --- " * 6 + "|"]
    return "\n".join([*lines, *(figures[name] for name in row.problems if name in figures)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="problems to solve and print; the page is left as it is")
    only = parser.parse_args().only
    names = dict.fromkeys(name for row in ROWS for name in row.problems if (PROBLEMS / f"{name}.yaml").exists())
    figures = {name: measured(name) for name in names if not only or name in only}
    if not only:
        PAGE.write_text("\n\n".join([HEAD.strip(), *(section(row, figures) for row in ROWS)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
