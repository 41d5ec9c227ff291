"""The names of expressions: known functions, the scope of an expression, the check of a tree against both.

Input: a syntax tree and a `Scope`. Output: every problem of the tree at once (unknown names with a close match, wrong
numbers of arguments, a comparison where a number belongs). No sympy here: a wrong file is answered before sympy is
imported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.subscripts import derivative_of
from pinnsolve.language.syntax import (
    COMPARISONS,
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
    parse,
)
from pinnsolve.language.systems import System
from pinnsolve.language.vectors import NORMAL, VectorNames

MAX_COMPARED = 150  # names that a wrong one is compared with
MAX_PROBLEMS = 10  # reported for one text
MAX_ORDER = 4  # of derivatives, those inside one another added up

# name -> fewest and most arguments
_TRIGONOMETRIC = ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
_OTHER = ("exp", "log", "sqrt", "abs", "sign", "floor", "erf", "heaviside")
_OF_TWO = {"atan2": (2, 2), "bessel_j": (2, 2), "max": (1, 100), "min": (1, 100)}
FUNCTIONS = {**dict.fromkeys(_TRIGONOMETRIC + _OTHER, (1, 1)), **_OF_TWO}
DERIVATIVES = {"D": (2, 12), "laplacian": (1, 1), "grad_dot": (2, 2), "div": (1, 1), "advect": (2, 2), "Dn": (1, 1)}
VECTOR_OPERATIONS = {"grad": (1, 1), "curl": (1, 1), "dot": (2, 2), "cross": (2, 2)}
INTEGRALS = {"integral": (1, 2), "mean": (1, 2)}
CALLABLE = {**FUNCTIONS, **DERIVATIVES, **VECTOR_OPERATIONS, **INTEGRALS, "where": (3, 3)}
CONSTANTS = ("pi", "e")
RESERVED = frozenset((*CALLABLE, *CONSTANTS, "W", "and", "or", "not", "sum", "product")) - {*VECTOR_OPERATIONS}
COMPLEX_FUNCTIONS = ("re", "im", "conj")  # of one argument; with `i`, words of files with complex numbers alone
IMAGINARY_UNIT = "i"

_INSTEAD = {
    "ln": "the natural logarithm is `log`",
    "pow": "a power is written `a**b`",
    "diff": "a derivative is written `D(u, x)`",
    "d": "a derivative is written `D(u, x)`",
    "arcsin": "write `asin`",
    "arccos": "write `acos`",
    "arctan": "write `atan`",
    "arctan2": "write `atan2`",
    "fabs": "write `abs`",
    "step": "write `heaviside`",
    "if": "write `where(condition, a, b)`",
}


@dataclass(frozen=True)
class NamedFunction:
    """A function of a table: what its arguments are called there, and, once it is read, the sympy function."""

    arguments: tuple[str, ...]
    function: Any = None


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use.

    `definitions` maps `name` or `name(args)` to its text, or to the parsed definition; `columns` are those of a data
    file; `functions` are those of tables, by name; `normals` allows `n_x` and `Dn(u)`, and `width` the basis width `W`;
    `operators` are custom linear operators; `places` those that integrals may be over, none where integrals cannot
    stand. `elsewhere` are names that the file knows and that cannot stand here.
    `vectors` are those whose components are unknowns, and `system` that of the coordinates of space.
    Where the file has `complex_unknowns`, `i` is the imaginary unit, and there are `re`, `im` and `conj`; an eigenvalue
    then is one of the `complex_parameters`.
    """

    coordinates: tuple[str, ...] = ()
    time: str | None = None
    unknowns: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    definitions: Mapping[str, str | Definition] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    functions: Mapping[str, NamedFunction] = field(default_factory=dict)
    normals: bool = False
    width: bool = False
    operators: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    complex_unknowns: tuple[str, ...] = ()
    complex_parameters: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    system: str = "cartesian"

    @property
    def constants(self) -> tuple[str, ...]:
        """The names of numbers."""
        return (*CONSTANTS, IMAGINARY_UNIT) if self.complex_unknowns else CONSTANTS

    @property
    def callable(self) -> Mapping[str, tuple[int, int]]:
        """The functions of the language, and how many arguments they take."""
        return {**CALLABLE, **dict.fromkeys(COMPLEX_FUNCTIONS, (1, 1))} if self.complex_unknowns else CALLABLE

    @property
    def space(self) -> tuple[str, ...]:
        """The coordinates without time."""
        return tuple(c for c in self.coordinates if c != self.time)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every name that stands for a plain symbol: neither an unknown nor a definition."""
        normals = tuple(f"n_{c}" for c in self.space) if self.normals else ()
        return (*self.coordinates, *self.parameters, *self.columns, *normals, *(("W",) if self.width else ()))

    def derivative(self, node: Name, local: Iterable[str] = ()) -> Call | None:
        """The derivative that a name with a subscript, `u_xx`, stands for where it is no name of the file.

        `local` are the arguments of the definition that it stands in.
        """
        if node.name in self.elsewhere:
            return None
        named = (name for name, d in self.macros.items() if d.arguments is None)
        quantities = {*self.unknowns, *local, *named}
        return derivative_of(node.name, quantities, self.coordinates, node.offset)

    @property
    def vector_names(self) -> VectorNames:
        """What a tree is taken into components by."""
        taken = (*self.symbols, *self.unknowns, *self.macros, *self.functions, *self.operators)
        return VectorNames(
            vectors=frozenset(self.vectors),
            space=self.space,
            time=self.time,
            system=System(self.system, self.space),
            normal=self.normals and NORMAL not in taken,
            taken=NORMAL in taken,
            functions=frozenset((*self.functions, *self.operators)),
        )

    @cached_property
    def macros(self) -> dict[str, Definition]:
        """The parsed definitions by name. Raises `ExpressionError` for the first text that is no expression."""
        given = self.definitions.items()
        found = (d if isinstance(d, Definition) else Definition(*signature(key), parse(str(d))) for key, d in given)
        return {d.name: d for d in found}


@dataclass(frozen=True)
class Definition:
    """A named sub-expression: `arguments` is None for one that is used without parentheses."""

    name: str
    arguments: tuple[str, ...] | None
    body: Node


_SIGNATURE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*", re.ASCII)


def signature(key: str) -> tuple[str, tuple[str, ...] | None]:
    """Name and argument names of a definition's key. Raises `ExpressionError`."""
    match = _SIGNATURE.fullmatch(key) if len(key) < 1000 else None
    arguments = tuple(a.strip() for a in match[2].split(",")) if match and match[2] is not None else None
    if match is None or any(not re.fullmatch(r"[A-Za-z_]\w*", a, re.ASCII) for a in arguments or ()):
        raise ExpressionError(
            "not the name of a definition", None, "write `name: expression` or `name(a, b): expression`"
        )
    if arguments and len(set(arguments)) < len(arguments):
        raise ExpressionError("an argument is named twice")
    return match[1], arguments


def close_match(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, if one is, whatever its case."""
    lowered = {k.lower(): k for k in islice(known, MAX_COMPARED)}
    found = difflib.get_close_matches(str(name)[:100].lower(), lowered, 1, 0.6)
    # a name that is far longer or shorter is no slip of the pen, though it may hold the other
    alike = found and abs(len(found[0]) - len(str(name))) <= max(1, min(len(found[0]), len(str(name))) // 2)
    return lowered[found[0]] if alike else None


# -- the check of names -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Checker:
    scope: Scope
    macros: Mapping[str, Definition]
    local: tuple[str, ...] = ()  # arguments of the definition whose body this is

    def kind(self, node: Node, depth: int = 0) -> str:
        """`number`, `boolean` or `vector`."""
        if isinstance(node, Vector):
            return "vector"
        if isinstance(node, Chain) and (node.operators[0] in COMPARISONS or node.operators[0] in ("and", "or")):
            return "boolean"
        if isinstance(node, Unary) and node.operator == "not":
            return "boolean"
        if isinstance(node, Name | Call) and node.name not in self.local and depth < 50:
            macro = self.macros.get(node.name)
            return self.kind(macro.body, depth + 1) if macro else "number"
        return "number"

    def check(self, node: Node, kind: str = "number") -> Iterator[ExpressionError]:
        """Problems of the tree, whose value must be of that kind."""
        found = self.kind(node)
        if (found == "boolean") != (kind == "boolean"):
            yield _wrong_kind(node, kind)
            return
        match node:
            case Name():
                yield from self.check_name(node)
            case Call():
                yield from self.check_call(node)
            case Chain() if node.operators[0] in COMPARISONS:
                for operand in node.operands:
                    yield from self.check(operand)
            case Vector():
                for item in node.items:
                    yield from self.check(item)
            case Index():
                hint = "write `coordinates: {x: {count: 10, ...}}` for a coordinate with components"
                yield ExpressionError(f"`{node.name}` has no components", node.offset, hint)
            case Chain() | Power() | Unary():
                for child in children(node):
                    yield from self.check(child, kind)

    def check_name(self, node: Name) -> Iterator[ExpressionError]:
        name, scope = node.name, self.scope
        if name in (*self.local, *scope.symbols, *scope.unknowns, *scope.constants, *scope.vectors):
            return
        if name in self.macros:
            arguments = self.macros[name].arguments
            if arguments is not None:
                yield ExpressionError(
                    f"`{name}` takes arguments", node.offset, f"write `{name}({', '.join(arguments)})`"
                )
        elif name in scope.functions:
            yield from self.check_bare(node)
        elif name in scope.callable or name in scope.operators:
            yield ExpressionError(f"`{name}` is a function", node.offset, f"write `{name}(...)`")
        elif name == NORMAL and scope.normals:
            return
        elif scope.derivative(node, self.local) is None:
            known = (
                *self.local,
                *scope.vectors,
                *scope.symbols,
                *scope.unknowns,
                *self.macros,
                *scope.functions,
                *scope.constants,
            )
            yield self.unknown(node, known)

    def check_bare(self, node: Name) -> Iterator[ExpressionError]:
        """The function of a table without parentheses: its arguments are what the table calls them."""
        arguments = self.scope.functions[node.name].arguments
        missing = [a for a in arguments if a not in (*self.scope.symbols, *self.scope.unknowns)]
        if missing:
            hint = f"write `{node.name}(...)`: `{missing[0]}` is what its argument is called, and no name here"
            yield ExpressionError(f"`{node.name}` takes arguments", node.offset, hint)

    def unknown(self, node: Name | Call, known: tuple[str, ...]) -> ExpressionError:
        name = node.name
        if name == "W":
            return ExpressionError("`W`, the width of the basis, stands only in `term_weights`", node.offset)
        if (name.startswith("n_") and name[2:] in self.scope.space) or name == "Dn":
            return ExpressionError(f"`{name}` exists only on a boundary, that is in conditions", node.offset)
        if name in self.scope.elsewhere:
            hint = "known here: " + ", ".join(dict.fromkeys(known[:30]))
            return ExpressionError(f"`{name}` cannot stand here", node.offset, hint)
        return ExpressionError(f"unknown name `{name}`", node.offset, self.hint(name, known))

    def hint(self, name: str, known: tuple[str, ...]) -> str:
        if name in _INSTEAD:
            return _INSTEAD[name]
        if name in (IMAGINARY_UNIT, *COMPLEX_FUNCTIONS):
            return f"there are complex numbers, and `{name}`, where an unknown is complex: `unknowns: {{psi: complex}}`"
        if match := close_match(name, known):
            return f"did you mean `{match}`?"
        return "known here: " + ", ".join(dict.fromkeys(known[:30]))

    def check_call(self, node: Call) -> Iterator[ExpressionError]:
        name, scope = node.name, self.scope
        if name in self.macros and name not in self.local:
            expected = self.macros[name].arguments
            if expected is None:
                yield ExpressionError(f"`{name}` takes no arguments", node.offset, f"write `{name}`")
                return
            yield from self.check_count(node, (len(expected), len(expected)))
            for argument in node.arguments:
                yield from self.check(argument)
        elif name in scope.functions or name in scope.operators:
            table = scope.functions.get(name, NamedFunction((name,)))  # a custom operator takes one argument
            yield from self.check_count(node, (len(table.arguments), len(table.arguments)))
            for argument in node.arguments:
                yield from self.check(argument)
        elif name in scope.callable and (name != "Dn" or scope.normals):
            count = list(self.check_count(node, scope.callable[name]))
            yield from count or self.check_function(node)
        elif name in scope.unknowns or name in scope.symbols or name in self.local or name in scope.constants:
            yield self.no_function(node)
        else:
            error = self.unknown(node, (*scope.callable, *self.macros, *scope.functions, *scope.operators))
            if (error.hint or "").startswith("known here"):
                error.hint += "; a custom operator comes from `--operators FILE`"
            yield error

    def no_function(self, node: Call) -> ExpressionError:
        """An unknown or a number that is called."""
        name, here = node.name, [a.name if isinstance(a, Name) else None for a in node.arguments]
        if name not in self.scope.unknowns:
            return ExpressionError(f"`{name}` is no function", node.offset, f"a product is `{name}*(...)`")
        if all(coordinate in self.scope.coordinates for coordinate in here):
            return ExpressionError(f"`{name}` is no function", node.offset, f"write `{name}` for the unknown")
        return ExpressionError(
            f"`{name}` at another time or place (a delay, a value elsewhere) cannot be stated",
            node.offset,
            f"equations hold between values at one point, where `{name}` stands for the unknown",
        )

    def check_count(self, node: Call, limits: tuple[int, int]) -> Iterator[ExpressionError]:
        least, most = limits
        if least <= len(node.arguments) <= most:
            return
        wanted = (
            f"{least}" if least == most else f"at least {least}" if len(node.arguments) < least else f"at most {most}"
        )
        given = len(node.arguments)
        hint = "write `D(u, x)`: what to differentiate, then by which coordinate" if node.name == "D" else None
        plural = "argument" if wanted in ("1", "at least 1") else "arguments"
        yield ExpressionError(f"`{node.name}` takes {wanted} {plural}, not {given}", node.offset, hint)

    def check_function(self, node: Call) -> Iterator[ExpressionError]:
        """Arguments of a built-in function, whose number is right."""
        name, arguments = node.name, node.arguments
        if name == "D":
            yield from self.check(arguments[0])
            yield from self.check_directions(node)
        elif name == "where":
            yield from self.check(arguments[0], "boolean")
            yield from self.check(arguments[1])
            yield from self.check(arguments[2])
        elif name in INTEGRALS:
            yield from self.check_integral(node)
        elif name == "bessel_j" and not _is_integer(arguments[0]):
            yield ExpressionError("the order of `bessel_j` is a whole number 0, 1, 2, ...", arguments[0].offset)
        else:
            for argument in arguments:
                yield from self.check(argument)

    def check_integral(self, node: Call) -> Iterator[ExpressionError]:
        """What is integrated, which on a boundary may hold normals, and the place."""
        scope, places = self.scope, node.arguments[1:]
        if not scope.places:
            hint = "numbers to report are `quantities`"
            yield ExpressionError(f"`{node.name}` stands only in equations and conditions", node.offset, hint)
            return
        if not scope.space:
            yield ExpressionError(f"`{node.name}` is over space, and there is only time", node.offset)
            return
        for place in places:
            if not isinstance(place, Name) or place.name not in scope.places:
                name = place.name if isinstance(place, Name) else ""
                close = close_match(name, scope.places)
                known = ", ".join(f"`{p}`" for p in scope.places)
                hint = f"did you mean `{close}`?" if close else f"the places with a name are {known}"
                yield ExpressionError(f"`{node.name}` is over a named place", place.offset, hint)
                return
        normals = bool(places) and places[0].name != "domain"
        yield from replace(self, scope=replace(scope, normals=normals, operators=())).check(node.arguments[0])

    def check_directions(self, node: Call) -> Iterator[ExpressionError]:
        coordinates, previous = self.scope.coordinates, False
        for argument in node.arguments[1:]:
            if isinstance(argument, Name) and (argument.name in coordinates or argument.name in self.local):
                previous = True
            elif previous and _is_integer(argument) and argument.value >= 1:
                previous = False
            else:
                shown = f"`{argument.name}` is not a coordinate" if isinstance(argument, Name) else "not a coordinate"
                hint = f"the coordinates are {', '.join(coordinates)}" if coordinates else "there are none here"
                message = f"{shown}: `D` differentiates by coordinates"
                if previous and isinstance(argument, Number) and argument.value > 0:
                    message, hint = "a derivative of fractional order cannot be stated", "orders are 1, 2, 3, ..."
                yield ExpressionError(message, argument.offset, hint)
                return


def _is_integer(node: Node) -> bool:
    return isinstance(node, Number) and node.value.denominator == 1


def _wrong_kind(node: Node, wanted: str) -> ExpressionError:
    if wanted == "boolean":
        return ExpressionError("a comparison is expected here", node.offset, "for example `x < 0.5`")
    return ExpressionError("a comparison where a number is expected", node.offset, "use `where(comparison, a, b)`")


def name_problems(node: Node, scope: Scope, kind: str = "number", local: tuple[str, ...] = ()) -> list[ExpressionError]:
    """Every problem with the names of a tree, which must be of that kind (`number` or `boolean`).

    `local` are the arguments of the definition that the tree belongs to.
    """
    found: dict[str, ExpressionError] = {}
    for error in _Checker(scope, scope.macros, local).check(node, kind):
        found.setdefault(error.message, error)  # the same name wrong twice is one mistake
        if len(found) == MAX_PROBLEMS:
            break
    return list(found.values())


def kind_of(node: Node, scope: Scope) -> str:
    """The kind of the value of a tree: `number`, `boolean` or `vector`."""
    return _Checker(scope, scope.macros).kind(node)
