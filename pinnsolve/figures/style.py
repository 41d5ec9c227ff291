"""The look of figures: style, colours, layout, images, lines and scattered points.

Input: arrays and a matplotlib Axes. Output: marks on it. Matplotlib's object interface only: no window, no global state
but the style, which holds within `styled`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image

from pinnsolve.figures import DOTS_PER_INCH
from pinnsolve.figures.ticks import PlainNumbers, PlainPowers

PAD, ROOM = 0.1, 0.5  # inches around what is drawn, and around the sheet it is drawn on
SCREEN_DOTS_PER_INCH = 90  # of a notebook
PAPER = 0xFFFFFFFF  # a white pixel, its four bytes at once
COMPRESSION = 2  # of PNG files: a third of the time of the usual 6, for files that are a quarter larger
DECADES = 5  # of a logarithmic colour scale: what is smaller than 1e-5 of the largest is drawn like that
LONGEST_EQUAL = 5.0  # ratio of sides up to which both directions of space get the same scale

SIGNED, POSITIVE, MAGNITUDE = "RdBu_r", "viridis", "magma"
# Okabe & Ito (2008), told apart by every reader; black is kept for the exact solution and for sums
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
OUTLINE = "#444444"  # of a domain
FLOW = "white"  # streamlines and arrows over the colours of a speed
ARROW_STEP, STREAMS = 20, 0.9  # pixels from one arrow to the next; how dense streamlines are

_STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "axes.titlepad": 7,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#333333",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.formatter.limits": (-3, 4),
    "figure.titlesize": 12,
    "figure.facecolor": "white",
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "image.interpolation": "bilinear",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.6,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "text.usetex": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for our figures, put back as they were at the end."""
    with mpl.rc_context(_STYLE):
        yield


# -- colours --------------------------------------------------------------------------------------------------


def field_colours(values: np.ndarray) -> tuple[str, Normalize]:
    """A diverging map with zero in its middle for values of both signs, else a sequential one."""
    low, high = _limits(values)
    if low < 0 < high and min(-low, high) > 0.05 * max(-low, high):
        top = _rounded(max(-low, high))
        return SIGNED, Normalize(-top, top)
    if 0 <= low < 0.01 * high:
        low, high = 0.0, _rounded(high)
    return POSITIVE, Normalize(low, high)


def magnitude_colours(values: np.ndarray) -> tuple[str, Normalize]:
    """A sequential map on a logarithmic scale of at most `DECADES` below the largest magnitude."""
    values = np.abs(values[np.isfinite(values)])
    positive = values[values > 0]
    if not positive.size:
        return MAGNITUDE, Normalize(0, 1)
    top = float(positive.max())
    low = min(max(float(np.quantile(positive, 0.01)), top * 10.0**-DECADES), top / 10)
    return MAGNITUDE, LogNorm(low, top, clip=True)


def _rounded(top: float) -> float:
    """The next number of two digits if it is hardly larger: 0.9998 would leave a colour bar without its last tick."""
    step = 10.0 ** (math.floor(math.log10(top)) - 1)
    rounded = math.ceil(top / step - 1e-9) * step
    return rounded if rounded <= 1.02 * top else top


def _limits(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # a constant up to rounding: show it as one colour
        pad = 0.5 * max(abs(low), 1e-12)
        return low - pad, high + pad
    return low, high


def ramp(count: int) -> list:
    """Colours of an ordered sequence (times), from dark to light but never too light for white paper."""
    return [mpl.colormaps[POSITIVE](v) for v in np.linspace(0.0, 0.85, count)]


def colour_bar(axes: Axes, shown: ScalarMappable, label: str) -> None:
    """A bar to the right of a panel, exactly as high as the panel."""
    width, height = axes.get_position().size * axes.figure.get_size_inches()
    bar = axes.figure.colorbar(shown, cax=axes.inset_axes((1 + 0.1 / width, 0.0, 0.13 / width, 1.0)))
    if isinstance(shown.norm, LogNorm):
        bar.formatter, bar.minorformatter = PlainPowers(), PlainPowers()
    else:
        bar.locator, bar.formatter = _ticks(2.4 * height), PlainNumbers()
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=8.5, width=0.6)
    bar.set_label(label)


# -- layout ---------------------------------------------------------------------------------------------------

# inches around a panel: tick and axis labels to the left and below, a title above, nothing but air to the right
LEFT, BELOW, ABOVE, RIGHT = 0.78, 0.62, 0.34, 0.25
UNTITLED = 0.1  # instead of ABOVE
BAR, LEGEND = 1.0, 1.15  # to the right of a panel that has a colour bar or a legend there
TITLE_LINE, HEADING = 0.27, 0.3


@dataclass(frozen=True)
class Panel:
    """The size of one panel in inches, and the room it needs to the right."""

    width: float
    height: float
    right: float = RIGHT


def fitted(extent: Sequence[float], equal: bool, width: float, height: float, right: float = RIGHT) -> Panel:
    """A panel that fills width x height, or as much of it as equal scales in both directions allow."""
    ratio = (extent[1] - extent[0]) / (extent[3] - extent[2])
    if not equal or max(ratio, 1 / ratio) > LONGEST_EQUAL:
        return Panel(width, height, right)
    return Panel(min(width, height * ratio), min(height, width / ratio), right)


class Sheet(Figure):
    """A figure that a notebook shows, whether or not pyplot was imported there."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=SCREEN_DOTS_PER_INCH, bbox_inches="tight", pad_inches=PAD)
        return file.getvalue()


def sheet(
    rows: Sequence[Sequence[Panel]], title: str, headings: Mapping[int, str] | None = None, above: float = ABOVE
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of panels, and its axes row by row; `headings` stand above the rows of that number.

    Panels get the sizes asked for, whatever their labels: a solver of layouts does not do that for images of equal
    scales.
    """
    headings = headings or {}
    width = max(sum(LEFT + p.width + p.right for p in row) for row in rows)
    heights = [max(p.height for p in row) + above + BELOW for row in rows]
    top = TITLE_LINE * (title.count("\n") + 1)
    total = top + sum(heights) + HEADING * len(headings)
    figure = Sheet(figsize=(width, total))
    FigureCanvasAgg(figure)
    figure.text(0.5, 1.0, title, ha="center", va="top", fontsize=12, linespacing=1.35)
    grid, y = [], total - top
    for i, (row, height) in enumerate(zip(rows, heights, strict=True)):
        if i in headings:
            y -= HEADING
            figure.text(0.5, (y + 0.02) / total, headings[i], ha="center", va="bottom", fontsize=10.5)
        x, axes = 0.0, []
        for panel in row:
            corner = ((x + LEFT) / width, (y - above - panel.height) / total)
            axes.append(figure.add_axes((*corner, panel.width / width, panel.height / total)))
            for axis in (axes[-1].xaxis, axes[-1].yaxis):
                axis.set_major_formatter(PlainNumbers())
            x += LEFT + panel.width + panel.right
        grid.append(axes)
        y -= height
    return figure, grid


def practise() -> None:
    """Draw a figure for nobody: the first one reads fonts, and learns to set mathematics."""
    with styled():
        figure, [[axes]] = sheet([[Panel(1.0, 1.0)]], "$x$")
        lines(axes, "$x$", "0123456789", logarithmic=True)
        figure.canvas.draw()


def in_rows(items: Sequence, columns: int) -> list[Sequence]:
    """Split the items into rows of at most `columns`."""
    return [items[i : i + columns] for i in range(0, len(items), columns)]


def write(figure: Figure, path: Path) -> Path:
    """Save a figure in the format that the path's ending names; the margins follow the text, so none is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        picture = _cropped(figure) if path.suffix.lower() == ".png" else None
        if picture is None:
            figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=PAD)
        else:
            Image.fromarray(picture).save(path, compress_level=COMPRESSION, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return path


def _cropped(figure: Figure) -> np.ndarray | None:
    """The figure in colours (height, width, 3), cut to what is drawn; None where something leaves even a wide sheet.

    matplotlib draws everything twice to find the margins. Here it draws once, on a sheet with room around the figure.
    """
    columns, lines = (math.ceil((size + 2 * ROOM) * DOTS_PER_INCH) for size in figure.get_size_inches())
    ends = [(n + 0.5) / DOTS_PER_INCH - ROOM for n in (columns, lines)]  # matplotlib cuts fractions of pixels off
    file = io.BytesIO()
    figure.savefig(file, format="rgba", dpi=DOTS_PER_INCH, bbox_inches=Bbox([[-ROOM, -ROOM], ends]))
    sheet = np.frombuffer(file.getbuffer(), dtype=np.uint8).reshape(lines, columns, 4)
    inked = sheet.view(np.uint32)[..., 0] != PAPER
    pad = round(PAD * DOTS_PER_INCH)
    marked = [np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0)]
    ends = [(index[0] - pad, index[-1] + 1 + pad) for index in marked if index.size]
    if len(ends) < 2 or any(low < 0 or high > n for (low, high), n in zip(ends, inked.shape, strict=True)):
        return None
    (top, bottom), (left, right) = ends
    return np.ascontiguousarray(sheet[top:bottom, left:right, :3])


# -- marks ----------------------------------------------------------------------------------------------------


def image(axes: Axes, values: np.ndarray, extent: Sequence[float], colours, equal: bool) -> AxesImage:
    """Values of shape (horizontal, vertical) at the centres of pixels over `extent` (left, right, bottom, top)."""
    colour_map, norm = colours
    if isinstance(norm, LogNorm):
        values = np.maximum(np.abs(values), norm.vmin)
    shown = axes.imshow(values.T, origin="lower", extent=extent, aspect="auto", cmap=colour_map, norm=norm)
    frame(axes, extent, equal)
    return shown


def cover(axes: Axes, inside: np.ndarray, extent: Sequence[float]) -> None:
    """White over what is outside of a domain, and its outline: `inside` has shape (horizontal, vertical)."""
    white = np.ones((*inside.T.shape, 4))
    white[..., 3] = ~inside.T
    axes.imshow(white, origin="lower", extent=extent, aspect="auto", interpolation="nearest")
    outline(axes, inside, extent)


def outline(axes: Axes, inside: np.ndarray, extent: Sequence[float]) -> None:
    """The curve around what is inside."""
    if inside.all() or not inside.any():
        return
    left, right, bottom, top = extent
    framed = np.pad(inside, 1).T.astype(float)  # what reaches the frame is closed there
    sides = [
        low + (high - low) * (np.arange(n) - 0.5) / (n - 2)
        for (low, high), n in zip(((left, right), (bottom, top)), framed.shape[::-1], strict=True)
    ]
    axes.contour(*sides, framed, levels=[0.5], colors=OUTLINE, linewidths=0.8)


def extended(values: np.ndarray) -> np.ndarray:
    """Values (n, m) with each NaN replaced by the nearest number, so that pixels at an edge keep their colour."""
    missing = np.isnan(values)
    if not missing.any() or missing.all():
        return values
    from scipy.ndimage import distance_transform_edt  # slow to import, and only shapes need it

    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def flow(axes: Axes, extent: Sequence[float], along: Sequence[np.ndarray], largest: float | None = None) -> None:
    """Streamlines of a velocity, or, where that is the `largest` in all panels, arrows, which take less time; `along`:
    its components, (horizontal, vertical)."""
    left, right, bottom, top = extent
    sides = [
        low + (high - low) * (np.arange(n) + 0.5) / n
        for (low, high), n in zip(((left, right), (bottom, top)), along[0].shape, strict=True)
    ]
    if largest is not None:
        some = slice(ARROW_STEP // 2, None, ARROW_STEP)
        u, v = (part.T[some, some] for part in along)
        # the longest reaches from one to the next; without a scale, a panel of nothing but rounding has the longest
        scale = max(largest, 1e-300) * u.shape[1]
        axes.quiver(sides[0][some], sides[1][some], u, v, color=FLOW, width=0.006, pivot="mid", scale=scale)
        return
    with np.errstate(invalid="ignore"):
        u, v = (np.ma.masked_invalid(part.T) for part in along)
        axes.streamplot(*sides, u, v, density=STREAMS, color=FLOW, linewidth=0.7, arrowsize=0.7)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def scatter(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, extent: Sequence[float], equal: bool):
    """Magnitudes at scattered points, in marks about as large as the space around each."""
    colour_map, norm = magnitude_colours(values)
    order = np.argsort(values)  # the largest on top
    size = np.clip(4e4 / len(values), 2.0, 60.0)  # in square points; a panel has about 40 000
    marker = "s" if len(values) > 1000 else "o"  # many squares fill the panel, few points are seen one by one
    shown = axes.scatter(
        x[order], y[order], c=values[order], s=size, marker=marker, lw=0, cmap=colour_map, norm=norm, rasterized=True
    )
    frame(axes, extent, equal)
    return shown


def frame(axes: Axes, extent: Sequence[float], equal: bool) -> None:
    """Set the limits of the axes to `extent` (left, right, bottom, top), and equal units where they fit."""
    left, right, bottom, top = extent
    width, height = right - left, top - bottom
    axes.set(xlim=(left, right), ylim=(bottom, top))
    if equal and max(width, height) <= LONGEST_EQUAL * min(width, height):
        axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(True)
    width, height = axes.get_position().size * axes.figure.get_size_inches()
    axes.xaxis.set_major_locator(_ticks(1.9 * width))
    axes.yaxis.set_major_locator(_ticks(2.2 * height))


def _ticks(most: float) -> MaxNLocator:
    return MaxNLocator(max(4, int(most)), steps=[1, 2, 5, 10])


def lines(axes: Axes, x_label: str, y_label: str, logarithmic: bool = False) -> None:
    """The dress of a panel of lines."""
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6)
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PlainPowers())
        axes.yaxis.set_minor_formatter(PlainPowers())
        low, high = axes.get_ylim()
        if high / low < 100:  # less than two decades would leave an axis with hardly a number on it
            middle = math.sqrt(low * high)
            axes.set_ylim(min(low, middle / 10), max(high, middle * 10))


def legend_outside(axes: Axes, title: str | None = None) -> None:
    """Put the legend to the right of the axes."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title=title, borderaxespad=0.2)


def positive(values: np.ndarray) -> np.ndarray:
    """Magnitudes for a logarithmic axis: zeros, which have no place there, become gaps."""
    values = np.abs(np.asarray(values, dtype=float))
    return np.where(values > 0, values, np.nan)
