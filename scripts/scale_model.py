"""What a least squares on a network takes: operations, bytes and messages, and the seconds that follow.

    python scripts/scale_model.py        prints docs/scaling.md's table of machines

With W functions and N rows on P processes:

- rows: N W / P numbers, each of a table of every derivative that the equation holds;
- factorizations: (2 + 4 / (3 k)) W^2 N / P operations, where k triangles of rows are folded in at a time;
- merges along the tree: log2(P) times 10/3 W^3 operations and a message of 8 W^2 bytes;
- the last triangle, in the first process alone: W^2 operations where it is far from singular, else a factorization with
  column pivoting, 4/3 W^3 operations at the speed of memory.

On cells, a level is rows, tables and corrections, in proportion to its coefficients, and its factorizations, whose
multiplications the solver counts before it takes them (`pinnsolve.solvers.memory.operations`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# coefficients and multiplications of a level of Poisson's equation in a cube with 4 and 5 cells of degree 9 per axis,
# as scale_cells.py counts them
ON_CELLS = ((31_104, 2.56e11), (60_750, 8.95e11))
# multiplications counted for an operation that is done: cells that are equal share what is made for one of them
SHARED = 2.2
FOLDED = 3  # k above, as in pinnsolve.least_squares.streaming
BYTES = 8


@dataclass(frozen=True)
class Machine:
    """`number`: seconds for a number of the rows; `coefficient`: for one on cells, factorizations aside; `rate`,
    `pivoting`: operations a second of a factorization, without and with column pivoting; `bandwidth`: bytes a second of
    a message; `latency`: seconds of one."""

    number: float
    coefficient: float
    rate: float
    pivoting: float
    bandwidth: float
    latency: float


# measured by scale.py on two cores of a virtual machine, in seconds of the processor: the first two are fitted to one
# process with 500 functions on 12,500 rows and with 4000 on 200,000; `coefficient` and SHARED to 3 x 3 x 3
# and 5 x 5 x 5 cells of degree 9
CORE = Machine(number=1.15e-7, coefficient=1.23e-4, rate=7.3e10, pivoting=1.7e9, bandwidth=1e9, latency=1e-4)
# not measured: the double precision that is stated for an H100, at a quarter of its peak for factorizations and a tenth
# of its memory's speed for the rows; NVLink between cards. Pivoting is the processor's.
CARD = Machine(number=1e-10, coefficient=1.23e-6, rate=1.5e13, pivoting=1e10, bandwidth=1e11, latency=2e-5)
# 64 cores of a node as one process by threads, at the speed of 32 of the above; 100 Gbit/s between nodes
NODE = Machine(
    number=CORE.number / 32, coefficient=CORE.coefficient / 32, rate=32 * CORE.rate, pivoting=2e10, bandwidth=1e10,
    latency=1e-5,
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Seconds of the parts."""

    rows: float
    factorizations: float
    merges: float
    triangle: float

    @property
    def seconds(self) -> float:
        return self.rows + self.factorizations + self.merges + self.triangle


def cost(width: int, rows: int, processes: int, machine: Machine, pivoted: bool = False) -> Cost:
    """Of one least squares; `pivoted`: whether functions are nearly dependent."""
    W, N, P = width, rows, processes
    steps = math.ceil(math.log2(P)) if P > 1 else 0
    merge = 10 / 3 * W**3 / machine.rate + BYTES * W**2 / machine.bandwidth + machine.latency
    last = 4 / 3 * W**3 / machine.pivoting if pivoted else W**2 / machine.pivoting
    return Cost(
        rows=machine.number * N * W / P,
        factorizations=(2 + 4 / (3 * FOLDED)) * W**2 * N / P / machine.rate,
        merges=steps * merge,
        triangle=last,
    )


def seconds_on_cells(coefficients: int, multiplications: float, machine: Machine) -> float:
    """Of one level on cells, on one machine: nothing of it is divided."""
    return machine.coefficient * coefficients + 2 * multiplications / (SHARED * machine.rate)


def main() -> None:
    cases = [(4000, 200_000), (4000, 5_000_000), (16_000, 5_000_000)]
    machines = [("a core", CORE, 1), ("2 cores", CORE, 2), ("a card", CARD, 1), ("8 cards", CARD, 8),
                ("a node", NODE, 1), ("64 nodes", NODE, 64)]  # fmt: skip
    print("| functions, rows | machine | rows | factorizations | merges | triangle, pivoted | in all, pivoted |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for width, rows in cases:
        for name, machine, count in machines:
            plain, pivoted = (cost(width, rows, count, machine, one) for one in (False, True))
            parts = [plain.rows, plain.factorizations, plain.merges]
            said = " | ".join(f"{part:.2g}" for part in parts)
            last = f"{plain.triangle:.1g}, {pivoted.triangle:.2g}"
            print(f"| {width}, {rows} | {name} | {said} | {last} | {plain.seconds:.3g}, {pivoted.seconds:.3g} |")
    print("\n| coefficients on cells | multiplications | a core | a card | a node |")
    print("| --- | --- | --- | --- | --- |")
    for coefficients, multiplications in ON_CELLS:
        said = " | ".join(f"{seconds_on_cells(coefficients, multiplications, m):.2g}" for m in (CORE, CARD, NODE))
        print(f"| {coefficients} | {multiplications:.1e} | {said} |")


if __name__ == "__main__":
    main()
