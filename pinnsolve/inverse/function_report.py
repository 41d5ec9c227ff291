"""Unknown functions of the state as a report has them: their values on the range that was visited, with a deviation.

The deviation holds what noise does and what smoothness assumes: it is that of the normal distribution of functions
whose mean the answer is (Wahba, J. R. Stat. Soc. B 45 (1983) 133-150).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from pinnsolve.inverse.function_bases import SplineBasis
from pinnsolve.inverse.statement import InverseProblem

POINTS = {1: 101, 2: 21}  # along an axis, by the number of arguments


def functions_found(statement: InverseProblem, values: Tensor, covariance: Tensor) -> dict[str, Any]:
    """By function: what it is `of`, its `range`, and lists `at` (by argument), `value` and `standard_deviation`."""
    numbers: dict[str, list[int]] = {name: [] for name in statement.functions}
    for i, parameter in enumerate(statement.problem.unknown_parameters):
        if parameter.function:
            numbers[parameter.function].append(i)
    found = {}
    for name, basis in statement.functions.items():
        mine = numbers[name]
        found[name] = _found(basis, values[mine].cpu().numpy(), covariance[mine][:, mine].cpu().numpy())
    return found


def _found(basis: SplineBasis, constants: np.ndarray, covariance: np.ndarray) -> dict[str, Any]:
    of = basis.function.of
    count = POINTS[len(of)]
    axes = [np.linspace(low, high, count) for low, high in zip(basis.low, basis.high, strict=True)]
    at = [x.ravel() for x in np.meshgrid(*axes, indexing="ij")]
    design = basis.design((0,) * len(of), *at)
    variance = np.einsum("nk,kl,nl->n", design, covariance, design)
    return {
        "of": list(of),
        "range": {name: [low, high] for name, low, high in zip(of, basis.low, basis.high, strict=True)},
        "at": {name: x.tolist() for name, x in zip(of, at, strict=True)},
        "value": (design @ constants).tolist(),
        "standard_deviation": np.sqrt(np.maximum(variance, 0.0)).tolist(),
    }
