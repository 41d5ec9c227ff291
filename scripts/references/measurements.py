"""The data files of problems/: readings made from exact solutions, with noise where the problem states it.

`python scripts/references/measurements.py` writes problems/data/*.csv, the same bytes each time.
"""

from __future__ import annotations

import numpy as np
from scatter import PROBLEMS, even_points


def franke(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Franke's function, Mathematics of Computation 38 (1982) 181-200."""
    return (
        0.75 * np.exp(-((9 * x - 2) ** 2 + (9 * y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((9 * x + 1) ** 2) / 49 - (9 * y + 1) / 10)
        + 0.5 * np.exp(-((9 * x - 7) ** 2 + (9 * y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((9 * x - 4) ** 2) - (9 * y - 7) ** 2)
    )


def write(file_name: str, digits: int, **columns: np.ndarray) -> None:
    path = PROBLEMS / "data" / file_name
    path.parent.mkdir(exist_ok=True)
    lines = [",".join(columns)]
    lines += [",".join(f"{v:.{digits}g}" for v in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(lines) - 1} rows")


def main() -> None:
    x, y = even_points(1000, [(0, 1), (0, 1)]).T.round(6)
    write("franke.csv", 12, x=x, y=y, height=franke(x, y))

    random = np.random.default_rng(1)
    t = np.linspace(0, 10, 60).round(4)
    position = np.exp(-0.1 * t) * np.cos(np.sqrt(4 - 0.01) * t)
    write("oscillator.csv", 6, t=t, position=position + 0.05 * random.standard_normal(60))

    random = np.random.default_rng(2)
    t, x = even_points(200, [(0, 1), (0, 1)]).T.round(4)
    temperature = np.exp(-0.3 * np.pi**2 * t) * np.sin(np.pi * x)
    write("heat_probes.csv", 6, t=t, x=x, measured=temperature + 0.01 * random.standard_normal(200))


if __name__ == "__main__":
    main()
