"""Expressions of a problem file as MathML, the way they stand on a blackboard.

Input: texts of the language, parsed by `syntax`; nothing is evaluated. Output: presentation
MathML of the Core level, which browsers draw by themselves (https://www.w3.org/TR/mathml-core/). No sympy: it would
reorder what a person has written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from html import escape

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
from pinnsolve.language.syntax import parse_equation as parse_sides

LONGEST_LINE = 46  # leaves of a formula that stand on one line
MAX_LEAVES = 400  # beyond which a formula is no easier to read than its text
MAX_DECIMALS = 6  # of a number that is written out

_GREEK = {
    **{unicodedata.name(c).split()[-1].lower(): c for c in "αβγδεζηθικμνξπρστφχψω"},
    **{unicodedata.name(c).split()[-1].capitalize(): c for c in "ΓΔΘΞΠΣΦΨΩ"},
    "lambda": "λ",  # which Unicode spells otherwise
    "Lambda": "Λ",
}
_FUNCTIONS = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "sign": "sgn",
    "heaviside": "H",
    "re": "Re",
    "im": "Im",
}
_RELATIONS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}
_OR, _AND, _NOT, _RELATION, _SUM, _PRODUCT, _POWER, _ATOM = range(8)  # how strongly a node holds together
_TIMES = '<mo lspace="0" rspace="0.17em">&#x2062;</mo>'  # invisible, a thin space wide


def equation(text: str, ordinary: bool = False) -> str:
    """`left = right` as a formula on lines of its own; `ordinary` derivatives have an upright d.

    Raises `ExpressionError` for what is no equation.
    """
    left, right = parse_sides(text)
    printer = _Printer(ordinary)
    leaves = _leaves(left) + _leaves(right)
    if leaves > MAX_LEAVES:
        return f"<code>{escape(text)}</code>"
    if leaves <= LONGEST_LINE:
        return _block(printer.of(left) + "<mo>=</mo>" + printer.of(right))
    lines = printer.lines(left)
    lines += printer.lines(right, "<mo>=</mo>")
    rows = "".join(f"<mtr><mtd>{line}</mtd></mtr>" for line in lines)
    return _block(f'<mtable class="lines">{rows}</mtable>')


def expression(text: str, ordinary: bool = False) -> str:
    """An expression or a condition as a formula within a line. Raises `ExpressionError`."""
    node = parse(text)
    if _leaves(node) > MAX_LEAVES:
        return f"<code>{escape(text)}</code>"
    return f"<math>{_Printer(ordinary).of(node)}</math>"


def symbol(name: str) -> str:
    """A name within a line: `x`, x with an index for `x1` and `n_x`, a Greek letter for `theta`."""
    return f"<math>{_identifier(name)}</math>"


def _block(content: str) -> str:
    return f'<math display="block">{content}</math>'


def _leaves(node: Node) -> int:
    below = children(node)
    return sum(map(_leaves, below)) + 1 if below else 1


# -- names and numbers ----------------------------------------------------------------------------------------


def _identifier(name: str) -> str:
    if name in _GREEK:
        return f"<mi>{_GREEK[name]}</mi>"
    match = re.fullmatch(r"([A-Za-z]+?)(?:_(\w+)|(\d+))", name)
    if match and (len(match[1]) == 1 or match[1] in _GREEK):
        index = match[2] or match[3]
        kind = "mn" if index.isdigit() else "mi"
        return f"<msub>{_identifier(match[1])}<{kind}>{escape(index)}</{kind}></msub>"
    return f"<mi>{escape(name)}</mi>"


def _number(value: Fraction) -> str:
    """As a decimal fraction, with a power of ten where that is shorter; the language has no other numbers."""
    if value.denominator == 1 and value < 10**MAX_DECIMALS:
        return f"<mn>{value.numerator}</mn>"
    mantissa, _, exponent = f"{float(value):.15g}".partition("e")
    decimals = len(mantissa.partition(".")[2])
    if exponent or (float(value) and decimals > MAX_DECIMALS and abs(float(value)) < 0.01) or float(value) >= 1e6:
        mantissa, _, exponent = f"{float(value):.14e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        power = f"<msup><mn>10</mn>{_signed(int(exponent))}</msup>"
        return power if mantissa == "1" else f"<mn>{mantissa}</mn><mo>·</mo>{power}"
    return f"<mn>{mantissa}</mn>"


def _signed(value: int) -> str:
    digits = f"<mn>{abs(value)}</mn>"
    return digits if value >= 0 else f"<mrow><mo>−</mo>{digits}</mrow>"


# -- trees ----------------------------------------------------------------------------------------------------


class _Printer:
    """Nodes to MathML; parentheses, which the tree has not kept, come back where precedence needs them."""

    def __init__(self, ordinary: bool):
        self.d = '<mi mathvariant="normal">d</mi>' if ordinary else "<mo>∂</mo>"

    def of(self, node: Node, least: int = 0) -> str:
        """The node, in parentheses where it holds together less strongly than `least`."""
        content = f"<mrow>{self.bare(node)}</mrow>"
        return _fenced(content) if _strength(node) < least else content

    def bare(self, node: Node) -> str:
        match node:
            case Number():
                return _number(node.value)
            case Name():
                return _identifier(node.name)
            case Unary("-"):
                return f"<mo>−</mo>{self.of(node.operand, _PRODUCT)}"
            case Unary():
                return f"<mtext>not </mtext>{self.of(node.operand, _RELATION)}"
            case Power():
                return self.power(node)
            case Vector():
                return _fenced(self.listed(node.items))
            case Call():
                return self.call(node)
            case Index():
                return f"<msub>{_identifier(node.name)}<mrow>{self.of(node.index)}</mrow></msub>"
        return self.chain(node)

    def chain(self, node: Chain) -> str:
        strength = _strength(node)
        if node.operators[0] in ("*", "/"):
            return self.product(node)
        between = {"+": "<mo>+</mo>", "-": "<mo>−</mo>", "and": "<mtext> and </mtext>", "or": "<mtext> or </mtext>"}
        parts = [self.of(node.operands[0], strength)]
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            parts.append(between.get(operator) or f"<mo>{escape(_RELATIONS.get(operator, operator))}</mo>")
            signed = strength == _SUM and isinstance(_first(operand), Unary)
            parts.append(_fenced(self.of(operand)) if signed else self.of(operand, strength + 1))
        return "".join(parts)

    def product(self, node: Chain) -> str:
        """Factors side by side; a quotient is a fraction of all that stands before the `/` of its chain."""
        first, *others = node.operands
        if isinstance(first, Unary) and first.operator == "-":
            return f"<mo>−</mo>{self.product(Chain(node.operators, (first.operand, *others), node.offset))}"
        done, before = self.of(first, _PRODUCT), first
        for operator, operand in zip(node.operators, others, strict=True):
            if operator == "/":
                above = done if before is not first else self.of(before)
                done, before = f"<mfrac><mrow>{above}</mrow>{self.of(operand)}</mfrac>", operand
            else:
                dotted = isinstance(_first(operand), Number) and _strength(operand) >= _PRODUCT
                done += ("<mo>·</mo>" if dotted else _TIMES) + self.of(operand, _PRODUCT)
                before = operand
        return done

    def power(self, node: Power) -> str:
        exponent = self.of(node.exponent)
        base = node.base
        trigonometric = isinstance(base, Call) and base.name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
        if trigonometric and isinstance(node.exponent, Number):  # sin^(-1) would be read as the inverse
            return f"<msup><mi>{base.name}</mi>{exponent}</msup>{self.arguments(base.arguments)}"
        return f"<msup>{self.of(base, _ATOM)}{exponent}</msup>"

    def call(self, node: Call) -> str:
        special: Callable | None = getattr(self, f"call_{node.name}", None)
        if special is not None:
            return special(*node.arguments)
        name = _FUNCTIONS.get(node.name)
        return (f"<mi>{name}</mi>" if name else _identifier(node.name)) + self.arguments(node.arguments)

    def arguments(self, nodes: Sequence[Node]) -> str:
        return f"<mo>&#x2061;</mo>{_fenced(self.listed(nodes))}"

    def listed(self, nodes: Iterable[Node]) -> str:
        return "<mo>,</mo>".join(self.of(node) for node in nodes)

    # -- functions with a look of their own -----------------------------------------------------------------

    def call_sqrt(self, a: Node) -> str:
        return f"<msqrt>{self.of(a)}</msqrt>"

    def call_abs(self, a: Node) -> str:
        return _fenced(self.of(a), "|", "|")

    def call_conj(self, a: Node) -> str:
        return f'<mover accent="true"><mrow>{self.of(a)}</mrow><mo stretchy="true">¯</mo></mover>'

    def call_floor(self, a: Node) -> str:
        return _fenced(self.of(a), "⌊", "⌋")

    def call_exp(self, a: Node) -> str:
        return f"<msup><mi>e</mi>{self.of(a)}</msup>"

    def call_bessel_j(self, n: Node, x: Node) -> str:
        return f"<msub><mi>J</mi>{self.of(n)}</msub>{self.arguments([x])}"

    def call_where(self, condition: Node, yes: Node, no: Node) -> str:
        rows = [(yes, f"<mtext>if&#xa0;</mtext>{self.of(condition)}")]
        while isinstance(no, Call) and no.name == "where":
            condition, yes, no = no.arguments
            rows.append((yes, f"<mtext>if&#xa0;</mtext>{self.of(condition)}"))
        rows.append((no, "<mtext>otherwise</mtext>"))
        lines = "".join(f"<mtr><mtd>{self.of(value)}</mtd><mtd>{when}</mtd></mtr>" for value, when in rows)
        return f'<mrow><mo stretchy="true">{{</mo><mtable class="cases">{lines}</mtable></mrow>'

    def call_D(self, a: Node, *by: Node) -> str:
        counts: dict[str, int] = {}
        last = ""
        for item in by:
            if isinstance(item, Number):
                counts[last] += int(item.value) - 1
            else:
                last = self.bare(item)
                counts[last] = counts.get(last, 0) + 1
        below = "".join(f"{self.d}{_raised(letter, count)}" for letter, count in counts.items())
        return self.derivative(a, sum(counts.values()), below)

    def call_Dn(self, a: Node) -> str:
        return self.derivative(a, 1, f"{self.d}<mi>n</mi>")

    def derivative(self, a: Node, order: int, below: str) -> str:
        above = _raised(self.d, order)
        if isinstance(a, Name):
            return f"<mfrac><mrow>{above}{self.of(a)}</mrow><mrow>{below}</mrow></mfrac>"
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>{self.of(a, _ATOM)}"

    def call_sum(self, letter: Node, a: Node) -> str:
        return f"<munder><mo>∑</mo>{self.of(letter)}</munder>{self.of(a, _PRODUCT)}"

    def call_product(self, letter: Node, a: Node) -> str:
        return f"<munder><mo>∏</mo>{self.of(letter)}</munder>{self.of(a, _POWER)}"

    def call_laplacian(self, a: Node) -> str:
        return f"<mo>Δ</mo>{self.of(a, _ATOM)}"

    def call_grad_dot(self, a: Node, b: Node) -> str:
        return f"<mo>∇</mo>{self.of(a, _ATOM)}<mo>·</mo><mo>∇</mo>{self.of(b, _ATOM)}"

    def call_grad(self, a: Node) -> str:
        return f"<mo>∇</mo>{self.of(a, _ATOM)}"

    def call_curl(self, a: Node) -> str:
        return f"<mo>∇</mo><mo>×</mo>{self.of(a, _ATOM)}"

    def call_dot(self, a: Node, b: Node) -> str:
        if isinstance(b, Call) and b.name == "grad":
            return f"{_fenced(self.of(a, _ATOM) + '<mo>·</mo><mo>∇</mo>')}{self.of(b.arguments[0], _ATOM)}"
        return f"{self.of(a, _ATOM)}<mo>·</mo>{self.of(b, _ATOM)}"

    def call_cross(self, a: Node, b: Node) -> str:
        return f"{self.of(a, _ATOM)}<mo>×</mo>{self.of(b, _ATOM)}"

    def call_div(self, a: Node) -> str:
        return f"<mo>∇</mo><mo>·</mo>{self.of(a, _ATOM)}"

    def call_advect(self, a: Node, b: Node) -> str:
        return f"{_fenced(self.of(a, _ATOM) + '<mo>·</mo><mo>∇</mo>')}{self.of(b, _ATOM)}"

    # -- lines ----------------------------------------------------------------------------------------------

    def lines(self, node: Node, before: str = "") -> list[str]:
        """The summands of one side, as many on a line as have room."""
        if not isinstance(node, Chain) or node.operators[0] not in ("+", "-"):
            return [before + self.of(node)]
        lines, used = [before + self.of(node.operands[0], _SUM)], _leaves(node.operands[0])
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            part = f"<mo form='infix'>{'+' if operator == '+' else '−'}</mo>{self.of(operand, _PRODUCT)}"
            used += _leaves(operand)
            if used > LONGEST_LINE:
                lines.append(f"<mspace width='2em'></mspace>{part}")
                used = _leaves(operand)
            else:
                lines[-1] += part
        return lines


def _strength(node: Node) -> int:
    match node:
        case Power():
            return _POWER
        case Unary("-"):
            return _SUM
        case Unary():
            return _NOT
        case Call(
            name="grad"
            | "curl"
            | "dot"
            | "cross"
            | "grad_dot"
            | "div"
            | "laplacian"
            | "advect"
            | "D"
            | "Dn"
            | "sum"
            | "product"
        ):
            return _PRODUCT
        case Chain():
            first = node.operators[0]
            if first in COMPARISONS:
                return _RELATION
            return {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "and": _AND, "or": _OR}[first]
        case Number() if node.value.denominator != 1:
            return _POWER  # it may be written with a power of ten
    return _ATOM


def _first(node: Node) -> Node:
    """The leftmost part of the node as it is written."""
    while isinstance(node, Chain | Power):
        if isinstance(node, Chain) and "/" in node.operators:
            return node  # a fraction
        node = node.base if isinstance(node, Power) else node.operands[0]
    return node


def _raised(base: str, power: int) -> str:
    return base if power == 1 else f"<msup><mrow>{base}</mrow><mn>{power}</mn></msup>"


def _fenced(content: str, opening: str = "(", closing: str = ")") -> str:
    return f'<mrow><mo fence="true">{opening}</mo>{content}<mo fence="true">{closing}</mo></mrow>'
