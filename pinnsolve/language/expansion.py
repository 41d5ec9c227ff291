"""Trees made ready for mathematics: definitions put in, derivatives and constants checked.

Input: a syntax tree whose names are known (see `vocabulary`), and a `Scope`. Output: the tree without definitions, or
every problem it has. Definitions are macros on the tree, so that `D` inside one sees the arguments; their growth is
limited. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import Value, constant_problems, evaluate
from pinnsolve.language.indices import more_for
from pinnsolve.language.syntax import (
    MAX_DEPTH,
    MAX_NODES,
    Call,
    Chain,
    Name,
    Node,
    Number,
    Power,
    Unary,
    Vector,
    children,
    parse,
)
from pinnsolve.language.vectors import in_components
from pinnsolve.language.vocabulary import INTEGRALS, MAX_ORDER, Definition, Scope, kind_of, name_problems, signature

ANY = "any"  # the kind of a number or a vector
MAX_WORK = 12_000  # nodes that all expressions of a file may come to: about a second of sympy's time


class Budget:
    """Work that all expressions of a file may cause together, in nodes with definitions and derivatives put in."""

    def __init__(self, nodes: int = MAX_WORK):
        self.left = nodes

    def spend(self, nodes: int, offset: int) -> None:
        self.left -= nodes
        if self.left < 0:
            raise ExpressionError("too large: the expressions so far exceed the size limit", offset)


def resolve(
    node: Node,
    scope: Scope,
    kind: str = "number",
    values: Mapping[str, Value] | None = None,
    budget: Budget | None = None,
) -> tuple[Node, list[ExpressionError]]:
    """The tree with its definitions put in, and every problem found on the way.

    `values` are those of names that are constants (parameters); a sub-expression of constants must be a finite number.
    With problems, the tree returned is the one given.
    """
    try:
        problems = name_problems(node, scope, kind)
        if not problems:
            budget = budget or Budget()
            full = _Expander(scope, budget).expand(node, {}, (), None, 0)
            if scope.definitions:  # what a definition uses must be known where it is used
                problems = name_problems(full, replace(scope, definitions={}), kind)
            if not problems:
                full = _in_components(full, scope, kind, budget.left)
                budget.spend(derivative_work(full), node.offset)
                problems = [*_Orders(scope).problems(full, 0), *constant_problems(full, values or {})]
            if not problems:
                return full, []
    except ExpressionError as error:
        problems = [error]
    return node, problems


def _in_components(node: Node, scope: Scope, kind: str, most: int) -> Node:
    """The tree, of at most so many nodes, without vectors, but for one that is its value, where the `kind` lets it."""
    found = in_components(node, scope.vector_names, most)
    if isinstance(found, Vector) and kind != ANY:
        hint = "components are `v_x`, `v_y`; the length is `sqrt(dot(v, v))`"
        raise ExpressionError("a vector where a number is expected", node.offset, hint)
    return found


def definition_problems(
    found: Definition, scope: Scope, values: Mapping[str, Value] | None = None, budget: Budget | None = None
) -> list[ExpressionError]:
    """Every problem of one of the definitions in `scope`."""
    try:
        if found.arguments is None:
            return resolve(found.body, scope, _kind(found, scope), values, budget)[1]
        problems = name_problems(found.body, scope, _kind(found, scope), found.arguments)
        if not problems:
            others = {k: d for k, d in scope.definitions.items() if signature(k)[0] not in found.arguments}
            expander = _Expander(replace(scope, definitions=others), budget or Budget())
            expander.expand(found.body, {}, (found.name,), None, 0)
    except ExpressionError as error:
        problems = [error]
    return problems


def _kind(found: Definition, scope: Scope) -> str:
    """What a definition may be: a comparison, or a number or vector."""
    return "boolean" if kind_of(found.body, scope) == "boolean" else ANY


class _Expander:
    """Puts definitions in; the nodes that come from one get the offset of the place that uses it."""

    def __init__(self, scope: Scope, budget: Budget):
        self.scope, self.macros, self.budget, self.nodes = scope, scope.macros, budget, 0
        self.named = {*scope.symbols, *scope.unknowns, *scope.functions, *scope.operators}
        self.most = MAX_NODES * more_for(len(scope.coordinates))

    def expand(
        self, node: Node, bound: Mapping[str, Node], active: tuple[str, ...], at: int | None, depth: int
    ) -> Node:
        self.nodes += 1
        offset = node.offset if at is None else at
        self.budget.spend(1, offset)
        if self.nodes > self.most:
            raise ExpressionError(f"too large once its definitions are put in: more than {self.most} parts", offset)
        if depth > MAX_DEPTH:
            raise ExpressionError("nested too deeply once its definitions are put in", offset)
        if isinstance(node, Name) and node.name in bound:
            return self.expand(bound[node.name], {}, active, None, depth + 1)
        if isinstance(node, Name | Call) and node.name in self.macros:
            return self.use(node, bound, active, at, depth)
        if isinstance(node, Name) and node.name not in self.named:
            derivative = self.scope.derivative(node, bound)
            if derivative is not None:
                return self.expand(derivative, bound, active, at, depth + 1)

        def inner(child: Node) -> Node:
            return self.expand(child, bound, active, at, depth + 1)

        match node:
            case Call() if node.name in INTEGRALS:  # the name of a place is no definition
                return replace(node, arguments=(inner(node.arguments[0]), *node.arguments[1:]), offset=offset)
            case Call():
                return replace(node, arguments=tuple(map(inner, node.arguments)), offset=offset)
            case Chain():
                return replace(node, operands=tuple(map(inner, node.operands)), offset=offset)
            case Power():
                return Power(inner(node.base), inner(node.exponent), offset)
            case Unary():
                return Unary(node.operator, inner(node.operand), offset)
            case Vector():
                return Vector(tuple(map(inner, node.items)), offset)
        return replace(node, offset=offset)

    def use(
        self, node: Name | Call, bound: Mapping[str, Node], active: tuple[str, ...], at: int | None, depth: int
    ) -> Node:
        macro, offset = self.macros[node.name], node.offset if at is None else at
        if node.name in active:
            loop = " -> ".join((*active[active.index(node.name) :], node.name))
            raise ExpressionError(f"the definition `{node.name}` uses itself: {loop}", offset)
        arguments = node.arguments if isinstance(node, Call) else ()
        # an argument is expanded where it stands: a macro of the same name inside another's argument is no recursion
        given = {
            name: self.expand(argument, bound, active, at, depth + 1)
            for name, argument in zip(macro.arguments or (), arguments, strict=True)
        }
        return self.expand(macro.body, given, (*active, node.name), offset, depth + 1)


def constant_value(text: str | int | float, values: Mapping[str, Value] | None = None) -> float:
    """The value of a constant expression, for instance an interval's end; `values` are those of the names it may use.

    Raises `ExpressionError` for anything else, infinities and NaN included.
    """
    return float(exact_value(text, values))


def exact_value(text: str | int | float, values: Mapping[str, Value] | None = None) -> Value:
    """Like `constant_value`, but a fraction where the expression is a rational number."""
    return tree_value(parse(as_text(text)), values or {})


def as_text(value: str | int | float) -> str:
    """The text of an expression or number. Raises `ExpressionError` for infinities and NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("not a finite number", 0)
    return str(value)


def tree_value(tree: Node, values: Mapping[str, Value]) -> Value:
    """The value of the tree of a constant expression. Raises `ExpressionError` for anything else."""
    node, problems = resolve(tree, Scope(parameters=tuple(values)), values=values)
    if problems:
        raise problems[0]
    value = evaluate(node, values)
    if value is None:
        raise ExpressionError("not a constant number", tree.offset)
    return value


# -- derivatives --------------------------------------------------------------------------------------------

_ORDER_ADDED = {"laplacian": 2, "grad_dot": 1, "div": 1, "advect": 1, "Dn": 1}


class _Orders:
    """Adds up the orders of derivatives inside one another, from the outside in."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def problems(self, node: Node, outside: int) -> Iterator[ExpressionError]:
        """Problems of a tree that stands inside derivatives of order `outside`."""
        if not isinstance(node, Call):
            for child in children(node):
                yield from self.problems(child, outside)
            return
        if node.name in self.scope.operators:
            yield from self.operator_problems(node, outside)
            return
        if node.name in INTEGRALS:  # derivatives of an integral stand inside it at most once, in time
            yield from self.problems(node.arguments[0], min(outside, 1))
            return
        added = _ORDER_ADDED.get(node.name, 0)
        if node.name == "D":
            directions = list(directions_of(node, self.scope.coordinates))
            if None in directions:
                hint = f"the coordinates are {', '.join(self.scope.coordinates)}"
                yield ExpressionError("`D` differentiates by coordinates", node.offset, hint)
                return
            added = len(directions)
        if outside + added > MAX_ORDER:
            hint = "introduce an unknown for a lower derivative, and an equation that says so"
            yield ExpressionError(f"derivatives beyond order {MAX_ORDER} are not supported", node.offset, hint)
            return
        for child in node.arguments[:1] if node.name == "D" else node.arguments:
            yield from self.problems(child, outside + added)

    def operator_problems(self, node: Call, outside: int) -> Iterator[ExpressionError]:
        argument = node.arguments[0]
        if not (isinstance(argument, Name) and argument.name in self.scope.unknowns):
            known = ", ".join(self.scope.unknowns)
            message = f"the operator `{node.name}` is applied to an unknown itself"
            yield ExpressionError(message, argument.offset, f"the unknowns are {known}")
        if outside:
            yield ExpressionError(f"derivatives of the operator `{node.name}` are not known", node.offset)


def directions_of(node: Call, coordinates: tuple[str, ...]) -> Iterator[str | None]:
    """The coordinates that a `D(a, x, 2, y)` differentiates by, one after the other; None for anything else."""
    last: str | None = None
    for argument in node.arguments[1:]:
        if isinstance(argument, Name):
            last = argument.name if argument.name in coordinates else None
            yield last
        else:
            count = int(argument.value) if hasattr(argument, "value") else 0
            yield from [last] * min(count - 1, MAX_ORDER + 1)
            if count < 1:
                yield None


def derivative_work(node: Node) -> int:
    """About how many nodes the derivatives in a tree come to, by the product and chain rules."""
    total = sum(map(derivative_work, children(node)))
    order = 1 if isinstance(node, Call) and node.name in _ORDER_ADDED else 0
    if isinstance(node, Call) and node.name == "D":
        order = sum(int(a.value) - 1 if hasattr(a, "value") else 1 for a in node.arguments[1:])
    if order < 1:
        return total
    order = _ORDER_ADDED.get(node.name, order)
    size, derived = _sizes(node.arguments[0])
    for argument in node.arguments[1:] if node.name in ("grad_dot", "advect") else ():
        size, derived = max(size, _sizes(argument)[0]), max(derived, _sizes(argument)[1])
    return total + min(10**9, round(size * (derived / size) ** min(order, MAX_ORDER + 1)))


def _sizes(node: Node) -> tuple[int, int]:
    """Nodes of a tree, and of its first derivative."""
    parts = [_sizes(child) for child in children(node)]
    size = 1 + sum(s for s, _ in parts)
    if not parts:
        return 1, 0 if isinstance(node, Number) else 1
    if isinstance(node, Chain) and node.operators[0] in "+-":
        return size, 1 + sum(d for _, d in parts)
    return size, 1 + sum(d + size for _, d in parts if d)
