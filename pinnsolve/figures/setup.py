"""A figure of a problem before it is solved: domain, conditions with their places and values, normals, points.

Input: a `Problem`. Output: a matplotlib Figure. It reveals a wrong place, a normal that points the wrong way, or a
value with a wrong sign, before any time is spent on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.errors import PinnsolveError
from pinnsolve.figures import style
from pinnsolve.figures.labels import equation, plain, symbol
from pinnsolve.figures.setup_values import Asked, asked, fills_space, free_boundary, place, solve_points
from pinnsolve.geometry.regions import Region
from pinnsolve.geometry.sampling import Points
from pinnsolve.problem.problem import Problem

ARROWS, ARROW_LENGTH = 24, 0.06  # normals per condition; their length over the diagonal of the domain
MOST_POINTS, FEW_POINTS = 4000, 400  # of one term; of one that holds all over space
LONGEST_LABEL = 60
JUMP = 4.0  # times the usual distance between points: a curve has a gap there
POINT, FREE = "#9AA0A6", "#B0B0B0"
ENDINGS = (".png", ".pdf", ".svg")


class SetupError(PinnsolveError):
    """The problem cannot be drawn as asked."""


def plot_setup(problem: Problem, path: Path) -> Path:
    """Draw the problem into a file of that ending. Raises `SetupError` for other endings and too many coordinates."""
    if path.suffix.lower() not in ENDINGS:
        raise SetupError(f"{path}: a picture ends in {', '.join(ENDINGS)}")
    if not path.absolute().parent.is_dir():
        raise SetupError(f"{path}: there is no folder {path.parent}")
    return style.write(setup_figure(problem), path)


def setup_figure(problem: Problem) -> Figure:
    """Draw the domain with all conditions, and below it the values that each condition prescribes."""
    compiled = compile_problem(problem)
    space = [i for i, c in enumerate(compiled.coordinates) if c != compiled.time]
    if len(space) > 3:
        raise SetupError(f"{problem.name} has {len(space)} coordinates of space, but at most 3 can be drawn")
    conditions = [term for term in compiled.terms if term.kind == "condition"]
    colours = {t.name: style.LINES[i % len(style.LINES)] for i, t in enumerate(conditions)}
    values = [(term, found) for term in conditions if (found := asked(term, compiled))]
    axes = space if len(space) > 1 else sorted(range(len(compiled.coordinates)), key=lambda i: i in space)
    boxes = [_value_panel(found, compiled, space) for _, found in values]
    rows = [[_map_panel(compiled, axes)], *style.in_rows(boxes, 3)]
    with style.styled():
        figure, grid = style.sheet(rows, f"{plain(problem.name)}: what is asked, and where")
        _map(_solid(figure, grid[0][0], len(axes)), problem, compiled, axes, colours)
        flat = [panel for row in grid[1:] for panel in row]
        for panel, (term, found) in zip(flat, values, strict=True):
            _values(_solid(figure, panel, _depth(found, space)), term, found, compiled, space, colours[term.name])
    return figure


def _solid(figure: Figure, axes: Axes, dimension: int) -> Axes:
    """The axes, or in three dimensions others in their place."""
    if dimension < 3:
        return axes
    place = axes.get_position()
    axes.remove()
    return figure.add_axes(place, projection="3d")


# -- the map ----------------------------------------------------------------------------------------------------


def _map_panel(compiled: CompiledProblem, axes: Sequence[int]) -> style.Panel:
    if len(axes) == 1:
        return style.Panel(6.0, 0.7)
    if len(axes) == 3:
        return style.Panel(5.2, 4.6)
    equal = compiled.time not in [compiled.coordinates[a] for a in axes]
    return style.fitted(_extent(compiled, axes), equal, 5.6, 4.2)


def _extent(compiled: CompiledProblem, axes: Sequence[int]) -> tuple[float, ...]:
    """The extent of the domain with room around it for normals."""
    ends = [compiled.intervals[a] for a in axes]
    return tuple(end for low, high in ends for end in (low - 0.08 * (high - low), high + 0.08 * (high - low)))


def _map(axes: Axes, problem: Problem, compiled: CompiledProblem, shown: Sequence[int], colours: dict) -> None:
    points, exactly = solve_points(problem, compiled)
    inside = [t for t in compiled.terms if t.kind == "equation"]
    for i, term in enumerate(inside):
        words = "points of the equations" if exactly else "points are chosen with the cells; here are some"
        _dots(axes, points[term.name].x[0].numpy(), shown, _Mark(4, POINT, None if i else words))
    for term in compiled.terms:
        if term.kind == "data":
            x = points[term.name].x[0].numpy()
            _dots(axes, x, shown, _Mark(14, "black", f"{term.name}: {len(x)} measurements", "x"))
    free = free_boundary(compiled)
    if free is not None:
        _place(axes, free, compiled, shown, (7, FREE), f"no condition: {free.label}")
    conditions = [t for t in compiled.terms if t.kind == "condition"]
    for i, term in enumerate(conditions):  # those drawn later are thinner, so that all are seen in one place
        size = max(40.0 * 0.55**i, 8.0) if len(shown) < 3 else 6.0
        _place(axes, term.region, compiled, shown, (size, colours[term.name]), _words(term))
    _dress(axes, compiled, shown)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1.06, 0.5), borderaxespad=0.2)
    for handle in legend.legend_handles:
        handle.set_sizes([30])


def _place(axes: Axes, region: Region, compiled: CompiledProblem, shown: Sequence[int], look, label: str) -> None:
    """Mark the place of a region, and the normals there."""
    points = place(region, compiled)
    if points is None:
        return
    size, colour = look
    x = points.x.reshape(-1, points.x.shape[2]).numpy()  # both faces of a periodic pair
    free = set(np.flatnonzero(np.ptp(x, axis=0) > 0))
    if fills_space(region, compiled) and len(shown) > 1 and set(shown) <= free:  # some dots tell enough
        x, size = x[:FEW_POINTS], 5.0
    mark = _Mark(size, colour, _short(label)) if free else _Mark(60, colour, _short(label), "*")
    _dots(axes, x, shown, mark)
    _normals(axes, points, compiled, shown, colour)


@dataclass(frozen=True)
class _Mark:
    """The look of points: size in square points, colour, the words in the legend (None: no entry), and the marker."""

    size: float
    colour: str
    label: str | None
    marker: str = "o"


def _dots(axes: Axes, x: np.ndarray, shown: Sequence[int], mark: _Mark) -> None:
    """Draw points (N, d), at most `MOST_POINTS` of them, over the axes that are shown."""
    x = x[:MOST_POINTS]
    columns = [x[:, a] for a in shown]
    columns += [np.zeros(len(x))] * (len(columns) == 1)
    label, width = mark.label and plain(mark.label), 1.0 if mark.marker == "x" else 0.0
    axes.scatter(*columns, s=mark.size, color=mark.colour, label=label, marker=mark.marker, clip_on=False, lw=width)


def _normals(axes: Axes, points: Points, compiled: CompiledProblem, shown: Sequence[int], colour: str) -> None:
    """Arrows along the outward normals at a few of the points."""
    space = [a for a in shown if compiled.coordinates[a] != compiled.time]
    if points.normals is None or not points.normals[:, space].any():  # the start has none in space
        return
    chosen = np.unique(np.linspace(0, points.count - 1, ARROWS).astype(int))
    x, n = points.x[0, chosen].numpy(), points.normals[chosen].numpy()
    size = np.array([np.ptp(compiled.intervals[a]) for a in shown])
    if len(shown) == 3:
        length = ARROW_LENGTH * float(np.linalg.norm(size))
        axes.quiver(*(x[:, a] for a in shown), *(n[:, a] for a in shown), length=length, color=colour, lw=0.9)
        return
    if len(shown) == 1:
        starts, arrows = [x[:, shown[0]], np.zeros(len(x))], [n[:, shown[0]] * size[0], np.zeros(len(x))]
    else:
        in_space = compiled.time not in [compiled.coordinates[a] for a in shown]
        scale = np.full(2, np.linalg.norm(size)) if in_space else size
        starts, arrows = [x[:, a] for a in shown], [n[:, a] * scale[i] for i, a in enumerate(shown)]
    ends = [a * ARROW_LENGTH for a in arrows]
    look = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.003, "zorder": 4, "clip_on": False}
    arrows = axes.quiver(*starts, *ends, color=colour, **look)
    arrows.set_in_layout(False)  # matplotlib takes their lengths for places when it looks for the margins


def _dress(axes: Axes, compiled: CompiledProblem, shown: Sequence[int]) -> None:
    names = [symbol(compiled.coordinates[a]) for a in shown]
    extent = _extent(compiled, shown)
    if len(shown) == 1:
        axes.set(xlabel=names[0], xlim=extent, yticks=[])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-1, 1)
    elif len(shown) == 2:
        in_space = compiled.time not in [compiled.coordinates[a] for a in shown]
        style.frame(axes, extent, in_space)
        axes.spines[["top", "right", "left", "bottom"]].set_color("#CCCCCC")
        axes.set(xlabel=names[0], ylabel=names[1])
    else:
        axes.set(xlabel=names[0], ylabel=names[1], zlabel=names[2])
        axes.locator_params(nbins=4)
        axes.set_box_aspect([np.ptp(compiled.intervals[a]) for a in shown])


def _words(term: Term) -> str:
    place = str(term.region)
    return term.name if place == term.name else f"{term.name}: {place}"


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


# -- what is asked for --------------------------------------------------------------------------------------------


def _depth(found: Sequence[Asked], space: Sequence[int]) -> int:
    """The number of axes that a panel of these values has: three for faces and volumes in space, else two."""
    return 3 if len(space) == 3 and found[0].dimension > 1 else 2


def _value_panel(found: Sequence[Asked], compiled: CompiledProblem, space: Sequence[int]) -> style.Panel:
    if found[0].dimension < 2:
        return style.Panel(2.7, 1.9)
    if _depth(found, space) == 3:
        return style.Panel(2.9, 2.6, style.BAR)
    shown = found[0].free_axes()
    equal = all(a in space for a in shown)
    return style.fitted(_extent(compiled, shown), equal, 2.5, 2.1, style.BAR)


def _values(axes: Axes, term: Term, found: Sequence[Asked], compiled: CompiledProblem, space, colour: str) -> None:
    free = found[0].dimension
    constant = all(np.ptp(a.values) == 0 for a in found) and len({(a.label, a.values[0]) for a in found}) <= 4
    if free == 0 or (free > 1 and constant):
        axes.set_axis_off()
        words = dict.fromkeys(f"{plain(a.label)} = {a.values[0]:.4g}" for a in found)
        text = axes.text2D if hasattr(axes, "text2D") else axes.text
        text(0.5, 0.5, "\n".join(words), ha="center", va="center", transform=axes.transAxes)
    elif free == 1:
        _curves(axes, found, compiled, colour)
    else:
        _coloured(axes, found, compiled, space)
    axes.set_title(_short(plain(term.name)))


def _curves(axes: Axes, found: Sequence[Asked], compiled: CompiledProblem, colour: str) -> None:
    """Values along a coordinate, or where the curves differ, along the place."""
    along = {axis for a in found for axis in a.free_axes()}
    axis = along.pop() if len(along) == 1 else None
    labels = list(dict.fromkeys(a.label for a in found))
    times = list(dict.fromkeys(a.time for a in found))
    start: dict[tuple, float] = {}
    for a in found:
        key = (a.label, a.time)
        x = a.points[:, axis] if axis is not None else start.get(key, 0.0) + _position(a.points)
        start[key] = float(np.nanmax(x)) if axis is None else 0.0
        look = {"ls": ["-", "--", ":", "-."][labels.index(a.label) % 4], "lw": 1.4}
        look["color"] = colour if len(times) == 1 else style.ramp(len(times))[times.index(a.time)]
        axes.plot(x, np.where(_gaps(a.points), np.nan, a.values), **look)
    for label in labels if len(labels) > 1 else ():
        axes.plot([], [], color="black", ls=["-", "--", ":", "-."][labels.index(label) % 4], label=_short(plain(label)))
    for i, t in enumerate(times if len(times) > 1 else ()):
        axes.plot([], [], color=style.ramp(len(times))[i], label=equation(compiled.time, t))
    name = symbol(compiled.coordinates[axis]) if axis is not None else "position along the boundary"
    style.lines(axes, name, _short(plain(labels[0])) if len(labels) == 1 else "value")
    values = np.concatenate([a.values for a in found])
    if np.ptp(values) == 0:  # a constant: matplotlib would zoom in on it
        axes.set_ylim(values[0] - 1, values[0] + 1)
    if len(labels) > 1 or len(times) > 1:
        axes.legend(fontsize=7)


def _steps(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=1)


def _gaps(points: np.ndarray) -> np.ndarray:
    """Mark (N,) the points that do not follow the one before them on the same curve."""
    steps = _steps(points)
    return steps > JUMP * np.median(steps[1:]) if len(steps) > 2 else np.zeros(len(steps), dtype=bool)


def _position(points: np.ndarray) -> np.ndarray:
    return np.cumsum(np.where(_gaps(points), 0.0, _steps(points)))


def _coloured(axes: Axes, found: Sequence[Asked], compiled: CompiledProblem, space: Sequence[int]) -> None:
    """Values as colours: over the domain at the first time, or on the faces of a solid one; of the first equation."""
    found = [a for a in found if (a.label, a.time) == (found[0].label, found[0].time)]
    points = np.concatenate([a.points for a in found])
    values = np.concatenate([a.values for a in found])
    shown = list(space) if len(space) == 3 else found[0].free_axes()
    colour_map, norm = style.field_colours(values)
    marks = axes.scatter(*(points[:, a] for a in shown), c=values, s=6, lw=0, cmap=colour_map, norm=norm)
    _dress(axes, compiled, shown)
    if len(shown) == 3:
        axes.figure.colorbar(marks, ax=axes, shrink=0.6, pad=0.15, label=_short(plain(found[0].label)))
    else:
        style.colour_bar(axes, marks, _short(plain(found[0].label)))
