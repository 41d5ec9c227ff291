"""Coordinate systems: what gradient, divergence, curl and their like are in polar, cylindrical, spherical coordinates.

Input: the name of a system and its coordinates of space, in order. Output: trees of the scale factors, and of what
turning unit vectors add. Formulas: Morse & Feshbach, Methods of Theoretical Physics (1953), section 1.3 and the table
at the end of chapter 1; Batchelor, An Introduction to Fluid Dynamics (1967), appendix 2. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from pinnsolve.language.syntax import Call, Chain, Name, Node, Power, Unary, parse

CARTESIAN, POLAR, CYLINDRICAL, SPHERICAL = "cartesian", "polar", "cylindrical", "spherical"
# by system and number of coordinates, the roles of the coordinates; of two cylindrical ones the second may be an angle
_ROLES = {
    POLAR: {1: "r", 2: "ra"},
    CYLINDRICAL: {1: "r", 2: "rz", 3: "raz"},
    SPHERICAL: {1: "r", 2: "rp", 3: "rpa"},
}  # radius, angle around the axis, length along it, polar angle (from the axis)
SYSTEMS = (CARTESIAN, *_ROLES)
_SCALES = {"r": "1", "z": "1", "p": "r"}
_VOLUMES = {  # of a piece of the coordinates, over what they leave out, as 2 pi around an axis
    "r": {POLAR: "2*pi*r", CYLINDRICAL: "2*pi*r", SPHERICAL: "4*pi*r**2"},
    "ra": {POLAR: "r", CYLINDRICAL: "r"},
    "rz": {CYLINDRICAL: "2*pi*r"},
    "raz": {CYLINDRICAL: "r"},
    "rp": {SPHERICAL: "2*pi*r**2*sin(p)"},
    "rpa": {SPHERICAL: "r**2*sin(p)"},
}
# of div a, by system, direction: the factor of that component beside its derivative
_SPREADS = {
    POLAR: {"r": "1/r"},
    CYLINDRICAL: {"r": "1/r"},
    SPHERICAL: {"r": "2/r", "p": "cos(p)/(r*sin(p))"},
}
# of (a.grad)b, by system and component: coefficient, direction of a, direction of b
_TURNS: dict[str, dict[str, tuple[tuple[str, str, str], ...]]] = {
    CYLINDRICAL: {"r": (("-1/r", "a", "a"),), "a": (("1/r", "a", "r"),)},
    SPHERICAL: {
        "r": (("-1/r", "p", "p"), ("-1/r", "a", "a")),
        "p": (("1/r", "p", "r"), ("-cos(p)/(r*sin(p))", "a", "a")),
        "a": (("1/r", "a", "r"), ("cos(p)/(r*sin(p))", "a", "p")),
    },
}
# of the Laplacian of a vector, by system and component: coefficient, component, direction of its derivative or none
_BENDS: dict[str, dict[str, tuple[tuple[str, str, str], ...]]] = {
    CYLINDRICAL: {
        "r": (("-1/r**2", "r", ""), ("-2/r**2", "a", "a")),
        "a": (("-1/r**2", "a", ""), ("2/r**2", "r", "a")),
    },
    SPHERICAL: {
        "r": (
            ("-2/r**2", "r", ""),
            ("-2/r**2", "p", "p"),
            ("-2*cos(p)/(r**2*sin(p))", "p", ""),
            ("-2/(r**2*sin(p))", "a", "a"),
        ),
        "p": (
            ("2/r**2", "r", "p"),
            ("-1/(r*sin(p))**2", "p", ""),
            ("-2*cos(p)/(r*sin(p))**2", "a", "a"),
        ),
        "a": (
            ("-1/(r*sin(p))**2", "a", ""),
            ("2/(r**2*sin(p))", "r", "a"),
            ("2*cos(p)/(r*sin(p))**2", "p", "a"),
        ),
    },
}
for _tables in (_TURNS, _BENDS):
    _tables[POLAR] = _tables[CYLINDRICAL]

ANGLES = ("theta", "phi", "psi", "angle", "azimuth")


@dataclass(frozen=True)
class System:
    """A coordinate system over the coordinates of space `names`."""

    kind: str = CARTESIAN
    names: tuple[str, ...] = ()

    @property
    def is_cartesian(self) -> bool:
        return self.kind == CARTESIAN

    @cached_property
    def roles(self) -> str:
        """The role of each coordinate: r, a, z, p."""
        found = _ROLES[self.kind].get(len(self.names), "")
        return "ra" if found == "rz" and self.names[1] in ANGLES else found

    @property
    def radius(self) -> str:
        """The name of the radius."""
        return self.names[0]

    def scale(self, name: str) -> Node | None:
        """The scale factor of a coordinate: how long a step of one is. None for 1."""
        if self.is_cartesian:
            return None
        role = self.roles[self.names.index(name)]
        text = ("r*sin(p)" if self.kind == SPHERICAL else "r") if role == "a" else _SCALES[role]
        return None if text == "1" else self.tree(text)

    def spread(self, name: str) -> Node | None:
        """The factor of a component in the divergence, beside its derivative; None for nothing."""
        text = _SPREADS[self.kind].get(self.roles[self.names.index(name)])
        return None if text is None else self.tree(text)

    @property
    def volume(self) -> Node:
        """The size of a piece of the coordinates of size one, with what they leave out."""
        return self.tree(_VOLUMES[self.roles][self.kind])

    def ends_on_the_axis(self, name: str, interval: tuple[float, float]) -> int:
        """At how many ends of its interval a coordinate reaches the axis or the origin, which is no boundary."""
        if self.is_cartesian:
            return 0
        role = self.roles[self.names.index(name)]
        ends = {"r": (0.0,), "p": (0.0, math.pi)}.get(role, ())
        return sum(any(math.isclose(end, x, abs_tol=1e-9) for x in ends) for end in interval)

    def turns(self, name: str) -> list[tuple[Node, str, str]]:
        """What turning unit vectors add to a component of (a.grad)b: coefficients of products of components."""
        listed = _TURNS[self.kind].get(self.roles[self.names.index(name)], ())
        return [(self.tree(text), self.name(a), self.name(b)) for text, a, b in listed if {a, b} <= {*self.roles}]

    def bends(self, name: str) -> list[tuple[Node, str, str]]:
        """What they add to a component of the Laplacian of a vector: coefficient, component, derivative or nothing."""
        listed = _BENDS[self.kind].get(self.roles[self.names.index(name)], ())
        kept = ((text, a, by) for text, a, by in listed if {a, *by} <= {*self.roles})
        return [(self.tree(text), self.name(a), self.name(by) if by else "") for text, a, by in kept]

    def name(self, role: str) -> str:
        """The coordinate with a role."""
        return self.names[self.roles.index(role)]

    def tree(self, text: str) -> Node:
        """A formula of the tables, in the coordinates of the file."""
        return renamed(_formula(text), dict(zip(self.roles, self.names, strict=True)))


@lru_cache
def _formula(text: str) -> Node:
    return parse(text)


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The tree with other names."""
    match node:
        case Name():
            return replace(node, name=names.get(node.name, node.name))
        case Call():
            return replace(node, arguments=tuple(renamed(a, names) for a in node.arguments))
        case Chain():
            return replace(node, operands=tuple(renamed(a, names) for a in node.operands))
        case Power():
            return replace(node, base=renamed(node.base, names), exponent=renamed(node.exponent, names))
        case Unary():
            return replace(node, operand=renamed(node.operand, names))
    return node
