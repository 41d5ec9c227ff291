"""Ranges of parameters: their ends, how their values are spaced, and where `check` and first looks stand in them.

No sympy and no array library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinnsolve.language.constants import Value
from pinnsolve.language.parsed_texts import ParsedTexts

AUTO, WIDE = "auto", 5.0  # spacing by the ratio of the ends, and from which ratio on it is that of logarithms


@dataclass(frozen=True)
class ParameterRange:
    """The values of a parameter from `low` to `high`, spaced by their logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def value(self, share: float) -> float:
        """The value at a share of the range, 0 at its lower end; the ends are met exactly."""
        if share in (0.0, 1.0):
            return self.high if share else self.low
        return self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share

    @property
    def middle(self) -> float:
        return self.value(0.5)

    def words(self) -> str:
        """For people: `0.01 to 1 (log)`."""
        return f"{self.low:.6g} to {self.high:.6g}" + (" (log)" if self.log else "")


def is_range(item: Any) -> bool:
    """Whether what stands at the name of a parameter is a range of values, right or wrong."""
    return isinstance(item, Mapping)


def read_range(item: Mapping[str, Any], texts: ParsedTexts, values: Mapping[str, Value]) -> ParameterRange | None:
    """The range that a map states; None where its shape is wrong. Raises `ExpressionError` for ends without value."""
    ends = item.get("range")
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return None
    if any(isinstance(end, bool) or not isinstance(end, str | int | float) for end in ends):
        return None
    low, high = (float(texts.value(end, values)) for end in ends)
    spacing = item.get("spacing", AUTO)
    # what depends on such a value does so by quotients and powers, whose poles a logarithm moves away
    log = spacing == "log" or (spacing == AUTO and low > 0 and high >= WIDE * low)
    return ParameterRange(low, high, log) if low < high and (low > 0 or not log) else None
