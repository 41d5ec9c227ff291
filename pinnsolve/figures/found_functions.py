"""The figure of functions of the state that were found: a line with the band of twice its deviation, or an image.

Input: `Samples`, with what the result says of them. Output: a Figure, or None where none was found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnsolve.figures import style
from pinnsolve.figures.labels import plain, symbol
from pinnsolve.figures.samples import Samples

DEVIATIONS = 2.0


def functions_figure(samples: Samples) -> Figure | None:
    """Every function on the range that the state visits."""
    found = samples.result.get("functions") or {}
    if not found:
        return None
    panels = [style.Panel(3.1, 2.5, style.BAR if len(one["of"]) > 1 else style.RIGHT) for one in found.values()]
    with style.styled():
        figure, grid = style.sheet(style.in_rows(panels, 3), f"{plain(samples.name)}: functions found")
        for axes, (name, one) in zip((axes for row in grid for axes in row), found.items(), strict=True):
            (_draw if len(one["of"]) == 1 else _draw_image)(axes, name, one)
    return figure


def _draw(axes: Axes, name: str, found: Mapping) -> None:
    (of,) = found["of"]
    x, value, deviation = (np.array(v) for v in (found["at"][of], found["value"], found["standard_deviation"]))
    style.lines(axes, symbol(of), symbol(name))
    band = DEVIATIONS * deviation
    axes.fill_between(x, value - band, value + band, alpha=0.3, linewidth=0, label=f"{DEVIATIONS:g} deviations")
    axes.plot(x, value)
    axes.legend()


def _draw_image(axes: Axes, name: str, found: Mapping) -> None:
    across, up = found["of"]
    values = np.array(found["value"]).reshape(len(set(found["at"][across])), -1)
    extent = (*found["range"][across], *found["range"][up])
    shown = style.image(axes, values, extent, style.field_colours(values), False)
    axes.set(xlabel=symbol(across), ylabel=symbol(up))
    style.colour_bar(axes, shown, symbol(name))
