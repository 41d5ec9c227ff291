"""Does a nonlinear equation of first order keep a smooth solution until the end of the time?

Where characteristics cross, only weak solutions go on, with shocks whose speed the equation does not state as it is
written: least squares of it would choose a wrong one. Input: a `StatedProblem`. Output: errors. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pinnsolve.errors import Diagnostic
from pinnsolve.language.symbols import feature_symbol
from pinnsolve.problem.checks.characteristics import DIFFERENCE, Point, Profile, Transport, jumps, transport_of
from pinnsolve.problem.checks.findings import error, point_text
from pinnsolve.problem.checks.pointwise import function_of, value_at

if TYPE_CHECKING:
    from pinnsolve.problem.stated import StatedProblem

SHARE = 1e-3  # of the time or of an interval: what crosses so near to its end is not yet lost
HINT = (
    "what goes on from there is a weak solution, whose shocks depend on what the equation leaves out. {instead} add a "
    "small viscosity, such as `1e-3*{second}` on the right side, with conditions on all of the boundary"
)


def weak_solutions(problem: StatedProblem) -> Iterator[Diagnostic]:
    """An error where a smooth solution ends before the time does; at most one.

    Problems with data are left to the solve: what data say may exclude it.
    """
    transport = None if problem.of_kind("data") or problem.unknown_parameters else transport_of(problem)
    if transport is None:
        return
    axis = problem.coordinates.index(problem.time)
    low = problem.intervals[axis][0]
    finders = (_jumps_of_starts, _crossings, _from_faces)
    for finder in finders:
        for found in finder(problem, transport, axis, low):
            yield found
            return


def _told(problem: StatedProblem, transport: Transport, message: str, ends: bool) -> Diagnostic:
    u = transport.carried[0]
    x = next(c for i, c in enumerate(problem.coordinates) if i in problem.space_axes)
    instead = "End the time before, or" if ends else "To have one,"
    return error(
        problem, f"equations.{transport.name}", message, HINT.format(instead=instead, second=f"D({u}, {x}, {x})")
    )


def _speed(
    problem: StatedProblem, transport: Transport, profile: Profile, axis: int
) -> Callable[[Point], float | None]:
    """The speed along an axis of the values of a profile, as a function of its points."""
    unknown = transport.carried[0]
    symbol = feature_symbol(unknown, (0,) * len(problem.coordinates))
    speed = function_of(transport.speeds[axis])

    def at(point: Point) -> float | None:
        value = profile(point)
        return None if value is None else value_at(speed, {**profile.at(point), symbol: value})

    return at


def _jumps_of_starts(problem: StatedProblem, transport: Transport, axis: int, low: float) -> Iterator[Diagnostic]:
    """Of one equation, starts that jump so that characteristics run into each other; of several, all that jump."""
    for unknown in transport.carried:
        start = Profile(problem, unknown, axis, low)
        if not start.known or problem.shape is not None:
            continue
        for number, a in enumerate(start.axes):
            speed = None if transport.speeds is None else _speed(problem, transport, start, a)
            for line in start.lines(number):
                for point, before, after in jumps(start if speed is None else speed, line):
                    if speed is None or before > after:
                        where = point_text(problem, dict(zip(start.axes, point, strict=True)))
                        message = f"the start of `{unknown}` jumps at {where}"
                        message += (
                            " and the equations are nonlinear: "
                            if speed is None
                            else ", where fast values run into slow ones: "
                        )
                        yield _told(
                            problem,
                            transport,
                            message + "there is no smooth solution, only weak ones with shocks",
                            False,
                        )
                        return


def _crossings(problem: StatedProblem, transport: Transport, axis: int, low: float) -> Iterator[Diagnostic]:
    """Where straight characteristics from the start cross inside the domain and the time."""
    start = Profile(problem, transport.carried[0], axis, low)
    if not (transport.straight and start.known) or problem.shape is not None:
        return
    speeds = [_speed(problem, transport, start, a) for a in start.axes]
    first = None
    for line in start.lines(0):
        for point in line:
            c = _compression(speeds, start, point)
            if c is None or c * (problem.intervals[axis][1] - low) <= 1 + SHARE or (first and c <= first[0]):
                continue
            spot = {a: x + s(point) / c for a, x, s in zip(start.axes, point, speeds, strict=True)}
            if _inside(problem, spot):
                first = c, spot
    if first is not None:
        where = point_text(problem, {axis: low + 1 / first[0]})
        message = f"the characteristics of `{transport.name}` cross at about {where}, {point_text(problem, first[1])}: "
        yield _told(
            problem, transport, message + "no smooth solution goes on from there, only weak ones with shocks", True
        )


def _compression(speeds, start: Profile, point: Point) -> float | None:
    """Minus the divergence of the speeds; None where it is not defined."""
    total = 0.0
    for number, speed in enumerate(speeds):
        low, high = start.intervals[number]
        h = DIFFERENCE * (high - low)
        ends = [speed((*point[:number], point[number] + step, *point[number + 1 :])) for step in (-h, h)]
        if None in ends:
            return None
        total -= (ends[1] - ends[0]) / (2 * h)
    return total


def _inside(problem: StatedProblem, spot: dict[int, float]) -> bool:
    """Whether a point of space lies in the box, or comes back into it across periodic faces."""
    periodic = {p.partner[0] for s in problem.statements for p in s.region.pieces if p.partner is not None}
    for axis, x in spot.items():
        low, high = problem.intervals[axis]
        margin = SHARE * (high - low)
        if axis not in periodic and not low + margin < x < high - margin:
            return False
        if axis in periodic:
            spot[axis] = low + (x - low) % (high - low)
        if abs(spot[axis]) < DIFFERENCE * (high - low):  # zero, up to the differences
            spot[axis] = 0.0
    return True


def _from_faces(problem: StatedProblem, transport: Transport, axis: int, low: float) -> Iterator[Diagnostic]:
    """On a line, where what flows in later is faster than what flowed in before, or than the start."""
    if not transport.straight or problem.shape is not None or len(problem.coordinates) != 2:
        return
    (a,) = (i for i in range(2) if i != axis)
    start = Profile(problem, transport.carried[0], axis, low)
    for side, face in enumerate(problem.intervals[a]):
        given = Profile(problem, transport.carried[0], a, face)
        if given.known and (time := _met(problem, transport, start, given, a, side)) is not None:
            where = f"{point_text(problem, {a: face})} after {point_text(problem, {axis: time})}"
            message = f"what enters at {where} is faster than what is before it, and overtakes it: "
            yield _told(problem, transport, message + "there is no smooth solution, only weak ones with shocks", False)


def _met(
    problem: StatedProblem, transport: Transport, start: Profile, given: Profile, a: int, side: int
) -> float | None:
    """The time at which something enters a face, the lower (`side` 0) or the upper (1) along axis `a`, that overtakes
    what is before it, inside the domain and the time."""
    face, inward = problem.intervals[a][side], (1, -1)[side]
    speed = _speed(problem, transport, given, a)
    (low, high), length = given.intervals[0], problem.intervals[a][1] - problem.intervals[a][0]
    (line,) = given.lines(0)
    values = [None if (v := speed(point)) is None else inward * v for point in line]
    if start.known and values[0] is not None:
        ahead = _speed(problem, transport, start, a)((face,))
        entering = speed((low,))
        if None not in (ahead, entering) and inward * entering > max(0.0, inward * ahead) * (1 + SHARE) + SHARE * abs(
            entering
        ):
            return low
    for point, before, after in jumps(lambda p: None if (v := speed(p)) is None else inward * v, line):
        if after > max(before, 0.0):
            return point[0]
    h = DIFFERENCE * (high - low)
    for (t,), v in zip(line, values, strict=True):
        ends = speed((t - h,)), speed((t + h,))
        if v is None or v <= 0 or None in ends:
            continue
        rate = inward * (ends[1] - ends[0]) / (2 * h)
        if rate > 0 and t + v / rate < high - SHARE * (high - low) and v * v / rate < length * (1 - SHARE):
            return t
    return None
