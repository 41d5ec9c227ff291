"""The API reference, from the signatures and docstrings of the public names.

Input: the names that `pinnsolve` offers, which a group of `GROUPS` has to hold each. Output: pages of Markdown with the
directives that Sphinx has for Python, so that names can be searched and linked to.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import pinnsolve as ps

# a page of the reference -> its heading, and the names on it in their order
GROUPS = {
    "solving": ("Problems and their solution", ("load", "solve", "load_solution", "verify", "sweep")),
    "stating": (
        "Stating a problem in Python",
        ("Problem", "coordinates", "unknown", "Box", "Shape", "Condition", "Data", "Table", "Range", "quantity",
         "eigenvalues", "integral", "mean", "operator"),
    ),
    "solution": ("The solution", ("Solution",)),
    "extending": ("Bases and solvers of one's own", ("Basis", "register_basis", "Solver", "register_solver")),
    "errors": (
        "Errors",
        ("PinnsolveError", "ProblemError", "SolutionError", "ResourceError", "Diagnostic"),
    ),
}  # fmt: skip

SHOWN = {"__call__"}  # methods with underscores that are for people
NOT_MADE = {"Solution", "Basis", "Solver"}  # classes that nobody calls


def pages() -> dict[str, str]:
    """The text of each page of the reference, by its path on the site."""
    told = [name for _, names in GROUPS.values() for name in names]
    missing, unknown = set(ps.__all__) - set(told), set(told) - set(ps.__all__)
    if missing or unknown or len(told) != len(set(told)):
        raise ValueError(f"the reference has each public name once; missing: {missing}, not public: {unknown}")
    found = {f"api/{page}": _page(heading, names) for page, (heading, names) in GROUPS.items()}
    rows = [
        f"| [{heading}]({page}.md) | {', '.join(f'`{name}`' for name in names)} |"
        for page, (heading, names) in GROUPS.items()
    ]
    head = "# Python\n\n`import pinnsolve as ps`; what is listed here is what `ps.` offers.\n\n| page | names |\n"
    tree = ["```{toctree}", ":hidden:", *GROUPS, "```"]
    found["api/index"] = "\n".join([head + "| --- | --- |", *rows, "", *tree, ""])
    return found


def _page(heading: str, names: tuple[str, ...]) -> str:
    parts = [f"# {heading}\n", "```{py:currentmodule} pinnsolve\n```\n"]
    parts += [_class(name) if inspect.isclass(getattr(ps, name)) else _function(name) for name in names]
    return "\n".join(parts)


def _function(name: str) -> str:
    thing = getattr(ps, name)
    return _directive("function", name, _signature(thing), _text(thing))


def _class(name: str) -> str:
    found = getattr(ps, name)
    kind = "exception" if issubclass(found, BaseException) else "class"
    members = "\n".join(_members(found))
    return _directive(
        kind, name, "" if name in NOT_MADE else _signature(found), f"{_text(found)}\n\n{members}", depth=1
    )


def _members(found: type) -> Iterator[str]:
    """Methods and properties that a class or one of its own bases defines, with what they say."""
    ours = [base for base in found.__mro__ if base.__module__.startswith("pinnsolve.")]
    names = dict.fromkeys(name for base in ours for name in vars(base))
    for name in names:
        value = next(vars(base)[name] for base in ours if name in vars(base))
        if (name.startswith("_") and name not in SHOWN) or not _text(value):
            continue
        if isinstance(value, property) or not callable(getattr(found, name, None)):
            if inspect.getdoc(value) != inspect.getdoc(type(value)):
                yield _directive("attribute", name, "", _text(value))
        else:
            flag = {classmethod: ":classmethod:\n", staticmethod: ":staticmethod:\n"}.get(type(value), "")
            whole = getattr(found, name)
            yield _directive("method", name, _signature(whole, flag == ""), flag + "\n" + _text(whole))


def _directive(kind: str, name: str, signature: str, text: str, depth: int = 0) -> str:
    """A directive around a text; one around others needs a longer fence."""
    fence = "`" * (4 + depth)
    return f"{fence}{{py:{kind}}} {name}{signature}\n{text}\n{fence}\n"


def _signature(thing: object, method: bool = False) -> str:
    """The arguments on one line, as they are written in the code; nothing where there are none to be told."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    if inspect.isclass(thing) and found.parameters.keys() == {"args", "kwargs"}:
        return ""
    values = list(found.parameters.values())[1 if method else 0 :]
    empty = inspect.Signature.empty
    parameters = [v.replace(default=_shown(v.default), annotation=_bare(v.annotation)) for v in values]
    answer = empty if inspect.isclass(thing) else _bare(found.return_annotation)
    return str(found.replace(parameters=parameters, return_annotation=answer))


@dataclass(frozen=True)
class Text:
    """What a signature shows as it is, without quotes."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _bare(annotation: object) -> object:
    """An annotation as it is written in the code."""
    return Text(annotation) if isinstance(annotation, str) else annotation


def _shown(value: object) -> object:
    """A default as people would write it: no addresses, no factories."""
    if value is inspect.Parameter.empty or value is None or isinstance(value, int | float | str | tuple):
        return value
    return Text("{}" if value == {} else "...")


def _text(thing: object) -> str:
    return inspect.getdoc(thing) or ""
