"""Equations, constants and lists of names in the forms that other tools have.

Input: values of a file in the words of another tool, and what is known of the file. Output: texts and names in ours.
Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pinnsolve.language.other_notations import EQUATION, FileNames, rewritten
from pinnsolve.spec.other_tools.conditions import split
from pinnsolve.spec.other_tools.places import Facts
from pinnsolve.spec.other_tools.words import plain


def entry_name(key: str, index: int, count: int) -> str:
    """The name of an equation of several under a key."""
    base = re.sub(r"\W", "_", plain(key)).removesuffix("s")
    base = base if base and base not in ("eq", "eqn") else "equation"
    return base if count == 1 else f"{base}_{index + 1}"


def strong(text: str, facts: Facts) -> str:
    """An equation; one in weak form, with a test function, as the equation that it stands for."""
    weak = re.compile(r"(?:([\w.]+)\s*\*\s*)?(?:inner|dot)\(\s*grad\((\w+)\)\s*,\s*grad\((\w+)\)\s*\)\s*\*\s*dx")
    match = weak.search(text)
    if match:
        unknown, test = match[2], match[3]
        if test in facts.unknowns:
            unknown, test = test, unknown
        flux = f"-div({match[1]}*grad({unknown}))" if match[1] else f"-laplacian({unknown})"
        text = re.sub(rf"\s*\*\s*{test}\b|\b{test}\s*\*\s*", "", f"{text[: match.start()]}{flux}{text[match.end() :]}")
        text = re.sub(r"\s*\*\s*dx\b", "", text)
    return rewritten(text, facts.names, EQUATION)


def listed(value: Any) -> list[str]:
    """The names that a value lists, in a list, as keys, or in a text with commas."""
    return [str(name) for name in value] if isinstance(value, list | Mapping) else split(str(value), ",")


def constant(value: Any) -> Any:
    """A constant in our notation."""
    return rewritten(value, FileNames()) if isinstance(value, str) else value
