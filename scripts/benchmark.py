"""Measures speed and accuracy: solves a list of cases, prints a table, writes JSON.

    python scripts/benchmark.py [--only fast | adaptive | inverse | dimension | many | quantities | start | NAME ...]
    [--sweep] [--growth] [--seconds 120] [--json FILE] [--seed 0]
    [--ladder [--peers deepxde,pina,classical] [--budget 60]] [--page] [--quick [--store]]

Each case names a problem file that comes with pinnsolve, settings put over it, the error and the time asked for: the
group `adaptive` (networks as bases, the rank of initial bases, the order of convergence in width) and the group `fast`
(a tolerance as the only setting; time against the number of slabs), and the group `inverse` (errors of parameters or of
the unknown field that was sought; how often standard errors cover the truth), the group `dimension` (time beside
two and more coordinates of space), the group `many` (up to a hundred coordinates), and the group `quantities` (forces
and fluxes that are known). Times are those of `solve` after
import; errors are against exact solutions or references at points the solver never used. The group `start` measures
whole processes of the command line instead.
`--ladder` climbs the problems of the PINNacle collection beside what was published and, with `--peers`, beside other
solvers for `--budget` seconds each (`ladder.py`); `--page` writes docs/benchmarks.md from what is stored. `--quick`
compares a few solves with stored figures, in three minutes (`guard.py`); `--store` stores them anew.
`--growth` prints time against the number of cells at fixed degree and against the final time, with fitted exponents.
`--sweep` solves every problem with a known truth at three tolerances, each for at most `--seconds`. Exits with 1 when
a figure is missed.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measured import effectivity, import_all, measure, say, shown, write_json
from quantity_cases import CASES as QUANTITIES
from quantity_cases import print_quantities, run_quantities

GRID = {"interior": 1089, "boundary": 33, "sampling": "grid"}  # the talk's 33 x 33 points
VARIABLE_SPEED_WEIGHTS = {"transport": "W**(-0.5)"}


@dataclass(frozen=True)
class Case:
    """A problem, the settings it is solved with (empty: defaults), and what is asked of it."""

    name: str
    problem: str
    error: float
    seconds: float
    settings: dict = field(default_factory=dict)
    group: str = "adaptive"
    overrides: tuple[str, ...] = ()


def fast(name: str, problem: str, error: float, seconds: float, group: str = "fast") -> Case:
    """A case whose tolerance is the error asked for, and the only setting."""
    return Case(name, problem, error, seconds, {"tolerance": error}, group)


def shape(name: str, problem: str, error: float, seconds: float) -> Case:
    """The same on a domain that is no box, or has several materials."""
    return fast(name, problem, error, seconds, "shapes")


HUNDRED = ("coordinates.x.count=100", "parameters.d=100")  # over a problem in ten coordinates


def many(name: str, problem: str, error: float, seconds: float, overrides: tuple[str, ...] = ()) -> Case:
    """The same in many coordinates, with settings of the file put over it."""
    return replace(fast(name, problem, error, seconds, "many"), overrides=overrides)


def network(width: int, activation: str) -> dict:
    """The talk's shallow network."""
    return {"kind": "mlp", "width": width, "depth": 1, "activation": activation, "initialization": "box"}


def dimension(name: str, problem: str, error: float, seconds: float) -> Case:
    """The same in two and more coordinates of space and time."""
    return fast(name, problem, error, seconds, "dimension")


ADAPTIVE = (
    Case(
        "advection, hat, relu lsgd",
        "advection",
        1e-8,
        10,
        {
            "method": "lsgd",
            "basis": network(32, "relu"),
            "collocation": GRID,
            "term_weights": {"transport": 1},
            "optimizer": {"name": "adam", "learning_rate": 0.005, "steps": 500},
        },
    ),
    Case(
        "advection, speed x, tanh lsgd",
        "advection-variable-speed",
        1e-5,
        10,
        {
            "method": "lsgd",
            "basis": network(128, "tanh"),
            "collocation": GRID,
            "term_weights": VARIABLE_SPEED_WEIGHTS,
            "optimizer": {"name": "adam", "learning_rate": 0.01, "steps": 500},
        },
    ),
    Case("Poisson 2-d, defaults", "poisson-2d", 1e-6, 30),
    Case("Helmholtz (1,4), defaults", "helmholtz-2d", 1e-6, 30),
    Case("wave 1-d, defaults", "wave-1d", 1e-6, 30),
    Case("Poisson 5-d, defaults", "poisson-5d", 1e-6, 60),
    Case("Burgers, tolerance 1e-3", "burgers", 1e-3, 120, {"tolerance": 1e-3}),
)

FRONT = ("parameters.speed=50", "coordinates.t=[0, 0.02]")  # which crosses half of the box
FAST = (
    fast("Poisson 2-d, one mode", "poisson-2d", 1e-10, 1),
    fast("Helmholtz (1,4)", "helmholtz-2d", 1e-10, 1),
    fast("Helmholtz, k = 4 pi", "helmholtz-4pi", 1e-9, 2),
    fast("wave 1-d", "wave-1d", 1e-9, 2),
    fast("advection, speed 40", "advection-speed-40", 1e-9, 2),
    fast("heat 2-d, multiscale", "heat-2d-multiscale", 1e-8, 20),
    fast("Burgers to 1e-4", "burgers", 1e-4, 1),
    fast("Burgers to 1e-7", "burgers", 1e-7, 3),
    fast("Burgers to 5e-9", "burgers", 5e-9, 8),
    fast("Allen-Cahn", "allen-cahn", 1e-6, 20),
    fast("KdV, two solitons", "kdv-two-solitons", 1e-6, 20),
    fast("Kuramoto-Sivashinsky, t to 0.5", "kuramoto-sivashinsky-half", 1e-5, 60),
    fast("Kuramoto-Sivashinsky, t to 1", "kuramoto-sivashinsky", 1e-3, 120),
    fast("cavity, Re = 100", "cavity", 1e-4, 60),
    fast("Kovasznay", "kovasznay", 1e-9, 10),
    fast("Poisson 3-d", "poisson-3d", 1e-8, 20),
    fast("sine-Gordon kink", "sine-gordon", 1e-8, 20),
    fast("Klein-Gordon", "klein-gordon", 1e-8, 20),
    fast("Schroedinger soliton", "schroedinger-soliton", 1e-8, 20),
    replace(fast("Burgers, a front at speed 50", "moving-burgers", 1e-6, 3), overrides=FRONT),
)
SHAPES = (
    shape("Poisson, four holes", "poisson-four-holes", 1e-6, 10),
    shape("Poisson-Boltzmann", "poisson-boltzmann", 1e-5, 20),
    shape("L-shape", "l-shape", 1e-5, 20),
    shape("plate, clamped corners", "clamped-plate", 1e-3, 20),
    shape("annulus, Robin and Neumann", "annulus", 1e-8, 5),
    shape("two materials, circle", "two-materials", 1e-6, 20),
    shape("heat, many holes", "heat-many-holes", 1e-3, 120),
    shape("backward-facing step", "backward-step", 1e-2, 120),
    shape("Poisson, four holes, Gmsh", "poisson-mesh", 1e-4, 20),
    shape("two regions, Gmsh", "two-regions", 1e-4, 20),
    shape("layered wall, in time", "layered-wall", 1e-6, 20),
)
MANY = (
    many("two bodies, 10 coordinates", "two-body-10d", 1e-6, 20),
    many("two bodies, 100 coordinates", "two-body-10d", 1e-6, 60, HUNDRED),
    many("sine-Gordon, 10 coordinates", "sine-gordon-10d", 1e-6, 20),
    many("sine-Gordon, 100 coordinates", "sine-gordon-10d", 1e-6, 60, HUNDRED),
    many("all pairs, 10 coordinates", "all-pairs-10d", 1e-5, 60),
    many("Gaussian, 10 coordinates", "gaussian-10d", 1e-3, 60),
    many("Hamilton-Jacobi-Bellman, 10 coordinates", "hamilton-jacobi-bellman-10d", 1e-3, 120),
    many("heat in a ball of 5 coordinates", "heat-5d-ball", 1e-6, 60),
)
DIMENSION = (
    dimension("wave 2-d, t to 100", "wave-2d-long", 1e-4, 20),
    dimension("heat 2-d, two scales", "heat-2d-multiscale", 1e-8, 5),
    dimension("heat 3-d, three modes", "heat-3d", 1e-6, 20),
    dimension("Taylor-Green vortices", "taylor-green", 1e-6, 5),
    dimension("double shear layer", "shear-layer", 1e-3, 60),
    dimension("Burgers 2-d, two components", "burgers-2d", 1e-3, 60),
    dimension("heat, seventeen holes, t to 3", "heat-many-holes", 1e-3, 30),
    dimension("heat 2-d, nonlinear, t to 100", "heat-2d-long", 1e-3, 180),
    dimension("wave 2-d, variable speed, kinks", "wave-2d-variable", 1e-3, 20),
    dimension("Navier-Stokes, pulsating channel", "channel-in-time", 1e-2, 120),
    dimension("Gray-Scott, t to 200", "gray-scott", 1e-2, 180),
    dimension("Poisson 3-d, smooth", "poisson-3d", 1e-10, 3),
    dimension("ball less ball", "hollow-ball", 1e-6, 30),
    dimension("elastic beam, clamped", "elastic-beam", 1e-4, 60),
    dimension("cube less four balls", "poisson-3d-cavities", 1e-3, 180),
)
CASES = ADAPTIVE + FAST + SHAPES + DIMENSION + MANY
BURGERS = {"nu": 0.01 / math.pi, "speed": 1.0}
LORENZ = {"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0}
SOUGHT = (  # what an inverse problem is to find: parameters by value, or the name of an unknown
    ("Burgers, 2000 values", "find-burgers", BURGERS, 1e-6, 60),
    ("Burgers, 2000 values, noise 1 %", "find-burgers-noisy", BURGERS, 1e-2, 60),
    ("Burgers, 500 values", "find-burgers-few", BURGERS, 1e-6, 60),
    ("Burgers, 500 values, noise 1 %", "find-burgers-few-noisy", BURGERS, 1e-2, 60),
    ("Lorenz, three constants", "find-lorenz", LORENZ, 1e-5, 30),
    ("conductivity", "find-the-conductivity", "a", 1e-2, 60),
    ("conductivity, in time", "find-the-conductivity-in-time", "a", 2e-2, 120),
    ("conductivity with an inclusion", "find-the-inclusion", "k", 1e-1, 20),
    ("cavity, Reynolds number", "find-reynolds", {"Re": 100.0}, 1e-3, 120),
    ("wall, heat flux", "wall-heat-flux", "q", 2e-2, 60),
)
STARTS = (("poisson-2d", 1.6),)  # problems that the command line runs, from its start to its end


def run_case(case: Case, seed: int, limit: float | None = None) -> dict:
    """Solves one case; the row of the table."""
    row = measure(case.problem, case.overrides, limit=limit, seed=seed, **case.settings)
    met = row["error"] is not None and row["error"] <= case.error and row["seconds"] <= case.seconds
    asked = {"error_asked": case.error, "seconds_asked": case.seconds, "met": met}
    return {"case": case.name, "group": case.group, **row, "effectivity": effectivity(row), **asked}


def gradient_descent_row(lsgd: dict, seed: int) -> dict:
    """The baseline on the hat: 5000 joint steps must be at least 1e4 times worse than LSGD's 500."""
    settings = {
        **CASES[0].settings,
        "method": "gd",
        "optimizer": {"name": "adam", "learning_rate": 0.005, "steps": 5000},
    }
    row = run_case(replace(CASES[0], name="advection, hat, relu gd 5000", settings=settings), seed)
    ratio = row["error"] / lsgd["error"] if row["error"] and lsgd["error"] else math.nan
    return {**row, "error_asked": None, "seconds_asked": None, "worse_by": ratio, "met": ratio >= 1e4}


def slab_growth(seed: int, limit: float | None) -> list[dict]:
    """Time of a solve until T, 2 T and 4 T: it may grow in proportion to the number of slabs, and 25 % beyond.

    The number of slabs is read from the report; without one, it is taken to grow like the time.
    """
    rows = []
    for problem, until, tolerance in (("advection-speed-40", 1.0, 1e-7), ("sine-gordon", 2.0, 1e-6)):
        first = None
        for times in (1, 2, 4):
            row = measure(problem, (f"coordinates.t=[0, {times * until:g}]",), limit, seed=seed, tolerance=tolerance)
            said = re.search(r"(\d+) (?:time )?slabs", f"{row['method']} {row['basis']}")
            row["slabs"] = int(said[1]) if said else times
            first = first or row
            known = {"growth": row["seconds"] / first["seconds"], "growth_of_slabs": row["slabs"] / first["slabs"]}
            met = row["error"] is not None and known["growth"] <= 1.25 * known["growth_of_slabs"]
            rows.append({"case": f"{problem}, t to {times * until:g}", **row, **known, "met": met})
    return rows


def relu_order(seeds: int = 8) -> dict:
    """Variable-speed advection with relu: median error over seeds for W = 8..128, and the fitted order in W."""
    import pinnsolve as ps

    problem = ps.load("advection-variable-speed")
    widths = (8, 16, 32, 64, 128)
    table = {}
    for width in widths:
        errors = []
        for seed in range(seeds):
            solution = ps.solve(
                problem,
                method="lsgd",
                seed=seed,
                basis={"kind": "mlp", "width": width, "activation": "relu"},
                collocation=GRID,
                term_weights=VARIABLE_SPEED_WEIGHTS,
                optimizer={"name": "adam", "learning_rate": 0.001, "steps": 500},
            )
            errors.append(solution.result["relative_l2_error"]["u"])
        table[width] = {"median": statistics.median(errors), "least": min(errors), "most": max(errors)}
    x = [math.log(w) for w in widths]
    y = [math.log(table[w]["median"]) for w in widths]
    order = -statistics.covariance(x, y) / statistics.variance(x)
    return {"widths": table, "order": order, "order_asked": 0.5, "met": order >= 0.5}


def print_table(rows: list[dict]) -> None:
    """Rows under a header, aligned."""
    print(
        f"{'case':34s} {'error':>9s} {'asked':>7s} {'estimate':>9s} {'ratio':>7s} {'seconds':>8s} {'asked':>6s}  "
        "met  how"
    )
    for row in rows:
        asked = f"{row['error_asked']:.0e}" if row["error_asked"] else f"x{row['worse_by']:.0e}"
        limit = f"{row['seconds_asked']:.0f}" if row["seconds_asked"] else "-"
        met = "yes" if row["met"] else "NO"
        how = row["message"] if row["status"] == "failed" else f"{row['method']}: {row['basis']}"
        print(
            f"{row['case']:34s} {shown(row['error']):>9s} {asked:>7s} {shown(row['estimated_error']):>9s} "
            f"{shown(row['effectivity'], '.2g'):>7s} {row['seconds']:8.2f} {limit:>6s}  {met:3s}  {how}",
            flush=True,
        )


def print_order(order: dict) -> None:
    print(f"\nadvection, speed x, relu: median error over 8 seeds, order {order['order']:.2f} (asked: 0.5)")
    for width, row in order["widths"].items():
        print(f"  W = {width:4d}: {row['median']:.1e}  ({row['least']:.1e} to {row['most']:.1e})")


def print_growth(rows: list[dict]) -> None:
    print("\ntime against the number of slabs (asked: at most in proportion, and 25 %)")
    for row in rows:
        print(
            f"  {row['case']:32s} {row['slabs']:4d} slabs, x{row['growth_of_slabs']:.2f}; {row['seconds']:7.2f} s, "
            f"x{row['growth']:.2f}; error {shown(row['error'])}  {'yes' if row['met'] else 'NO'}"
        )


def run_cases(arguments: argparse.Namespace, figures: dict) -> bool:
    """Runs and prints the cases and tables that `--only` chooses; true if all figures are what is asked."""
    words = [word.lower() for word in arguments.only]

    def chosen(name: str, group: str) -> bool:
        return not words or group in words or any(word in name.lower() for word in words)

    rows = figures["cases"] = []
    for case in CASES:
        if chosen(case.name, case.group):
            rows.append(run_case(case, arguments.seed, arguments.seconds))
            say(f"  {case.name}: {shown(rows[-1]['error'])} in {rows[-1]['seconds']:.1f} s")
            if case is CASES[0]:
                rows.append(gradient_descent_row(rows[-1], arguments.seed))
            write_json(arguments.json, figures)
    if rows:
        print_table(rows)
    sought = [case for case in SOUGHT if chosen(f"{case[0]} {case[1]}", "inverse")]
    coverage = chosen("coverage", "inverse")
    if sought or coverage:
        from inverse_cases import print_sought, run_coverage, run_sought

        figures["inverse"] = [run_sought(*case, arguments.seed, arguments.seconds) for case in sought]
        figures["inverse"] += [run_coverage(arguments.seed)] if coverage else []
        print_sought(figures["inverse"])
    quantities = [case for case in QUANTITIES if chosen(case.name, "quantities")]
    if quantities:
        figures["quantities"] = [run_quantities(case, arguments.seconds) for case in quantities]
        print_quantities(figures["quantities"])
    starts = [case for case in STARTS if chosen(case[0], "start")]
    if starts:
        from start_time import print_start, run_start

        figures["start"] = [run_start(*case) for case in starts]
        print_start(figures["start"])
    if chosen("slabs", "fast"):
        figures["slabs"] = slab_growth(arguments.seed, arguments.seconds)
        print_growth(figures["slabs"])
    if chosen("order", "adaptive"):
        figures["relu_order"] = relu_order()
        print_order(figures["relu_order"])
    if chosen("rank", "adaptive"):
        from rank_of_initial_basis import print_table as print_ranks
        from rank_of_initial_basis import rank_table

        print("\nnumerical rank of the initial basis, W = 32, sin(2 pi x) at 256 points")
        figures["rank"] = rank_table()
        print_ranks(figures["rank"])
    tables = [row for name in ("cases", "inverse", "start", "slabs") for row in figures.get(name, [])]
    tables.append(figures.get("relu_order", {"met": True}))
    return all(row["met"] for row in tables)


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="groups, or words in the names of cases or problems")
    parser.add_argument("--growth", action="store_true", help="time against cells and final time, with exponents")
    parser.add_argument("--sweep", action="store_true", help="every problem with a known truth at three tolerances")
    parser.add_argument("--seconds", type=float, help="a limit for each solve")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ladder", action="store_true", help="the PINNacle collection, beside what was published")
    parser.add_argument("--peers", default="", help="solvers to run beside ours: deepxde,pina,classical")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each peer on each problem")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md from the stored ladder, and end")
    parser.add_argument("--quick", action="store_true", help="compare a few solves with the stored figures")
    parser.add_argument("--store", action="store_true", help="with --quick: store the figures")
    arguments = parser.parse_args()
    if arguments.page:
        from ladder_page import write_page

        return write_page(arguments.json)
    from pinnsolve.process import keep_freed_memory

    import_all()
    keep_freed_memory()  # as the command line does
    figures: dict = {"seed": arguments.seed}
    if arguments.sweep:
        from sweep import run_sweep

        ok = run_sweep(arguments.only, arguments.seed, arguments.seconds, arguments.json, figures)
    elif arguments.ladder:
        from ladder import run_ladder

        peers = [peer for peer in arguments.peers.split(",") if peer]
        return 0 if run_ladder(arguments.only, peers, arguments.budget, arguments.seed, arguments.json) else 1
    elif arguments.quick:
        from guard import run_guard

        return 0 if run_guard(arguments.json, arguments.store, arguments.seed, arguments.only) else 1
    elif arguments.growth:
        from growth import growth_rows, print_growths

        figures["growth"] = growth_rows(arguments.seed, arguments.seconds)
        print_growths(figures["growth"])
        ok = True
    else:
        ok = run_cases(arguments, figures)
    write_json(arguments.json, figures)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
