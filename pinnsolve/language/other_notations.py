"""Expressions in the notations of other tools and of the blackboard, written in ours.

Input: a text such as `∂u/∂t = nabla^2 u + sin pi x`, `D[u[t,x],{x,2}]`, `diff(u, t) == 2u'`, and the names of the file.
Output: the text that says the same in our language, as far as one can tell. It is only ever a proposal: whoever asks
parses it and checks its names before it is shown to anybody. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pinnsolve.language.vocabulary import CALLABLE, CONSTANTS, FUNCTIONS

MAX_LENGTH = 2_000  # characters of a text that is looked at
EQUATION, COMPARISON = "equation", "boolean"  # kinds of texts; anything else is an expression

_CHARACTERS = {
    "∇·": "div ", "∇⋅": "div ", "∇×": "curl ", "∇²": "∇^2", "Δ": "∇^2 ", "∆": "∇^2 ",
    "×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "²": "^2", "³": "^3", "⁴": "^4",
    "≤": "<=", "≥": ">=", "≠": "!=", "√": "sqrt", "’": "'", "′": "'", "″": "''", "“": "", "”": "", "$": "",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ϕ": "phi",
    "ψ": "psi", "ω": "omega",
}  # fmt: skip
_LATEX = {
    "partial": "∂",
    "nabla": "∇",
    "Delta": "∇^2 ",
    "cdot": "*",
    "times": "*",
    "left": "",
    "right": "",
    "mathrm": "",
}
_CALLED = {  # names of functions elsewhere, by ours
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "fabs": "abs", "tg": "tan",
    "diff": "D", "Derivative": "D", "Diff": "D", "d": "D", "pd": "D", "lap": "laplacian", "Lap": "laplacian",
    "Laplacian": "laplacian", "Laplace": "laplacian", "laplace": "laplacian", "del2": "laplacian", "Div": "div",
    "Grad": "grad", "Curl": "curl", "inner": "dot", "Inner": "dot", "Heaviside": "heaviside", "UnitStep": "heaviside",
    "If": "where", "ifelse": "where", "BesselJ": "bessel_j", "besselj": "bessel_j",
    **{name.capitalize(): name for name in FUNCTIONS if "_" not in name},
    "ArcSin": "asin", "ArcCos": "acos", "ArcTan": "atan",
}  # fmt: skip
_RECIPROCALS = {"sech": "cosh", "csch": "sinh", "coth": "tanh", "sec": "cos", "csc": "sin", "cot": "tan"}
_NUMBERS = {"Pi": "pi", "PI": "pi", "E": "e"}
_MODULE = re.compile(r"\b(?:np|numpy|math|torch|tf|sp|sympy|jnp|jax|bkd|ufl)\.(?:math\.|numpy\.)?(?=[A-Za-z])")
_OPERATIONS = {*CALLABLE, "grad", "curl", "dot", "cross"}
_ORDER = r"(?:\s*(?:\^|\*\*)?\s*([2-4]))?"


@dataclass(frozen=True)
class FileNames:
    """What a file calls its things: `known` are all names that mean something in a text."""

    unknowns: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    space: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()  # those that take arguments

    @property
    def head(self) -> str:
        """A pattern of the names of unknowns."""
        return _any_of(self.unknowns) or r"[A-Za-z][A-Za-z0-9]*"

    @property
    def letter(self) -> str:
        """A pattern of the names of coordinates."""
        return _any_of(self.coordinates) or "[a-z]"


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def rewritten(text: str, names: FileNames, kind: str = "number") -> str:
    """The text in our language, as far as one can tell; the text itself where it is too long to look at."""
    if len(text) > MAX_LENGTH:
        return text
    for step in (_characters, _quotients, _brackets, _named_derivatives, _primes, _nablas, _reciprocals, _called,
                 _arguments):  # fmt: skip
        text = step(text, names)
    text = _relations(text, kind)
    text = re.sub(r"\.(?=[*/^])", "", text).replace("^", "**")
    text = re.sub(r"\s*(?<![<>=!])=(?!=)\s*", " = ", _products(text, names))
    text = re.sub(r"\s+", " ", re.sub(r",(?=\S)", ", ", text)).strip()
    return re.sub(r"(^|[(=,*/] ?)- (?=\w)", r"\1-", text)


def _characters(text: str, names: FileNames) -> str:
    """Without the marks of LaTeX and letters that a keyboard lacks."""
    text = re.sub(r"\\([A-Za-z]+)", lambda m: _LATEX.get(m[1], m[1] + " "), text)
    for _ in range(4):
        text = re.sub(r"\bd?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", _fraction, text)
    text = re.sub(r"([\^_])\s*\{([^{}]*)\}", lambda m: m[1] + (m[2] if m[2].isalnum() else f"({m[2]})"), text)
    for character, ours in _CHARACTERS.items():
        text = text.replace(character, ours)
    return _MODULE.sub("", text)


def _fraction(match: re.Match) -> str:
    above, below = match[1].strip(), match[2].strip()
    if "∂" in below or re.match(r"d\s*\w", below):
        return f"{above}/{below} "
    return f"({above})/({below})"


# -- derivatives ----------------------------------------------------------------------------------------------


def _quotients(text: str, names: FileNames) -> str:
    """`du/dt`, `d2u/dx2`, `∂²u/∂x∂y`, `du/dn`, and `d/dx(...)`."""
    below = rf"(?:∂|d)\s*(?:{names.letter}){_ORDER}"
    if "n" not in names.coordinates:
        text = re.sub(rf"(?:∂|\bd)\s*({names.head})\s*/\s*(?:∂|d)\s*(?:n|nu|ν)\b", r"Dn(\1)", text)
        text = re.sub(rf"\b({names.head})_n\b", lambda m: m[0] if m[0] in names.known else f"Dn({m[1]})", text)
    several = rf"(?:\((?:{below}\s*\*?\s*)+\)|{below}(?:\s*\*?\s*{below})*)"
    above = rf"(?:∂|\bd){_ORDER}"
    one = re.compile(rf"{above}\s*({names.head})(?:\s*\([^()=]*\))?\s*/\s*({several})(?![A-Za-z0-9_∂])")
    text = one.sub(lambda m: f"D({m[2]}, {', '.join(_letters(m[3], names))})", text)
    outer = re.compile(rf"{above}\s*/\s*({several})\s*(?=\(|(?:{names.head})\b)")
    for _ in range(8):
        match = outer.search(text)
        if match is None:
            break
        inner, end = _operand(text, match.end())
        text = f"{text[: match.start()]}D({inner}, {', '.join(_letters(match[2], names))}){text[end:]}"
    return text


def _letters(below: str, names: FileNames) -> list[str]:
    """`dx2 dy` -> x, x, y."""
    found = re.findall(rf"(?:∂|d)\s*({names.letter}){_ORDER}", below)
    return [letter for letter, order in found for _ in range(int(order or 1))]


def _operand(text: str, start: int) -> tuple[str, int]:
    """A name, or what stands in parentheses, from `start` on, and where it ends."""
    if text[start : start + 1] == "(":
        end = _closing(text, start)
        return text[start + 1 : end - 1], end
    match = re.compile(r"[A-Za-z_]\w*").match(text, start)
    assert match is not None
    return match[0], match.end()


def _closing(text: str, opening: int) -> int:
    """The place after the bracket that closes the one at `opening`; the end of the text without one."""
    depth = 0
    for i in range(opening, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i + 1
    return len(text) + 1


def _brackets(text: str, names: FileNames) -> str:
    """`u[t, x]` and `D[u, {x, 2}]`, as Mathematica has them."""
    text = re.sub(r"\{\s*(\w+)\s*,\s*(\d)\s*\}", r"\1, \2", text)
    text = re.sub(r"(Laplacian\s*[\[(].*?),\s*\{[^{}]*\}", r"\1", text)
    for _ in range(30):
        match = re.search(r"\b[A-Za-z]\w*\s*(\[)", text)
        if match is None:
            break
        start, end = match.start(1), _closing(text, match.start(1))
        text = f"{text[:start]}({text[start + 1 : end - 1]}){text[end:]}"
    return text


def _named_derivatives(text: str, names: FileNames) -> str:
    """`Dxx(u)`, `Differential(x)(u)`, `uxx`, `u.dx(0)`, `u.diff(x)`, `jacobian(u, x, i=0, j=1)`, `grad(u, x)`."""
    letters = rf"((?:{names.letter})+)"
    for pattern in (rf"\bD_?{letters}\s*(?=\()", rf"\bDifferential\(({names.letter})\)\s*(?=\()"):
        for _ in range(20):
            match = re.search(pattern, text)
            if match is None:
                break
            inner, end = _operand(text, match.end())
            by = ", ".join(re.findall(names.letter, match[1]))
            text = f"{text[: match.start()]}D({inner}, {by}){text[end:]}"
    text = re.sub(r"\bgrad\((\w+)\s*,\s*(?:\w+\.)?(\w+)\)", lambda m: _if_coordinate(m, names), text)
    text = re.sub(rf"\b({names.head})\.diff\(([^()]*)\)", r"D(\1, \2)", text)
    text = re.sub(rf"\b({names.head})\.dx\((\d)\)", lambda m: _by_number(m[1], (m[2],), m[0], names), text)
    text = re.sub(r"\b(?:dde\.)?(?:grad\.)?(jacobian|hessian)\(([^()]*)\)", lambda m: _of_deepxde(m, names), text)
    if names.unknowns and names.coordinates:
        text = re.sub(rf"\b({names.head}){letters}\b(?!\s*\()", lambda m: _run_together(m, names), text)
    return text


def _if_coordinate(match: re.Match, names: FileNames) -> str:
    return f"D({match[1]}, {match[2]})" if match[2] in names.coordinates else match[0]


def _by_number(unknown: str, numbers: tuple[str, ...], text: str, names: FileNames) -> str:
    if any(int(n) >= len(names.coordinates) for n in numbers):
        return text
    return f"D({unknown}, {', '.join(names.coordinates[int(n)] for n in numbers)})"


def _of_deepxde(match: re.Match, names: FileNames) -> str:
    said = dict(re.findall(r"(\w+)\s*=\s*(\d+)", match[2]))
    i, j = said.get("i", "0"), said.get("j", "0")
    which, by = (i, (j,)) if match[1] == "jacobian" else (said.get("component", "0"), (i, j))
    if int(which) >= len(names.unknowns):
        return match[0]
    return _by_number(names.unknowns[int(which)], by, match[0], names)


def _run_together(match: re.Match, names: FileNames) -> str:
    if match[0] in names.known or match[0] in CALLABLE or match[0] in _CALLED:
        return match[0]
    return f"D({match[1]}, {', '.join(re.findall(names.letter, match[2]))})"


def _primes(text: str, names: FileNames) -> str:
    """`u''`, where there is one coordinate, or one of space."""
    by = names.coordinates if len(names.coordinates) == 1 else names.space
    if len(by) != 1:
        return text
    return re.sub(
        rf"\b({names.head})('{{1,4}})(?:\s*\(\s*{by[0]}\s*\))?",
        lambda m: f"D({m[1]}, {', '.join(by * len(m[2]))})",
        text,
    )


def _nablas(text: str, names: FileNames) -> str:
    """`nabla^2 u`, `nabla u`, and operators before a name without parentheses."""
    text = re.sub(r"(?:∇|\b(?:nabla|grad|del)(?![A-Za-z(]))\s*(?:\^|\*\*)\s*2\s*", " laplacian ", text)
    text = re.sub(r"\bnabla2\b\s*", " laplacian ", text)
    text = re.sub(r"(?:∇|\bnabla\b)\s*", " grad ", text)
    pattern = rf"\b(laplacian|grad|div|curl|Laplacian|Lap|lap|Laplace|laplace)\s+({names.head})\b(?!\s*\()"
    text = re.sub(pattern, r"\1(\2)", text)
    text = re.sub(r"\b(laplacian|grad|div|curl)\s+\(", r"\1(", text)
    return re.sub(rf"\bgrad\(({names.head})\)\s*[*.]\s*n\b", r"Dn(\1)", text)


# -- functions, relations, products ----------------------------------------------------------------------------


def _reciprocals(text: str, names: FileNames) -> str:
    """`sech(x)`, which is (1/cosh(x)), and the imaginary unit of Python, `1j`."""
    for _ in range(20):
        match = re.search(rf"\b(?:{'|'.join(_RECIPROCALS)})\s*(?=\()", text)
        if match is None or match[0].strip() in names.known:
            break
        inner, end = _operand(text, match.end())
        text = f"{text[: match.start()]}(1/{_RECIPROCALS[match[0].strip()]}({inner})){text[end:]}"
    if {"i", "j"} & names.known:
        return text
    return re.sub(r"\b(\d+\.?\d*)j\b", lambda m: "i" if float(m[1]) == 1 else f"{m[1]}*i", text)


def _called(text: str, names: FileNames) -> str:
    """Functions and numbers by the names that we have for them."""

    def ours(match: re.Match) -> str:
        name = match[0]
        if name in names.known:
            return name
        is_call = text[match.end() :].lstrip()[:1] == "("
        bare = name in _CALLED and _CALLED[name] in FUNCTIONS  # a function before an argument without parentheses
        return _CALLED.get(name, name) if is_call or bare else _NUMBERS.get(name, name)

    return re.sub(r"\b[A-Za-z]\w*\b", ours, text)


def _arguments(text: str, names: FileNames) -> str:
    """`u` for `u(x, t)`, and `u*(1 - v)` for `u(1 - v)`."""
    if not names.unknowns or not names.coordinates:
        return text
    one = rf"(?:{names.letter})"
    text = re.sub(rf"\b({names.head})\s*\(([^()]*\b(?:{names.head})\b[^()]*)\)", r"\1*(\2)", text)
    return re.sub(rf"\b((?:{names.head})(?:_\w+)?)\s*\(\s*{one}(?:\s*,\s*{one})*\s*\)", r"\1", text)


def _relations(text: str, kind: str) -> str:
    """The signs between sides of an equation, and the words of a condition on coordinates."""
    if kind == COMPARISON:
        text = re.sub(r"(?<![<>=!])=(?!=)", "==", text)
        return re.sub(r"&&?", " and ", re.sub(r"\|\|?", " or ", text))
    if kind == EQUATION:
        text = re.sub(r"===?|:=|=:|~", "=", text)
        return text if "=" in text else f"{text} = 0"
    return text


_TOKEN = re.compile(r"\s*(?:((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|([A-Za-z_]\w*)|(\*\*|.))", re.DOTALL)


def _products(text: str, names: FileNames) -> str:
    """With `*` between factors, and parentheses around the arguments of functions."""
    pieces, previous, closing = [], ("", ""), [0]  # `closing`: how many arguments end with each open parenthesis
    for kind, token, space in _tokens(text):
        starts, value = kind in ("number", "name") or token == "(", previous[0] in ("number", "name")
        function = previous[0] == "name" and (previous[1] in _OPERATIONS or previous[1] in names.called)
        ends = token in ("+", "-", "=", ",", ")", "<", ">") or (kind == "name" and token in FUNCTIONS)
        if closing[-1] and ends and previous[1] not in ("*", "/", "**", "("):
            pieces.append(")" * closing[-1])
            closing[-1], previous = 0, ("end", ")")
        if function and previous[1] in FUNCTIONS and kind in ("number", "name"):
            pieces.append("(")
            closing[-1] += 1
        elif starts and (previous[1] == ")" or (value and not function)) and not _called_here(previous, token, names):
            pieces.append("*")
            space = ""
        if token == "**" or (token == "(" and function):
            space = ""
        if token == "(":
            closing.append(0)
        elif token == ")" and len(closing) > 1:
            closing.pop()
        pieces.append(space + token if pieces and pieces[-1] != "(" else token)
        previous = (kind, token)
    return "".join(pieces) + ")" * sum(closing)


def _called_here(previous: tuple[str, str], token: str, names: FileNames) -> bool:
    """Whether a name before a parenthesis is called, be it that nobody knows the function."""
    factor = previous[1] in (*names.known, *CONSTANTS) and previous[1] not in names.unknowns
    return token == "(" and previous[0] == "name" and not factor


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, text and the space before it."""
    for match in _TOKEN.finditer(text):
        kind = "number" if match[1] else "name" if match[2] else "sign"
        token = match[1] or match[2] or match[3]
        yield ("word" if token in ("and", "or", "not") else kind), token, " " if match[0][:1].isspace() else ""
