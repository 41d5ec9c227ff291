"""Words and numbers of figures: names as mathematics, powers of ten.

Input: names and values. Output: text for matplotlib. Only names of one letter are set by its engine for mathematics,
which takes longer than everything else in a figure; powers of ten are plain letters.
"""

from __future__ import annotations

import math
import re

_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    ]
)
_RAISED = str.maketrans("0123456789-\N{MINUS SIGN}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻", "+")


def symbol(name: str) -> str:
    """A coordinate or unknown as mathematics: `x`, `x_1` for x1, a Greek letter for theta; long names as text."""
    name, comma, more = name.partition(", ")
    if comma:
        return f"{symbol(name)}, {plain(more)}"
    if name.startswith("|") and name.endswith("|") and len(name) > 2:
        return f"|{symbol(name[1:-1])}|"
    match = re.fullmatch(r"([A-Za-z]+?)_?(\d*|[A-Za-z]{0,2})", name)
    for letter, index in ((name, ""), match.groups() if match else ("", "")):
        if letter in _GREEK or len(letter) == 1:
            subscript = f"_{{{index}}}" if index else ""
            return f"${chr(92) if letter in _GREEK else ''}{letter}{subscript}$"
    return plain(name)


def plain(text: str) -> str:
    """Text in which matplotlib finds no mathematics and no line is endless."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def equation(name: str, value: float) -> str:
    """`x = 0.5` with a true minus sign."""
    return f"{symbol(name)} = {value:.3g}".replace("-", "\N{MINUS SIGN}")


def number(value: float | None) -> str:
    """`2.1e-7` as 2.1×10⁻⁷, numbers of everyday size as they are."""
    if value is None or not math.isfinite(value):
        return "unknown"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}×{power(str(int(exponent)))}"


def power(exponent: str) -> str:
    """Ten to an exponent, in raised digits."""
    return f"10{exponent.translate(_RAISED)}"
