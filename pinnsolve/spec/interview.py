"""The questions of `pinnsolve new --interactive`, and the problem file that their answers make.

Input: a way to ask. Output: the keys and values of a problem file, which solves as it stands. No sympy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import Value
from pinnsolve.language.parsed_texts import ParsedTexts
from pinnsolve.language.syntax import parse, parse_equation
from pinnsolve.spec.schema.types import IDENTIFIER

SPACE = ("x", "y", "z")
INSULATED, PERIODIC, VALUE = "insulated", "periodic", "value"


@dataclass(frozen=True)
class Kind:
    """An equation that many problems have: its name, its text, its constant, how many orders of time it has."""

    title: str
    equation: str
    parameter: str | None
    order_in_time: int


KINDS = {
    "poisson": Kind("steady: heat, deflection, potential, with a source", "-laplacian(u) = {source}", None, 0),
    "diffusion": Kind("heat or a substance that spreads in time", "D(u, t) = {parameter}*laplacian(u)", "kappa", 1),
    "wave": Kind("waves, a string, a membrane", "D(u, t, t) = {parameter}**2*laplacian(u)", "c", 2),
    "own": Kind("an equation of your own", "", None, 0),
}


@dataclass(frozen=True)
class Question:
    """What is asked, the answer that Enter gives, and what is wrong with an answer, in words, or None."""

    text: str
    default: str
    complaint: Callable[[str], str | None] = lambda answer: None


Ask = Callable[[Question], str]


def interview(name: str, ask: Ask) -> dict[str, Any]:
    """Ask what a problem is, and return its file; `ask` returns answers that nothing is wrong with."""
    listed = "; ".join(f"{key}: {kind.title}" for key, kind in KINDS.items())
    kind = KINDS[ask(Question(f"What kind of equation? ({listed})", "poisson", _one_of(KINDS)))]
    counts, only = (("1", "2", "3"), "") if kind.equation else (("0", "1", "2", "3"), "; 0 if there is only time")
    count = int(ask(Question(f"How many coordinates of space? (1, 2 or 3{only})", "2", _one_of(counts))))
    space = SPACE[:count]
    order = kind.order_in_time or (_order_of_own(ask, bool(space)) if not kind.equation else 0)
    coordinates = {**({"t": _interval(ask, "t", "0", "1")} if order else {}), **{c: _interval(ask, c) for c in space}}
    unknown = "u" if kind.equation else ask(Question("What is the unknown called?", "u", _name_beside(coordinates)))
    parameters, equation = _equation(ask, kind, unknown, (*(("t",) if order else ()), *space))
    start = _start(ask, order, unknown, space, coordinates.get("t", ["0"])[0])
    conditions = {**start, **_boundary(ask, unknown, space)}
    whole = {
        "name": name,
        "coordinates": {name: [_plain(end) for end in ends] for name, ends in coordinates.items()},
        "unknowns": unknown,
        "parameters": {key: _plain(value) for key, value in parameters.items()},
        "equations": {"inside": equation},
        "conditions": conditions,
        "solve": {"tolerance": _plain(ask(Question("Relative error to reach?", "1e-4", _positive)))},
    }
    return {key: value for key, value in whole.items() if value}


def _order_of_own(ask: Ask, has_space: bool) -> int:
    default = "0" if has_space else "1"
    words = "How many derivatives by time t does the equation have at most? (0 if nothing depends on time)"
    return int(ask(Question(words, default, _one_of(("0", "1", "2") if has_space else ("1", "2")))))


def _interval(ask: Ask, name: str, low: str = "0", high: str = "1") -> list[str]:
    first = ask(Question(f"{name} goes from", low, _number))

    def above(answer: str) -> str | None:
        return _number(answer) or (None if _value(answer) > _value(first) else f"it must lie above {first}")

    return [first, ask(Question(f"{name} goes to", high, above))]


def _equation(ask: Ask, kind: Kind, unknown: str, coordinates: Sequence[str]) -> tuple[dict[str, str], str]:
    """The parameters and the equation."""
    if not kind.equation:
        shown = f"D({unknown}, {coordinates[0]}) = -{unknown}"
        return {}, ask(Question("The equation, such as the one shown", shown, _an_equation))
    if kind.parameter is None:
        return {}, kind.equation.format(source=ask(Question("The source", "1", _expression)))
    value = ask(Question(f"The constant {kind.parameter}", "1", _positive))
    return {kind.parameter: value}, kind.equation.format(parameter=kind.parameter)


def _start(ask: Ask, order: int, unknown: str, space: Sequence[str], first: str) -> dict[str, Any]:
    if not order:
        return {}
    bump = "*".join(f"sin(pi*{c})" for c in space) or "1"
    texts = [f"{unknown} = {ask(Question(f'{unknown} at the start', bump, _expression))}"]
    if order == 2:
        texts.append(f"D({unknown}, t) = {ask(Question('its derivative by t at the start', '0', _expression))}")
    said = {"equations": texts} if order == 2 else {"equation": texts[0]}
    return {"start": {"on": f"t = {first}", **said}}


def _boundary(ask: Ask, unknown: str, space: Sequence[str]) -> dict[str, Any]:
    if not space:
        return {}
    kinds = (VALUE, INSULATED, PERIODIC)
    kind = ask(Question(f"What holds on the boundary? ({', '.join(kinds)})", VALUE, _one_of(kinds)))
    if kind == PERIODIC:
        return {"walls": {"periodic": list(space)}}
    if kind == INSULATED:
        return {"walls": {"on": "boundary", "equation": f"Dn({unknown}) = 0"}}
    value = ask(Question(f"{unknown} on the boundary", "0", _expression))
    return {"walls": {"on": "boundary", "equation": f"{unknown} = {value}"}}


def _plain(answer: str) -> float | int | str:
    """A number as a number; an expression, such as `2*pi`, as it is."""
    for kind in (int, float):
        try:
            return kind(answer)
        except ValueError:
            continue
    return answer


# -- what is wrong with an answer -----------------------------------------------------------------------------------


def _one_of(words: Sequence[str] | dict[str, Any]) -> Callable[[str], str | None]:
    return lambda answer: None if answer in words else f"answer one of {', '.join(words)}"


def _name_beside(taken: Collection[str]) -> Callable[[str], str | None]:
    words = "letters and digits, and no name of a coordinate"
    return lambda answer: None if IDENTIFIER.fullmatch(answer) and answer not in taken else words


def _value(answer: str) -> float:
    found: Value = ParsedTexts().value(answer, {})
    return float(found)


def _number(answer: str) -> str | None:
    try:
        _value(answer)
    except ExpressionError as error:
        return f"a number is expected, such as 1, 0.5 or 2*pi: {error.message}"
    return None


def _positive(answer: str) -> str | None:
    return _number(answer) or (None if _value(answer) > 0 else "it must be positive")


def _expression(answer: str) -> str | None:
    return _parsed(answer, parse)


def _an_equation(answer: str) -> str | None:
    return _parsed(answer, parse_equation)


def _parsed(answer: str, read: Callable[[str], Any]) -> str | None:
    try:
        read(answer)
    except ExpressionError as error:
        return error.message + (f"; {error.hint}" if error.hint else "")
    return None
