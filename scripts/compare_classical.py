"""Sets our time and error beside those of a classical specialist, in the same process and at about equal error.

    python scripts/compare_classical.py [--only NAME ...] [--classical] [--seconds 120] [--json FILE] [--page]

For each problem ours solves to the tolerance that the benchmark asks for, by defaults; the specialist climbs its ladder
of resolutions until its error is no larger than ours. Both errors are taken at the same points against the same truth.
`--classical` runs the specialists alone and prints their whole ladders; `--page` writes docs/comparison.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parent / "references"))

import numpy as np
from benchmark import DIMENSION, FAST
from measured import import_all, reason, say, solved, write_json
from scatter import even_points, relative_difference
from specialists import Specialist, chebyshev, elements, elements_in_time, fourier, planes_in_time

PAGE = Path(__file__).resolve().parents[1] / "docs" / "comparison.md"
COUNT = 3000
REPEAT_BELOW = 1.0  # seconds; the median of three is taken then
# by problem; a second method for one has a name behind a comma
SPECIALISTS: dict[str, Callable[[], Specialist]] = {
    "poisson-2d": chebyshev.poisson_2d,
    "helmholtz-2d": chebyshev.helmholtz_2d,
    "helmholtz-4pi": chebyshev.helmholtz_4pi,
    "poisson-3d": chebyshev.poisson_3d,
    "wave-1d": chebyshev.wave_1d,
    "heat-2d-multiscale": chebyshev.heat_2d_multiscale,
    "sine-gordon": chebyshev.sine_gordon,
    "klein-gordon": chebyshev.klein_gordon,
    "advection-speed-40": fourier.advection,
    "burgers": fourier.burgers,
    "allen-cahn": fourier.allen_cahn_ring,
    "kdv-two-solitons": fourier.korteweg_de_vries,
    "kuramoto-sivashinsky-half": lambda: fourier.kuramoto(0.5),
    "kuramoto-sivashinsky": lambda: fourier.kuramoto(1.0),
    "schroedinger-soliton": fourier.schroedinger,
    "cavity": elements.cavity,
    "taylor-green": planes_in_time.taylor_green,
    "shear-layer": planes_in_time.shear_layer,
    "burgers-2d": planes_in_time.burgers,
    "gray-scott": planes_in_time.gray_scott,
    "heat-2d-long": planes_in_time.heat_long,
    "wave-2d-variable": planes_in_time.wave_variable,
    "heat-2d-multiscale, elements": elements_in_time.heat_multiscale,
    "wave-2d-long": elements_in_time.wave_long,
    "wave-2d-variable, elements": elements_in_time.wave_variable,
    "heat-many-holes": elements_in_time.heat_many_holes,
    "channel-in-time": elements_in_time.channel,
}


def problem_of(name: str) -> str:
    """The problem of a specialist."""
    return name.partition(",")[0]


def compared() -> list[tuple[str, float]]:
    """Specialists and the tolerances that the benchmark asks for, each pair once."""
    asked = dict.fromkeys((case.problem, case.error) for case in FAST + DIMENSION if not case.overrides)
    return [(name, error) for problem, error in asked for name in SPECIALISTS if problem_of(name) == problem]


def truth_of(problem, specialist: Specialist) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points (N, d), those of a problem in time on the specialist's levels, and the unknowns there."""
    from pinnsolve.estimate.measured_errors import exact_values

    if problem.exact or problem.name == "burgers":
        points = even_points(COUNT, list(problem.intervals))
        if specialist.levels:
            low, high = problem.intervals[0]
            points[:, 0] = (
                low + (high - low) * np.round(points[:, 0] / (high - low) * specialist.levels) / specialist.levels
            )
        if problem.exact:
            return points, exact_values(problem, points)
        from burgers import cole_hopf

        return points, {"u": cole_hopf(*points.T)}
    with np.load(problem.reference) as file:
        columns = {name: file[name] for name in file.files}
    return np.stack([columns[c] for c in problem.coordinates], axis=1), columns


def error_of(values: dict[str, np.ndarray], truth: dict[str, np.ndarray], unknowns: tuple[str, ...]) -> float:
    return max(relative_difference(values[name], truth[name]) for name in unknowns)


def timed(action: Callable[[], object]) -> tuple[object, float]:
    """What it gives, and its seconds: the median of three where it is quick."""
    seconds = []
    while not seconds or (len(seconds) < 3 and max(seconds) < REPEAT_BELOW):
        began = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - began)
    return result, float(np.median(seconds))


def climb(specialist: Specialist, points: np.ndarray, truth: dict, target: float) -> list[dict]:
    """The rungs of the ladder until the error is at most `target`."""
    times = np.unique(points[:, 0]) if specialist.levels else np.zeros(1)
    rungs = []
    specialist.solve(specialist.ladder[0], times)  # what runs for the first time is not measured
    for resolution in specialist.ladder:
        field, seconds = timed(lambda resolution=resolution: specialist.solve(resolution, times))
        error = error_of(field(points), truth, specialist.unknowns)
        rungs.append({"resolution": resolution, "error": error, "seconds": seconds})
        if error <= target:
            break
    return rungs


def compare(name: str, tolerance: float, seed: int, limit: float | None) -> dict:
    """The row of one specialist."""
    import pinnsolve as ps

    problem, specialist = ps.load(problem_of(name)), SPECIALISTS[name]()
    points, truth = truth_of(problem, specialist)
    row = {
        "problem": problem_of(name),
        "title": problem.spec.title,
        "tolerance": tolerance,
        "method": specialist.method,
    }
    solution, seconds = solved(problem_of(name), limit=limit, tolerance=tolerance, seed=seed)
    values = {unknown: solution.values(points, unknown) for unknown in specialist.unknowns}
    ours = {"error": error_of(values, truth, specialist.unknowns), "seconds": seconds, **_how(solution)}
    rungs = climb(specialist, points, truth, ours["error"])
    theirs = rungs[-1] if rungs[-1]["error"] <= ours["error"] else min(rungs, key=lambda rung: rung["error"])
    return {**row, "ours": ours, "theirs": theirs, "ratio": ours["seconds"] / theirs["seconds"]}


def _how(solution) -> dict:
    return {key: solution.result[key] for key in ("status", "method", "basis", "estimated_error")}


def print_row(row: dict) -> None:
    if "failure" in row:
        print(f"{row['problem']:26s} {row['tolerance']:7.0e}  {row['failure']}", flush=True)
        return
    ours, theirs = row["ours"], row["theirs"]
    print(
        f"{row['problem']:26s} {row['tolerance']:7.0e}  {ours['error']:8.1e} {ours['seconds']:9.3f} s  "
        f"{theirs['error']:8.1e} {theirs['seconds']:9.4f} s  {row['ratio']:9.3g}  "
        f"{row['method']} {theirs['resolution']}",
        flush=True,
    )


def print_ladders(names: list[str]) -> None:
    """The specialists alone, on all their rungs."""
    import pinnsolve as ps

    for name in names:
        problem, specialist = ps.load(problem_of(name)), SPECIALISTS[name]()
        points, truth = truth_of(problem, specialist)
        print(f"{name}: {specialist.method}")
        for rung in climb(specialist, points, truth, 0.0):
            print(f"  {rung['resolution']!s:16s} error {rung['error']:.1e} in {rung['seconds']:.4f} s", flush=True)


# -- the page -------------------------------------------------------------------------------------------------

HEAD = """\
# Beside a classical specialist

A method made for one equation on one simple shape is hard to beat, and this page says by how much. For each problem,
pinnsolve solves the file that comes with it to the tolerance given and with no other setting. The specialist, a short
program for that equation in `scripts/specialists/`, raises its resolution until its error is no larger than ours. Both
run in the same process, one after the other; both errors are relative L2 errors at the same points, against the exact
solution or a reference that is more accurate than either. Time is that of the whole solve after import; for the
specialist that of the last resolution alone, as if one knew beforehand which one it takes. pinnsolve has to find that
out, and its time includes an estimate of its error, which the specialists do not give. Some problems have two
specialists, each with a row of its own. A specialist in time gives the solution at the stored levels of time alone.

This page is written by `scripts/compare_classical.py --page`, with whatever came out.

| problem | error, ours | time, ours | specialist | error | time | ratio of times |
| --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """
{marks}The specialists for solitons take a longer interval than the problem's and close it to a ring, for they know that
the solution vanishes far away. The cavity is compared in its velocities. {machine}
"""


def page_text(rows: list[dict]) -> str:
    lines, marks = [], ""
    for row in rows:
        link = f"[{row['problem']}](../problems/{row['problem']}.yaml)"
        if "failure" in row:
            lines.append(f"| {link} to {row['tolerance']:.0e} | {row['failure']} | | {row['method']} | | | |")
            continue
        ours, theirs = row["ours"], row["theirs"]
        mark = "" if theirs["error"] <= ours["error"] else " *"
        if mark:
            marks = "Errors marked * are the least that the specialist reaches.\n"
        missed = "" if ours["status"] == "converged" else f" ({ours['status'].replace('_', ' ')})"
        lines.append(
            f"| {link} to {row['tolerance']:.0e} | {ours['error']:.1e}{missed} | {_seconds(ours['seconds'])} | "
            f"{row['method']} | {theirs['error']:.1e}{mark} | {_seconds(theirs['seconds'])} | {row['ratio']:.2g} |"
        )
    import scipy
    import torch

    machine = (
        f"Measured on {platform.machine()} on {torch.get_num_threads()} core(s); Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}, scipy {scipy.__version__}."
    )
    return HEAD + "\n".join(lines) + "\n" + TAIL.format(marks=marks, machine=machine)


def _seconds(value: float) -> str:
    return f"{value:.2g} s" if value >= 0.1 else f"{1000 * value:.2g} ms"


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="words in the names of problems")
    parser.add_argument("--classical", action="store_true", help="the specialists alone")
    parser.add_argument("--seconds", type=float, help="a limit for each of our solves")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--page", action="store_true", help="write docs/comparison.md")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    def chosen(name: str) -> bool:
        return not arguments.only or any(word in name for word in arguments.only)

    if arguments.classical:
        print_ladders([name for name in SPECIALISTS if chosen(name)])
        return 0
    import_all()
    rows = []
    print(f"{'problem':26s} {'asked':>7s}  {'ours':>8s} {'':9s}    {'theirs':>8s} {'':10s}  {'ratio':>9s}  by")
    for name, tolerance in compared():
        if chosen(name):
            try:
                rows.append(compare(name, tolerance, arguments.seed, arguments.seconds))
            except Exception as failure:  # the other rows are worth having
                rows.append(
                    {"problem": problem_of(name), "tolerance": tolerance, "method": "", "failure": reason(failure)}
                )
            print_row(rows[-1])
            write_json(arguments.json, {"rows": rows})
    if arguments.page:
        PAGE.write_text(page_text(rows), encoding="utf-8")
        say(f"written: {PAGE}")
    return 1 if any("failure" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
