"""The grammar of expressions: text to a syntax tree, and nothing else.

Input: the text of an expression, an equation or a condition. Output: a tree of
frozen nodes, each with the offset of its text. What a name means is not known here (see `vocabulary`), no text
is ever executed, and limits on length, depth and size are checked while reading, so that hostile text is
refused in time proportional to its length. Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from pinnsolve.errors import ExpressionError

MAX_LENGTH = 20_000  # characters of one expression
MAX_DEPTH = 100  # nesting; a parenthesis, a sum in it and a product in that are a level each
MAX_NODES = 3_000  # nodes of one tree, also after its definitions are put in
MAX_DIGITS = 60  # digits of a number as written
MAX_EXPONENT = 300  # decimal exponent of a number, so that it fits float64


# -- the tree ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational number."""

    value: Fraction
    offset: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name, whose meaning is not known here."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`; `offset` is that of the name."""

    name: str
    arguments: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands of equal precedence with the operators between them, from left to right.

    `operators[i]` stands before `operands[i + 1]`: `+ -`, or `* /`, or comparisons, or `and`, or `or`. Chains are flat
    so that a sum of a thousand terms is not a tree a thousand levels deep.
    """

    operators: tuple[str, ...]
    operands: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Power:
    """A power `base**exponent`."""

    base: Node
    exponent: Node
    offset: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`-a` or `not a`."""

    operator: str
    operand: Node
    offset: int


@dataclass(frozen=True, slots=True)
class Vector:
    """`[a, b]`: the components of a vector, an argument of `div` and `advect`."""

    items: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Index:
    """`x[k + 1]`: a component of an indexed coordinate; `indices` takes it out of the tree."""

    name: str
    index: Node
    offset: int


Node = Number | Name | Call | Chain | Power | Unary | Vector | Index

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one."""
    match node:
        case Call():
            return node.arguments
        case Chain():
            return node.operands
        case Power():
            return (node.base, node.exponent)
        case Unary():
            return (node.operand,)
        case Vector():
            return node.items
        case Index():
            return (node.index,)
    return ()


# -- tokens -----------------------------------------------------------------------------------------------

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    rf"(?P<space>[ \t\r\n]+)|(?P<number>{_NUMBER})|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>\*\*|<=|>=|==|!=|[-+*/()\[\],<>=])"
)
_WORDS = ("and", "or", "not")

# characters that people do write, and what to write instead
_INSTEAD = {
    "^": "a power is written `**`",
    "&": "write `and`",
    "|": "write `or`; an absolute value is `abs(...)`",
    "!": "write `not`, or `!=` for unequal",
    "~": "write `not`",
    "{": "write parentheses `( )`",
    "}": "write parentheses `( )`",
    "×": "write `*`",
    "·": "write `*`",
    "⋅": "write `*`",
    "÷": "write `/`",
    "−": "write the plain minus `-`",
    "–": "write the plain minus `-`",
    "²": "write `**2`",
    "³": "write `**3`",
    "π": "write `pi`",
    "∂": "write a derivative as `D(u, x)`",
    "∇": "write `grad_dot`, `div` or `laplacian`",
    "Δ": "write `laplacian(u)`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "√": "write `sqrt(...)`",
    "∞": "numbers are finite",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, name, op (also for `and or not`), end
    text: str
    offset: int


def _tokens(text: str) -> list[_Token]:
    if not isinstance(text, str):
        raise ExpressionError("an expression is a text or a number")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the text is too long: {len(text)} characters, at most {MAX_LENGTH} are read", 0)
    result, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _bad_character(text, position)
        kind, piece = match.lastgroup, match.group()
        if kind != "space":
            result.append(_Token("op" if piece in _WORDS else kind, piece, position))
        position = match.end()
    return [*result, _Token("end", "", len(text.rstrip()))]


def _bad_character(text: str, position: int) -> ExpressionError:
    c = text[position]
    if c in "'\"`":
        return ExpressionError("quotes are not part of an expression", position, "use plain names and numbers")
    if c == ".":
        return ExpressionError(
            "`.` stands only inside a number",
            position,
            "attributes and methods do not exist here; write a function call",
        )
    if c in ":;@#$%?\\":
        return ExpressionError(f"`{c}` is not part of an expression", position)
    if c in _INSTEAD:
        return ExpressionError(f"`{c}` is not part of an expression", position, _INSTEAD[c])
    shown = f"`{c}`" if c.isprintable() else "the control character"
    return ExpressionError(
        f"{shown} (U+{ord(c):04X}) is not part of an expression",
        position,
        "names are of letters a-z, A-Z, digits and `_`",
    )


# -- the parser -------------------------------------------------------------------------------------------

# binding strength of infix operators; `**` binds to the right and is handled with the operand
_STRENGTH = {"or": 1, "and": 2, **dict.fromkeys(COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6}
_NOT, _SIGN = 3, 6


class _Parser:
    """Precedence climbing over a list of tokens."""

    def __init__(self, text: str):
        self.text, self.tokens, self.position = text, _tokens(text), 0
        self.depth = self.nodes = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def take(self) -> _Token:
        self.position += 1
        return self.tokens[self.position - 1]

    def new(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ExpressionError(f"the expression is too large: more than {MAX_NODES} parts", node.offset)
        return node

    def expression(self, strength: int = 0) -> Node:
        """An expression whose infix operators all bind more strongly than `strength`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"nested too deeply: more than {MAX_DEPTH} levels", self.token.offset)
        left = self.operand()
        while (here := _STRENGTH.get(self.token.text, 0) if self.token.kind == "op" else 0) > strength:
            left = self.chain(left, here)
        self.depth -= 1
        return left

    def chain(self, first: Node, strength: int) -> Node:
        operators, operands = [], [first]
        while self.token.kind == "op" and _STRENGTH.get(self.token.text) == strength:
            operators.append(self.take().text)
            operands.append(self.expression(strength))
        return self.new(Chain(tuple(operators), tuple(operands), first.offset))

    def operand(self) -> Node:
        token = self.token
        if token.kind == "op" and token.text in ("+", "-", "not"):
            self.take()
            inner = self.expression(_NOT if token.text == "not" else _SIGN)
            return inner if token.text == "+" else self.new(Unary(token.text, inner, token.offset))
        base = self.atom()
        if self.token.text == "**":
            self.take()
            exponent = self.expression(_SIGN)  # to the right: 2**3**2 is 2**(3**2), and 2**-1 is read
            base = self.new(Power(base, exponent, base.offset))
        return base

    def atom(self) -> Node:
        token = self.take()
        if token.kind == "number":
            node: Node = self.new(Number(_number(token), token.offset))
        elif token.kind == "name":
            node = self.name(token)
        elif token.text == "(":
            node = self.expression()
            self.close(")", token)
        elif token.text == "[":
            node = self.new(Vector(self.items("]", token), token.offset))
        else:
            raise self.misplaced(token)
        if self.token.kind in ("number", "name") or self.token.text in ("(", "["):
            raise self.juxtaposed(token)
        return node

    def name(self, token: _Token) -> Node:
        if self.token.text == "[":
            opening = self.take()
            index = self.expression()
            self.close("]", opening)
            return self.new(Index(token.text, index, token.offset))
        if self.token.text != "(":
            return self.new(Name(token.text, token.offset))
        return self.new(Call(token.text, self.items(")", self.take()), token.offset))

    def items(self, closing: str, opening: _Token) -> tuple[Node, ...]:
        """Comma-separated expressions up to `closing`."""
        found: list[Node] = []
        while self.token.text != closing or found:
            found.append(self.expression())
            if self.token.text != ",":
                break
            self.take()
        self.close(closing, opening)
        return tuple(found)

    def close(self, closing: str, opening: _Token) -> None:
        if self.token.text == closing:
            self.take()
        elif self.token.kind == "end":
            raise ExpressionError(f"`{opening.text}` is not closed", opening.offset, f"a `{closing}` is missing")
        elif self.token.text == "=":
            raise ExpressionError(
                "`=` inside parentheses",
                self.token.offset,
                "a comparison is `==`; an equation has one `=`, outside of any",
            )
        else:
            raise ExpressionError(f"`{self.token.text}` where `,` or `{closing}` is expected", self.token.offset)

    def misplaced(self, token: _Token) -> ExpressionError:
        if token.kind == "end":
            return ExpressionError(
                "the text ends where a value is expected" if self.text.strip() else "the text is empty", token.offset
            )
        if token.text in ("*", "/") and self.position > 1 and self.tokens[self.position - 2].text == "/":
            return ExpressionError(
                f"`{token.text}` where a value is expected", token.offset, "a quotient is written `/`"
            )
        return ExpressionError(f"`{token.text}` where a value is expected", token.offset)

    def juxtaposed(self, left: _Token) -> ExpressionError:
        """Two values side by side: a product is written with `*`."""
        right = self.token
        if right.text == "[":
            hint = "only a coordinate with a `count` has components, as in `x[k]`"
            return ExpressionError("`[` after a value", right.offset, hint)
        if right.kind == left.kind == "number":
            return ExpressionError("two numbers side by side", right.offset)
        plain = {"number", "name"} >= {left.kind, right.kind}
        hint = f"write `{left.text}*{right.text}`" if plain else "write `*` between them"
        return ExpressionError("a product needs `*`", right.offset, hint)

    def finish(self) -> None:
        token = self.token
        if token.kind == "end":
            return
        if token.text in (")", "]"):
            raise ExpressionError(f"`{token.text}` closes nothing", token.offset)
        if token.text == "=":
            raise ExpressionError(
                "`=` in an expression", token.offset, "a comparison is `==`; here one expression is expected"
            )
        raise ExpressionError(f"`{token.text}` is not expected here", token.offset)


def _number(token: _Token) -> Fraction:
    mantissa, _, exponent = token.text.lower().partition("e")
    digits = mantissa.replace(".", "").lstrip("0")
    power = int(exponent or 0) if len(exponent) < 10 else MAX_EXPONENT + 1
    if len(digits.rstrip("0")) > MAX_DIGITS or len(digits) > MAX_EXPONENT:
        raise ExpressionError(f"the number has too many digits: at most {MAX_DIGITS} are read", token.offset)
    if abs(power) > MAX_EXPONENT:
        raise ExpressionError(
            f"the number is out of range: exponents go from -{MAX_EXPONENT} to {MAX_EXPONENT}", token.offset
        )
    if len(mantissa) > 2 * MAX_EXPONENT:
        raise ExpressionError("the number is written with too many digits", token.offset)
    return Fraction(mantissa) * Fraction(10) ** power


def parse(text: str) -> Node:
    """The syntax tree of one expression (or comparison). Raises `ExpressionError` with the offset."""
    parser = _Parser(text)
    node = parser.expression()
    parser.finish()
    return node


def parse_equation(text: str) -> tuple[Node, Node]:
    """Left and right side of an equation, which has exactly one `=`. Raises `ExpressionError` with the offset."""
    parser = _Parser(text)
    left = parser.expression()
    if parser.token.text != "=":
        parser.finish()
        _refuse_comparison(left)
        raise ExpressionError("not an equation: there is no `=`", None, "write `left side = right side`")
    parser.take()
    right = parser.expression()
    if parser.token.text == "=":
        hint = "an equation has exactly one; give each equation by itself"
        raise ExpressionError("a second `=`", parser.token.offset, hint)
    parser.finish()
    _refuse_comparison(left)
    _refuse_comparison(right)
    return left, right


def _refuse_comparison(side: Node) -> None:
    if not isinstance(side, Chain) or side.operators[0] not in COMPARISONS:
        return
    if "==" in side.operators:
        raise ExpressionError("`==` in an equation", side.offset, "an equation has a single `=`")
    raise ExpressionError("a comparison where an equation is expected", side.offset, "write `left side = right side`")
