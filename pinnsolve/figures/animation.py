"""A film as pictures, and as one file: GIF by Pillow, MP4 by ffmpeg where there is one.

Input: a `Film`. Output: arrays of pixels, one per time, all of one size and with one scale of colours; files. Only what
moves is drawn anew from frame to frame.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pinnsolve.errors import PinnsolveError
from pinnsolve.figures import style
from pinnsolve.figures.film import Film
from pinnsolve.figures.labels import equation, plain, symbol
from pinnsolve.figures.slices import side, thinned

DOTS_PER_INCH = 96  # of a screen
SMALL_DOTS_PER_INCH = 84  # of the frames in a page
SECONDS = 5.0  # that a film takes, about
SLOWEST, FASTEST = 5, 25  # frames per second
COLOURS = 192  # of a GIF: the maps of colours have more, and nobody sees it
PALETTE_FRAMES = 4  # from which the colours are taken
WIDE = 1.6  # ratio of sides from which panels stand one below the other
PANEL = {1: 3.6, 2: 2.8}  # inches, by how many panels there are; more are smaller
SMALL_PANEL = 2.2
WHITE, PNG_LEVEL = 255, 6
MARGIN = 8  # pixels around what is drawn
ENDINGS = (".gif", ".mp4")

Pixels = np.ndarray  # (height, width, 3), bytes


def write_film(film: Film, path: Path) -> Path:
    """Write a film as its ending says. Raises `PinnsolveError` for another ending, and for MP4 without ffmpeg."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise PinnsolveError(f"{path}: a film is written as {' or '.join(ENDINGS)}")
    rate = int(np.clip(round(len(film.times) / SECONDS), SLOWEST, FASTEST))
    if ending == ".gif":
        _write_gif(list(frames(film)), path, rate)
    else:
        _write_mp4(frames(film), path, rate)
    return path


# -- pictures ---------------------------------------------------------------------------------------------------


def frames(film: Film, dots_per_inch: int = DOTS_PER_INCH, titled: bool = True) -> Iterator[Pixels]:
    """A picture of each time, `titled` with name and time, or without."""
    with style.styled():
        figure, moving, over = _figure(film, titled)
        figure.set_dpi(dots_per_inch)
        canvas = figure.canvas
        for artist in (*(artist for artist, _ in moving), *over):
            artist.set_animated(True)
        canvas.draw()
        still = canvas.copy_from_bbox(figure.bbox)
        cut = None
        for i in range(len(film.times)):
            canvas.restore_region(still)
            for artist, show in moving:
                show(i)
                (artist.axes or figure).draw_artist(artist)
            for artist in over:
                artist.axes.draw_artist(artist)
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
            cut = cut or _inked(pixels)
            yield pixels[cut].copy()


def _inked(pixels: Pixels) -> tuple[slice, slice]:
    """The rows and columns with something in them and a margin, an even number of each: MP4 holds no other."""
    ink, slices = (pixels != WHITE).any(axis=2), []
    for axis in (1, 0):
        index = np.flatnonzero(ink.any(axis=axis))
        low, high = max(0, index[0] - MARGIN), min(ink.shape[1 - axis], index[-1] + 1 + MARGIN)
        slices.append(slice(low, high - (high - low) % 2))
    return slices[0], slices[1]


def small_pngs(film: Film, budget: int) -> list[tuple[float, bytes]]:
    """The frames as content of PNG files with their times, as many of them as fit into so many bytes together."""
    images = in_few_colours(list(frames(film, SMALL_DOTS_PER_INCH, titled=False)))
    found = [(t, _png(image)) for t, image in zip(film.times, images, strict=True)]
    total = sum(len(content) for _, content in found)
    return found if total <= budget else thinned(found, max(2, int(len(found) * budget / total)))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="png", compress_level=PNG_LEVEL)
    return file.getvalue()


Moving = list[tuple[Artist, Callable[[int], None]]]


def _figure(film: Film, titled: bool) -> tuple[Figure, Moving, list[Artist]]:
    """The figure, what moves in it, each with how to show a frame, and what is drawn over that."""
    draw = _lines if len(film.view.axes) == 1 else _images
    figure, moving, over = draw(film)
    _with_room(figure)
    if not titled:
        return figure, moving, over
    held = ", ".join(equation(film.coordinates[a], value) for a, value in film.view.held)
    text = figure.text(0.5, 1 - 0.02 / figure.get_figheight(), "", ha="center", va="top", fontsize=12)

    def say(i: int) -> None:
        value = f"{film.times[i]:.4g}".replace("-", "\N{MINUS SIGN}")
        words = f"{plain(film.name)}: {symbol(film.time)} = {value}"
        text.set_text(f"{words}, {held}" if held else words)

    return figure, [*moving, (text, say)], over


def _with_room(figure: Figure) -> None:
    """Make room beside the panels for the labels of colour bars; the size of panels stays as it is."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + style.ROOM, height)
    for axes in figure.axes:
        box = axes.get_position()
        x = (box.x0 * width + style.ROOM / 2) / (width + style.ROOM)
        axes.set_position((x, box.y0, box.width * width / (width + style.ROOM), box.height))


def _lines(film: Film) -> tuple[Figure, Moving, list[Artist]]:
    """A curve of each unknown, one below the other, in limits that hold all of its times."""
    figure, rows = style.sheet([[style.Panel(5.6, 2.3)] for _ in film.values], " ", above=style.UNTITLED)
    axis = film.view.axes[0]
    moving: Moving = []
    for (axes,), (name, values) in zip(rows, film.values.items(), strict=True):
        x = side(*film.intervals[axis], values.shape[1], ends=True)
        (line,) = axes.plot(x, values[0], color=style.LINES[0])
        style.lines(axes, symbol(film.coordinates[axis]), symbol(name))
        axes.set_ylim(*_limits(values))
        moving.append((line, lambda i, line=line, values=values: line.set_ydata(values[i])))
    return figure, moving, []


def _limits(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _images(film: Film) -> tuple[Figure, Moving, list[Artist]]:
    """An image of each unknown, on one scale of colours for all times."""
    extent = film.view.extent(film)
    size = PANEL.get(len(film.values), SMALL_PANEL)
    panel = style.fitted(extent, True, 1.6 * size, size, style.BAR)
    columns = 1 if panel.width > WIDE * panel.height else 3
    figure, grid = style.sheet(style.in_rows([panel] * len(film.values), columns), " ", above=style.UNTITLED)
    moving: Moving = []
    over: list[Artist] = []
    for axes, (name, values) in zip((a for row in grid for a in row), film.values.items(), strict=False):
        shown = style.image(axes, values[0], extent, style.field_colours(values), True)
        style.colour_bar(axes, shown, symbol(name))
        axes.set(xlabel=symbol(film.coordinates[film.view.axes[0]]), ylabel=symbol(film.coordinates[film.view.axes[1]]))
        moving.append((shown, lambda i, shown=shown, values=values: shown.set_data(style.extended(values[i]).T)))
        over += _over(axes, film, extent)
    return figure, moving, over


def _over(axes: Axes, film: Film, extent: Sequence[float]) -> list[Artist]:
    """What is drawn over an image: white outside of the domain and its outline, the frame."""
    before = {*axes.images, *axes.collections}
    if film.inside is not None:
        style.cover(axes, film.inside, extent)
        style.frame(axes, extent, True)
    drawn = [artist for artist in (*axes.images, *axes.collections) if artist not in before]
    return [*drawn, *axes.spines.values()]


# -- files ------------------------------------------------------------------------------------------------------


def _write_gif(pictures: Sequence[Pixels], path: Path, rate: int) -> None:
    images = in_few_colours(pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    pause = [round(1000 / rate)] * (len(images) - 1) + [1000]  # milliseconds; the end is looked at for longer
    images[0].save(path, save_all=True, append_images=images[1:], duration=pause, loop=0, optimize=False)


def in_few_colours(pictures: Sequence[Pixels]) -> list[Image.Image]:
    """Pictures with one palette for all, so that nothing flickers."""
    chosen = [pictures[round(k * (len(pictures) - 1) / (PALETTE_FRAMES - 1))] for k in range(PALETTE_FRAMES)]
    some = np.concatenate(chosen)[::2, ::2]  # as good for that, and quicker
    palette = Image.fromarray(some).quantize(COLOURS, dither=Image.Dither.NONE)
    return [Image.fromarray(one).quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures]


def _write_mp4(pictures: Iterator[Pixels], path: Path, rate: int) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        raise PinnsolveError(f"{path}: MP4 needs the program ffmpeg, which is not installed; a .gif needs nothing")
    path.parent.mkdir(parents=True, exist_ok=True)
    first = next(pictures)
    height, width = first.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-"]
    out = ["-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    content = b"".join(picture.tobytes() for picture in (first, *pictures))
    done = subprocess.run([program, "-y", "-loglevel", "error", *raw, *out], input=content, capture_output=True)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it did not say why"]
        raise PinnsolveError(f"{path}: ffmpeg could not write it: {words[0]}")
