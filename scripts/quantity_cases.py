"""Numbers to report, measured: forces, fluxes and pressures beside values that are known to more digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from measured import say, shown, solved

FORCES = "solve.tolerance={drag: 1.0e-4, lift: 1.0e-3, front: 1.0e-4}"


@dataclass(frozen=True)
class QuantityCase:
    """`known`: per quantity its value and the absolute error that is allowed; a name `a - b` is a difference of two;
    `inside`: whether the errors stated are to hold the true ones."""

    name: str
    problem: str
    known: Mapping[str, tuple[float, float]]
    seconds: float
    overrides: tuple[str, ...] = ()
    inside: bool = False


CASES = (
    QuantityCase(  # Nabh, thesis, Heidelberg 1998, and later computations by spectral elements
        "flow round a cylinder, Re = 20", "dfg-cylinder",
        {"drag": (5.57953523384, 5e-5), "lift": (0.010618948146, 5e-6), "front - rear": (0.11752016697, 5e-6)}, 60,
        (FORCES,), inside=True,
    ),
    QuantityCase(  # by scripts/references/natural_convection.py
        "natural convection, Ra = 1e4", "natural-convection", {"nusselt": (2.24481576, 1e-4)}, 10
    ),
    QuantityCase(  # Le Quere, Computers & Fluids 20 (1991) 29-41, for this and the next
        "natural convection, Ra = 1e5", "natural-convection", {"nusselt": (4.52164, 1e-4)}, 20, ("parameters.Ra=1e5",)
    ),
    QuantityCase(
        "natural convection, Ra = 1e6", "natural-convection", {"nusselt": (8.82520, 1e-4)}, 60, ("parameters.Ra=1e6",)
    ),
)  # fmt: skip


def run_quantities(case: QuantityCase, limit: float | None) -> dict:
    """Solves one problem; a row for every quantity, with its value, error and estimate."""
    solution, seconds = solved(case.problem, case.overrides, limit)
    found = solution.result.get("quantities", {})
    rows = []
    for name, (known, allowed) in case.known.items():
        parts = [found[part] for part in name.split(" - ")]
        value = parts[0]["value"] - sum(part["value"] for part in parts[1:])
        estimate, error = sum(part["estimated_error"] for part in parts), abs(value - known)
        rows.append({
            "quantity": name, "value": value, "known": known, "error": error, "allowed": allowed, "estimate": estimate,
            "met": error <= allowed and (error <= estimate or not case.inside),
        })  # fmt: skip
    met = all(row["met"] for row in rows) and seconds <= case.seconds
    say(f"  {case.name}: {seconds:.1f} s, {solution.result['status']}")
    return {
        "case": case.name, "rows": rows, "seconds": seconds, "seconds_asked": case.seconds,
        "status": solution.result["status"], "met": met,
    }  # fmt: skip


def print_quantities(cases: list[dict]) -> None:
    heads = (("value", 14), ("error", 9), ("allowed", 9), ("estimate", 9), ("seconds", 8), ("asked", 6))
    print(f"\n{'quantity':48s} " + " ".join(f"{head:>{width}s}" for head, width in heads))
    for case in cases:
        for row in case["rows"]:
            print(
                f"{case['case'] + ': ' + row['quantity']:48s} {row['value']:14.8g} {shown(row['error']):>9s} "
                f"{shown(row['allowed']):>9s} {shown(row['estimate']):>9s} {case['seconds']:8.1f} "
                f"{case['seconds_asked']:6.0f}  {'yes' if case['met'] else 'NO'}, {case['status']}"
            )
