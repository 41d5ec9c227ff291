"""Vectors among the unknowns, and the coordinate system, of a problem file.

Input: the plain values of a file. Output: the same with the components of vectors in their place and without the
system, the names of the vectors, the system, and what is wrong with them. No sympy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pinnsolve.errors import Diagnostic
from pinnsolve.language.systems import CARTESIAN, SYSTEMS, System
from pinnsolve.language.vectors import component_of
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.located_errors import KeyPath, Places
from pinnsolve.spec.names import read_names

VECTOR, SYSTEM = "vector", "system"
OF_UNKNOWNS = ("exact", "guess", "regularization")  # maps from unknowns to what a file says of them


def with_system(data: Mapping[str, Any], places: Places) -> tuple[dict[str, Any], str, list[Diagnostic]]:
    """The file without `system` among its coordinates; the system; what is wrong with it.

    Where a `domain` tells the intervals, `coordinates: {r: , z: , system: cylindrical}` are names alone, and without
    them those of a box in the domain.
    """
    listed = data.get("coordinates")
    if not isinstance(listed, Mapping) or not isinstance(listed.get(SYSTEM), str):
        return dict(data), CARTESIAN, []
    kind, rest = listed[SYSTEM], {name: item for name, item in listed.items() if name != SYSTEM}
    shaped = data.get("domain") is not None and not any(item is not None for item in rest.values())
    time = data.get("time")
    names = [*(time if isinstance(time, Mapping) else ()), *rest]
    plain = {**data, "coordinates": names if shaped else rest}
    if not rest and shaped:
        del plain["coordinates"]  # a box in the domain names them
    if kind in SYSTEMS:
        return plain, kind, []
    close = close_match(kind, SYSTEMS)
    hint = f"did you mean `{close}`?" if close else f"there are {', '.join(SYSTEMS)}"
    return plain, CARTESIAN, [places.diagnostic(("coordinates", SYSTEM), f"`{kind[:60]}` is no system", hint)]


def system_problems(system: System, domain: Any) -> Iterator[tuple[KeyPath, str, str | None]]:
    """What is wrong with coordinates of a system. `domain`: the plain tree of shapes, if there is one."""
    path: KeyPath = ("coordinates", SYSTEM)
    if system.is_cartesian:
        return
    if not system.roles:
        known = {"polar": "r, theta or r", "cylindrical": "r, theta, z, or r, z, or r"}
        hint = f"they are {known.get(system.kind, 'r, theta, phi, or r, theta, or r')}, in this order, beside time"
        yield path, f"there are no {system.kind} coordinates {', '.join(system.names) or 'without any'}", hint
    elif isinstance(domain, Mapping) and {*domain} != {"box"} and {*system.roles} & {"a", "p"}:
        hint = "give its intervals under `coordinates`, or Cartesian coordinates"
        yield path, "where a coordinate is an angle, the domain is a box of the coordinates", hint


def with_vectors(
    data: dict[str, Any], places: Places, folder: Path
) -> tuple[dict[str, Any], Places, tuple[str, ...], list[Diagnostic]]:
    """The file with the components of its vectors among the unknowns, its places, the vectors, and what is wrong."""
    unknowns = data.get("unknowns")
    vectors = tuple(name for name, item in unknowns.items() if _is_vector(item)) if isinstance(unknowns, dict) else ()
    space = read_names(data, places, folder).coordinates.space if vectors else ()
    if not space:
        return data, places, (), []
    found: list[Diagnostic] = []
    whole = {**data, "unknowns": _in_components(unknowns, vectors, space)}
    for key in OF_UNKNOWNS:
        if isinstance(data.get(key), dict):
            whole[key] = _of_components(data[key], vectors, space, (key,), places, found)
    solve = data.get("solve")
    if isinstance(solve, dict) and isinstance(solve.get("tolerance"), dict):
        path: KeyPath = ("solve", "tolerance")
        told = _of_components(solve["tolerance"], vectors, space, path, places, found)
        whole["solve"] = {**solve, "tolerance": told}
    keys: dict[KeyPath, KeyPath] = {
        ("unknowns", component_of(vector, c)): places.written(("unknowns", vector)) for vector in vectors for c in space
    }
    return whole, replace(places, data=whole, renamed={**places.renamed, **keys}), vectors, found


def _is_vector(item: Any) -> bool:
    return (item.get("values") if isinstance(item, dict) else item) == VECTOR


def _in_components(unknowns: Mapping[str, Any], vectors: Sequence[str], space: Sequence[str]) -> dict[str, Any]:
    """The unknowns, each vector by its components, which live where it lives."""
    result: dict[str, Any] = {}
    for name, item in unknowns.items():
        home = {k: v for k, v in item.items() if k != "values"} if isinstance(item, dict) else {}
        plain = {component_of(name, c): home or None for c in space}
        result |= plain if name in vectors else {name: item}
    return result


def _of_components(
    said: Mapping[str, Any],
    vectors: Sequence[str],
    space: Sequence[str],
    path: KeyPath,
    places: Places,
    found: list[Diagnostic],
) -> dict[str, Any]:
    """What is said of unknowns, of vectors by a list with one for each component; one value is that of all."""
    result: dict[str, Any] = {}
    for name, value in said.items():
        if name not in vectors:
            result[name] = value
            continue
        items = _items(value)
        if items is not None and len(items) != len(space):
            message = f"the vector has {len(items)} components, space has {len(space)}"
            found.append(places.diagnostic((*path, name), message, f"one each for {', '.join(space)}"))
        items = items if items is not None and len(items) == len(space) else [value] * len(space)
        result |= {component_of(name, c): item for c, item in zip(space, items, strict=True)}
    return result


def _items(value: Any) -> list[Any] | None:
    """The components that a list states, or a text such as `[sin(x), 0]`; None for a single value."""
    if isinstance(value, list):
        return value
    if not isinstance(value, str) or not (value.strip()[:1] == "[" and value.strip()[-1:] == "]"):
        return None
    inner, pieces, depth = value.strip()[1:-1], [""], 0
    for character in inner:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces]


def joined_unknowns(unknowns: Mapping[str, Any], vectors: Sequence[str], space: Sequence[str]) -> dict[str, Any]:
    """The unknowns as a file writes them: components of a vector together again."""
    result: dict[str, Any] = {}
    of = {component_of(vector, c): vector for vector in vectors for c in space}
    for name, item in unknowns.items():
        if name in of:
            home = item if isinstance(item, Mapping) else {}
            result[of[name]] = {**home, "values": VECTOR} if home else VECTOR
        else:
            result[name] = item
    return result
