"""Indexed coordinates: `x[k + 1]`, `sum(k, ...)` and `product(k, ...)`, written out in the coordinates x1, x2, ...

Input: a syntax tree and the number of components of every indexed coordinate. Output: the tree without indices, which
is all that the rest of the language knows. A sum goes over the values of its letter for which every component in it
exists, from 1 on, so that `sum(k, x[k]*x[k + 1])` ends where x does. A `where` that compares whole numbers is decided
here: `sum(i, sum(j, where(i < j, x[i]*x[j], 0)))` is a sum over pairs. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import COMPARE
from pinnsolve.language.syntax import (
    COMPARISONS,
    MAX_NODES,
    Call,
    Chain,
    Index,
    Name,
    Node,
    Number,
    Power,
    Unary,
    Vector,
    children,
)

REPEATED = {"sum": "+", "product": "*"}  # the operator between what they repeat
USUAL = 6  # coordinates that the limits on size are made for


def component(name: str, number: int) -> str:
    """The name of one component of an indexed coordinate."""
    return f"{name}{number}"


def more_for(coordinates: int) -> int:
    """By how much the limits on the size of expressions grow with the number of coordinates."""
    return max(1, coordinates // USUAL)


def written_out(node: Node, counts: Mapping[str, int]) -> Node:
    """The tree without indices, sums and products. Raises `ExpressionError` for those that make no sense."""
    if not any(isinstance(one, Index) or _is_repeated(one) for one in _all(node)):
        return node
    return _Writer(counts, [MAX_NODES * more_for(sum(counts.values()))]).write(node, {})


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _all(child)


def _is_repeated(node: Node) -> bool:
    return isinstance(node, Call) and node.name in REPEATED


@dataclass(frozen=True)
class _Writer:
    """`left`: the one number of parts that may still be written, counted down."""

    counts: Mapping[str, int]
    left: list[int]

    def write(self, node: Node, bound: Mapping[str, int]) -> Node:
        """The node where letters have the values `bound`."""
        self.left[0] -= 1
        if self.left[0] < 0:
            raise ExpressionError("too large once its sums are written out", node.offset)

        def inner(child: Node) -> Node:
            return self.write(child, bound)

        match node:
            case Name() if node.name in bound:
                return Number(Fraction(bound[node.name]), node.offset)
            case Index():
                return self.component(node, bound)
            case Call() if node.name in REPEATED:
                return self.repeated(node, bound)
            case Call():
                truth = _truth(node.arguments[0], bound) if node.name == "where" and len(node.arguments) == 3 else None
                if truth is not None:
                    return inner(node.arguments[1 if truth else 2])
                return replace(node, arguments=tuple(map(inner, node.arguments)))
            case Chain():
                return replace(node, operands=tuple(map(inner, node.operands)))
            case Power():
                return Power(inner(node.base), inner(node.exponent), node.offset)
            case Unary():
                return replace(node, operand=inner(node.operand))
            case Vector():
                return replace(node, items=tuple(map(inner, node.items)))
        return node

    def component(self, node: Index, bound: Mapping[str, int]) -> Name:
        """The plain coordinate that an index means."""
        count = self.count(node)
        number = _whole(node.index, bound)
        if number is None:
            hint = "as in `x[3]`, or `sum(k, x[k]**2)`, in which k counts"
            raise ExpressionError(f"the index of `{node.name}` is not a whole number", node.index.offset, hint)
        if not 1 <= number <= count:
            raise ExpressionError(f"`{node.name}` has the components 1 to {count}, and none of {number}", node.offset)
        return Name(component(node.name, number), node.offset)

    def count(self, node: Index) -> int:
        if node.name not in self.counts:
            some = ", ".join(f"`{name}`" for name in self.counts)
            hint = f"those with components are {some}" if some else "write `coordinates: {x: {count: 10, ...}}`"
            raise ExpressionError(f"`{node.name}` has no components", node.offset, hint)
        return self.counts[node.name]

    def repeated(self, node: Call, bound: Mapping[str, int]) -> Node:
        """A sum or a product, written out."""
        letter = node.arguments[0] if len(node.arguments) == 2 else None
        if not isinstance(letter, Name):
            raise ExpressionError(f"`{node.name}` takes a letter and what it counts in", node.offset, "`sum(k, x[k])`")
        if letter.name in self.counts or letter.name in bound:
            raise ExpressionError(f"`{letter.name}` is taken", letter.offset, "use another letter, such as k")
        body = node.arguments[1]
        values = self.values(node, letter.name, body, bound)
        operands = tuple(self.write(body, {**bound, letter.name: value}) for value in values)
        if not operands and not bound:  # one inside another may end before it begins
            hint = "leave it out, or mend the indices"
            raise ExpressionError(
                f"`{node.name}` goes over nothing: no components have such indices", node.offset, hint
            )
        if not operands:
            return Number(Fraction(0 if node.name == "sum" else 1), node.offset)
        return operands[0] if len(operands) == 1 else _chain(REPEATED[node.name], operands, node.offset)

    def values(self, node: Call, letter: str, body: Node, bound: Mapping[str, int]) -> list[int]:
        """The values of a letter for which all components in a body exist."""
        held = [one for one in _all(body) if isinstance(one, Index) and _holds(one.index, letter)]
        if not held:
            hint = f"as in `{node.name}({letter}, x[{letter}])`"
            raise ExpressionError(f"`{node.name}` goes over the components of a coordinate", node.offset, hint)
        found = []
        for value in range(1, 2 * max(map(self.count, held)) + 1):
            numbers = [(one, _whole(one.index, {**bound, letter: value})) for one in held]
            if all(number is None or 1 <= number <= self.count(one) for one, number in numbers):
                if all(number is None for _, number in numbers) and value > max(map(self.count, held)):
                    continue  # indices by a letter inside as well: that sum ends itself
                found.append(value)
        return found


def _chain(operator: str, operands: tuple[Node, ...], offset: int) -> Chain:
    return Chain((operator,) * (len(operands) - 1), operands, offset)


def _holds(node: Node, letter: str) -> bool:
    return any(isinstance(one, Name) and one.name == letter for one in _all(node))


def _whole(node: Node, bound: Mapping[str, int]) -> int | None:
    """The value of an index, or None where it is no sum or product of whole numbers and letters with a value."""
    match node:
        case Number() if node.value.denominator == 1:
            return int(node.value)
        case Name() if node.name in bound:
            return bound[node.name]
        case Unary("-"):
            inner = _whole(node.operand, bound)
            return None if inner is None else -inner
        case Chain() if set(node.operators) <= {"+", "-", "*"}:
            first, *others = (_whole(one, bound) for one in node.operands)
            for operator, other in zip(node.operators, others, strict=True):
                if first is None or other is None:
                    return None
                first = first * other if operator == "*" else first + other if operator == "+" else first - other
            return first
    return None


def _truth(node: Node, bound: Mapping[str, int]) -> bool | None:
    """Whether a comparison of whole numbers holds; None for any other."""
    if not isinstance(node, Chain) or node.operators[0] not in COMPARISONS:
        return None
    numbers = [_whole(one, bound) for one in node.operands]
    if None in numbers:
        return None
    pairs = zip(node.operators, numbers, numbers[1:], strict=False)
    return all(COMPARE[operator](a, b) for operator, a, b in pairs)
