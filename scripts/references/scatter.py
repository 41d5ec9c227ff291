"""Points for reference files: an additive recurrence that fills a box evenly, and the writer of the NPZ files.

The points carry equal importance, so the root mean square over them approximates the L2 norm over the box; they are as
dense inside layers as anywhere else, and even enough to sample a layer of 1 % of the box well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


def even_points(count: int, intervals: list[tuple[float, float]]) -> np.ndarray:
    """`count` points of the R-sequence in the box, (count, d).

    Source: Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018): multiples of g**-1, g**-2, ...
    modulo 1, where g is the positive root of g**(d + 1) = g + 1.
    """
    dimension = len(intervals)
    g = 2.0
    for _ in range(60):  # fixed-point iteration, a contraction near the root
        g = (1 + g) ** (1 / (dimension + 1))
    steps = g ** -np.arange(1.0, dimension + 1)
    unit = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1
    lower, upper = np.array(intervals, dtype=float).T
    return lower + (upper - lower) * unit


def write_reference(file_name: str, accuracy: float, **columns: np.ndarray) -> Path:
    """Write `columns` (equal lengths) and the stated relative accuracy to problems/references/`file_name`."""
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1 or not all(np.isfinite(column).all() for column in columns.values()):
        raise ValueError(f"columns of {file_name} differ in length or are not finite")
    path = PROBLEMS / "references" / file_name
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **columns, accuracy=np.float64(accuracy))
    print(f"{path.name}: {lengths.pop()} points, relative accuracy {accuracy:.0e}, {path.stat().st_size // 1000} kB")
    return path


def write_table(path: Path, digits: int, **columns: np.ndarray) -> None:
    """Write `columns` (equal lengths) as a CSV file with a head, the same bytes each time."""
    path.parent.mkdir(exist_ok=True)
    lines = [",".join(columns)]
    lines += [",".join(f"{v:.{digits}g}" for v in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(lines) - 1} rows")


def finer_of_two(solve: Callable[..., np.ndarray], meshes: Sequence[tuple], accuracy: float) -> np.ndarray:
    """What elements give on the finer of two `meshes`; ends the script where the two differ by more than `accuracy`."""
    coarse, fine = (solve(*mesh) for mesh in meshes)
    difference = relative_difference(coarse, fine)
    print(f"difference between two meshes: {difference:.1e}")
    if difference > accuracy:
        raise SystemExit("the elements have not converged")
    return fine


def check_each(
    coarse: Mapping[str, np.ndarray], fine: Mapping[str, np.ndarray], accuracy: Mapping[str, float], of: str, ends: str
) -> None:
    """Prints how far two resolutions differ, unknown by unknown; ends the script where that is more than stated.

    `of`: what there are two of; `ends`: what is said then.
    """
    for name, allowed in accuracy.items():
        difference = relative_difference(coarse[name], fine[name])
        print(f"{name}: difference between two {of}: {difference:.1e}")
        if difference > allowed:
            raise SystemExit(ends)


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square of a - b over that of b."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
