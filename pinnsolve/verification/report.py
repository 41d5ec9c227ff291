"""What `pinnsolve verify` shows and writes: tables for people, `verify.json` and `verify.png`.

Input: a `Verification`. Output: rich renderables and files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pinnsolve.figures import style
from pinnsolve.figures.labels import plain
from pinnsolve.files.text import printable
from pinnsolve.results.storage import replace_file, to_json
from pinnsolve.verification.orders import CellRow, ToleranceRow, Verification

TABLE, FIGURE = "verify.json", "verify.png"


def line(row: CellRow | ToleranceRow) -> str:
    """A row as it is measured, in words."""
    if isinstance(row, CellRow):
        return f"degree {row.degree}, {row.partitions} cells per axis: error {row.error:.1e}"
    return f"tolerance {row.tolerance:g}: error {row.error:.1e}, {row.status}"


def summary(found: Verification, folder: Path) -> Group:
    """The tables, what is not as it should be, and where the files are."""
    words = "verified" if not found.failures else "not as expected"
    parts: list[RenderableType] = [Text.assemble((printable(found.name), "bold"), f" {words} against {found.against}")]
    if found.cells:
        parts += [Text("\nequal cells of polynomials of a fixed degree"), _of_cells(found)]
    elif found.why_no_cells:
        parts.append(Text(printable(f"no orders: {found.why_no_cells}")))
    parts += [Text("\nas `run` solves it"), _of_tolerances(found)]
    parts += [Text(printable(f"  {sentence}")) for sentence in found.failures]
    parts.append(Text(printable(f"\nfiles  {folder / TABLE}, {folder / FIGURE}")))
    return Group(*parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _of_cells(found: Verification) -> Table:
    columns = ("degree", "cells per axis", "coefficients", "relative L2 error", "estimated", "order", "time")
    return _table(
        columns,
        (
            (
                str(row.degree), str(row.partitions), str(row.coefficients), _small(row.error), _small(row.estimated),
                "" if row.order is None else f"{row.order:.2f}", f"{row.seconds:.2g} s",
            )
            for row in found.cells
        ),
    )  # fmt: skip


def _of_tolerances(found: Verification) -> Table:
    columns = ("tolerance", "relative L2 error", "estimated", "status", "time")
    return _table(
        columns,
        (
            (_small(r.tolerance), _small(r.error), _small(r.estimated), r.status, f"{r.seconds:.2g} s")
            for r in found.tolerances
        ),
    )


def _small(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1e}"


def write(found: Verification, folder: Path) -> None:
    """Write the table and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**asdict(found), "failures": list(found.failures)}
    replace_file(folder / TABLE, lambda stream: stream.write(to_json(content, indent=2).encode()))
    with style.styled():
        panels = [style.Panel(3.4, 3.0)] * (2 if found.cells else 1)
        figure, grid = style.sheet([panels], f"{plain(found.name)}: errors against {found.against}")
        axes = [a for row in grid for a in row]
        if found.cells:
            _draw_cells(axes[0], found)
        _draw_tolerances(axes[-1], found)
        style.write(figure, folder / FIGURE)


def _draw_cells(axes: Axes, found: Verification) -> None:
    for degree, colour in zip(dict.fromkeys(r.degree for r in found.cells), style.LINES, strict=False):
        rows = [r for r in found.cells if r.degree == degree]
        h, error = np.array([1 / r.partitions for r in rows]), np.array([r.error for r in rows])
        axes.loglog(h, error, "o-", color=colour, label=f"degree {degree}")
        anchor = next((i for i in range(len(rows) - 1, -1, -1) if rows[i].order is not None), None)
        if anchor is not None:
            order = found.expected_order(degree)
            axes.loglog(h, error[anchor] * (h / h[anchor]) ** order, ":", color=colour, lw=1.0, label=f"order {order}")
    axes.set(xlabel="size of cells", ylabel="relative L² error", title="equal cells")
    axes.legend()


def _draw_tolerances(axes: Axes, found: Verification) -> None:
    tolerance = np.array([r.tolerance for r in found.tolerances])
    axes.loglog(tolerance, [r.error for r in found.tolerances], "o-", color=style.LINES[0], label="error")
    axes.loglog(tolerance, [r.estimated for r in found.tolerances], "s--", color=style.LINES[1], label="estimated")
    axes.loglog(tolerance, tolerance, ":", color="k", lw=1.0, label="asked for")
    axes.set(xlabel="tolerance", title="as `run` solves it")
    axes.legend()
