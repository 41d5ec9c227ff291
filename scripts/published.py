"""What others have published for the problems of the PINNacle collection: the rows of the ladder.

Input: nothing. Output: `RUNGS`, a row for each of the twenty-two problems: its name there, our problem file, the least
relative L2 error in the paper's main table, and the least one that we know of elsewhere, each with its source. Where
two versions of the table differ, the smaller figure stands here. The figures were read from what others repeat of the
table, not from the paper itself. Another such repeat agrees with them but for four rows, where it has larger ones
(Burgers1d 1.45e-2, Heat2d-MS 6.21e-2, PInv 2.45e-2, HInv 5.26e-2).

The files of `problems/` keep names of their own; this table is the one place that says which of them are the
collection's. What was broken there is mended in the file, which says so.
"""

from __future__ import annotations

from dataclasses import dataclass

FRONTS = (
    "from waves drawn at random, at a viscosity of 0.001, come fronts that are 0.003 wide and fill a square of side 4; "
    "a reference of stated accuracy takes some 4096 x 4096 Fourier modes, which nobody has spent yet"
)
PAPER = "Hao et al., arXiv:2306.08827, table 3"


@dataclass(frozen=True)
class Figure:
    """A relative L2 error and where it was published."""

    error: float
    source: str


@dataclass(frozen=True)
class Rung:
    """One problem of the collection. `paper`: the least error of its table; `best`: the least one of all.

    `missing`: why there is no file of the problem yet.
    """

    name: str
    problem: str
    paper: float
    method: str
    elsewhere: Figure | None = None
    missing: str = ""

    @property
    def best(self) -> Figure:
        paper = Figure(self.paper, f"{self.method}; {PAPER}")
        return min((f for f in (paper, self.elsewhere) if f), key=lambda f: f.error)

    @property
    def asked(self) -> float:
        """A tenth of the paper's figure."""
        return self.paper / 10


RUNGS = (
    Rung("Burgers1d", "burgers", 1.43e-2, "LAAF", Figure(1.6e-8, "SSBroyden; Kiyani et al., arXiv:2501.16371")),
    Rung("Burgers2d", "burgers-2d-random", 2.60e-1, "LRA", missing=FRONTS),
    Rung("Poisson2d-C", "poisson-four-holes", 1.23e-2, "NTK"),
    Rung("Poisson2d-CG", "poisson-boltzmann", 1.43e-2, "NTK"),
    Rung("Poisson3d-CG", "poisson-3d-cavities", 9.47e-2, "NTK"),
    Rung("Poisson2d-MS", "poisson-many-subdomains", 5.90e-1, "MultiAdam"),
    Rung("Heat2d-VC", "heat-random-conductivity", 2.12e-1, "LRA"),
    Rung("Heat2d-MS", "heat-2d-multiscale", 4.40e-2, "NTK"),
    Rung("Heat2d-CG", "heat-many-holes", 2.39e-2, "LAAF"),
    Rung("Heat2d-LT", "heat-2d-long", 9.99e-1, "PINN"),
    Rung("NS2d-C", "cavity", 3.60e-2, "LAAF"),
    Rung("NS2d-CG", "backward-step", 8.24e-2, "LAAF"),
    Rung("NS2d-LT", "channel-in-time", 9.70e-1, "L-BFGS"),
    Rung("Wave1d-C", "wave-1d", 9.79e-2, "NTK", Figure(1.8e-6, "Frozen-PINN; Datar et al., arXiv:2405.20836")),
    Rung("Wave2d-CG", "wave-random-speed", 7.94e-1, "GAAF"),
    Rung("Wave2d-MS", "wave-2d-long", 9.82e-1, "vPINN"),
    Rung("GS", "gray-scott", 7.99e-2, "FBPINN"),
    Rung("KS", "kuramoto-sivashinsky", 9.57e-1, "LRA"),
    Rung("PNd", "poisson-5d", 4.67e-4, "L-BFGS"),
    Rung("HNd", "heat-5d-ball", 1.19e-4, "L-BFGS"),
    Rung("PInv", "find-the-conductivity", 1.96e-2, "vPINN"),
    Rung("HInv", "find-the-conductivity-in-time", 5.09e-2, "LRA"),
)
