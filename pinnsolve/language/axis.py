"""Equations at the axis of a coordinate system: multiplied by what leaves their coefficients finite there.

Input: the sides of an equation in components, and the system. Output: the sides times r to the power that the largest
of their coefficients is singular by at r = 0 (and sin of the polar angle, on the axis), term by term, so that what
cancels is gone. The equation stays the same inside; on the axis it says that the solution is smooth: of
u_rr + u_r/r = f is left u_r = 0. Standard library only.
"""

from __future__ import annotations

from dataclasses import replace

from pinnsolve.language.syntax import Call, Chain, Name, Node, Number, Power, Unary
from pinnsolve.language.systems import System


def regular_sides(sides: tuple[Node, Node], system: System, ends: dict[str, int]) -> tuple[Node, Node]:
    """The sides of an equation, finite on the axis. `ends`: of each coordinate, how many reach it."""
    for name in (n for n in system.names if ends.get(n)):
        zero = Name(name, 0) if name == system.radius else Call("sin", (Name(name, 0),), 0)
        for _ in range(max(0, *(_pole(side, zero) for side in sides))):
            sides = (_times(zero, sides[0]), _times(zero, sides[1]))
    return sides


def _is_zero(node: Node, zero: Node) -> bool:
    if isinstance(node, Call) and isinstance(zero, Call):
        return node.name == zero.name and _is_zero(node.arguments[0], zero.arguments[0])
    return isinstance(node, Name) and isinstance(zero, Name) and node.name == zero.name


def _pole(node: Node, zero: Node) -> int:
    """By which power of something that vanishes a tree is singular there; negative for one that vanishes."""
    if _is_zero(node, zero):
        return -1
    match node:
        case Unary():
            return _pole(node.operand, zero)
        case Power() if isinstance(node.exponent, Number) and node.exponent.value.denominator == 1:
            return int(node.exponent.value) * _pole(node.base, zero)
        case Chain() if node.operators[0] in "+-":
            return max(_pole(operand, zero) for operand in node.operands)
        case Chain() if node.operators[0] in "*/":
            signs = (1, *(1 if operator == "*" else -1 for operator in node.operators))
            return sum(s * _pole(operand, zero) for s, operand in zip(signs, node.operands, strict=True))
        case Call(name="D"):
            inner = _pole(node.arguments[0], zero)
            by = sum(1 for a in node.arguments[1:] if isinstance(a, Name) and _mentions(zero, a.name))
            return inner + by if inner > 0 else 0
    return 0


def _mentions(zero: Node, name: str) -> bool:
    inner = zero.arguments[0] if isinstance(zero, Call) else zero
    return isinstance(inner, Name) and inner.name == name


def _times(zero: Node, node: Node) -> Node:
    """The product, with the factor where the tree is singular."""
    match node:
        case Number() if node.value == 0:
            return node
        case Unary():
            return replace(node, operand=_times(zero, node.operand))
        case Chain() if node.operators[0] in "+-":
            return replace(node, operands=tuple(_times(zero, operand) for operand in node.operands))
        case Chain() if node.operators[0] in "*/":
            factors = [i for i, o in enumerate(node.operators, 1) if o == "*"]
            place = next((i for i in (0, *factors) if _pole(node.operands[i], zero) > 0), None)
            if place is not None:
                inner = _times(zero, node.operands[place])
                return replace(node, operands=(*node.operands[:place], inner, *node.operands[place + 1 :]))
    return Chain(("*",), (zero, node), node.offset)
