"""Figures of the course of a solve: the residual of every term, and the loss against the step.

Input: `Samples`, with the points each term was checked at and the residual there. Output: Figures, or None where
nothing was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnsolve.figures import style
from pinnsolve.figures.labels import number, plain, symbol
from pinnsolve.figures.samples import Samples
from pinnsolve.figures.slices import View, faces_of, free_axes, map_view

MOST_PHASES = 12
PHASE_LETTER = 0.068  # inches that a letter of a phase's name takes

# -- the residual of every term -------------------------------------------------------------------------------


def residual_figure(samples: Samples) -> Figure | None:
    """The magnitude of each term's residual at the points it was checked at; None where none were kept."""
    if not samples.residuals:
        return None
    parts = [_Part.of(samples, name) for name in samples.residuals]
    rows = style.in_rows([part.panel(samples) for part in parts], 2 if len(parts) == 4 else 3)
    with style.styled():
        figure, grid = style.sheet(rows, f"{plain(samples.name)}: residual of each term")
        for axes, part in zip((axes for row in grid for axes in row), parts, strict=True):
            part.draw(axes, samples)
            axes.set_title(f"{plain(part.name)}: root mean square {number(float(np.sqrt(np.mean(part.values**2))))}")
    return figure


@dataclass(frozen=True)
class _Part:
    """One term: its points (N, d), the magnitudes there (N,), and the points by face with their free coordinates.

    `view` is that of points that fill two coordinates.
    """

    name: str
    points: np.ndarray
    values: np.ndarray
    faces: list[tuple[str, np.ndarray]]
    free: list[list[int]]
    view: View | None

    @classmethod
    def of(cls, samples: Samples, name: str) -> _Part:
        points = samples.points[name]
        faces = faces_of(samples, points)
        free = [free_axes(samples, points[index]) for _, index in faces]
        return cls(name, points, np.abs(samples.residuals[name]), faces, free, map_view(samples, points))

    def panel(self, samples: Samples) -> style.Panel:
        if self.view is None:
            return style.Panel(3.1, 2.5)
        view = self.view
        return style.fitted(view.extent(samples), view.is_space(samples), 3.1, 2.5, style.BAR)

    def draw(self, axes: Axes, samples: Samples) -> None:
        if self.view is not None:
            view = self.view
            a, b = view.axes
            extent, equal = view.extent(samples), view.is_space(samples)
            shown = style.scatter(axes, self.points[:, a], self.points[:, b], self.values, extent, equal)
            inside = samples.outline(view)
            if inside is not None:
                style.outline(axes, inside, extent)
                style.frame(axes, extent, equal)
            axes.set(xlabel=symbol(samples.coordinates[a]), ylabel=symbol(samples.coordinates[b]))
            style.colour_bar(axes, shown, "|residual|")
        elif all(len(f) == 1 for f in self.free):
            faces = [(*face, free[0]) for face, free in zip(self.faces, self.free, strict=True)]
            _along_faces(axes, samples, self.points, self.values, faces)
        elif any(self.free):
            _binned(axes, samples, self.points, self.values)
        else:
            axes.set_axis_off()
            many = "one point" if len(self.values) == 1 else f"{len(self.values)} points"
            words = f"{many}\n|residual| = {number(float(self.values.max()))}"
            axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)


def _along_faces(axes: Axes, samples: Samples, points: np.ndarray, values: np.ndarray, faces: Sequence[tuple]) -> None:
    """A line per face; against the coordinate along it, or the position along the face where these differ."""
    along = {axis for _, _, axis in faces}
    for i, (label, index, axis) in enumerate(faces):
        low, high = samples.intervals[axis]
        x = points[index, axis] if len(along) == 1 else (points[index, axis] - low) / (high - low)
        order = np.argsort(x)
        colour = style.LINES[i % len(style.LINES)]
        axes.plot(x[order], style.positive(values[index][order]), color=colour, lw=1.1, label=label)
    x_label = symbol(samples.coordinates[along.pop()]) if len(along) == 1 else "position along the face"
    style.lines(axes, x_label, "|residual|", logarithmic=True)
    if len(faces) > 1:
        axes.legend(fontsize=8, ncols=2)


def _binned(axes: Axes, samples: Samples, points: np.ndarray, values: np.ndarray, bins: int = 16) -> None:
    """Plot the root mean square of the residual in bins of each coordinate."""
    for i, axis in enumerate(free_axes(samples, points)):
        low, high = samples.intervals[axis]
        place = np.clip(((points[:, axis] - low) / (high - low) * bins).astype(int), 0, bins - 1)
        count = np.maximum(np.bincount(place, minlength=bins), 1)
        mean = np.sqrt(np.bincount(place, weights=values**2, minlength=bins) / count)
        label = symbol(samples.coordinates[axis])
        colour = style.LINES[i % len(style.LINES)]
        axes.plot((np.arange(bins) + 0.5) / bins, style.positive(mean), "o-", ms=3, lw=1, color=colour, label=label)
    style.lines(axes, "position in the interval of each coordinate", "root mean square in bins", logarithmic=True)
    axes.legend(fontsize=8, ncols=3)


# -- the history ----------------------------------------------------------------------------------------------


def history_figure(samples: Samples) -> Figure | None:
    """The loss and what each term adds to it against the step, on a logarithmic scale; None without history.

    Where no loss is taken, as of a least energy in a shape, it is the estimated error."""
    records = [r for r in samples.history if r.get("loss") is not None]
    if not records:
        return None
    steps = np.array([r.get("step", i) for i, r in enumerate(records)], dtype=float)
    afresh = np.flatnonzero(np.diff(steps) <= 0) + 1  # a solve of several parts counts each from zero
    if afresh.size:
        steps = np.arange(len(records), dtype=float)
    x = np.insert(steps, afresh, np.nan)  # no line joins the end of a part and the start of the next
    names = list(dict.fromkeys(name for r in records for name in r.get("terms") or {}))
    mark = "o" if len(records) < 40 else None
    told = any(r["loss"] > 0 for r in records)
    shown = "loss" if told else "estimate"
    with style.styled():
        title = f"{plain(samples.name)}: {'loss per term' if told else 'estimated error'}"
        figure, grid = style.sheet([[style.Panel(5.6, 3.2, style.LEGEND)]], title)
        axes = grid[0][0]
        for i, name in enumerate(names if told else ()):
            losses = [(r.get("terms") or {}).get(name) for r in records]
            look = {"color": style.LINES[i % len(style.LINES)], "ls": "-" if i < len(style.LINES) else "--"}
            axes.plot(x, _column(losses, afresh), marker=mark, ms=3.5, lw=1.2, label=plain(name), **look)
        total = _column([r.get(shown) for r in records], afresh)
        label = "sum" if told else "largest of an unknown"
        axes.plot(x, total, color="black", marker=mark, ms=3, lw=1.0, ls=(0, (4, 2)), label=label)
        style.lines(axes, "step", "loss" if told else "estimated relative error", logarithmic=True)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(steps) == 1:
            axes.set_xticks(steps)
        _mark_phases(axes, steps, [str(r.get("phase") or "") for r in records])
        style.legend_outside(axes)
    return figure


def _column(values: Sequence[float | None], gaps: np.ndarray) -> np.ndarray:
    column = style.positive(np.array([np.nan if v is None else v for v in values], dtype=float))
    return np.insert(column, gaps, np.nan)


def _mark_phases(axes: Axes, steps: np.ndarray, phases: Sequence[str]) -> None:
    """A dotted line where a phase begins, and its name above, in the lower of two rows that has room for it."""
    starts = [i for i, phase in enumerate(phases) if i == 0 or phase != phases[i - 1]]
    if not 1 < len(starts) <= MOST_PHASES:
        return
    width = axes.get_position().width * axes.figure.get_figwidth()
    low, high = axes.get_xlim()
    ends = [-1.0, -1.0]  # of what each row holds, in inches
    for i in starts:
        if i:
            axes.axvline(steps[i], color="#999999", lw=0.8, ls=":")
        place = (steps[i] - low) / (high - low) * width
        row = next((r for r, end in enumerate(ends) if place > end), None)
        if row is None:
            continue
        ends[row] = place + PHASE_LETTER * (len(phases[i]) + 2)
        height = 1.01 + 0.045 * row
        transform = axes.get_xaxis_transform()
        axes.text(steps[i], height, plain(phases[i]), transform=transform, fontsize=8, color="#555555")
