"""The real unknowns that stand for complex ones: their names, where they are, and how their errors go together.

Input: names of unknowns. Output: names and places. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

Value = TypeVar("Value")


def component_names(unknown: str) -> tuple[str, str]:
    """The names of the real unknowns that stand for a complex one."""
    return f"{unknown}_re", f"{unknown}_im"


def groups_of(
    unknowns: Sequence[str], complex_unknowns: Sequence[str], vectors: Sequence[Sequence[str]]
) -> tuple[tuple[int, ...], ...]:
    """The places among real `unknowns` of those that are one thing: the parts of a complex one, those of a vector.

    `vectors` are the names of the components of each; what is not whole among the unknowns is left out.
    """
    several = [component_names(name) for name in complex_unknowns] + [tuple(names) for names in vectors]
    whole = (names for names in several if {*names} <= {*unknowns})
    return tuple(tuple(unknowns.index(name) for name in names) for names in whole)


def real_names(unknowns: Sequence[str], complex_unknowns: Collection[str]) -> tuple[str, ...]:
    """The unknowns with the two real ones in the place of each complex one."""
    found = (component_names(name) if name in complex_unknowns else (name,) for name in unknowns)
    return tuple(name for names in found for name in names)


def by_unknown(relative: Mapping[str, float], complex_unknowns: Collection[str]) -> dict[str, float]:
    """Relative errors by real unknown -> by unknown as the file names them.

    Those of both parts are relative to the same, the size of the complex unknown over the root of two (see
    `assembly.system.shared`): so the error of the whole is the root of the mean of their squares.
    """
    found, names = dict(relative), {name: component_names(name) for name in complex_unknowns}
    whole_of = {component: name for name, both in names.items() for component in both}
    result: dict[str, float] = {}
    for name, value in found.items():
        whole = whole_of.get(name, name)
        if whole == name:
            result[name] = value
        else:
            both = [found.get(component, value) for component in names[whole]]
            result[whole] = math.hypot(*both) / math.sqrt(2)
    return result


def by_component(values: Mapping[str, Value], complex_unknowns: Collection[str]) -> dict[str, Value]:
    """What the file says of its unknowns, by real unknown: both parts have the value of the whole."""
    pairs = ((name, component_names(name) if name in complex_unknowns else (name,)) for name in values)
    return {component: values[name] for name, components in pairs for component in components}


def as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by unknown, those of complex numbers as two: `psi_re` and `psi_im`."""
    columns: dict[str, Any] = {}
    for name, array in values.items():
        if array.dtype.kind == "c":
            columns |= dict(zip(component_names(name), (array.real, array.imag), strict=True))
        else:
            columns[name] = array
    return columns
