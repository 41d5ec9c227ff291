"""The figures of a run: the solution, its error, the residual of every term, and the history of the solve.

Input: a `Solution`, and `truth(points (N, d)) -> {unknown: (N,)}` where an exact or reference solution is known.
Output: matplotlib Figures, and PNG files of them. How a field is laid out follows from its coordinates: lines for one,
an image for two, an image and profiles for time and one direction of space, slices beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnsolve.figures import style
from pinnsolve.figures.convergence import history_figure, residual_figure
from pinnsolve.figures.labels import equation, number, plain, symbol
from pinnsolve.figures.slices import View, side, time_axis, views_of

if TYPE_CHECKING:
    from pinnsolve.figures.drawable import Drawable

Truth = Callable[[np.ndarray], Mapping[str, np.ndarray]]

FILES = ("solution.png", "error.png", "residual.png", "history.png")
PIXELS, LINE_POINTS = 181, 801  # per side of an image, along a line
OUTLINE_PIXELS = 720  # per side of the outline of a shape: finer than a printer's dots
TIMES_OF_LINES = 5
DASHED = (0, (4, 4))


def save_figures(solution: Drawable, folder: Path, truth: Truth | None = None) -> list[Path]:
    """Write what can be drawn of `FILES` into a folder and return the paths."""
    figures = (
        solution_figure(solution, truth),
        error_figure(solution, truth) if truth else None,
        residual_figure(solution),
        history_figure(solution),
    )
    return [
        style.write(figure, folder / name) for name, figure in zip(FILES, figures, strict=True) if figure is not None
    ]


@dataclass(frozen=True)
class Quantity:
    """Something to draw of each unknown: a function of points, its words and its colours.

    `exact` gives values to draw dashed beside it; `logarithmic` says that it is a magnitude.
    """

    name: str
    sample: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    label: Callable[[str], str]
    colours: Callable[[np.ndarray], tuple]
    exact: Truth | None = None
    logarithmic: bool = False


def solution_figure(solution: Drawable, truth: Truth | None = None) -> Figure:
    """The unknowns over the box, with the relative error in the title where it is known or estimated."""
    quantity = Quantity(
        name="solution",
        sample=lambda points: _values(solution, points),
        label=symbol,
        colours=style.field_colours,
        exact=truth,
    )
    return _field_figure(solution, quantity)


def error_figure(solution: Drawable, truth: Truth) -> Figure:
    """|solution - truth| of each unknown on a logarithmic scale."""

    def sample(points: np.ndarray) -> dict[str, np.ndarray]:
        exact = truth(points)
        return {name: np.abs(v - exact[name]) for name, v in _values(solution, points).items() if name in exact}

    other = _other(solution)
    quantity = Quantity(
        name="error",
        sample=sample,
        label=lambda unknown: f"|{symbol(unknown)} \N{MINUS SIGN} {other}|",
        colours=style.magnitude_colours,
        logarithmic=True,
    )
    return _field_figure(solution, quantity)


def _other(solution: Drawable) -> str:
    """What the truth is called: `exact`, or `reference` where it is itself computed."""
    return "exact" if solution.result.get("reference") in (None, "exact") else "reference"


def _values(solution: Drawable, points: np.ndarray) -> dict[str, np.ndarray]:
    found = solution(**{name: points[:, i] for i, name in enumerate(solution.coordinates)})
    return found if isinstance(found, dict) else {solution.unknowns[0]: found}


def _headline(solution: Drawable, unknown: str) -> str:
    for key, words in (("relative_l2_error", "relative L² error"), ("estimated_error", "estimated relative error")):
        value = (solution.result.get(key) or {}).get(unknown)
        if value is not None:
            return f"{symbol(unknown)}, {words} {number(value)}"
    return symbol(unknown)


def _field_figure(solution: Drawable, quantity: Quantity) -> Figure:
    views = views_of(solution)
    count = LINE_POINTS if len(views[0].axes) == 1 else PIXELS
    points = np.concatenate([view.grid(solution, count) for view in views])
    fields = {name: np.split(values, len(views)) for name, values in quantity.sample(points).items()}
    if len(views) > 1:
        draw = _slices
    elif len(views[0].axes) == 1:
        draw = _lines
    else:
        draw = _images if views[0].is_space(solution) else _space_time
    with style.styled():
        return draw(solution, quantity, views, fields)


def _title(solution: Drawable, quantity: Quantity, views: Sequence[View], fields: Mapping) -> str:
    """What is shown and how wrong it is; with several unknowns their headlines say the latter."""
    one = next(iter(fields)) if len(fields) == 1 else None
    of = " of" if one and quantity.logarithmic else ""
    title = f"{plain(solution.name)}: {quantity.name}{of}" + (f" {_headline(solution, one)}" if one else "")
    if len(views) == 1:
        return title
    time, gap = time_axis(solution), "\n" if one else " "
    if time is None:
        return f"{title}{gap}on slices through the centre of the box"
    words = views[0].words(solution, {a for a, _ in views[0].held} - {time})
    return f"{title}{gap}at {words}" if words else title


def _headlines(solution: Drawable, fields: Mapping) -> list[str]:
    return [_headline(solution, unknown) if len(fields) > 1 else "" for unknown in fields]


def _above(fields: Mapping) -> float:
    return style.ABOVE if len(fields) > 1 else style.UNTITLED


def _lines(solution: Drawable, quantity: Quantity, views: Sequence[View], fields: Mapping) -> Figure:
    title = _title(solution, quantity, views, fields)
    figure, rows = style.sheet([[style.Panel(5.6, 2.5)] for _ in fields], title, above=_above(fields))
    points = views[0].grid(solution, LINE_POINTS)
    exact = quantity.exact(points) if quantity.exact else {}
    coordinate = views[0].axes[0]
    for (axes,), headline, (unknown, (values,)) in zip(rows, _headlines(solution, fields), fields.items(), strict=True):
        values = style.positive(values) if quantity.logarithmic else values
        axes.plot(points[:, coordinate], values, color=style.LINES[0], label="solution")
        if unknown in exact:
            axes.plot(points[:, coordinate], exact[unknown], "k", lw=1.0, ls=DASHED, label=_other(solution))
            axes.legend()
        x_label = symbol(solution.coordinates[coordinate])
        style.lines(axes, x_label, quantity.label(unknown), quantity.logarithmic)
        axes.set_title(headline)
    return figure


def _images(solution: Drawable, quantity: Quantity, views: Sequence[View], fields: Mapping) -> Figure:
    """An image per unknown, side by side unless the box is wide."""
    view = views[0]
    size = 3.9 if len(fields) == 1 else 2.8
    panel = style.fitted(view.extent(solution), True, 2 * size, size, style.BAR)
    columns = 1 if panel.width > 1.6 * panel.height else 3
    title = _title(solution, quantity, views, fields)
    figure, grid = style.sheet(style.in_rows([panel] * len(fields), columns), title, above=_above(fields))
    flat = [axes for row in grid for axes in row]
    for axes, headline, (unknown, (values,)) in zip(flat, _headlines(solution, fields), fields.items(), strict=True):
        shown = _image(axes, solution, view, values, quantity.colours(values))
        style.colour_bar(axes, shown, quantity.label(unknown))
        axes.set_title(headline)
    return figure


def _image(axes: Axes, solution: Drawable, view: View, values: np.ndarray, colours: tuple):
    square = values.reshape(PIXELS, PIXELS)
    inside = view.outline(solution, OUTLINE_PIXELS)
    if inside is not None:
        square = style.extended(square)
    shown = style.image(axes, square, view.extent(solution), colours, view.is_space(solution))
    if inside is not None:
        style.cover(axes, inside, view.extent(solution))
        style.frame(axes, view.extent(solution), view.is_space(solution))
    axes.set(xlabel=symbol(solution.coordinates[view.axes[0]]), ylabel=symbol(solution.coordinates[view.axes[1]]))
    return shown


def _slices(solution: Drawable, quantity: Quantity, views: Sequence[View], fields: Mapping) -> Figure:
    """Several slices of each unknown on one colour scale, in one or two rows."""
    time = time_axis(solution)
    last = {len(views) - 1} if len(views) <= 4 else {2}
    sizes = [
        style.fitted(view.extent(solution), True, 2.6, 2.3, style.BAR if i in last else 0.0)
        for i, view in enumerate(views)
    ]
    rows = style.in_rows(sizes, 4 if len(views) <= 4 else 3)
    headlines = _headlines(solution, fields) if len(fields) > 1 else []
    headings = {i * len(rows): headline for i, headline in enumerate(headlines)}
    above = style.UNTITLED if time is None else style.ABOVE
    figure, grid = style.sheet(rows * len(fields), _title(solution, quantity, views, fields), headings, above)
    flat = iter([axes for row in grid for axes in row])
    for unknown, slices in fields.items():
        colours = quantity.colours(np.concatenate(slices))
        for i, (view, values) in enumerate(zip(views, slices, strict=True)):
            axes = next(flat)
            shown = _image(axes, solution, view, values, colours)
            if time is not None:
                axes.set_title(view.words(solution, {time}))
            if i in last:
                style.colour_bar(axes, shown, quantity.label(unknown))
    return figure


def _space_time(solution: Drawable, quantity: Quantity, views: Sequence[View], fields: Mapping) -> Figure:
    """An image with time on the horizontal axis, and beside it profiles at a few times or the error against time."""
    right = style.RIGHT if quantity.logarithmic else style.LEGEND
    row = [style.Panel(3.5, 2.7, style.BAR), style.Panel(3.6, 2.7, right)]
    figure, grid = style.sheet([row] * len(fields), _title(solution, quantity, views, fields), above=_above(fields))
    for (left, other), headline, (unknown, (values,)) in zip(
        grid, _headlines(solution, fields), fields.items(), strict=True
    ):
        shown = _image(left, solution, views[0], values, quantity.colours(values))
        style.colour_bar(left, shown, quantity.label(unknown))
        left.set_title(headline)
        if quantity.logarithmic:
            _against_time(other, solution, views[0], unknown, values)
        else:
            _profiles(other, solution, quantity, views[0], unknown)
    return figure


def _against_time(axes: Axes, solution: Drawable, view: View, unknown: str, values: np.ndarray) -> None:
    square = values.reshape(PIXELS, PIXELS)  # (time, space)
    t = side(*solution.intervals[view.axes[0]], PIXELS, ends=False)
    time, space = (symbol(solution.coordinates[a]) for a in view.axes)
    axes.plot(t, style.positive(square.max(axis=1)), color=style.LINES[1], label=f"largest over {space}")
    rms = np.sqrt(np.mean(square**2, axis=1))
    axes.plot(t, style.positive(rms), color=style.LINES[0], label=f"root mean square over {space}")
    style.lines(axes, time, f"error of {symbol(unknown)}", logarithmic=True)
    axes.legend()


def _profiles(axes: Axes, solution: Drawable, quantity: Quantity, view: View, unknown: str) -> None:
    time, space = view.axes
    times = np.linspace(*solution.intervals[time], TIMES_OF_LINES)
    for t, colour in zip(times, style.ramp(len(times)), strict=True):
        points = View((space,), ((time, float(t)),)).grid(solution, LINE_POINTS)
        label = equation(solution.coordinates[time], t)
        axes.plot(points[:, space], quantity.sample(points)[unknown], color=colour, label=label)
        exact = quantity.exact(points) if quantity.exact else {}
        if unknown in exact:
            label = _other(solution) if t == times[-1] else None
            axes.plot(points[:, space], exact[unknown], "k", lw=0.9, ls=DASHED, label=label)
    style.lines(axes, symbol(solution.coordinates[space]), symbol(unknown))
    style.legend_outside(axes)
