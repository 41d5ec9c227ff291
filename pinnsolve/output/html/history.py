"""The history of a solve in a page: a drawing of the loss against time, and the steps as a table.

Input: history records (`{"step", "seconds", "phase", "loss", "terms"}`, with `estimate`, of the error, where there was
one). Output: HTML with an SVG drawing, whose ink is
that of the page around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pinnsolve.files.text import duration
from pinnsolve.output.html import parts as html

WIDTH, HEIGHT = 760, 300  # of the drawing, in pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 170, 14, 40  # margins within it
MOST_POINTS, MOST_ROWS, MOST_LINES = 600, 400, 8
DECADES = 30  # below the largest loss, that are drawn
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")  # Okabe & Ito (2008)
LETTERS = 22  # of a name in the legend
SUM, ESTIMATE = "sum of the terms", "estimated error"

Record = Mapping[str, object]


def history(records: Sequence[Record]) -> str:
    """Drawing and table; nothing where no steps were recorded."""
    records = [record for record in records if isinstance(record, Mapping)]
    if not records:
        return ""
    return _drawing(records) + "\n" + html.folded(_steps_words(len(records)), _table(records))


def _steps_words(count: int) -> str:
    return "One step" if count == 1 else f"All {count} steps" if count <= MOST_ROWS else f"{MOST_ROWS} of {count} steps"


# -- the table ------------------------------------------------------------------------------------------------


def _table(records: Sequence[Record]) -> str:
    chosen = _thinned(records, MOST_ROWS)
    keys = [key for key in ("rank", "columns", "condition") if any(record.get(key) is not None for record in chosen)]
    estimated = [ESTIMATE] if any(record.get("estimate") is not None for record in chosen) else []
    names = _terms(chosen)
    rows = []
    for record in chosen:
        terms = record.get("terms") or {}
        seconds = record.get("seconds")
        rows.append(
            [
                html.text(record.get("phase") or ""),
                html.number(record.get("step")),
                html.DASH if not isinstance(seconds, int | float) else duration(seconds),
                *(html.number(record.get(key)) for key in keys),
                *(html.magnitude(record.get("estimate")) for _ in estimated),
                html.magnitude(record.get("loss")),
                *(html.magnitude(terms.get(name)) for name in names),
            ]
        )
    return html.table(["phase", "step", "time", *keys, *estimated, "loss", *names], rows)


def _terms(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.get("terms") or {}))


def _thinned(records: Sequence[Record], most: int) -> Sequence[Record]:
    """Evenly chosen, the first and the last always among them."""
    if len(records) <= most:
        return records
    return [records[round(i * (len(records) - 1) / (most - 1))] for i in range(most)]


# -- the drawing ----------------------------------------------------------------------------------------------


def _drawing(records: Sequence[Record]) -> str:
    """Estimate and loss per term against seconds on a logarithmic scale; nothing without positive numbers."""
    timed = [r for r in records if isinstance(r.get("seconds"), int | float) and _positive(r.get("loss"))]
    timed = _thinned(timed, MOST_POINTS)
    if not timed:
        return ""
    last = max(float(r["seconds"]) for r in timed) or 1.0
    lines = {SUM: [(float(r["seconds"]), float(r["loss"])) for r in timed]}
    estimates = [(float(r["seconds"]), float(r["estimate"])) for r in timed if _positive(r.get("estimate"))]
    if estimates:
        lines = {ESTIMATE: estimates, **lines}
    for name in _terms(timed):
        lines[name] = [(float(r["seconds"]), v) for r in timed if _positive(v := (r.get("terms") or {}).get(name))]
    values = [v for points in lines.values() for _, v in points]
    top = math.ceil(math.log10(max(values)))
    bottom = max(math.floor(math.log10(min(values))), top - DECADES)
    place = _Place(last, bottom, max(top, bottom + 1))
    shown = list(lines.items())[: MOST_LINES + 1 + bool(estimates)]
    first = -1 if estimates else 0
    drawn = "".join(
        _line(row + first, row, name, points, place) for row, (name, points) in reversed(list(enumerate(shown)))
    )
    hidden = len(lines) - len(shown)
    more = f"; {hidden} more terms are in the table" if hidden > 0 else ""
    said = "The estimated error, the loss" if estimates else "The loss"
    return (
        f'<figure><svg role="img" aria-label="The loss against the time" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" font-family="system-ui, sans-serif">'
        f"{_axes(place)}{drawn}</svg>"
        f"<figcaption>{said}, and what each term adds to it, against the time of the solve{more}.</figcaption>"
        "</figure>"
    )


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0


class _Place:
    """From seconds and values to pixels."""

    def __init__(self, last: float, bottom: int, top: int):
        self.last, self.bottom, self.top = last, bottom, top

    def x(self, seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.last, 1)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.bottom) / (self.top - self.bottom)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * max(share, 0.0), 1)


def _axes(place: _Place) -> str:
    right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{low}H{right}" fill="none" stroke="currentColor" stroke-opacity=".6"/>']
    for exponent in range(place.bottom, place.top + 1, max(1, math.ceil((place.top - place.bottom) / 8))):
        y = place.y(10.0**exponent)
        power = str(exponent).replace("-", "\N{MINUS SIGN}")
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="currentColor" stroke-opacity=".15"/>')
        parts.append(
            f'<text x="{LEFT - 7}" y="{y + 4}" text-anchor="end">10<tspan dy="-4" font-size="9">{power}</tspan></text>'
        )
    step = _round_step(place.last)
    for i in range(int(place.last / step + 1e-9) + 1):
        x = place.x(i * step)
        parts.append(f'<path d="M{x} {low}v4" stroke="currentColor" stroke-opacity=".6"/>')
        parts.append(f'<text x="{x}" y="{low + 17}" text-anchor="middle">{i * step:g}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">seconds</text>')
    return "".join(parts)


def _round_step(last: float) -> float:
    """About five ticks at 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(last / 5))
    return next(f * power for f in (1, 2, 5, 10) if f * power * 5 >= last * 0.999)


def _line(i: int, row: int, name: str, points: Sequence[tuple[float, float]], place: _Place) -> str:
    """One line with its name in the legend; `i` counts from the sum of all terms, -1 is the estimate.

    Both of these are in the ink of the text, the sum dashed and the estimate thick.
    """
    colour = "currentColor" if i <= 0 else COLOURS[(i - 1) % len(COLOURS)]
    dash = ' stroke-dasharray="5 3"' if i == 0 or i > len(COLOURS) else ""
    at = [(place.x(x), place.y(y)) for x, y in points]
    path = "".join(f"{'L' if k else 'M'}{x} {y}" for k, (x, y) in enumerate(at))
    width = {-1: 2.6, 0: 1.3}.get(i, 1.8)
    parts = [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'] if at else []
    if len(at) <= 60:
        parts += [f'<circle cx="{x}" cy="{y}" r="2.4" fill="{colour}"/>' for x, y in at]
    x, y = WIDTH - RIGHT + 16, TOP + 10 + 20 * row
    short = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    parts.append(f'<path d="M{x} {y}h20" stroke="{colour}" stroke-width="{width}"{dash}/>')
    parts.append(f'<text x="{x + 26}" y="{y + 4}">{html.text(short)}</text>')
    return "".join(parts)
