"""Stating a problem in Python: sympy in, the text of a problem file out.

Input: coordinates, unknowns, a box, sympy equations and conditions. Output: the same `Spec` that a problem file with
these equations gives, by way of its text: one way for data to flow. Wherever an expression is expected, a text of our
language will do, too. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef, UndefinedFunction
from sympy.logic.boolalg import BooleanAtom

from pinnsolve.errors import Diagnostic, ExpressionError, ProblemError
from pinnsolve.language import operators
from pinnsolve.language.derivatives import SizeError
from pinnsolve.language.from_sympy import to_text
from pinnsolve.language.indices import component
from pinnsolve.language.symbols import (
    DerivativeError,
    Feature,
    FeatureSymbol,
    IntegralSymbol,
    coordinate_symbol,
    drop_impulses,
    total_derivative,
)
from pinnsolve.language.tabulated import Tabulated, tabulated
from pinnsolve.language.vocabulary import INTEGRALS, RESERVED, close_match
from pinnsolve.problem.array_data import ArrayFiles
from pinnsolve.problem.python_keywords import strange_keywords
from pinnsolve.problem.python_words import Box, Condition, Data, Shape, StatedInPython, Table, quantity
from pinnsolve.spec.names import has_imaginary_unit
from pinnsolve.spec.schema.types import IDENTIFIER
from pinnsolve.spec.spec import Spec, spec_from_dict

_OF_EXPRESSIONS = (  # keys of maps from names to expressions
    "parameters",
    "unknown_parameters",
    "discover",
    "regularization",
    "eigenvalues",
    "definitions",
    "exact",
    "guess",
    "output",
    "solve",
)
_JUMPING = (sp.Piecewise, sp.Heaviside, sp.sign, sp.Max, sp.Min, sp.Abs, sp.floor)


def spec_from_sympy(**keywords: Any) -> Spec:
    """The spec of a problem stated by the keywords of `StatedInPython`.

    Raises `ProblemError` with everything that is wrong.
    """
    known = [f.name for f in fields(StatedInPython)]
    strange = strange_keywords(keywords)
    stated = StatedInPython(**{key: value for key, value in keywords.items() if key in known})
    writer = _Writer(stated.domain, stated.time, stated.unknowns, stated.functions or {})
    writer.imaginary |= has_imaginary_unit({"eigenvalues": stated.eigenvalues, "parameters": stated.parameters})
    writer.problems += strange
    keys = writer.file(stated)
    found = list(writer.problems)
    try:
        spec = spec_from_dict(keys, writer.arrays.folder(keys, stated.folder))
    except ProblemError as error:
        found += [d for d in error.diagnostics if not writer.is_stood_in(d.key)]
    if found:
        raise ProblemError(found)
    return spec


class _Writer:
    """Turns what a person writes in Python into what stands in a problem file, and collects what cannot be."""

    def __init__(self, domain: Any, time: Any, unknowns: Any, functions: Mapping[str, Any]):
        self.functions = tuple(functions) if isinstance(functions, Mapping) else ()
        self.problems: list[Diagnostic] = []
        self.arrays = ArrayFiles(self.problem, self.key)
        intervals = domain.intervals if isinstance(domain, Box) else domain
        if isinstance(domain, Shape):
            intervals = dict.fromkeys([*(domain.time or ()), *domain.coordinates])
        elif not isinstance(intervals, Mapping):
            hint = 'as in `Box(x=(0, 1), y=(0, 1))`, or a `Shape({"disk": {...}}, "x y")`'
            raise ProblemError([Diagnostic("a box is expected", key="domain", hint=hint)])
        stated = ((key, ends) for key, ends in intervals.items() if not isinstance(ends, str))  # a text is the system
        self.coordinates = tuple(name for key, ends in stated for name in self.components(key, ends))
        times = {self.key(time)} if time is not None else set(map(self.key, getattr(domain, "time", None) or ["t"]))
        self.space = tuple(c for c in self.coordinates if c not in times)
        listed = unknowns if isinstance(unknowns, list | tuple | Mapping) else [unknowns]
        self.unknowns = {self.key(u): self._arguments(u) for u in listed}
        stated = unknowns if isinstance(unknowns, Mapping) else {u: _kind(u) for u in listed}
        kinds = [item.get("values") if isinstance(item, Mapping) else item for item in stated.values()]
        self.imaginary = "complex" in kinds  # whether there is an imaginary unit
        self.kinds = {self.key(u): self._item(item) for u, item in stated.items()}

    def _item(self, item: Any) -> Any:
        """What an unknown is: `real` or `complex`, the region or regions it lives in, or a comparison."""
        if item in ("real", "complex", "vector", None) or isinstance(item, Mapping):
            return item or "real"
        return {"where": self.text(item, "unknowns")} if isinstance(item, sp.Basic) else {"in": item}

    def problem(self, message: str, key: str, text: Any = None, hint: str | None = None) -> None:
        shown = None if text is None else str(text)
        self.problems.append(Diagnostic(message, key=key, text=shown, hint=hint))

    def is_stood_in(self, key: str | None) -> bool:
        """Whether what is at a key of the file took the place of something that is told of already."""
        told = [(p.key or "").replace("domain", "coordinates", 1).split(".") for p in self.problems]
        path = (key or "").split(".")
        return any(path[: len(place)] == place for place in told)

    # -- names --

    def components(self, name: Any, ends: Any) -> list[Any]:
        """The name of a coordinate, or those of the components of an indexed one."""
        count = ends.get("count") if isinstance(ends, Mapping) else None
        if not isinstance(count, int):
            return [self.key(name)]
        return [component(self.key(name), k) for k in range(1, count + 1)]

    def key(self, value: Any) -> Any:
        """The name of a symbol or an unknown; anything else as it is."""
        if isinstance(value, AppliedUndef):
            return value.func.__name__
        if isinstance(value, UndefinedFunction):
            return value.__name__
        return value.name if isinstance(value, sp.Symbol) else value

    def _arguments(self, unknown: Any) -> tuple[str, ...]:
        """The names of the coordinates of an unknown, which must be those of the domain."""
        if not isinstance(unknown, AppliedUndef):
            return self.coordinates
        names = tuple(str(argument) for argument in unknown.args)
        if set(names) != set(self.coordinates):
            expected = f"{self.key(unknown)}({', '.join(self.coordinates)})"
            self.problem("every unknown depends on all coordinates of the domain", "unknowns", unknown, f"`{expected}`")
        return names

    # -- parts of a file --

    def file(self, stated: StatedInPython) -> dict[str, Any]:
        """The keys and values of a problem file."""
        reference = stated.reference
        whole = {
            "name": stated.name,
            "title": stated.title,
            "description": stated.description,
            "cite": stated.cite or None,
            **self.domain(stated.domain, stated.time),
            "regions": self.places(stated.regions),
            "unknowns": self.kinds if any(k != "real" for k in self.kinds.values()) else list(self.unknowns),
            **{key: self.terms(getattr(stated, key), key) for key in ("equations", "conditions", "data", "quantities")},
            "functions": self.tables(stated.functions),
            **{key: self.expressions(getattr(stated, key), key) for key in _OF_EXPRESSIONS},
            "reference": {"file": reference} if isinstance(reference, str | Path) else reference,
        }
        return {key: value for key, value in whole.items() if value is not None}

    def places(self, regions: Any) -> Any:
        """The regions: trees of shapes, or comparisons."""
        if not isinstance(regions, Mapping):
            return regions
        return {
            name: self.expressions(item if isinstance(item, Mapping) else {"where": item}, f"regions.{name}")
            for name, item in regions.items()
        }

    def tables(self, functions: Any) -> Any:
        """The functions by tables."""
        if not isinstance(functions, Mapping):
            return functions
        given = {
            name: {f.name: getattr(item, f.name) for f in fields(item)} if isinstance(item, Table) else item
            for name, item in functions.items()
        }
        said = {name: self.with_path(item, f"functions.{name}") for name, item in given.items()}
        return {name: self.expressions(item, f"functions.{name}") for name, item in said.items()}

    def with_path(self, item: Any, key: str) -> Any:
        """With its file as a text, the names of its arguments, and without what is not said."""
        if not isinstance(item, Mapping):
            return item
        said = {k: value for k, value in self.arrays.with_file(item, key).items() if value is not None}
        if "file" in said:
            said["file"] = str(said["file"])
        if "of" in said:
            said["of"] = self.several(lambda value, _: self.key(value), said["of"], "of")
        return said

    def domain(self, domain: Any, time: Any) -> dict[str, Any]:
        """`coordinates`, `domain` and `time`."""
        if not isinstance(domain, Shape):
            intervals = domain.intervals if isinstance(domain, Box) else domain
            return {"coordinates": self.expressions(intervals, "domain"), "time": self.key(time)}
        tree, space = self.expressions(domain.tree, "domain"), domain.coordinates
        if isinstance(space, Mapping):
            intervals = self.expressions({**(domain.time or {}), **space}, "coordinates")
            return {"coordinates": intervals, "domain": tree, "time": next(map(self.key, domain.time or ()), None)}
        listed = [self.key(c) for c in (*(domain.time or ()), *space)]
        return {"coordinates": listed, "domain": tree, "time": self.expressions(domain.time, "time")}

    def expressions(self, value: Any, key: str) -> Any:
        """Maps and lists of expressions, whatever is in them; what is no expression is left to the spec's checks."""
        if isinstance(value, Mapping):
            return {self.key(k): self.expressions(v, f"{key}.{self.key(k)}") for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.expressions(item, key) for item in value]
        return self.text(value, key) if isinstance(value, sp.Basic) else value

    def terms(self, items: Any, key: str) -> Any:
        """Equations, conditions or data by name."""
        if not isinstance(items, Mapping):
            return items
        return {name: self.term(item, f"{key}.{name}") for name, item in items.items()}

    def term(self, item: Any, key: str) -> Any:
        if isinstance(item, Condition | Data | quantity):
            item = {f.name: getattr(item, f.name) for f in fields(item) if getattr(item, f.name) is not None}
        elif not isinstance(item, Mapping):
            return self.several(self.equation, item, key)
        item = self.arrays.with_file(item, key)
        writers = {"equation": self.equation, "equations": self.equation, "on": self.place, "where": self.boolean}
        return {k: self.several(writers.get(k, self.expression), v, f"{key}.{k}") for k, v in item.items()}

    @staticmethod
    def several(write: Callable[[Any, str], Any], value: Any, key: str) -> Any:
        return [write(v, key) for v in value] if isinstance(value, list | tuple) else write(value, key)

    def expression(self, value: Any, key: str) -> Any:
        """A place in `at` or `periodic`, or a number."""
        return self.key(value) if isinstance(value, sp.Symbol) else self.expressions(value, key)

    def place(self, value: Any, key: str) -> Any:
        """`x = 0` for `sp.Eq(x, 0)`."""
        return self.equation(value, key) if isinstance(value, sp.Basic | bool) else value

    def boolean(self, value: Any, key: str) -> Any:
        return self.text(value, key) if isinstance(value, sp.Basic) else value

    def equation(self, value: Any, key: str) -> Any:
        """`left = right` for an `sp.Eq`; a text as it is."""
        if isinstance(value, sp.Eq):
            return f"{self.text(value.lhs, key)} = {self.text(value.rhs, key)}"
        if isinstance(value, bool | BooleanAtom):
            always = "always" if value else "never"
            self.problem(f"the equation {always} holds, whatever the unknowns are", key, value)
        elif isinstance(value, sp.Basic):
            self.problem("an equation is expected", key, value, "write `sp.Eq(expression, 0)`")
        return value

    # -- sympy --

    def text(self, value: sp.Basic, key: str) -> str:
        """An expression in our language."""
        try:
            return to_text(drop_impulses(self.translated(value)), self.coordinates, self.imaginary)
        except ExpressionError as error:
            self.problem(error.message, key, value, error.hint)
        except (DerivativeError, SizeError) as error:
            self.problem(str(error), key, value)
        return "0"

    def translated(self, e: sp.Basic) -> sp.Basic:
        """With unknowns and their derivatives as feature symbols. Raises `ExpressionError` for what we lack."""
        if isinstance(e, sp.Derivative):
            return self.derivative(e)
        if isinstance(e, AppliedUndef):
            return self.applied(e)
        if isinstance(e, sp.Subs):
            raise _elsewhere(e)
        if isinstance(e, sp.Symbol):
            return self.symbol(e)
        arguments = [self.translated(a) for a in e.args]
        return e if all(a is b for a, b in zip(arguments, e.args, strict=True)) else e.func(*arguments)

    def derivative(self, e: sp.Derivative) -> sp.Expr:
        """The derivative by our own chain rule, also of whole expressions."""
        if isinstance(e.expr, AppliedUndef) and e.expr.func.__name__ in operators.OPERATORS:
            raise DerivativeError(f"derivatives of the custom operator `{e.expr.func.__name__}` are not known")
        result = self.translated(e.expr)
        # the language has no name for the derivative of a table by its argument; where coefficients jump, what is
        # differentiated says what goes on across the jump
        complex_parts = self.is_complex(result) and result.has(sp.re, sp.im, sp.conjugate)
        if complex_parts or result.has(Tabulated, *_JUMPING):
            letters = [str(symbol) for symbol, count in e.variable_count for _ in range(int(count))]
            if not set(letters) <= set(self.coordinates):
                hint = "write the derivative by a coordinate unevaluated, as `sp.Derivative(k(u)*sp.diff(u, x), x)`"
                raise ExpressionError("the derivative of a table by its argument", hint=hint)
            return sp.Symbol(
                f"D({', '.join([to_text(result, self.coordinates, self.imaginary), *letters])})", real=True
            )
        for symbol, count in e.variable_count:
            name = getattr(symbol, "name", str(symbol))
            if name not in self.coordinates or not count.is_Integer:
                hint = f"the coordinates are {', '.join(self.coordinates)}"
                raise ExpressionError(f"a derivative by `{symbol}`", hint=hint)
            for _ in range(int(count)):
                result = total_derivative(result, self.coordinates.index(name), self.coordinates)
        return result

    def applied(self, e: AppliedUndef) -> sp.Expr:
        """An unknown, or an operator of one."""
        name, zero = e.func.__name__, (0,) * len(self.coordinates)
        if name in self.unknowns:
            if tuple(str(a) for a in e.args) != self.unknowns[name]:
                raise _elsewhere(e)
            return FeatureSymbol(Feature(name, zero), real=self.kinds[name] != "complex")
        if name in operators.OPERATORS:
            inner = self.translated(e.args[0]) if len(e.args) == 1 else None
            feature = getattr(inner, "feature", None)
            if feature is None or feature.order or feature.operator:
                raise ExpressionError(f"the operator `{name}` is applied to an unknown itself")
            return FeatureSymbol(Feature(feature.unknown, zero, name), real=bool(inner.is_real))
        if name in INTEGRALS:
            place = e.args[1].name if len(e.args) > 1 else ""
            return IntegralSymbol(name, self.translated(e.args[0]), place, self.space)
        if name in self.functions:
            return tabulated(name, len(e.args), None)(*map(self.translated, e.args))
        known = (*self.unknowns, *operators.OPERATORS)
        close = close_match(name, known)
        hint = f"did you mean `{close}`?" if close else f"the unknowns are {', '.join(map(str, self.unknowns))}"
        raise ExpressionError(f"unknown function `{name}`", hint=hint)

    def is_complex(self, e: sp.Basic) -> bool:
        return any(isinstance(s, FeatureSymbol) and not s.is_real for s in e.free_symbols)

    def symbol(self, e: sp.Symbol) -> sp.Symbol:
        """The symbol by its name: a problem file knows no assumptions, by which sympy tells symbols apart."""
        name = e.name
        if name in self.unknowns:
            call = f"{name}({', '.join(self.coordinates)})"
            raise ExpressionError(f"`{name}` is a symbol here, and an unknown", hint=f"write {call}, a function")
        if name in RESERVED or not IDENTIFIER.fullmatch(name):
            why = "part of the language" if name in RESERVED else "no name in a problem"
            raise ExpressionError(f"the symbol `{name}` is {why}", hint="give it another name")
        return coordinate_symbol(name)


def _kind(unknown: Any) -> str:
    """What the values of an unknown are: sympy says of a complex function that it is, and of others that they are real,
    or nothing."""
    return "complex" if getattr(unknown, "is_complex", None) and not unknown.is_real else "real"


def _elsewhere(e: sp.Basic) -> ExpressionError:
    hint = 'what holds in a place is a condition of its own, such as `Condition(on="x = 0", equation=sp.Eq(u, 0))`'
    return ExpressionError(f"`{e}` is an unknown at another place", hint=hint)
