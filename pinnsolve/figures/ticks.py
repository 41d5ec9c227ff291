"""Labels of ticks in plain letters, which matplotlib sets much faster than its mathematics.

Input: values of ticks, from matplotlib. Output: text.
"""

from __future__ import annotations

import re

from matplotlib.ticker import LogFormatterSciNotation, ScalarFormatter

from pinnsolve.figures.labels import power


class PlainNumbers(ScalarFormatter):
    """Labels of a linear axis; a factor such as 10⁻⁷ stands beside the axis."""

    def get_offset(self) -> str:
        """The factor `1e-7` as ×10⁻⁷, and an offset `+3e4` as +3×10⁴."""
        text = re.sub(
            r"(?<![\d.])1e([-+\N{MINUS SIGN}]?\d+)", lambda found: f"×{power(found[1])}", super().get_offset()
        )
        return re.sub(r"e([-+\N{MINUS SIGN}]?\d+)", lambda found: f"×{power(found[1])}", text)


class PlainPowers(LogFormatterSciNotation):
    """Labels of a logarithmic axis: 10⁻³, and 2×10⁻³ where an axis has hardly a power of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label that the base class gives, without commands of TeX."""
        text = super().__call__(x, pos).removeprefix(r"$\mathdefault{").removesuffix("}$")
        return re.sub(r"10\^\{(.*?)\}", lambda found: power(found[1]), text).replace(r"\times", "×").replace("$", "")
