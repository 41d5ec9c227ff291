"""The candidates of a discovery: terms that may stand on the right side of an equation, read and checked. No sympy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pinnsolve.language.vocabulary import Scope, close_match
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.names import Names
from pinnsolve.spec.parsed import ParsedExpression, ParsedTerm
from pinnsolve.spec.schema.schema import ProblemFile


def candidates(
    file: ProblemFile, names: Names, reader: ExpressionReader, scope: Scope, equations: Mapping[str, ParsedTerm]
) -> dict[str, tuple[ParsedExpression, ...]]:
    """By equation, its candidates; what is wrong with them goes to the reader. `equations`: as they were read, those of
    vectors by component."""
    asked, found = file.discover or {}, {}
    if asked and not names.terms_of["data"]:
        reader.problem(("discover",), "terms are found from data, and there are none", "state `data`")
    if asked and names.complex_unknowns:
        reader.problem(("discover",), "terms are found of equations of real unknowns, and one here is complex")
    for name, texts in asked.items():
        path = ("discover", name)
        equation = (file.equations or {}).get(name)
        if equation is None:
            known = names.terms_of["equations"]
            close = close_match(name, known)
            hint = f"did you mean `{close}`?" if close else f"the equations are {', '.join(known)}"
            reader.problem(path, f"`{name[:60]}` is not an equation", hint)
        elif name == "dropped":
            message = "`dropped` is what reports call the terms that are no part of an equation"
            reader.problem(path, message, "give the equation another name")
        elif name not in equations or (equation.equation is None and len(equation.equations or ()) != 1):
            hint = "give the equation that is to be completed a name of its own"
            reader.problem(path, f"`{name}` is several equations, and terms are added to one", hint)
        for text in sorted({text for text in texts if texts.count(text) > 1}):
            reader.problem(path, f"the candidate `{text[:60]}` is given twice")
        read = (
            reader.expression((*path, k), text, replace(scope, places=(), operators=())) for k, text in enumerate(texts)
        )
        found[name] = tuple(one for one in read if one is not None)
    return found
