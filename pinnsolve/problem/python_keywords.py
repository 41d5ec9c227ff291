"""Keywords of a problem in Python that are none, or are missing: what to write.

Input: the keywords of a person. Output: diagnostics; those of other tools have their like here. No array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.language.vocabulary import close_match
from pinnsolve.problem.python_words import StatedInPython
from pinnsolve.spec.other_tools.words import ABOUT, plain, setting_hint

EXAMPLES = {  # of keywords, as a message shows them
    "name": 'name="heat"',
    "domain": "domain=ps.Box(t=(0, 1), x=(0, 1))",
    "unknowns": "unknowns=[u]",
    "equations": 'equations={"heat": "u_t = u_xx"}',
    "conditions": 'conditions={"ends": ps.Condition(on="boundary", equation="u = 0")}',
    "parameters": 'parameters={"nu": 0.1}',
    "exact": 'exact={"u": "sin(x)"}',
    "guess": 'guess={"u": "sin(x)"}',
}


def strange_keywords(keywords: Mapping[str, Any]) -> list[Diagnostic]:
    """What is wrong with keywords that are none. Raises `ProblemError` where others are missing."""
    known = [f.name for f in fields(StatedInPython)]
    strange = [_strange(key, value, known) for key, value in keywords.items() if key not in known]
    missing = [f.name for f in fields(StatedInPython) if f.default is MISSING and f.name not in keywords]
    if missing:
        told = (Diagnostic("the keyword is missing", key=key, hint=f"write `{EXAMPLES[key]}`") for key in missing)
        raise ProblemError([*strange, *told])
    return strange


def _strange(key: str, value: Any, known: list[str]) -> Diagnostic:
    """What is said of a keyword that is none: words of other tools have their like here."""
    about = {"coordinates": "domain", "boundary": "conditions", "initial": "conditions", "time": "domain"}
    word = ABOUT.get(plain(key))
    close, example = close_match(key, known), EXAMPLES.get(about.get(word or "", word or ""))
    hint = f"did you mean `{close}`?" if close else f"write `{example}`" if example else setting_hint(key, value)
    return Diagnostic("unknown keyword", key=key, hint=hint or ", ".join(known))
