"""Quadrature of what of boxes lies inside a level function, and of its boundary there, to high order.

Input: a level (see `level_sets`) and boxes. Output: points and weights, by box. A box is cut into slices along its
first axis, these along the next, and the lines that are left at the roots of the level. As a function of the slice, an
integral is smooth between the places where the number of roots changes, and like a root beside them; there slices are
spaced by a cosine, which makes it smooth (dimension by dimension, as R. Saye, SIAM J. Sci. Comput. 37 (2015) A993,
with roots that are looked for in place of bounds of slopes).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.line_roots import INNER, STEEPEST, in_order, roots
from pinnsolve.bases.legendre import gauss_rule, tensor_points
from pinnsolve.geometry.level_sets import Level, Pieces
from pinnsolve.runtime import cached_by_device

DENSER, MORE = 1.5, 6  # points between changes for each of a line, and more: where that is no polynomial
SHORTER = 0.75  # power of the share of an axis with which they become fewer
PLAIN = 2  # more where nothing changes
SEEDS = {2: 5, 3: 4}  # places per axis from which those are sought where slices touch the boundary
NEWTON, DIFFERENCE = 11, 3e-4  # steps of that; relative to the size of a box: how far values are compared
MOST_MOVED, OUTSIDE = 0.5, 0.3  # in one of these steps; beyond a box, from where nothing comes back
ON, FLAT = 1e-8, 1e-5  # a level, and its slopes, that vanish
AT_END = 1e-6  # relative: how near to the end of a box that is at its end
SAME = 1e-7  # relative: changes nearer to each other are one
ONE = 1e-3  # the same, of places from which others are sought
AT_ONCE = 200_000  # lines that are looked at together


@dataclass(frozen=True)
class BoxRule:
    """Points `x` (N, d) with `weights` (N,) and the numbers (N,) of their boxes."""

    box: Tensor
    x: Tensor
    weights: Tensor


def inside_rule(level: Level, lower: Tensor, upper: Tensor, axes: Sequence[int], count: int) -> BoxRule:
    """What of boxes (G, d) is inside, with `count` points on each part of a line; other axes are held at `lower`."""
    if not len(lower):
        return BoxRule(torch.zeros(0, dtype=torch.long), lower, lower.new_zeros(0))
    return BoxRule(*_points(level, lower.clone(), lower, upper, torch.arange(len(lower)), list(axes), count))


def boundary_rule(level: Level, lower: Tensor, upper: Tensor, axis: int, count: int) -> BoxRule:
    """The boundary inside of boxes (G, d), as far as lines along an axis meet it, with weights of what it projects
    along it. So the integral of a function f on the boundary is the sum of those of f |n_a| over all axes a.

    No weight is large where a line touches the boundary, as they would be if one axis were to tell all of it.
    """
    others = [a for a in range(lower.shape[1]) if a != axis]
    box, x, weights = _slices(level, lower.clone(), lower, upper, torch.arange(len(lower)), [*others, axis], count)
    lines, places = [box[:0]], [x[:0, 0]]
    for part in torch.arange(len(box)).split(AT_ONCE):
        line, root = roots(level, x[part], lower[box[part]], upper[box[part]], axis)
        lines.append(part[line])
        places.append(root)
    line = torch.cat(lines)
    points = x[line]
    points[:, axis] = torch.cat(places)
    return BoxRule(box[line], points, weights[line])


def _points(level, x, lower, upper, box, axes, count) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, points and weights inside of the slices (N,) at x (N, d) along the axes that are left."""
    box, x, weights = _slices(level, x, lower, upper, box, axes, count)
    results = []
    for part in torch.arange(len(box)).split(AT_ONCE):
        results.append(_on_lines(level, x[part], lower, upper, box[part], weights[part], axes[-1], count))
    return tuple(torch.cat(column) for column in zip(*results, strict=True))


def _slices(level, x, lower, upper, box, axes, count) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, places and weights of lines along the last of the axes."""
    weights = x.new_ones(len(x))
    for k in range(len(axes) - 1):
        owner, places, share = _nodes(level, x, lower[box], upper[box], axes[k:], count)
        x, box, weights = x[owner].clone(), box[owner], weights[owner] * share
        x[:, axes[k]] = places
    return box, x, weights


def _nodes(level, x, lower, upper, axes, count) -> tuple[Tensor, Tensor, Tensor]:
    """Along the first axis: the owners (M,) of slices, where they are, and weights."""
    axis = axes[0]
    low, high = lower[:, axis], upper[:, axis]
    found, places = _changes(level, x, lower, upper, axes)
    owner, start, end = _parted(low, high, found, places)
    changed = torch.bincount(found, minlength=len(x))[owner] > 0
    size = end - start
    share = size / (high - low)[owner].clamp_min(1e-300)
    # part of an axis sees part of the waves of a polynomial
    bent = 2 * torch.ceil(0.5 * DENSER * count * share**SHORTER).long() + MORE
    points = torch.where(changed, bent, 0)
    results = []
    for number in torch.unique(points[size > 0]).tolist():
        here = ((points == number) & (size > 0)).nonzero()[:, 0]
        unit, weight = gauss_rule(number or count + PLAIN)
        if number:  # by a cosine: what is like a root beside a change becomes smooth
            angle = torch.pi * unit
            unit, weight = 0.5 * (1.0 - torch.cos(angle)), 0.5 * torch.pi * weight * torch.sin(angle)
        places, share = start[here, None] + size[here, None] * unit, size[here, None] * weight
        results.append((owner[here].repeat_interleave(len(unit)), places.flatten(), share.flatten()))
    if not results:
        return owner[:0], start[:0], start[:0]
    return tuple(torch.cat(column) for column in zip(*results, strict=True))


def _changes(level, x, lower, upper, axes) -> tuple[Tensor, Tensor]:
    """Owners and places (K,) along the first axis where what slices hold changes its form, in order.

    Forms change where they do at the ends of slices, where the boundary touches a slice, and at corners.
    """
    found = [_at_ends(level, x, lower, upper, axes), _touching(level, x, lower, upper, axes)]
    if isinstance(level, Pieces):
        found += _corners(level, x, lower, upper, axes)
    owner, place = (torch.cat(column) for column in zip(*found, strict=True))
    order = in_order(owner, place)
    owner, place = owner[order], place[order]
    apart = torch.ones(len(owner), dtype=torch.bool)
    size = (upper - lower)[owner, axes[0]]
    apart[1:] = (owner[1:] != owner[:-1]) | (torch.diff(place) > SAME * size[1:])
    return owner[apart], place[apart]


def _touching(level, x, lower, upper, axes) -> tuple[Tensor, Tensor]:
    """Where the boundary is tangent to slices: the level and its slopes along all axes but the first vanish."""

    def residuals(f: Sequence[Tensor], slopes: Sequence[Tensor], curvatures: Sequence[Tensor]):
        return torch.cat([f[0], slopes[0][:, 1:]], dim=1), torch.cat([slopes[0][:, None], curvatures[0][:, 1:]], dim=1)

    def across(slopes: Sequence[Tensor], curvatures: Sequence[Tensor]) -> Tensor:
        """To the other end of a small piece: along the line on which the other slopes stay zero."""
        (s,), (C,) = slopes, curvatures
        along = -torch.linalg.solve_ex(C[:, 1:, 1:], C[:, 1:, :1])[0][..., 0]
        along = torch.cat([torch.ones_like(s[:, :1]), along], dim=1)
        return _other_zero(s, C, along, torch.zeros_like(s))

    return _newton([level], residuals, across, x, lower, upper, axes)


def _corners(level: Pieces, x, lower, upper, axes) -> Iterator[tuple[Tensor, Tensor]]:
    """Where two of the surfaces meet, in slices of two coordinates, or the curve in which they meet touches slices, in
    three, as far as the boundary is there."""
    ends = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * len(axes))
    size, passes = (upper - lower)[:, axes], []
    for number, surface in enumerate(level.surfaces):
        through = torch.ones(len(x), dtype=torch.bool)
        if number < level.flat and len(x):  # planes along the ends of slices are found there
            places = x[:, None].repeat(1, len(ends), 1)
            places[..., axes] = lower[:, None, axes] + ends * size[:, None]
            values = surface(places.flatten(0, 1)).reshape(-1, len(ends))
            least = AT_END * size.amax(dim=1)
            through = (values.amin(dim=1) < -least) & (values.amax(dim=1) > least)
        passes.append(through)
    residuals, across = (_meeting, _along_first) if len(axes) == 2 else (_touching_curve, None)
    for one, two in itertools.combinations(range(len(level.surfaces)), 2):
        rows = (passes[one] & passes[two]).nonzero()[:, 0]
        if len(rows):
            pair = level.surfaces[one], level.surfaces[two]
            owner, place = _newton(pair, residuals, across, x[rows], lower[rows], upper[rows], axes, level)
            yield rows[owner], place


def _meeting(f: Sequence[Tensor], slopes: Sequence[Tensor], _: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Two levels are zero."""
    return torch.cat(list(f), dim=1), torch.stack(list(slopes), dim=1)


def _touching_curve(f: Sequence[Tensor], slopes: Sequence[Tensor], curvatures: Sequence[Tensor]):
    """Two levels are zero, and their slopes along the second and third axis lie in one line."""
    (s, t), (S, T) = slopes, curvatures
    F = torch.cat([*f, (s[:, 1] * t[:, 2] - s[:, 2] * t[:, 1])[:, None]], dim=1)
    row = S[:, 1] * t[:, 2:] + T[:, 2] * s[:, 1:2] - S[:, 2] * t[:, 1:2] - T[:, 1] * s[:, 2:]
    return F, torch.stack([s, t, row], dim=1)


def _along_first(slopes: Sequence[Tensor], curvatures: Sequence[Tensor]) -> Tensor:
    """(M, 2): from one place where two levels meet to the other one, along the zeros of the first level."""
    (s, t), (S, T) = slopes, curvatures
    along = torch.stack([-s[:, 1], s[:, 0]], dim=1)
    bent = -_twice(S, along) * s / s.square().sum(dim=1, keepdim=True)
    return _other_zero(t, T, along, bent)


def _other_zero(slope: Tensor, curvature: Tensor, along: Tensor, bent: Tensor) -> Tensor:
    """(M, k): from a zero of a function to its other zero on a curve that goes `along` a direction and is `bent`."""
    first, second = (slope * along).sum(dim=1, keepdim=True), _twice(curvature, along)
    second = second + (slope * bent).sum(dim=1, keepdim=True)
    far = -2.0 * first / second
    return far * along + 0.5 * far**2 * bent


def _twice(matrix: Tensor, x: Tensor) -> Tensor:
    """(M, 1): x^T (matrix) x"""
    return ((matrix @ x[..., None])[..., 0] * x).sum(dim=1, keepdim=True)


def _newton(levels, residuals, across, x, lower, upper, axes, on_boundary=None) -> tuple[Tensor, Tensor]:
    """Where the residuals of slices along the axes vanish, as places along the first axis; they are made of the values
    (M, 1) of levels, their slopes (M, k) and curvatures (M, k, k) in units of the boxes.

    By Newton's method from places all over the slices, with differences for derivatives, and from where those that were
    found have another one near them: `across` says how far, by slopes and curvatures. Of two at the ends of something
    small near the end of a slice, one may have no place on its side.
    """
    k, box = len(axes), upper[:, axes] - lower[:, axes]
    seeds = tensor_points([(torch.arange(SEEDS[k], dtype=torch.float64) + 0.5) / SEEDS[k]] * k)
    offsets, of_slopes, of_curvatures = _stencil(k)

    def places(owner: Tensor, at: Tensor) -> Tensor:
        """(M, P, d), of at (M, P, k)"""
        points = x[owner][:, None].repeat(1, at.shape[1], 1)
        points[..., axes] = lower[owner][:, axes][:, None] + box[owner][:, None] * at
        return points

    owner, at = torch.arange(len(x)).repeat_interleave(len(seeds)), seeds.repeat(len(x), 1)
    for level in levels:  # a zero has a seed about as near as these are to each other
        reach = STEEPEST * box.norm(dim=1)[owner] / SEEDS[k]
        near = level(places(owner, at[:, None])[:, 0]).abs() <= reach if len(owner) else reach > 0
        at, owner = at[near], owner[near]
    eye, inside = torch.eye(k, dtype=torch.float64), partial(_within, OUTSIDE)

    def iterated(owner: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The zeros that are reached from there: their owners, where they are, and where others may be."""
        owners, found, others = [owner[:0]], [at[:0]], [at[:0]]
        for _ in range(NEWTON):
            if not len(owner):
                break
            points = places(owner, at[:, None] + DIFFERENCE * offsets).flatten(0, 1)
            unit = box[owner].amax(dim=1, keepdim=True)
            values = [level(points).reshape(len(owner), len(offsets)) / unit for level in levels]
            slopes = [f @ of_slopes for f in values]
            curvatures = [(f @ of_curvatures).reshape(-1, k, k) for f in values]
            F, J = residuals([f[:, :1] for f in values], slopes, curvatures)
            there = (F[:, 0].abs() < ON) & (F[:, 1:].abs().amax(dim=1) < FLAT)
            small = 1e-12 * J.square().sum(dim=(1, 2), keepdim=True) + 1e-300  # where slices touch along a line
            move = torch.linalg.solve_ex(J.mT @ J + small * eye, J.mT @ F[..., None])[0][..., 0]
            length = move.norm(dim=1, keepdim=True)
            at = at - move * (MOST_MOVED / length.clamp_min(MOST_MOVED))
            owners.append(owner[there])
            found.append(at[there])
            if across is not None:
                others.append(at[there] + across([v[there] for v in slopes], [v[there] for v in curvatures]))
            on = ~there & inside(at)  # only those that are near go on
            at, owner = at[on], owner[on]
        return torch.cat(owners), torch.cat(found), torch.cat(others)

    owner, at, other = iterated(owner, at)
    if across is not None:
        beside = inside(other)
        more, there, _ = iterated(*_once(owner[beside], other[beside]))
        owner, at = torch.cat([owner, more]), torch.cat([at, there])
    kept = _within(AT_END, at)
    if on_boundary is not None and len(owner):
        kept &= on_boundary(places(owner, at[:, None])[:, 0]).abs() <= FLAT * box[owner].amax(dim=1)
    owner, at = owner[kept], at[kept].clamp(0.0, 1.0)  # at an end, too: what is beside it is no less like a root
    return owner, lower[owner, axes[0]] + box[owner, 0] * at[:, 0]


def _within(beyond: float, at: Tensor) -> Tensor:
    """(M,): which places (M, k) are in their box, or so much beyond it."""
    return ((at > -beyond) & (at < 1.0 + beyond)).all(dim=1)


def _once(owner: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Of places (M, k) of an owner that are nearly the same, one."""
    keys = torch.cat([owner[:, None].double(), (at / ONE).round()], dim=1)
    _, number = torch.unique(keys, dim=0, return_inverse=True)
    first = torch.full((len(keys),), len(keys)).scatter_reduce(0, number, torch.arange(len(keys)), "amin")
    first = first[first < len(keys)]
    return owner[first], at[first]


@cached_by_device(4)
def _stencil(k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets (P, k), of which the first is zero, and what makes slopes (P, k) and curvatures (P, k k) of values
    there."""
    eye = torch.eye(k, dtype=torch.float64)
    offsets, rows = [torch.zeros(k, dtype=torch.float64)], {}
    for i in range(k):
        for sign in (1.0, -1.0):
            rows[i, sign] = len(offsets)
            offsets.append(sign * eye[i])
    for i, j in itertools.combinations(range(k), 2):
        for one, two in itertools.product((1.0, -1.0), repeat=2):
            rows[i, j, one, two] = len(offsets)
            offsets.append(one * eye[i] + two * eye[j])
    slopes = torch.zeros(len(offsets), k, dtype=torch.float64)
    curvatures = torch.zeros(len(offsets), k, k, dtype=torch.float64)
    for i in range(k):
        curvatures[0, i, i] = -2.0 / DIFFERENCE**2
        for sign in (1.0, -1.0):
            slopes[rows[i, sign], i] = 0.5 * sign / DIFFERENCE
            curvatures[rows[i, sign], i, i] = 1.0 / DIFFERENCE**2
    for i, j in itertools.combinations(range(k), 2):
        for one, two in itertools.product((1.0, -1.0), repeat=2):
            row, factor = rows[i, j, one, two], one * two / (4.0 * DIFFERENCE**2)
            curvatures[row, i, j] = curvatures[row, j, i] = factor
    return torch.stack(offsets), slopes, curvatures.flatten(1)


def _at_ends(level, x, lower, upper, axes) -> tuple[Tensor, Tensor]:
    """The changes of what slices hold at their ends along the other axes."""
    owners, found = [], []
    for other in axes[1:]:
        rest = [a for a in axes if a != other]
        for end, inwards in ((lower, 1.0), (upper, -1.0)):
            at = x.clone()
            at[:, other] = end[:, other] + inwards * INNER * (upper - lower)[:, other]
            if len(rest) == 1:
                owner, place = roots(level, at, lower, upper, rest[0])
            else:
                owner, place = _changes(level, at, lower, upper, rest)
            owners.append(owner)
            found.append(place)
    return torch.cat(owners), torch.cat(found)


def _parted(low: Tensor, high: Tensor, owner: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intervals (N,) from `low` to `high`, parted at places (K,) of the intervals `owner` (K,): the owners, starts and
    ends (N + K,) of the parts."""
    owner, start = torch.cat([torch.arange(len(low)), owner]), torch.cat([low, place])
    order = in_order(owner, start)
    owner, start = owner[order], start[order]
    last = torch.ones(len(owner), dtype=torch.bool)
    last[:-1] = owner[1:] != owner[:-1]
    return owner, start, torch.where(last, high[owner], start.roll(-1))


def _on_lines(level, x, lower, upper, box, weights, axis, count) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, points and weights on the parts of lines along an axis that are inside."""
    low, high = lower[box, axis], upper[box, axis]
    owner, start, end = _parted(low, high, *roots(level, x, lower[box], upper[box], axis))
    middle = x[owner].clone()
    middle[:, axis] = 0.5 * (start + end)
    kept = (end > start) & (level(middle) < 0) if len(middle) else end > start
    owner, start, end = owner[kept], start[kept], end[kept]
    unit, share = gauss_rule(count)
    points = x[owner][:, None].repeat(1, count, 1)
    points[..., axis] = start[:, None] + (end - start)[:, None] * unit
    w = (weights[owner] * (end - start))[:, None] * share
    return box[owner].repeat_interleave(count), points.flatten(0, 1), w.flatten()
