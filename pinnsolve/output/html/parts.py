"""Pieces of a page: escaped text, numbers, tables, pictures, the page around them.

Input: plain values. Output: HTML text. Whatever comes from a file passes through `text`.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from pinnsolve.figures import DOTS_PER_INCH
from pinnsolve.files.text import printable

LARGE_PICTURE = 150_000  # bytes
WIDEST = 1400  # pixels of a picture that is made smaller: the page has about a thousand
PALETTE, PNG_LEVEL = 256, 9  # colours; how hard a picture is compressed
SCREEN_DOTS = 96  # CSS pixels per inch
DASH = "\N{EN DASH}"

# Nothing may be fetched and nothing may run, whatever got into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2126; --faint: #5c646e; --line: #d8dce1; --card: #f6f7f9;
  --good: #16713d; --bad: #b3261e; --doubt: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e4e7eb; --faint: #9aa3ad; --line: #363c44;
  --card: #1e2227; --good: #6fcf97; --bad: #ff8a80; --doubt: #f2c15c; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --faint: #444; --line: #bbb; --card: #fff;
  --good: #16713d; --bad: #b3261e; --doubt: #8a5a00; }
  section, figure, tr { break-inside: avoid; } main { max-width: none; padding: 0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p { margin: .4rem 0; } .faint, figcaption, th, .where { color: var(--faint); }
.status { font-size: 1.05rem; border-left: .3rem solid var(--doubt); padding: .35rem .9rem; background: var(--card);
  overflow-wrap: anywhere; }
.status.converged { border-color: var(--good); } .status.diverged { border-color: var(--bad); }
.warnings { color: var(--doubt); padding-left: 1.4rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; font-variant-numeric: tabular-nums; }
th { font-weight: 500; vertical-align: bottom; }
th, td { text-align: right; padding: .22rem 1.1rem .22rem 0; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } td:first-child { overflow-wrap: anywhere; }
figure { margin: .8rem 0; } figure img { max-width: 100%; height: auto; background: #fff; border-radius: .3rem; }
figcaption { font-size: .9rem; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.4rem; margin: .5rem 0; }
dl.facts dt { color: var(--faint); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.facts math { math-style: normal; }
.term { display: grid; grid-template-columns: 9rem 1fr; gap: 0 1rem; align-items: center; padding: .35rem 0;
  border-bottom: 1px solid var(--line); } .term > b { overflow-wrap: anywhere; font-weight: 600; }
.term .formula { overflow-x: auto; overflow-y: hidden; padding: .15rem 0; } .term .where { font-size: .92rem; }
math { font-size: 1.08em; } math[display=block] { text-align: left; margin: .2rem 0; width: max-content; }
mtable.lines mtd, mtable.cases mtd { text-align: left; padding: .2rem .6rem .2rem 0; }
code, pre { font-family: ui-monospace, monospace; font-size: .88em; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); padding: .8rem 1rem; overflow-x: auto;
  overflow-wrap: normal; }
.film { display: grid; } .film div { grid-row: 1; grid-column: 1 / -1; display: none; }
.film input { grid-row: 2; appearance: none; margin: 0; height: 1.5rem; cursor: ew-resize;
  background: linear-gradient(var(--line), var(--line)) center / 100% 3px no-repeat; }
.film input:hover { background-image: linear-gradient(var(--faint), var(--faint)); }
.film input:checked { background: radial-gradient(circle, var(--ink) .5rem, transparent .55rem) center no-repeat,
  linear-gradient(var(--line), var(--line)) center / 100% 3px no-repeat; }
.film figcaption { grid-row: 3; grid-column: 1 / -1; }
summary { cursor: pointer; padding: .3rem 0; } svg { max-width: 100%; height: auto; } svg text { fill: currentColor; }
.pictures svg { display: block; } ol { padding-left: 1.4rem; } li { overflow-wrap: anywhere; }
@media (max-width: 40rem) { .term { grid-template-columns: 1fr; } }
"""


def text(value: object) -> str:
    """Text that is nothing but text, wherever it stands in a page."""
    return escape(printable(value))


def page(title: str, body: Iterable[str]) -> str:
    """A whole page that needs nothing but itself."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A heading and what stands below it; nothing where there is nothing."""
    content = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{text(heading)}</h2>\n{content}\n</section>" if content else ""


def number(value: object, digits: int = 2) -> str:
    """`2.1e-7` as 2.1 x 10^-7, numbers of everyday size as they are; a dash where there is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return DASH
    if isinstance(value, int) and abs(value) < 1e9:
        return f"{value}".replace("-", "\N{MINUS SIGN}")
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{max(digits, 3)}g}".replace("-", "\N{MINUS SIGN}")
    return _by_power(value, digits)


def magnitude(value: object) -> str:
    """An error or a residual: with its power of ten at any size, so that a column of them compares at a glance."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value == 0:
        return number(value)
    return _by_power(value, 2)


def _by_power(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = str(int(exponent)).replace("-", "\N{MINUS SIGN}")
    return f"{mantissa.replace('-', chr(0x2212))}\N{MULTIPLICATION SIGN}10<sup>{power}</sup>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first column names the row."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names, and beside them what is HTML already; those without anything are left out."""
    items = "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in pairs if value)
    return f'<dl class="facts">{items}</dl>' if items else ""


def folded(summary: str, content: str) -> str:
    """Write content that is shown when its summary is clicked."""
    return f"<details><summary>{text(summary)}</summary>\n{content}\n</details>"


def pixels_wide(content: bytes) -> int:
    """The width of a PNG file; 0 of anything else."""
    return int.from_bytes(content[16:20], "big") if content.startswith(b"\x89PNG") else 0


def picture(content: bytes, words: str, pixels: int) -> str:
    """A PNG file within the page, in the size of a print: letters in it are then as large as those around it.

    `pixels`: how wide it was drawn.
    """
    width = f' width="{round(pixels * SCREEN_DOTS / DOTS_PER_INCH)}"' if pixels else ""
    shown = f'<img alt="{text(words)}"{width} src="{_source(content)}">'
    return f"<figure>{shown}<figcaption>{text(words)}</figcaption></figure>"


def film(frames: Sequence[tuple[float, bytes]], time: str) -> str:
    """Pictures at several times, of which a row of marks chooses one: by a click or arrow keys.

    The marks are radio buttons, and what shows the picture of the one that is chosen is a rule of CSS for each.
    """
    number = range(1, len(frames) + 1)
    rules = ", ".join(f".film input:nth-of-type({k}):checked ~ div:nth-of-type({k})" for k in number)
    marks = "".join(
        f'<input type="radio" name="film" aria-label="{text(time)} = {t:.4g}" title="{text(time)} = {t:.4g}"'
        f"{' checked' if k == 1 else ''}>"
        for k, (t, _) in zip(number, frames, strict=True)
    )
    pictures = "".join(
        f'<div><b>{text(time)} = {t:.4g}</b><br><img alt="" src="{_source(content)}"></div>' for t, content in frames
    )
    words = f"The solution in time: click a mark, or go on with the arrow keys; {text(time)} = {frames[0][0]:.4g} to "
    return (
        f"<style>{rules} {{ display: block; }}</style>"
        f'<figure class="film" style="grid-template-columns: repeat({len(frames)}, 1fr)">{marks}{pictures}'
        f"<figcaption>{words}{frames[-1][0]:.4g}.</figcaption></figure>"
    )


def _source(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def within(contents: Mapping[str, bytes], budget: int) -> dict[str, bytes]:
    """PNG files by name, those that are large in a palette of colours if they are more than `budget` bytes together.

    A palette makes a file a quarter as large, and takes a tenth of a second.
    """
    if sum(map(len, contents.values())) <= budget:
        return dict(contents)
    return {name: _smaller(content) for name, content in contents.items()}


def _smaller(content: bytes) -> bytes:
    """A large PNG in a palette, and no wider than a page shows; anything else as it is."""
    if len(content) < LARGE_PICTURE:
        return content
    from PIL import Image  # which only a page with large pictures needs

    file = io.BytesIO()
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), reducing_gap=2.0)
    image.quantize(PALETTE, dither=Image.Dither.NONE).save(file, format="png", compress_level=PNG_LEVEL)
    return min(content, file.getvalue(), key=len)
