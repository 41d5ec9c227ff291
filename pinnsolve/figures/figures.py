"""The figures of a run: the solution, its error, the residual of every term, and the history of the solve.

Input: the `Samples` of a solution. Output: matplotlib Figures, and PNG files of them. How a field is laid
out follows from its coordinates: lines for one, an image for two, an image and profiles for time and one direction of
space, slices beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnsolve.figures import FILES, style
from pinnsolve.figures.animation import small_pngs
from pinnsolve.figures.convergence import history_figure, residual_figure
from pinnsolve.figures.found_functions import functions_figure
from pinnsolve.figures.labels import number, plain, symbol
from pinnsolve.figures.samples import LINE_POINTS, OF_MODE, Drawn, Fields, Samples
from pinnsolve.figures.side_by_side import in_order
from pinnsolve.figures.slices import View, side, varied_axes
from pinnsolve.files.text import eigenvalue_text
from pinnsolve.language.components import component_names

DASHED = (0, (4, 4))
ESTIMATE = {"estimated_error": "estimated relative error"}  # keys of a result, and words
ERRORS = {"relative_l2_error": "relative L² error", **ESTIMATE}
SOLUTION = "solution"
DEVIATIONS = 2.0  # of a band around a line: 95 % of normal noise
DATA = "#222222"  # colour of marks where something was measured
MANY_MARKS = 600  # places of data, beyond which marks are dots
NEAR = 0.02  # share of an interval, within which data count as on a slice
FILM_BYTES = 600_000  # of the frames in a page

Done = Callable[[Callable[[int], Any], int], list]  # a way to do pieces of work, see `side_by_side`


def save_figures(samples: Samples, folder: Path, done: Done = in_order) -> Drawn:
    """Write what can be drawn of `FILES` into a folder. A figure that fails does not stop the others.

    `done` draws one after the other, or several at a time.
    """
    makers = (
        solution_figure, uncertainty_figure, estimated_figure, error_figure, functions_figure, residual_figure,
        history_figure,
    )  # fmt: skip
    pictures = list(zip(FILES, makers, strict=True))

    def drawn(number: int) -> Drawn:
        return _film(samples) if number == len(pictures) else _picture(samples, folder, *pictures[number])

    parts = done(drawn, len(pictures) + 1)
    return Drawn(
        tuple(path for part in parts for path in part.pictures),
        tuple(sentence for part in parts for sentence in part.failures),
        tuple(frame for part in parts for frame in part.film),
    )


def _picture(samples: Samples, folder: Path, name: str, draw: Callable[[Samples], Figure | None]) -> Drawn:
    try:
        figure = draw(samples)
        return Drawn() if figure is None else Drawn((style.write(figure, folder / name),))
    except Exception as error:  # whatever matplotlib stumbles over, the solution is worth more than its picture
        return Drawn(failures=(f"The figure {name} could not be drawn: {type(error).__name__}: {error}",))


def _film(samples: Samples) -> Drawn:
    try:
        return Drawn(film=() if samples.film is None else tuple(small_pngs(samples.film, FILM_BYTES)))
    except Exception as error:
        return Drawn(failures=(f"The film could not be drawn: {type(error).__name__}: {error}",))


@dataclass(frozen=True)
class Quantity:
    """Something to draw of each unknown: its values in the views, its words and its colours.

    `logarithmic` says that it is a magnitude; the first that there is of `errors` in the result stands in titles.
    """

    name: str
    fields: Fields
    label: Callable[[str], str]
    colours: Callable[[np.ndarray], tuple]
    logarithmic: bool = False
    errors: Mapping[str, str] = field(default_factory=lambda: ERRORS)


def solution_figure(samples: Samples) -> Figure:
    """The unknowns over the box, with the relative error in the title where it is known or estimated."""
    return _field_figure(samples, Quantity(SOLUTION, samples.values, symbol, style.field_colours))


def uncertainty_figure(samples: Samples) -> Figure | None:
    """The standard deviation that noise of data leaves, where a band around a line does not say it."""
    if not samples.deviations or len(samples.views[0].axes) == 1:
        return None
    label, fields = (lambda unknown: f"standard deviation of {symbol(unknown)}"), samples.deviations
    return _field_figure(samples, Quantity("standard deviation", fields, label, style.field_colours, True, {}))


def estimated_figure(samples: Samples) -> Figure | None:
    """The estimated error of each unknown on a logarithmic scale; None where it was not kept."""
    if not any(np.nanmax(part, initial=0.0) > 0 for parts in samples.estimated.values() for part in parts):
        return None

    def label(unknown: str) -> str:
        return f"estimated error of {symbol(unknown)}"

    quantity = Quantity("estimated error", samples.estimated, label, style.magnitude_colours, True, ESTIMATE)
    return _field_figure(samples, quantity)


def error_figure(samples: Samples) -> Figure | None:
    """|solution - truth| of each unknown on a logarithmic scale; None where no truth is known."""
    if not samples.exact:
        return None
    fields = {
        name: [np.abs(v - e) for v, e in zip(values, samples.exact[name], strict=True)]
        for name, values in samples.values.items()
        if name in samples.exact
    }
    for modulus in [name for name in fields if name.startswith("|")]:
        name = modulus.strip("|")
        both = [fields.pop(component) for component in component_names(name)]
        fields[name] = [np.hypot(one, two) for one, two in zip(*both, strict=True)]
        del fields[modulus]
    other = _other(samples)

    def label(unknown: str) -> str:
        return f"|{symbol(unknown)} \N{MINUS SIGN} {other}|"

    if not fields:
        return None
    return _field_figure(samples, Quantity("error", fields, label, style.magnitude_colours, logarithmic=True))


def _other(samples: Samples) -> str:
    """The name of the truth: `exact`, or `reference` where it is itself computed."""
    return "exact" if samples.result.get("reference") in (None, "exact") else "reference"


def _headline(samples: Samples, unknown: str, quantity: Quantity) -> str:
    name, of_mode, number_of = unknown.partition(OF_MODE)
    if of_mode:
        found = samples.result.get("eigenvalues") or []
        value = eigenvalue_text(found[int(number_of) - 1]["value"]) if len(found) >= int(number_of) else ""
        return f"{symbol(name)}{of_mode}{number_of}" + (f": {value}" if value else "")
    for key, words in quantity.errors.items():
        value = (samples.result.get(key) or {}).get(unknown.strip("|"))
        if value is not None:
            return f"{symbol(unknown)}, {words} {number(value)}"
    return symbol(unknown)


def _field_figure(samples: Samples, quantity: Quantity) -> Figure:
    first = samples.views[0]
    if len(samples.views) > 1:
        draw = _slices
    elif len(first.axes) == 1:
        draw = _lines
    else:
        draw = _images if first.is_space(samples) else _space_time
    with style.styled():
        return draw(samples, quantity)


def _title(samples: Samples, quantity: Quantity) -> str:
    """The title names the quantity and the error; with several unknowns, their headlines give the errors."""
    views = samples.views
    one = next(iter(quantity.fields)) if len(quantity.fields) == 1 else None
    of = " of" if one and quantity.logarithmic else ""
    title = f"{plain(samples.name)}: {quantity.name}{of}" + (f" {_headline(samples, one, quantity)}" if one else "")
    if len(views) == 1:
        words = views[0].words(samples, {axis for axis, _ in views[0].held})
        return f"{title} at {words}" if words else title
    varied, gap = varied_axes(views), "\n" if one else " "
    if not varied:
        return f"{title}{gap}on slices through the centre of the box"
    words = views[0].words(samples, {a for a, _ in views[0].held} - varied)
    return f"{title}{gap}at {words}" if words else title


def _headlines(samples: Samples, quantity: Quantity) -> list[str]:
    fields = quantity.fields
    return [_headline(samples, unknown, quantity) if len(fields) > 1 else "" for unknown in fields]


def _above(fields: Mapping) -> float:
    return style.ABOVE if len(fields) > 1 else style.UNTITLED


def _lines(samples: Samples, quantity: Quantity) -> Figure:
    title, above = _title(samples, quantity), _above(quantity.fields)
    figure, rows = style.sheet([[style.Panel(5.6, 2.5)] for _ in quantity.fields], title, above=above)
    coordinate = samples.views[0].axes[0]
    x = _along(samples, samples.views[0])
    headlines = _headlines(samples, quantity)
    for (axes,), headline, (unknown, (values,)) in zip(rows, headlines, quantity.fields.items(), strict=True):
        values = style.positive(values) if quantity.logarithmic else values
        axes.plot(x, values, color=style.LINES[0], label="solution")
        if quantity.name == SOLUTION:
            _band(axes, x, values, samples.deviations.get(unknown, (None,))[0], style.LINES[0])
            _measured_on_line(axes, samples, unknown, coordinate)
        if unknown in samples.exact and not quantity.logarithmic:
            axes.plot(x, samples.exact[unknown][0], "k", lw=1.0, ls=DASHED, label=_other(samples))
        if len(axes.get_legend_handles_labels()[1]) > 1:
            axes.legend()
        x_label = symbol(samples.coordinates[coordinate])
        style.lines(axes, x_label, quantity.label(unknown), quantity.logarithmic)
        axes.set_title(headline)
    return figure


def _band(axes: Axes, x: np.ndarray, values: np.ndarray, deviation: np.ndarray | None, colour: Any) -> None:
    """Two standard deviations to both sides of a line, where noise of data leaves any."""
    if deviation is not None:
        low, high = values - DEVIATIONS * deviation, values + DEVIATIONS * deviation
        words = f"\N{PLUS-MINUS SIGN} {DEVIATIONS:g} standard deviations"
        axes.fill_between(x, low, high, color=colour, alpha=0.2, lw=0, label=words)


def _measured_on_line(axes: Axes, samples: Samples, unknown: str, coordinate: int) -> None:
    table = samples.measured.get(unknown)
    if table is not None:
        axes.plot(table[:, coordinate], table[:, -1], "o", ms=3, mfc="none", mew=0.7, color=DATA, label="measured")


def _measured_places(axes: Axes, samples: Samples, view: View, unknown: str) -> None:
    """Mark where the unknown was measured, on the slice that is shown."""
    table = samples.measured.get(unknown)
    if table is None:
        return
    for axis, value in view.held:
        low, high = samples.intervals[axis]
        table = table[np.abs(table[:, axis] - value) <= NEAR * (high - low)]
    x, y = (table[:, axis] for axis in view.axes)
    look = {"ms": 2.4, "mfc": "none", "mew": 0.5} if len(x) <= MANY_MARKS else {"ms": 0.9, "mew": 0}
    axes.plot(x, y, "o", color=DATA, alpha=0.8, clip_on=False, **look)


def _along(samples: Samples, line: View) -> np.ndarray:
    """The coordinate along a line, at the points that have values: (n,)."""
    return side(*samples.intervals[line.axes[0]], LINE_POINTS, ends=True)


def _images(samples: Samples, quantity: Quantity) -> Figure:
    """An image per unknown, side by side unless the box is wide."""
    view, fields = samples.views[0], quantity.fields
    size = 3.9 if len(fields) == 1 else 2.8
    panel = style.fitted(view.extent(samples), True, 2 * size, size, style.BAR)
    columns = 1 if panel.width > 1.6 * panel.height else 2 if len(fields) == 4 else 3
    title = _title(samples, quantity)
    figure, grid = style.sheet(style.in_rows([panel] * len(fields), columns), title, above=_above(fields))
    flat = [axes for row in grid for axes in row]
    for axes, headline, (unknown, (values,)) in zip(flat, _headlines(samples, quantity), fields.items(), strict=True):
        shown = _image(axes, samples, view, values, quantity.colours(values))
        _over_image(axes, samples, quantity, unknown, 0)
        style.colour_bar(axes, shown, quantity.label(unknown))
        axes.set_title(headline)
    return figure


def _over_image(axes: Axes, samples: Samples, quantity: Quantity, unknown: str, number: int) -> None:
    """What is drawn over the image of an unknown in view `number`: places of data, a flow over its speed."""
    if quantity.name != SOLUTION:
        return
    view = samples.views[number]
    _measured_places(axes, samples, view, unknown)
    components = samples.vectors.get(unknown.strip("|"))
    if components is None or not unknown.startswith("|"):
        return
    space = [i for i, name in enumerate(samples.coordinates) if name not in (samples.time, *samples.ranges)]
    along = [samples.values[components[space.index(axis)]][number] for axis in view.axes]
    several = [np.sqrt(sum(samples.values[c][k] ** 2 for c in components)) for k in range(len(samples.views))]
    largest = max(float(np.nanmax(speed)) for speed in several) if len(several) > 1 else None
    style.flow(axes, view.extent(samples), along, largest)


def _image(axes: Axes, samples: Samples, view: View, values: np.ndarray, colours: tuple):
    inside = samples.outline(view)
    if inside is not None:
        values = style.extended(values)
    shown = style.image(axes, values, view.extent(samples), colours, view.is_space(samples))
    if inside is not None:
        style.cover(axes, inside, view.extent(samples))
        style.frame(axes, view.extent(samples), view.is_space(samples))
    axes.set(xlabel=symbol(samples.coordinates[view.axes[0]]), ylabel=symbol(samples.coordinates[view.axes[1]]))
    return shown


def _slices(samples: Samples, quantity: Quantity) -> Figure:
    """Several slices of each unknown on one colour scale, in one or two rows."""
    views, fields, varied = samples.views, quantity.fields, varied_axes(samples.views)
    last = {len(views) - 1} if len(views) <= 4 else {2}
    sizes = [
        style.fitted(view.extent(samples), True, 2.6, 2.3, style.BAR if i in last else 0.0)
        for i, view in enumerate(views)
    ]
    rows = style.in_rows(sizes, 4 if len(views) <= 4 else 3)
    headlines = _headlines(samples, quantity) if len(fields) > 1 else []
    headings = {i * len(rows): headline for i, headline in enumerate(headlines)}
    above = style.ABOVE if varied else style.UNTITLED
    figure, grid = style.sheet(rows * len(fields), _title(samples, quantity), headings, above)
    flat = iter([axes for row in grid for axes in row])
    for unknown, slices in fields.items():
        colours = quantity.colours(np.concatenate(slices))
        for i, (view, values) in enumerate(zip(views, slices, strict=True)):
            axes = next(flat)
            shown = _image(axes, samples, view, values, colours)
            _over_image(axes, samples, quantity, unknown, i)
            if varied:
                axes.set_title(view.words(samples, varied))
            if i in last:
                style.colour_bar(axes, shown, quantity.label(unknown))
    return figure


def _space_time(samples: Samples, quantity: Quantity) -> Figure:
    """An image with time on the horizontal axis, and beside it profiles at a few times or the error against time."""
    right = style.RIGHT if quantity.logarithmic else style.LEGEND
    row = [style.Panel(3.5, 2.7, style.BAR), style.Panel(3.6, 2.7, right)]
    fields, view = quantity.fields, samples.views[0]
    figure, grid = style.sheet([row] * len(fields), _title(samples, quantity), above=_above(fields))
    headlines = _headlines(samples, quantity)
    for (left, other), headline, (unknown, (values,)) in zip(grid, headlines, fields.items(), strict=True):
        shown = _image(left, samples, view, values, quantity.colours(values))
        _over_image(left, samples, quantity, unknown, 0)
        style.colour_bar(left, shown, quantity.label(unknown))
        left.set_title(headline)
        if quantity.logarithmic:
            _against_time(other, samples, quantity.label(unknown), values)
        else:
            _profiles(other, samples, unknown)
    return figure


def _against_time(axes: Axes, samples: Samples, label: str, values: np.ndarray) -> None:
    """A magnitude against time, of values with shape (time, space)."""
    view = samples.views[0]
    t = side(*samples.intervals[view.axes[0]], len(values), ends=False)
    time, space = (symbol(samples.coordinates[a]) for a in view.axes)
    axes.plot(t, style.positive(values.max(axis=1)), color=style.LINES[1], label=f"largest over {space}")
    rms = np.sqrt(np.mean(values**2, axis=1))
    axes.plot(t, style.positive(rms), color=style.LINES[0], label=f"root mean square over {space}")
    style.lines(axes, time, label, logarithmic=True)
    axes.legend()


def _profiles(axes: Axes, samples: Samples, unknown: str) -> None:
    """The unknown along space at a few times."""
    count = len(samples.profiles)
    exact = samples.profile_exact.get(unknown)
    for i, (line, colour) in enumerate(zip(samples.profiles, style.ramp(count), strict=True)):
        x = _along(samples, line)
        label = line.words(samples, {axis for axis, _ in line.held})
        axes.plot(x, samples.profile_values[unknown][i], color=colour, label=label)
        if unknown in samples.profile_deviations:
            spread = DEVIATIONS * samples.profile_deviations[unknown][i]
            values = samples.profile_values[unknown][i]
            axes.fill_between(x, values - spread, values + spread, color=colour, alpha=0.2, lw=0)
        if exact is not None:
            label = _other(samples) if i == count - 1 else None
            axes.plot(x, exact[i], "k", lw=0.9, ls=DASHED, label=label)
    style.lines(axes, symbol(samples.coordinates[samples.profiles[0].axes[0]]), symbol(unknown))
    style.legend_outside(axes)
