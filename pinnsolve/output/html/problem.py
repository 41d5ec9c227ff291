"""A problem in a page: domain, equations, conditions and data as formulas.

Input: a `Problem`. Output: HTML. The formulas are what the file says (`mathml`), with the file's own names and order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pinnsolve.errors import ExpressionError
from pinnsolve.geometry.shapes import describe, part_names
from pinnsolve.language import to_mathml
from pinnsolve.language.vocabulary import signature
from pinnsolve.output.html import parts as html
from pinnsolve.problem.problem import Problem


def statement(problem: Problem) -> str:
    """Everything that the file states, in its order."""
    spec = problem.spec
    return "\n".join(
        part
        for part in (
            f"<p>{html.text(spec.description)}</p>" if spec.description else "",
            html.facts(_domain(problem)),
            _group("Equations", _equations(problem)),
            _group("Conditions", _conditions(problem)),
            _group("Data", _data(problem)),
            _group("Functions", _functions(problem)),
            _group("where", _definitions(problem)),
            _group("Exact solution", _exact(problem)),
        )
        if part
    )


def _group(heading: str, terms: Iterable[str]) -> str:
    terms = list(terms)
    return f"<h3>{heading}</h3>\n" + "\n".join(terms) if terms else ""


def _term(name: str, formulas: Iterable[str], where: str = "") -> str:
    lines = "".join(f'<div class="formula">{formula}</div>' for formula in formulas)
    below = f'<div class="where">{where}</div>' if where else ""
    return f'<div class="term"><b>{html.text(name)}</b><div>{lines}{below}</div></div>'


# -- the parts ------------------------------------------------------------------------------------------------


def _domain(problem: Problem) -> list[tuple[str, str]]:
    spans = [
        f"{to_mathml.symbol(name)} in [{html.number(low, 6)}, {html.number(high, 6)}]"
        + (" (time)" if name == problem.time else "")
        for name, (low, high) in zip(problem.coordinates, problem.intervals, strict=True)
    ]
    shaped = problem.shape is not None
    unknowns = ", ".join(
        f"{to_mathml.symbol(u)}({', '.join(to_mathml.symbol(c) for c in problem.coordinates)})"
        + (", complex" if u in problem.complex_unknowns else "")
        for u in problem.spec.unknowns
    )
    return [
        ("domain", html.text(describe(problem.shape)) if shaped else ", ".join(spans)),
        ("within" if shaped else "", ", ".join(spans) if shaped else ""),
        ("boundary parts", ", ".join(map(html.text, part_names(problem.shape))) if shaped else ""),
        ("unknown" if len(problem.spec.unknowns) == 1 else "unknowns", unknowns),
        ("parameters", ", ".join(_parameter(problem, name, value) for name, value in problem.parameters.items())),
        ("to be found", ", ".join(_to_find(p) for p in problem.unknown_parameters if not p.candidate)),
        ("functions to be found", ", ".join(_functions_to_find(problem))),
        *((f"candidates in {html.text(name)}", _candidates(name, problem)) for name in problem.spec.discover),
    ]


def _parameter(problem: Problem, name: str, value: float) -> str:
    if name in problem.ranges:
        return f"{to_mathml.symbol(name)} from {html.text(problem.ranges[name].words())}"
    written = str(problem.spec.parameters.get(name, ""))
    formula = f"{to_mathml.symbol(name)} = {_expression(written, problem)}"
    plain = written.replace(".", "", 1).replace("-", "", 1).isdigit()
    return formula if plain else f"{formula} \N{ALMOST EQUAL TO} {html.number(value, 6)}"


def _candidates(equation: str, problem: Problem) -> str:
    """The terms that may stand in an equation, as formulas."""
    return ", ".join(_expression(text, problem) for text in problem.spec.discover[equation])


def _functions_to_find(problem: Problem) -> Iterator[str]:
    """The unknown functions of the state, as formulas."""
    for name, sought in problem.spec.state_functions.items():
        yield _expression(f"{name}({', '.join(sought.of)})", problem)


def _to_find(parameter) -> str:
    low, high = (_end(end) for end in parameter.bounds)
    bounds = f", within [{low}, {high}]" if (low, high) != ("\N{MINUS SIGN}∞", "∞") else ""
    return f"{to_mathml.symbol(parameter.name)} (from {html.number(parameter.guess, 6)}{bounds})"


def _end(value: float) -> str:
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "\N{MINUS SIGN}∞"
    return html.number(value, 6)


def _equations(problem: Problem) -> Iterable[str]:
    for name, item in problem.spec.equations.items():
        yield _term(name, _formulas(item.equations, problem), _narrowed("", item.where, problem))


def _conditions(problem: Problem) -> Iterable[str]:
    for name, item in problem.spec.conditions.items():
        places = [*(_place(place, problem) for place in item.on), *(_point(at, problem) for at in item.at)]
        words = f"on {', '.join(places)}" if item.on else f"at {'; at '.join(places)}"
        if item.periodic:
            words = "periodic in " + ", ".join(to_mathml.symbol(c) for c in item.periodic)
        yield _term(name, _formulas(item.equations, problem), _narrowed(words, item.where, problem))


def _place(text: str, problem: Problem) -> str:
    left, equals, right = text.partition("=")
    if not equals:
        return {"boundary": "the whole boundary", "domain": "the whole domain"}.get(text, f"<b>{html.text(text)}</b>")
    return f"{_expression(left, problem)} = {_expression(right, problem)}"


def _point(at: Mapping, problem: Problem) -> str:
    return ", ".join(f"{to_mathml.symbol(name)} = {_expression(str(value), problem)}" for name, value in at.items())


def _narrowed(words: str, where: str | None, problem: Problem) -> str:
    if where is None:
        return words
    return f"{words} where {_expression(where, problem)}".strip()


def _data(problem: Problem) -> Iterable[str]:
    for name, item in problem.spec.data.items():
        noise = f"; standard deviation of the noise {html.number(item.noise, 4)}" if item.noise is not None else ""
        words = f"measured, in <code>{html.text(item.file)}</code>{noise}"
        yield _term(name, _formulas(item.equations, problem), words)


def _functions(problem: Problem) -> Iterable[str]:
    for name, item in problem.spec.functions.items():
        words = f"a table in <code>{html.text(item.file)}</code>, {html.text(item.interpolation)}"
        yield _term(name, [f"{to_mathml.symbol(name)}({', '.join(map(to_mathml.symbol, item.of))})"], words)


def _definitions(problem: Problem) -> Iterable[str]:
    for key, body in problem.spec.definitions.items():
        name, _ = signature(key)
        yield _term(name, _formulas([f"{key} = {body}"], problem))


def _exact(problem: Problem) -> Iterable[str]:
    for unknown, value in problem.spec.exact.items():
        yield _term(unknown, _formulas([f"{unknown} = {value}"], problem))


# -- formulas -------------------------------------------------------------------------------------------------


def _formulas(texts: Iterable[str], problem: Problem) -> list[str]:
    return [_formula(str(written), to_mathml.equation, problem) for written in texts]


def _expression(written: str, problem: Problem) -> str:
    return _formula(written, to_mathml.expression, problem)


def _formula(written: str, form, problem: Problem) -> str:
    """A formula, or the text as it is where it is none: `a < b` as the body of a definition."""
    try:
        return form(written, ordinary=len(problem.coordinates) == 1)
    except ExpressionError:
        return f"<code>{html.text(written)}</code>"
