"""The gradient step on parameters: torch's optimizers behind one small constructor."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pinnsolve import defaults
from pinnsolve.errors import PinnsolveError
from pinnsolve.processes.communicator import Communicator

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


def reduce_gradients(optimizer: torch.optim.Optimizer, among: Communicator) -> None:
    """Let what is moved have the gradients of the rows of all processes, each of which has those of its own rows."""
    for leaf in leaves_of(optimizer) if among.size > 1 else ():
        leaf.grad = among.summed(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)


def optimizer_values(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Moments and gradients, which with the leaves are all that an optimizer goes on from; copies, since it goes on."""
    gradients = [leaf.grad for leaf in leaves_of(optimizer)]
    return deepcopy({"state": optimizer.state_dict()["state"], "gradients": gradients})


def restore_optimizer(optimizer: torch.optim.Optimizer, values: Mapping[str, Any]) -> None:
    """Give an optimizer of the same leaves the moments and gradients that `optimizer_values` has said."""
    optimizer.load_state_dict({**optimizer.state_dict(), "state": values["state"]})
    for leaf, gradient in zip(leaves_of(optimizer), values["gradients"], strict=True):
        leaf.grad = None if gradient is None else gradient.to(leaf)


def leaves_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What an optimizer moves, in the order in which it was given."""
    return [leaf for part in optimizer.param_groups for leaf in part["params"]]


def as_leaf(hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hidden parameters as fresh leaves for autograd."""
    return {name: value.detach().clone().requires_grad_(True) for name, value in hidden.items()}
