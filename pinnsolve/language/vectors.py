"""Vectors: expressions of vectors to expressions of their components, in any coordinate system.

Input: a tree with its definitions put in, and the names of vector unknowns and of the coordinates of space. Output: the
tree of a number, or a `Vector` of trees, one for each coordinate of space, in which vectors and their operators no
longer occur; so whatever follows sees components only. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from pinnsolve.errors import ExpressionError
from pinnsolve.language.syntax import COMPARISONS, Call, Chain, Name, Node, Number, Power, Unary, Vector, children
from pinnsolve.language.systems import CYLINDRICAL, System

NORMAL = "n"  # the unit outward normal as a vector, where nothing else has that name


def component_of(vector: str, coordinate: str) -> str:
    """The name of a component of a vector unknown."""
    return f"{vector}_{coordinate}"


@dataclass(frozen=True)
class VectorNames:
    """The `vectors` by name and the coordinates of `space`; `normal`: whether `n` is the normal here.

    `taken`: whether `n` is something else in the file; `functions` are those that the file names, whatever the language
    has of that name.
    """

    vectors: frozenset[str]
    space: tuple[str, ...]
    time: str | None
    system: System
    normal: bool
    taken: bool
    functions: frozenset[str]


def in_components(node: Node, names: VectorNames, most: float = math.inf) -> Node:
    """The tree in components, of at most so many nodes; a `Vector` where its value is one. Raises `ExpressionError`."""
    return _Expander(names, most).value(node)


def equations_of(left: Node, right: Node, space: tuple[str, ...]) -> list[tuple[str, Node, Node]]:
    """By component (`""` of numbers), the sides of an equation of two trees. Raises `ExpressionError`."""
    if not isinstance(left, Vector) and not isinstance(right, Vector):
        return [("", left, right)]
    sides = [_broadcast(side, len(space)) for side in (left, right)]
    for side, node in zip(sides, (left, right), strict=True):
        if side is None:
            example = f"`[{', '.join(['0'] * len(space))}]`"
            raise ExpressionError("a number on one side and a vector on the other", node.offset, f"write {example}")
    return list(zip(space, sides[0] or (), sides[1] or (), strict=True))


def _broadcast(node: Node, count: int) -> tuple[Node, ...] | None:
    """The components of a vector, or of the vector 0."""
    if isinstance(node, Vector):
        return node.items
    return (node,) * count if isinstance(node, Number) and node.value == 0 else None


# -- trees ----------------------------------------------------------------------------------------------------


def _plus(parts: list[Node]) -> Node:
    if not parts:
        return Number(Fraction(0), 0)
    return parts[0] if len(parts) == 1 else Chain(("+",) * (len(parts) - 1), tuple(parts), parts[0].offset)


def _minus(a: Node, b: Node) -> Node:
    return Chain(("-",), (a, b), a.offset)


def _times(*factors: Node | None) -> Node:
    """The product of factors, None of which is 1."""
    kept = [factor for factor in factors if factor is not None]
    return kept[0] if len(kept) == 1 else Chain(("*",) * (len(kept) - 1), tuple(kept), kept[0].offset)


def _over(a: Node, *divisors: Node | None) -> Node:
    kept = [d for d in divisors if d is not None]
    return Chain(("/",) * len(kept), (a, *kept), a.offset) if kept else a


class _Expander:
    def __init__(self, names: VectorNames, most: float):
        self.names, self.space, self.system, self.most = names, names.space, names.system, most
        self._sizes: dict[int, tuple[Node, int]] = {}  # by identity: nodes stand in several places of a tree

    def value(self, node: Node) -> Node:
        """The tree in components."""
        found = self._value(node)
        if self._size(found) > self.most:
            raise ExpressionError("too large: in components, the expressions so far exceed the size limit", node.offset)
        return found

    def _size(self, node: Node) -> int:
        """The nodes of a tree, those counted again that stand in it again."""
        if id(node) not in self._sizes:
            self._sizes[id(node)] = (node, 1 + sum(map(self._size, children(node))))
        return self._sizes[id(node)][1]

    def _value(self, node: Node) -> Node:
        match node:
            case Name():
                return self.name(node)
            case Vector():
                return self.listed(node)
            case Unary():
                return self.made(self.value(node.operand), node, lambda a: replace(node, operand=a))
            case Power():
                hint = "the square of its length is `dot(a, a)`"
                base = self.number(node.base, "a vector has no powers", hint)
                return replace(node, base=base, exponent=self.number(node.exponent, "an exponent is a number"))
            case Chain():
                return self.chain(node)
            case Call():
                return self.call(node)
        return node

    def name(self, node: Name) -> Node:
        if node.name in self.names.vectors:
            return Vector(tuple(Name(component_of(node.name, c), node.offset) for c in self.space), node.offset)
        if node.name == NORMAL and self.names.normal:
            return Vector(tuple(Name(f"n_{c}", node.offset) for c in self.space), node.offset)
        return node

    def listed(self, node: Vector) -> Node:
        items = tuple(self.number(item, "the components of a vector are numbers") for item in node.items)
        if len(items) != len(self.space):
            message = f"the vector has {len(items)} components, space has {len(self.space)}"
            raise ExpressionError(message, node.offset, f"one each for {', '.join(self.space)}")
        return Vector(items, node.offset)

    # -- kinds --

    def number(self, node: Node, message: str, hint: str | None = None) -> Node:
        """The value, which must be a number."""
        found = self.value(node)
        if isinstance(found, Vector):
            raise ExpressionError(f"{message}: this is a vector", node.offset, hint)
        return found

    def vector(self, node: Node, call: Call) -> tuple[Node, ...]:
        """The components of the value, which must be a vector."""
        found = self.value(node)
        if not isinstance(found, Vector):
            letters = ", ".join("abcdef"[: len(self.space)]) or "a"
            more = {"advect": ", u", "dot": f", [{letters}]", "cross": f", [{letters}]"}.get(call.name, "")
            hint = f"write `{call.name}([{letters}]{more})`"
            raise ExpressionError(f"`{call.name}` takes a vector", node.offset, hint)
        return found.items

    # -- sums and products --

    def chain(self, node: Chain) -> Node:
        found = [self.value(operand) for operand in node.operands]
        vectors = [f for f in found if isinstance(f, Vector)]
        if not vectors:
            return replace(node, operands=tuple(found))
        if node.operators[0] in ("+", "-"):
            return self.sum(node, found)
        if node.operators[0] in COMPARISONS or node.operators[0] in ("and", "or"):
            raise ExpressionError("vectors are not compared", node.offset, "compare numbers, such as `dot(a, a)`")
        if len(vectors) > 1:
            hint = "write `dot(a, b)` or `cross(a, b)`"
            raise ExpressionError("a product of vectors", vectors[1].offset, hint)
        place = next(i for i, f in enumerate(found) if isinstance(f, Vector))
        if place and node.operators[place - 1] == "/":
            raise ExpressionError("nothing is divided by a vector", vectors[0].offset)
        made = (replace(node, operands=(*found[:place], a, *found[place + 1 :])) for a in vectors[0].items)
        return Vector(tuple(made), node.offset)

    def sum(self, node: Chain, found: list[Node]) -> Node:
        parts = [_broadcast(f, len(self.space)) for f in found]
        for part, operand in zip(parts, node.operands, strict=True):
            if part is None:
                raise ExpressionError("a number is added to a vector", operand.offset, "components are `v_x`, `v_y`")
        columns = zip(*(part for part in parts if part is not None), strict=True)
        return Vector(tuple(replace(node, operands=tuple(column)) for column in columns), node.offset)

    # -- calls --

    def call(self, node: Call) -> Node:
        special = None if node.name in self.names.functions else _SPECIAL.get(node.name)
        if special is not None:
            return special(self, node)
        message = f"`{node.name}` is of numbers"
        hint = "components are `v_x`, `v_y`; the length is `sqrt(dot(v, v))`"
        return replace(node, arguments=tuple(self.number(a, message, hint) for a in node.arguments))

    def d(self, a: Node, *by: str) -> Node:
        return Call("D", (a, *(Name(c, a.offset) for c in by)), a.offset)

    def slope(self, a: Node, coordinate: str) -> Node:
        """The derivative along a unit vector."""
        return _over(self.d(a, coordinate), self.system.scale(coordinate))

    def derivative(self, node: Call) -> Node:
        by = {a.name for a in node.arguments[1:] if isinstance(a, Name)}
        found = self.value(node.arguments[0])
        if isinstance(found, Vector) and not self.system.is_cartesian and by & {*self.space}:
            hint = f"components are differentiated by themselves: `D({self._example}, {self.space[0]})`"
            raise ExpressionError("unit vectors turn from place to place", node.offset, hint)
        return self.made(found, node, lambda a: replace(node, arguments=(a, *node.arguments[1:])))

    @property
    def _example(self) -> str:
        return component_of(next(iter(self.names.vectors), "v"), self.space[0])

    @staticmethod
    def made(found: Node, node: Node, make: Callable[[Node], Node]) -> Node:
        """What is made of a number, or of each component of a vector."""
        if isinstance(found, Vector):
            return Vector(tuple(map(make, found.items)), node.offset)
        return make(found)

    def grad(self, node: Call) -> Node:
        hint = "of a vector there are `div`, `curl`, `laplacian`, and `dot(a, grad(v))`, which is `advect(a, v)`"
        return self.gradient(self.number(node.arguments[0], "a gradient is that of a number", hint), node.offset)

    def gradient(self, a: Node, offset: int) -> Vector:
        return Vector(tuple(self.slope(a, c) for c in self.space), offset)

    def div(self, node: Call) -> Node:
        items = self.vector(node.arguments[0], node)
        if self.system.is_cartesian:
            return replace(node, arguments=(Vector(items, node.offset),))
        parts = []
        for a, c in zip(items, self.space, strict=True):
            spread = self.system.spread(c)
            parts += [self.slope(a, c)] + ([] if spread is None else [_times(spread, a)])
        return _plus(parts)

    def laplacian(self, node: Call) -> Node:
        found = self.value(node.arguments[0])
        if self.system.is_cartesian:
            return self.made(found, node, lambda a: replace(node, arguments=(a,)))
        if not isinstance(found, Vector):
            return self.laplacian_of(found)
        components = dict(zip(self.space, found.items, strict=True))
        return Vector(tuple(self.bent(c, components) for c in self.space), node.offset)

    def laplacian_of(self, a: Node) -> Node:
        parts = []
        for c in self.space:
            scale, spread = self.system.scale(c), self.system.spread(c)
            parts.append(_over(self.d(a, c, c), scale, scale))
            parts += [] if spread is None else [_over(_times(spread, self.d(a, c)), scale)]
        return _plus(parts)

    def bent(self, coordinate: str, components: Mapping[str, Node]) -> Node:
        """A component of the Laplacian of a vector whose unit vectors turn."""
        parts = [self.laplacian_of(components[coordinate])]
        for coefficient, c, by in self.system.bends(coordinate):
            parts.append(_times(coefficient, self.d(components[c], by) if by else components[c]))
        return _plus(parts)

    def curl(self, node: Call) -> Node:
        found, count = self.value(node.arguments[0]), len(self.space)
        if isinstance(found, Vector) and count == 3:
            turned = (((i + 1) % 3, (i + 2) % 3) for i in range(3))
            return Vector(tuple(self.circulation(found.items, j, k) for j, k in turned), node.offset)
        axial = self.system.kind == CYLINDRICAL and self.system.roles == "rz"
        if isinstance(found, Vector) and count == 2:
            return self.circulation(found.items, *((1, 0) if axial else (0, 1)))
        plane = self.system.is_cartesian or self.system.roles == "ra"
        if not isinstance(found, Vector) and count == 2 and plane:
            one, two = self.space
            return Vector((self.slope(found, two), Unary("-", self.slope(found, one), node.offset)), node.offset)
        words = f"of a {'vector' if isinstance(found, Vector) else 'number'} in {count} coordinates of space"
        raise ExpressionError(f"there is no `curl` {words}", node.offset)

    def circulation(self, items: tuple[Node, ...], j: int, k: int) -> Node:
        """(d_j(h_k a_k) - d_k(h_j a_j))/(h_j h_k)."""
        scales = [self.system.scale(self.space[i]) for i in (j, k)]
        one = self.d(_times(scales[1], items[k]), self.space[j])
        two = self.d(_times(scales[0], items[j]), self.space[k])
        return _over(_minus(one, two), *scales)

    def dot(self, node: Call) -> Node:
        """a.b, and a.grad(v) of a vector v, which is `advect(a, v)`."""
        a, b = node.arguments
        if isinstance(b, Call) and b.name == "grad":
            w = self.value(b.arguments[0])
            if isinstance(w, Vector):
                call = Call("advect", (a, b.arguments[0]), node.offset)
                return self.advected(call, self.vector(a, call), w)
            pairs = zip(self.vector(a, node), self.gradient(w, b.offset).items, strict=True)
        else:
            pairs = zip(self.vector(a, node), self.vector(b, node), strict=True)
        return _plus([_times(p, q) for p, q in pairs])

    def cross(self, node: Call) -> Node:
        a, b = (self.vector(argument, node) for argument in node.arguments)

        def minor(j: int, k: int) -> Node:
            return _minus(_times(a[j], b[k]), _times(a[k], b[j]))

        if len(self.space) == 3:
            return Vector((minor(1, 2), minor(2, 0), minor(0, 1)), node.offset)
        if len(self.space) == 2:
            return minor(0, 1)
        raise ExpressionError("there is no `cross` in one coordinate of space", node.offset)

    def advect(self, node: Call) -> Node:
        return self.advected(node, self.vector(node.arguments[0], node), self.value(node.arguments[1]))

    def advected(self, node: Call, a: tuple[Node, ...], w: Node) -> Node:
        if self.system.is_cartesian:
            return self.made(w, node, lambda one: replace(node, arguments=(Vector(a, node.offset), one)))
        if not isinstance(w, Vector):
            return self.along(a, w)
        ours, theirs = (dict(zip(self.space, items, strict=True)) for items in (a, w.items))
        rows = []
        for c in self.space:
            turned = [_times(f, ours[p], theirs[q]) for f, p, q in self.system.turns(c)]
            rows.append(_plus([self.along(a, theirs[c]), *turned]))
        return Vector(tuple(rows), node.offset)

    def along(self, a: tuple[Node, ...], w: Node) -> Node:
        return _plus([_times(p, self.slope(w, c)) for p, c in zip(a, self.space, strict=True)])

    def grad_dot(self, node: Call) -> Node:
        a, b = (self.value(argument) for argument in node.arguments)
        if isinstance(a, Vector) != isinstance(b, Vector):
            raise ExpressionError("`grad_dot` is of two numbers or of two vectors", node.offset)
        if isinstance(a, Vector) and isinstance(b, Vector):
            self.refuse_turning(node)
            return _plus([replace(node, arguments=pair) for pair in zip(a.items, b.items, strict=True)])
        if self.system.is_cartesian:
            return replace(node, arguments=(a, b))
        return _plus([_times(self.slope(a, c), self.slope(b, c)) for c in self.space])

    def normal(self, node: Call) -> Node:
        found = self.value(node.arguments[0])
        if self.system.is_cartesian:
            return self.made(found, node, lambda a: replace(node, arguments=(a,)))
        if isinstance(found, Vector):
            self.refuse_turning(node)
        return _plus([_times(Name(f"n_{c}", node.offset), self.slope(found, c)) for c in self.space])

    def refuse_turning(self, node: Call) -> None:
        if not self.system.is_cartesian:
            hint = f"write it in components, such as `{self._example}`"
            raise ExpressionError("unit vectors turn from place to place", node.offset, hint)

    def where(self, node: Call) -> Node:
        condition = self.value(node.arguments[0])
        found = [self.value(a) for a in node.arguments[1:]]
        if not any(isinstance(f, Vector) for f in found):
            return replace(node, arguments=(condition, *found))
        parts = [_broadcast(f, len(self.space)) for f in found]
        if parts[0] is None or parts[1] is None:
            raise ExpressionError("a number in one case and a vector in the other", node.offset)
        pairs = zip(parts[0], parts[1], strict=True)
        return Vector(tuple(replace(node, arguments=(condition, *pair)) for pair in pairs), node.offset)

    def integral(self, node: Call) -> Node:
        place = node.arguments[1:]
        over_boundary = bool(place) and isinstance(place[0], Name) and place[0].name != "domain"
        inner = self
        if over_boundary and not self.names.taken:
            inner = _Expander(replace(self.names, normal=True), self.most)
        integrand = inner.number(node.arguments[0], "an integral is that of a number", "take its components")
        if not self.system.is_cartesian and node.name == "mean":
            hint = "divide an integral by its size, or say what the integral is"
            raise ExpressionError(f"means are not known in {self.system.kind} coordinates", node.offset, hint)
        integrand = measured(integrand, self.system, over_boundary)
        return replace(node, arguments=(integrand, *place))


def measured(integrand: Node, system: System, over_boundary: bool) -> Node:
    """The integrand times the size of a piece of what it is integrated over."""
    return integrand if system.is_cartesian else _times(measure(system, over_boundary), integrand)


def measure(system: System, over_boundary: bool) -> Node:
    """What an integrand is multiplied by: the size of a piece of space, or of boundary by its normal in coordinates.

    A boundary with the normal n in the space of the coordinates has the size J |(n_i/h_i)| (Nanson's formula).
    """
    if not over_boundary:
        return system.volume
    squares: list[Node] = []
    for name in system.names:
        component = _over(Name(f"n_{name}", 0), system.scale(name))
        squares.append(Power(component, Number(Fraction(2), 0), 0))
    return _times(system.volume, Call("sqrt", (_plus(squares),), 0))


_SPECIAL: dict[str, Callable[[_Expander, Call], Node]] = {
    "D": _Expander.derivative,
    "Dn": _Expander.normal,
    "advect": _Expander.advect,
    "cross": _Expander.cross,
    "curl": _Expander.curl,
    "div": _Expander.div,
    "dot": _Expander.dot,
    "grad": _Expander.grad,
    "grad_dot": _Expander.grad_dot,
    "integral": _Expander.integral,
    "laplacian": _Expander.laplacian,
    "mean": _Expander.integral,
    "where": _Expander.where,
}
