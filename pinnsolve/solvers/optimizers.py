"""The gradient step on parameters: torch's optimizers behind one small constructor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.errors import PinnsolveError

if TYPE_CHECKING:
    from pinnsolve.spec.schema.solve import SolveSettings

OPTIMIZERS = ("adam", "sgd", "lbfgs")


def steps_of(settings: SolveSettings, method: str) -> int:
    """How many steps the file asks for, else the default of the method."""
    return (settings.optimizer and settings.optimizer.steps) or defaults.STEPS[method]


def descent_of(settings: SolveSettings) -> tuple[str, float]:
    """The name of the optimizer and its learning rate."""
    asked = settings.optimizer
    name = (asked and asked.name) or "adam"
    return name, (asked and asked.learning_rate) or defaults.LEARNING_RATE[name]


def make_optimizer(name: str, parameters: list[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """`name` is one of OPTIMIZERS; L-BFGS searches along its direction, so its rate is only a first guess.

    Raises `PinnsolveError` where there is nothing to move.
    """
    if not parameters:
        raise PinnsolveError("the functions of this basis have no hidden parameters to move; use method: least_squares")
    if name == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate)
    return torch.optim.LBFGS(
        parameters,
        lr=learning_rate,
        max_iter=1,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )


def as_leaf(hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hidden parameters as fresh leaves for autograd."""
    return {name: value.detach().clone().requires_grad_(True) for name, value in hidden.items()}
