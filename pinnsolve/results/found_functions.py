"""Functions of the state that were found, as functions: `solution.functions["f"](0.3)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnsolve.errors import PinnsolveError


@dataclass(frozen=True, repr=False)
class FoundFunction:
    """A function on the `ranges` that the state visits, by argument; beyond these, nothing is known of it: NaN.

    `at` (N,) by argument, `values` (N,) and `deviations` (N,): the table that the result has of it. `jumps`: of a
    function of small total variation, where it jumps (`at`, with its `standard_error`), and `from` and `to` what.
    """

    name: str
    ranges: Mapping[str, tuple[float, float]]
    at: Mapping[str, np.ndarray]
    values: np.ndarray
    deviations: np.ndarray
    jumps: tuple[Mapping[str, float], ...] = ()

    @classmethod
    def of_report(cls, name: str, found: Mapping[str, Any]) -> FoundFunction:
        """From the entry of a result."""
        ranges = {a: (float(low), float(high)) for a, (low, high) in found["range"].items()}
        at = {a: np.array(found["at"][a]) for a in found["of"]}
        return cls(name, ranges, at, np.array(found["value"]), np.array(found["standard_deviation"]),
                   tuple(found.get("jumps", ())))  # fmt: skip

    def __repr__(self) -> str:
        ends = ", ".join(f"{a} from {low:.4g} to {high:.4g}" for a, (low, high) in self.ranges.items())
        return f"<{self.name}({', '.join(self.at)}): {ends}>"

    def __call__(self, *arguments: Any, **named: Any) -> np.ndarray:
        """Its values; arguments are numbers or arrays, in order or by name. Raises `PinnsolveError` for others."""
        return self._interpolated(self.values, arguments, named)

    def deviation(self, *arguments: Any, **named: Any) -> np.ndarray:
        """Its standard deviation there."""
        return self._interpolated(self.deviations, arguments, named)

    def _interpolated(self, values: np.ndarray, arguments: tuple, named: Mapping[str, Any]) -> np.ndarray:
        given = {**dict(zip(self.at, arguments, strict=False)), **named}
        if set(given) != set(self.at) or len(arguments) + len(named) != len(self.at):
            raise PinnsolveError(f"`{self.name}` is a function of {', '.join(self.at)}")
        x = np.broadcast_arrays(*(np.asarray(given[a], dtype=float) for a in self.at))
        axes = [np.unique(self.at[a]) for a in self.at]
        table = values.reshape([len(axis) for axis in axes])
        from scipy.interpolate import RegularGridInterpolator  # slow to import, and few problems look for functions

        method = "linear" if self.jumps else "cubic"
        found = RegularGridInterpolator(axes, table, method, bounds_error=False)(np.stack([p.ravel() for p in x], 1))
        return found.reshape(x[0].shape)

    def table(self) -> tuple[list[str], np.ndarray]:
        """Columns and rows of a file: arguments, values, deviations."""
        columns = [*self.at, self.name, "standard_deviation"]
        return columns, np.column_stack([*self.at.values(), self.values, self.deviations])


def functions_of(result: Mapping[str, Any]) -> dict[str, FoundFunction]:
    """The functions that a result has, by name."""
    return {name: FoundFunction.of_report(name, found) for name, found in (result.get("functions") or {}).items()}
