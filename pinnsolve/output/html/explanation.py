"""The page of `pinnsolve explain --html`: the compiled loss as formulas, and where each of its numbers comes from.

Input: an `Explanation`. Output: HTML that needs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pinnsolve.errors import ExpressionError
from pinnsolve.language import to_mathml
from pinnsolve.output.explanation import ExplainedNumber, ExplainedTerm, Explanation
from pinnsolve.output.html import parts as html

EPSILON, NUMBER = "<mi>ε</mi><mi>k</mi>", "<mi>N</mi><mi>k</mi>"
LOSS = (
    '<math display="block"><munder><mo>∑</mo><mi>k</mi></munder>'
    f"<msub>{EPSILON}</msub><mfrac><mn>1</mn><msub>{NUMBER}</msub></mfrac>"
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow>"
    f"<msub>{NUMBER}</msub></munderover>"
    "<msub><mi>r</mi><mi>k</mi></msub><msup><mrow><mo>(</mo><msub><mi>x</mi><mi>i</mi></msub><mo>)</mo></mrow>"
    "<mn>2</mn></msup></math>"
)


def explanation_page(explanation: Explanation) -> str:
    """The page as text."""
    title = explanation.title or explanation.name
    unknowns = ", ".join(map(to_mathml.symbol, explanation.unknowns))
    body = [
        f"<header><h1>{html.text(title)}</h1>"
        + (f'<p class="faint">{html.text(explanation.name)}</p>' if explanation.title else "")
        + "</header>",
        html.section("The loss", f"<p>Minimized over {unknowns}:</p>", LOSS, _summary(explanation.terms)),
        html.section("Its terms", *(_term(k, term) for k, term in enumerate(explanation.terms, 1))),
        *(
            html.section(heading[0].upper() + heading[1:], _numbers(numbers))
            for heading, numbers in explanation.numbers.items()
            if numbers
        ),
    ]
    return html.page(f"{title}: the loss", body)


def _summary(terms: Sequence[ExplainedTerm]) -> str:
    rows = [
        [str(k), html.text(t.name), html.text(t.region), html.text(t.points), _weight(t.weight), _linear(t)]
        for k, t in enumerate(terms, 1)
    ]
    return html.table(["k", "term", "on", "points", "weight", "linear"], rows)


def _linear(term: ExplainedTerm) -> str:
    return "no" if term.differentials else "yes"


def _weight(weight: str) -> str:
    return html.text(weight) if weight == "auto" else _formula(weight, to_mathml.expression)


def _term(k: int, term: ExplainedTerm) -> str:
    stated = [f'<div class="formula">{_formula(text, to_mathml.equation)}</div>' for text in term.stated]
    residuals = [f'<div class="formula">{_formula(text, to_mathml.expression)}</div>' for text in term.residuals]
    varied = [f'<div class="formula">{_differential(pairs)}</div>' for pairs in term.differentials]
    pairs = [
        ("stated", "".join(stated) + f'<span class="faint">{html.text(term.stated_at)}</span>'),
        ("residual", "".join(residuals)),
        ("its differential", "".join(varied)),
        ("on", html.text(term.region)),
        ("points", f'{html.text(term.points)} <span class="faint">{html.text(term.points_from)}</span>'),
        ("weight", f'{_weight(term.weight)} <span class="faint">{html.text(term.weight_from)}</span>'),
    ]
    return f"<h3>{k}. {html.text(term.name)} <span class='faint'>{html.text(term.kind)}</span></h3>" + html.facts(pairs)


def _differential(pairs: Iterable[tuple[str, str]]) -> str:
    parts = []
    for factor, name in pairs:
        varied = f"<math><mi>δ</mi></math>{to_mathml.symbol(name)}"
        parts.append(varied if factor == "1" else f"({_formula(factor, to_mathml.expression)}) {varied}")
    return " + ".join(parts)


def _numbers(numbers: Sequence[ExplainedNumber]) -> str:
    rows = [
        [to_mathml.symbol(n.name) if n.name.isidentifier() else html.text(n.name), _value(n), html.text(n.origin)]
        for n in numbers
    ]
    return html.table(["number", "value", "from"], rows)


def _value(number: ExplainedNumber) -> str:
    if not number.text:
        return html.text(number.value)
    return f"{_formula(number.text, to_mathml.expression)} = {html.text(number.value)}"


def _formula(written: str, form: Callable[[str], str]) -> str:
    """A formula, or the text as it is where the grammar of formulas has no words for it."""
    try:
        return form(written)
    except ExpressionError:
        return f"<code>{html.text(written)}</code>"
