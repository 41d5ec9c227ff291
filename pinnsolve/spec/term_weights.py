"""The term weights under `solve.term_weights`: known terms, and expressions in the width `W` that are positive.

Input: the validated weights of a file. Output: `TermWeights`, or diagnostics. No sympy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pinnsolve.errors import ExpressionError
from pinnsolve.language.constants import evaluate
from pinnsolve.language.vocabulary import Scope, close_match
from pinnsolve.spec.expression_reader import ExpressionReader
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parsed import ParsedExpression, TermWeights

_SAMPLE_WIDTHS = (1, 64, 4096)  # at which term weights are tried


def read_term_weights(
    weights: Mapping[str, Any] | str, terms: Sequence[str], known: Sequence[str], reader: ExpressionReader
) -> TermWeights | None:
    """The weights that a file asks for; None for `auto`. What is wrong goes to the `reader`.

    `terms` are the names of all terms, `known` those of anything else in the file, which cannot stand in a weight.
    """
    if isinstance(weights, str):
        return None
    scope, found = Scope(width=True, parameters=tuple(reader.values), elsewhere=tuple(known)), {}
    for name, value in weights.items():
        path = ("solve", "term_weights", name)
        if name not in terms:
            close = close_match(name, terms)
            hint = f"did you mean `{close}`?" if close else f"the terms are {', '.join(terms)}"
            reader.problem(path, f"there is no term `{name[:60]}`", hint)
        parsed = reader.expression(path, str(value), scope)
        if parsed is not None:
            _check_positive(path, parsed, reader)
            found[name] = parsed.tree
    return TermWeights(found, reader.values)


def _check_positive(path: KeyPath, parsed: ParsedExpression, reader: ExpressionReader) -> None:
    for width in _SAMPLE_WIDTHS:
        try:
            value = evaluate(parsed.tree, {**reader.values, "W": Fraction(width)})
        except ExpressionError as error:
            reader.problem(path, f"{error.message}, for W = {width}", text=parsed.text, offset=error.offset)
            return
        if value is None or value <= 0:
            hint = f"this one is {'unknown' if value is None else f'{float(value):g}'} for W = {width}"
            reader.problem(path, "a term weight is positive", hint, text=parsed.text)
            return
