"""Where lines through boxes cross the boundary of a level function: all roots of the level along them.

Input: a level (see `level_sets`), whose slopes are about one at most, and lines along an axis. Output: the roots, found
in the gaps of samples where the sign changes, and where a level that is near zero between samples may be so twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.geometry.level_sets import Level, Pieces

SAMPLES = 16  # gaps of a line in which roots are looked for
MOST_LOOKS = 30  # for two roots in one gap
MOST_STEPS, CLOSE = 40, 1e-12  # that find a root in its bracket, which ends where it moves by less, relative
STEEPEST = 1.5  # slope of a level along a line, at most
BESIDE = 1e-9  # relative: how far from a root its two sides are looked at
INNER = 1e-10  # relative: how far from its ends a line begins, since faces are counted on their own


def roots(level: Level, x: Tensor, lower: Tensor, upper: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Lines (R,) and places (R,) of all roots along an axis, on lines through x (N, d) from `lower` to `upper` (N, d).

    Of a level that is put together of smooth ones, these are roots of one of them at which it changes its sign.
    """
    if not isinstance(level, Pieces):
        return _of_smooth(level, x, lower, upper, axis)
    found = [
        (_of_plane if number < level.flat else _of_smooth)(surface, x, lower, upper, axis)
        for number, surface in enumerate(level.surfaces)
    ]
    line, place = (torch.cat(column) for column in zip(*found, strict=True))
    share = (place - lower[line, axis]) / (upper - lower)[line, axis]
    inner = (share > INNER) & (share < 1.0 - INNER)
    line, place = line[inner], place[inner]
    sides, step = [], BESIDE * (upper - lower)[line, axis]
    for sign in (-1.0, 1.0):
        at = x[line]
        at[:, axis] = place + sign * step
        sides.append(level(at) < 0)
    changes = sides[0] != sides[1]
    line, place, step = line[changes], place[changes], step[changes]
    order = in_order(line, place)
    line, place, step = line[order], place[order], step[order]
    apart = torch.ones(len(line), dtype=torch.bool)  # of surfaces that coincide, one counts
    apart[1:] = (line[1:] != line[:-1]) | (torch.diff(place) > step[1:])
    return line[apart], place[apart]


def in_order(owner: Tensor, place: Tensor) -> Tensor:
    """(N,): the order by owner, then by place."""
    order = torch.argsort(place, stable=True)
    return order[torch.argsort(owner[order], stable=True)]


def _of_plane(level: Level, x: Tensor, lower: Tensor, upper: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    ends, values = (lower[:, axis], upper[:, axis]), []
    for end in ends:
        at = x.clone()
        at[:, axis] = end
        values.append(level(at))
    a, b = values
    line = ((a < 0) != (b < 0)).nonzero()[:, 0]
    return line, (ends[0] + (ends[1] - ends[0]) * a / torch.where(a == b, 1.0, a - b))[line]


def _of_smooth(level: Level, x: Tensor, lower: Tensor, upper: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    line, a, b = _brackets(level, x, lower, upper, axis)

    def along(line: Tensor, t: Tensor) -> Tensor:
        at = x[line]
        at[:, axis] = t
        return level(at)

    close = CLOSE * (upper - lower)[line, axis]
    found, fa, fb, left = 0.5 * (a + b), along(line, a), along(line, b), torch.arange(len(line))
    for _ in range(MOST_STEPS):  # Ridders, IEEE Trans. Circuits Syst. 26 (1979) 979
        if not len(left):
            break
        c = 0.5 * (a + b)
        fc = along(line[left], c)
        s = (fc * fc - fa * fb).clamp_min(0.0).sqrt()
        best = torch.where(s > 0, c + (c - a) * torch.sign(fa - fb) * fc / s.clamp_min(1e-300), c)
        f = along(line[left], best)
        in_order = c < best
        p, q, fp, fq = (torch.where(in_order, *two) for two in ((c, best), (best, c), (fc, f), (f, fc)))
        first, second = (fa < 0) != (fp < 0), (fp < 0) != (fq < 0)
        moved = (best - found[left]).abs()
        found[left] = best
        a, fa = torch.where(first, a, torch.where(second, p, q)), torch.where(first, fa, torch.where(second, fp, fq))
        b, fb = torch.where(first, p, torch.where(second, q, b)), torch.where(first, fp, torch.where(second, fq, fb))
        on = (moved > close[left]) & (b - a > close[left]) & (f != 0.0)
        left, a, b, fa, fb = left[on], a[on], b[on], fa[on], fb[on]
    return line, found


def _brackets(level, x, lower, upper, axis) -> tuple[Tensor, Tensor, Tensor]:
    """The lines (R,) and the ends of gaps that hold one root each."""
    low, size = lower[:, axis], (upper - lower)[:, axis]
    middle = x.clone()
    middle[:, axis] = low + 0.5 * size
    near = (level(middle).abs() <= 0.5 * STEEPEST * size).nonzero()[:, 0]  # others are all on one side
    x, low, size = x[near], low[near], size[near]
    unit = _spread(SAMPLES)
    t = low[:, None] + size[:, None] * unit
    at = x[:, None].repeat(1, len(unit), 1)
    at[..., axis] = t
    f = level(at.flatten(0, 1)).reshape(t.shape)
    negative = f < 0
    line, gap = (negative[:, 1:] != negative[:, :-1]).nonzero(as_tuple=True)
    lines, a, b = [line], [t[line, gap]], [t[line, gap + 1]]
    # between samples on one side the level may be zero twice, as far as its slopes allow
    sums = f.abs()[:, 1:] + f.abs()[:, :-1]
    line, gap = ((negative[:, 1:] == negative[:, :-1]) & (sums <= STEEPEST * torch.diff(t))).nonzero(as_tuple=True)
    if len(line):
        start, end, sign = t[line, gap], t[line, gap + 1], torch.where(negative[line, gap], -1.0, 1.0)
        middle = x[line]
        middle[:, axis] = 0.5 * (start + end)
        at = [start, middle[:, axis], end]
        values = [sign * f[line, gap], sign * level(middle), sign * f[line, gap + 1]]
        left = torch.arange(len(line))
        for step in range(MOST_LOOKS):
            # by parabolas, and where two surfaces meet by narrowing the longer side
            place = _lowest(at, values, step % 3 == 2)
            on = x[line[left]]
            on[:, axis] = place
            at, values = _closer(at, values, place, sign[left] * level(on))
            crossed = values[1] < 0
            lines += [line[left[crossed]]] * 2
            a += [start[left[crossed]], at[1][crossed]]
            b += [at[1][crossed], end[left[crossed]]]
            low, high = (values[k] + values[k + 1] <= STEEPEST * (at[k + 1] - at[k]) for k in range(2))
            goes_on = ~crossed & (low | high)
            left, at, values = left[goes_on], [v[goes_on] for v in at], [v[goes_on] for v in values]
            if not len(left):
                break
    return near[torch.cat(lines)], torch.cat(a), torch.cat(b)


def _lowest(at: Sequence[Tensor], values: Sequence[Tensor], narrowed: bool) -> Tensor:
    """The lowest places of parabolas through three values, kept off the three places; or a place on the longer side."""
    (a, b, c), (fa, fb, fc) = at, values
    one, two = (b - a) * (fb - fc), (b - c) * (fb - fa)
    whole = one - two
    lowest = b - 0.5 * ((b - a) * one - (b - c) * two) / torch.where(whole == 0, torch.inf, whole)
    wider = torch.where(c - b > b - a, b + 0.3 * (c - b), b - 0.3 * (b - a))
    apart = (lowest > a) & (lowest < c) & ((lowest - b).abs() > 1e-9 * (c - a))
    return wider if narrowed else torch.where(apart, lowest, wider)


def _closer(at: Sequence[Tensor], values: Sequence[Tensor], x: Tensor, f: Tensor) -> tuple[list, list]:
    """Three places round the least value, of three in order with the least in the middle and one more."""
    (a, b, c), (fa, fb, fc) = at, values
    left = x < b
    low, high = torch.where(left, x, b), torch.where(left, b, x)
    f_low, f_high = torch.where(left, f, fb), torch.where(left, fb, f)
    first = f_low < f_high  # of the two in the middle the lower one
    at = [torch.where(first, a, low), torch.where(first, low, high), torch.where(first, high, c)]
    return at, [torch.where(first, fa, f_low), torch.where(first, f_low, f_high), torch.where(first, f_high, fc)]


def _spread(gaps: int) -> Tensor:
    """(gaps + 1,): places from one end of an interval to the other, closer to each other at the ends."""
    return 0.5 * (1.0 - torch.cos(torch.linspace(0.0, torch.pi, gaps + 1, dtype=torch.float64))).clamp(
        INNER, 2.0 - INNER
    )
