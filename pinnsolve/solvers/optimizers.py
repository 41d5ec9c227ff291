"""The gradient step on parameters: torch's optimizers behind one small constructor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pinnsolve.errors import PinnsolveError

OPTIMIZERS = ("adam", "sgd", "lbfgs")


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
