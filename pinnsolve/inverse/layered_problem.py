"""A problem with a function of small total variation to find, as one whose function is a constant in each layer.

Input: a problem, and where the layers meet. Output: the problem as a file would state it with `where`, whose unknown
constants are the values in the layers; so it is read, checked and compiled like any other, and has cells of each layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language.symbols import features_of
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.rough_functions import RoughFunction
from pinnsolve.spec.spec import spec_from_dict

ARGUMENT = "place_of_layer"  # what the definition of a function calls its argument
OF_UNKNOWNS = ("exact", "guess", "regularization")  # maps of a file that know nothing of the function then


def names_of_layers(rough: RoughFunction, count: int) -> list[str]:
    """The names of the constants of so many layers."""
    return [f"{rough.name}_in_layer_{j + 1}" for j in range(count)]


def layered(
    problem: Problem, rough: RoughFunction, edges: Sequence[float], values: Mapping[str, float], tolerance: float
) -> CompiledProblem:
    """The problem whose function is constant between the edges; `values`: first guesses of unknown constants by name.

    Raises `ProblemError` where the problem makes no sense with that.
    """
    data = parse_yaml(problem.spec.to_yaml()).data
    for key in OF_UNKNOWNS:
        data[key] = {name: item for name, item in (data.get(key) or {}).items() if name != rough.name}
    data["unknowns"] = _without(data["unknowns"], rough.name)
    data.pop("reference", None)
    data["solve"] = {**data.get("solve", {}), "tolerance": tolerance}
    names = names_of_layers(rough, len(edges) + 1)
    sought = data.get("unknown_parameters") or {}
    for name in names:
        sought[name] = {"guess": values.get(name, 1.0)}
    for name, item in sought.items():
        sought[name] = {**item, "guess": values.get(name, item["guess"])}
    data["unknown_parameters"] = sought
    argument = rough.coordinate if rough.unknown else ARGUMENT
    text = names[-1]
    for name, edge in zip(reversed(names[:-1]), reversed(edges), strict=True):
        text = f"where({argument} < {float(edge)!r}, {name}, {text})"
    signature = rough.name if rough.unknown else f"{rough.name}({argument})"
    data["definitions"] = {signature: text, **(data.get("definitions") or {})}
    for key in _about_the_function_alone(problem, rough):
        data["equations"].pop(key, None)
    if not rough.unknown:
        data = _called(data, rough)
    compiled = compile_problem(build_problem(spec_from_dict(data, problem.spec.folder)))
    mine = tuple(replace(p, function=rough.name) if p.name in names else p for p in compiled.unknown_parameters)
    return replace(compiled, unknown_parameters=mine)


def _without(unknowns: Any, name: str) -> Any:
    if isinstance(unknowns, Mapping):
        return {key: item for key, item in unknowns.items() if key != name}
    return [key for key in ([unknowns] if isinstance(unknowns, str) else unknowns) if key != name]


def _about_the_function_alone(problem: Problem, rough: RoughFunction) -> list[str]:
    """The equations that say nothing but what layers hold anyway: that the function does not depend on time."""
    found = []
    for statement in problem.of_kind("equation"):
        features = [f for residual in statement.residuals for f in features_of(residual)]
        if features and all(f.unknown == rough.name for f in features):
            found.append(statement.name)
    return found


def _called(data: Mapping[str, Any], rough: RoughFunction) -> dict[str, Any]:
    """With every mention of the function called at its coordinate, where it stands alone."""
    mention = re.compile(rf"\b{re.escape(rough.name)}\b(?!\s*\()")

    def put(item: Any) -> Any:
        if isinstance(item, str):
            return mention.sub(f"{rough.name}({rough.coordinate})", item)
        if isinstance(item, Mapping):
            return {key: put(value) for key, value in item.items()}
        return [put(value) for value in item] if isinstance(item, list) else item

    texts = ("equations", "conditions", "data", "quantities", "definitions", "exact")
    return {key: put(value) if key in texts else value for key, value in data.items()}
