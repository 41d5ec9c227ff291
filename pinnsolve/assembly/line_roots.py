"""Where lines through boxes cross the boundary of a level function: all roots of the level along them.

Input: a level (see `level_sets`), whose slopes are about one at most, and lines along an axis. Output: the roots, found
in the gaps of samples where the sign changes, and where a level that is near zero between samples may be so twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SAMPLES = 16  # gaps of a line in which roots are looked for
MOST_LOOKS = 30  # for two roots in one gap
MOST_STEPS, CLOSE = 40, 1e-12  # that find a root in its bracket, which ends where it moves by less, relative
STEEPEST = 1.5  # slope of a level along a line, at most
INNER = 1e-10  # relative: how far from its ends a line begins, since faces are counted on their own


def roots(level, x, lower, upper, axis) -> tuple[Tensor, Tensor]:
    """Lines (R,) and places (R,) of all roots along an axis, on lines through x (N, d)."""
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
    size_of = f.abs()
    same = (negative[:, 1:-1] == negative[:, :-2]) & (negative[:, 1:-1] == negative[:, 2:])
    least = (size_of[:, 1:-1] <= size_of[:, :-2]) & (size_of[:, 1:-1] <= size_of[:, 2:])
    gaps, sums = STEEPEST * torch.diff(t), size_of[:, 1:] + size_of[:, :-1]
    close = (sums[:, :-1] <= gaps[:, :-1]) | (sums[:, 1:] <= gaps[:, 1:])
    line, gap = (same & least & close).nonzero(as_tuple=True)
    if len(line):
        start, end, sign = t[line, gap], t[line, gap + 2], torch.where(negative[line, gap + 1], -1.0, 1.0)
        at = [start, t[line, gap + 1], end]
        values = [sign * f[line, gap], sign * f[line, gap + 1], sign * f[line, gap + 2]]
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
            # elsewhere it may still be lower by what slopes allow
            goes_on = ~crossed & (values[1] < STEEPEST * torch.maximum(at[1] - at[0], at[2] - at[1]))
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
