"""Boundary and initial conditions in the forms that other tools and blackboards have.

Input: a value such as `u(0, t) = u(1, t) = 0`, `{type: Dirichlet, value: 0, location: left}`, `{left: 0, right: 1}` or
`DirichletBC(V, 0, "on_boundary")`, and what is known of the file. Output: entries of our `conditions` by name; none
where it is not clear what is meant. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pinnsolve.language.other_notations import EQUATION, rewritten
from pinnsolve.spec.other_tools.intervals import number
from pinnsolve.spec.other_tools.places import BOUNDARY, INITIAL, Facts, place_of, usual_place
from pinnsolve.spec.other_tools.words import ABOUT, KINDS, PERIODIC, RATES, SIDES, START, WHOLE, plain

_PLACE_KEYS = ("on", "at", "where", "location", "loc", "place", "boundary", "face", "side", "region", "position",
               "subdomain", "marker", "edge", "domain")  # fmt: skip
_VALUE_KEYS = (
    "equation",
    "value",
    "val",
    "values",
    "expr",
    "expression",
    "func",
    "function",
    "rhs",
    "g",
    "equals",
    "target",
)
_TYPE_KEYS = ("type", "kind", "bc_type", "bc", "condition")
_SAID_AT = re.compile(r"^(.+?=.+?)\s*(?:,|;|@|\||\bat\b|\bon\b|\bfor\b|\bwhen\b|\bif\b)\s*(?:the\s+)?(.+)$")
_BEFORE = re.compile(r"^(?:at\s+|on\s+)?([A-Za-z]\w*\s*={1,2}\s*[-\w.*/]+|[a-z_]+)\s*:\s*(.+)$")
_PLACES = (*WHOLE, *START, "conditions")  # words that say no more than the place does
_CALL = re.compile(r"^[\w.]*?(Dirichlet|Neumann|Robin|Periodic|IC|Initial)\w*\s*[\[(](.*)[\])]\s*$", re.DOTALL)


def conditions_of(value: Any, kind: str, facts: Facts, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The conditions that a value states, each with a name, which may be repeated."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from conditions_of(item, kind, facts, name)
    elif isinstance(value, Mapping) and len(value) == 1 and _cut(*next(iter(value.items()))):
        yield from conditions_of(": ".join(map(str, *value.items())), kind, facts, name)
    elif isinstance(value, Mapping) and _is_one(value, facts):
        yield from _of_map(value, kind, facts, name)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _of_entry(str(key), item, kind, facts)
    elif isinstance(value, str):
        for text in _statements(value, facts):
            yield from _of_text(text, kind, facts, name)
    elif value is not None:
        yield from _of_text(str(value), kind, facts, name)


def is_word(key: Any, facts: Facts) -> bool:
    """Whether a key of a condition is one of other tools, and none of ours."""
    words = {*_PLACE_KEYS, *_VALUE_KEYS, *_TYPE_KEYS, *KINDS, *PERIODIC, *SIDES, *facts.unknowns, *facts.intervals}
    return plain(key) in words - {"on", "at", "where", "equation", "equals"}


def restated(item: dict[str, Any], facts: Facts) -> Iterator[tuple[str, str]]:
    """Puts `periodic: true`, `u = v = 0` and `u(0, t) = 0` into our words; the keys, and what is said."""
    if item.get("periodic") is True and facts.space:
        item["periodic"] = facts.space[0] if len(facts.space) == 1 else list(facts.space)
        yield "periodic", "the coordinate is missing"
    if several := _several(item.get("equation"), facts):
        del item["equation"]
        item["equations"] = several
        yield "equation", "several equations stand under `equations`"
    text = item.get("equation")
    found = values_at(text, BOUNDARY, facts) if isinstance(text, str) else None
    if found and len(found) == 1 and isinstance(found[0][0], str) and found[0][0] not in PERIODIC:
        item["on"], item["equation"] = found[0]
        yield "equation", "the place stands under `on`"


def _several(said: Any, facts: Facts) -> list[str]:
    """The equations of a list, or of `u = v = 0`; none where there is but one."""
    if isinstance(said, list) and said and all(isinstance(text, str) for text in said):
        return said
    sides = [side.strip() for side in re.split(r"(?<![<>=!])={1,2}(?!=)", said)] if isinstance(said, str) else []
    if len(sides) < 3 or not all(side in facts.unknowns for side in sides[:-1]):
        return []
    return [f"{side} = {sides[-1]}" for side in sides[:-1]]


def _cut(key: Any, item: Any) -> bool:
    """Whether YAML has taken a text for a map, as it does `DirichletBC(geom, lambda x: 0, left)`."""
    return isinstance(item, str | int | float) and str(key).count("(") > str(key).count(")")


def _is_one(value: Mapping, facts: Facts) -> bool:
    """Whether a map states one condition, rather than several by name."""
    keys = {plain(key) for key, item in value.items() if not isinstance(item, Mapping)}
    if keys & {*KINDS, *PERIODIC} - {*_VALUE_KEYS} and keys & {*_PLACE_KEYS}:
        return True
    said = keys & {*_VALUE_KEYS, "equations"} or (keys & {*_TYPE_KEYS} and not keys & {*SIDES, *WHOLE})
    return bool(said) or bool(keys & {*facts.unknowns} and keys & {*_PLACE_KEYS, *facts.intervals})


def _of_entry(key: str, item: Any, kind: str, facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    """One entry of a map: its key is a place, a kind, an unknown, or a name."""
    place, word = place_of(key, facts), plain(key)
    if place is not None and isinstance(item, Mapping):
        yield from conditions_of({"on": place, **item}, kind, facts, word)
    elif place is not None:
        yield from conditions_of(0 if item is True else item, kind, facts, key)
    elif "(" in key and not isinstance(item, Mapping | list):
        yield from conditions_of(key if "=" in key and item is None else f"{key} = {item}", kind, facts)
    elif word in KINDS and isinstance(item, Mapping) and not _is_one(item, facts):
        for where, one in item.items():
            yield from _entry(place_of(where, facts), _equation(one, word, facts), facts, plain(where))
    elif word in KINDS or word in PERIODIC:
        one = item if isinstance(item, Mapping) else {"value": 0 if item in (None, True) else item}
        yield from _of_map({"type": word, **one}, kind, facts, "")
    elif key in facts.unknowns and not isinstance(item, Mapping):
        place = usual_place(kind, facts)
        yield from _entry(place, f"{key} = {_value(item, facts)}", facts, "")
    elif not isinstance(item, Mapping | list) and (left := _derivative(key, kind, facts)):
        yield from _entry(usual_place(kind, facts), f"{left} = {_value(item, facts)}", facts, "")
    else:
        yield from conditions_of(item, INITIAL if word in START else kind, facts, key)


def _derivative(key: str, kind: str, facts: Facts) -> str | None:
    """The derivative that a key stands for, as `ut`, `u_t`, `du/dt` and, at the start, `velocity`; None for others."""
    names, unknown = facts.names, next(iter(facts.unknowns), "u")
    if kind == INITIAL and facts.time and plain(key) in RATES:
        return f"D({unknown}, {facts.time})"
    if match := re.fullmatch(rf"({names.head})_((?:{names.letter})+)", key):
        return f"D({match[1]}, {', '.join(re.findall(names.letter, match[2]))})"
    text = rewritten(key, names)
    return text if re.fullmatch(r"D\([^()]*\)", text) else None


def _entry(place: Any, equation: str | None, facts: Facts, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if equation is None or place is None:
        return
    own = re.fullmatch(r"[A-Za-z][\w -]*", name) and plain(name) not in {*ABOUT, *KINDS, *facts.intervals, *_PLACES}
    usual = name if own else _name_of(place, facts)
    yield usual, {"at" if isinstance(place, Mapping) else "on": place, "equation": equation}


def _name_of(place: Any, facts: Facts) -> str:
    """A name for a condition in a place: start, left, right, bottom, top, walls."""
    if place == "boundary":
        return "walls"
    for word in ("left", "right", "bottom", "top", "back", "front"):
        if _same(place_of(word, facts), place):
            return word
    return "start" if _same(place, usual_place(INITIAL, facts)) else "condition"


def _same(one: Any, two: Any) -> bool:
    """Whether two places are one face, however its number is written."""
    if not isinstance(one, str) or not isinstance(two, str):
        return False
    sides = [[number(side) for side in place.split("=")] for place in (one, two)]
    return sides[0] == sides[1]


# -- maps ------------------------------------------------------------------------------------------------------


def _of_map(value: Mapping, kind: str, facts: Facts, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`{type: Dirichlet, value: 0, location: left}` and the like."""
    said = {**{plain(key): item for key, item in value.items()}, **value}
    named = next((key for key in said if key in KINDS and key not in _VALUE_KEYS), None)
    if named is not None:
        said.setdefault("value", said[named])
    word = plain(next((said[key] for key in _TYPE_KEYS if key in said), named or "dirichlet"))
    kind = INITIAL if word.startswith("init") or word == "ic" else kind
    if word in PERIODIC:
        yield "periodic", {"periodic": facts.space[0] if len(facts.space) == 1 else list(facts.space)}
        return
    places = [said[key] for key in _PLACE_KEYS if key in said]
    at = {c: number(said[c]) for c in facts.intervals if c in said}
    where: Any = [place_of(p, facts) for one in places for p in (one if isinstance(one, list) else [one])]
    if not places:
        where = [f"{c} = {x}" for c, x in at.items()] if len(at) == 1 else []
    place = at if len(at) > 1 else usual_place(kind, facts) if not where else where[0] if len(where) == 1 else where
    if isinstance(place, list) and None in place:
        return
    equation = _equation_of_map(said, word, facts)
    yield from _entry(place, equation, facts, name)


def _equation_of_map(said: Mapping[str, Any], word: str, facts: Facts) -> str | None:
    """The equation of a map; its value is that of an unknown by name, or under one of several keys."""
    named = next((u for u in facts.unknowns if u in said), None)
    value = said[named] if named else next((said[key] for key in _VALUE_KEYS if key in said), 0)
    a = next((said[key] for key in ("alpha", "a", "h", "coefficient", "beta") if key in said), "a")
    return _equation(value, word, facts, named, a)


def _equation(value: Any, word: str, facts: Facts, unknown: str | None = None, a: Any = "a") -> str | None:
    """The equation that a kind of condition with this value is; a whole equation as it is."""
    if isinstance(value, str) and re.search(r"(?<![<>=!])={1,2}(?!=)|~", value):
        return _bare(rewritten(value, facts.names, EQUATION), facts)
    if isinstance(value, str) and plain(value) in KINDS:
        word, value = plain(value), 0
    if isinstance(value, list | Mapping | None) and not isinstance(value, str):
        return None
    unknown = unknown or next(iter(facts.unknowns), "u")
    return KINDS.get(word, KINDS["dirichlet"]).format(u=unknown, value=_value(value, facts), a=a)


def _value(value: Any, facts: Facts) -> str:
    """What stands on the right side, without the wrapping that other tools need."""
    text = str(value).strip().strip("\"'")
    text = re.sub(r"^lambda\s+[\w, *]*:\s*", "", text)
    if match := re.fullmatch(
        r"(?:\w+\.)*(?:Constant|Expression|Function)\(\s*[\"']?(.*?)[\"']?\s*(?:,\s*degree.*)?\)", text
    ):
        text = match[1]
    letters = tuple(facts.intervals)
    text = re.sub(r"\bx\[(?::, *)?(\d)(?::\d)?\]", lambda m: (*letters, *[m[0]] * 10)[int(m[1])], text)
    return rewritten(text, facts.names)


# -- texts -----------------------------------------------------------------------------------------------------


def _statements(text: str, facts: Facts) -> Iterator[str]:
    """The statements of a text, one after the other: parted by `;`, ends of lines, and commas between equations."""
    for line in (one for both in re.split(r"[;\n]", text) for one in _both_signs(both, facts)):
        pieces = split(line, ",")
        if len(pieces) > 1 and all("=" in piece for piece in pieces):
            yield from (piece.strip() for piece in pieces)
        elif line.strip():
            yield line.strip()


def _both_signs(text: str, facts: Facts) -> list[str]:
    """What holds at `x = ±1`, of a coordinate x, is two statements."""
    place = re.search(rf"\b(?:{facts.names.letter})\s*={{1,2}}\s*±", text)
    return [text.replace("±", sign) for sign in ("-", "")] if place else [text]


def split(text: str, mark: str) -> list[str]:
    """The pieces of a text between marks that stand outside of all brackets."""
    pieces, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == mark and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    return [*pieces, text[start:]]


def _of_text(text: str, kind: str, facts: Facts, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if match := _CALL.match(text):
        yield from _of_call(match[1].lower(), split(match[2], ","), kind, facts, name)
        return
    if plain(text) in PERIODIC:
        yield from _of_map({"type": "periodic"}, kind, facts, name)
        return
    found = values_at(text, kind, facts)
    if found is not None:
        yield from (item for place, equation in found for item in _place_entry(place, equation, facts, name))
        return
    for form, (one, two) in ((_BEFORE, (2, 1)), (_SAID_AT, (1, 2))):
        match = form.match(text)
        place = place_of(match[two], facts) if match else None
        if match and place is not None:
            yield from _entry(place, _equation(match[one], "dirichlet", facts), facts, name)
            return
    match = re.match(r"^\s*([A-Za-z_]+)\s*[:\s]\s*(\S.*)$", text)
    if match and plain(match[1]) in KINDS:
        yield from _entry(usual_place(kind, facts), _equation(match[2], plain(match[1]), facts), facts, name)
        return
    word = plain(name) if plain(name) in KINDS else "dirichlet"
    place = place_of(name, facts) or usual_place(kind, facts)
    yield from _entry(place, _equation(text, word, facts), facts, name)


def _place_entry(place: Any, equation: str, facts: Facts, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if place == PERIODIC[0]:
        yield "periodic", {"periodic": equation}
    else:
        yield from _entry(place, equation, facts, name)


def _of_call(word: str, parts: list[str], kind: str, facts: Facts, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`DirichletBC(V, 0, on_boundary)`, `DirichletCondition(u(x) == 0, x == 0)`, `IC(geom, lambda x: 0)`."""
    parts = [part.strip() for part in parts if part.strip()]
    kind = INITIAL if word in ("ic", "initial") else kind
    if word == "periodic":
        yield from _of_map({"type": "periodic"}, kind, facts, name)
        return
    whole = next((part for part in parts if "=" in _outer_equals(part) and "lambda" not in part), None)
    said = whole if whole is not None and whole == parts[0] else parts[1] if len(parts) > 1 else "0"
    places = [place_of(part, facts) for part in parts[1:] if part is not said]
    place = next((p for p in places if p is not None), None) or usual_place(kind, facts)
    value = said if said is whole else _value(said, facts)
    yield from _entry(place, _equation(value, word, facts), facts, name)


# -- values at places: `u(x, 0) = ...` -------------------------------------------------------------------------


def values_at(text: str, kind: str, facts: Facts) -> list[tuple[Any, str]] | None:
    """Places and equations of `u(0) = 1` and `u(0, t) = u(1, t) = 0`; None where no unknown stands at a place."""
    if not facts.unknowns or not facts.intervals:
        return None
    heads, letters = facts.names.head, facts.names.letter
    value = re.compile(
        rf"(?<![\w.])((?:{heads})(?:_\w+|(?:{letters})+)?'*)\s*(?:\(([^()\[\]]*)\)|\[([^()\[\]]*)\]|\|_\{{?([^{{}}]*)\}}?)"
    )
    sides = [side.strip() for side in re.split(r"(?<![<>=!])(?:={1,2}|~)(?!=)", _outer_equals(text))]
    found = []
    for side in sides[:-1]:
        match = value.search(side)
        fixed = _fixed(next(g for g in match.groups()[1:] if g is not None), kind, facts) if match else None
        if match is None or not fixed:
            return None
        left = f"{side[: match.start()]}{match[1]}{side[match.end() :]}"
        found.append((fixed, left))
    last = value.search(sides[-1])
    at_last = _fixed(next(g for g in last.groups()[1:] if g is not None), kind, facts) if last else None
    if not found:
        return None
    if last and at_last and len(found) == 1 and at_last.keys() == found[0][0].keys() and len(at_last) == 1:
        return [(PERIODIC[0], next(iter(at_last)))]
    right = sides[-1].replace("\0", "=")
    return [
        (_as_place(fixed), _bare(rewritten(f"{left} = {right}", facts.names, EQUATION), facts)) for fixed, left in found
    ]


def _outer_equals(text: str) -> str:
    """With the signs `=` inside of brackets marked, as in `u(t=0, x)`."""
    result, depth = [], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        result.append("\0" if character == "=" and depth > 0 else character)
    return "".join(result)


def _fixed(arguments: str, kind: str, facts: Facts) -> dict[str, Any]:
    """By coordinate the values that the arguments of an unknown fix."""
    free, fixed, values = list(facts.intervals), {}, []
    for argument in (a.strip() for a in arguments.split(",")):
        name, mark, given = (part.strip() for part in argument.partition("\0"))
        if mark and name in free:
            fixed[name] = number(given)
            free.remove(name)
        elif argument in free:
            free.remove(argument)
        else:
            values.append(number(argument))
    if len(values) < len(free):  # `u(0)` of a function of time and space: which is meant is clear from the kind
        free = [c for c in free if (c == facts.time) == (kind == INITIAL or not facts.space)]
    return {**fixed, **dict(zip(free, values, strict=False))} if len(values) <= len(free) else {}


def _as_place(fixed: Mapping[str, Any]) -> Any:
    return next(f"{c} = {x}" for c, x in fixed.items()) if len(fixed) == 1 else dict(fixed)


def _bare(equation: str, facts: Facts) -> str:
    """Without arguments of unknowns."""
    heads = "|".join(map(re.escape, facts.unknowns))
    return re.sub(rf"\b((?:{heads})(?:_\w+)?)\s*\([^()]*\)", r"\1", equation) if heads else equation
