"""Where a problem is solved: on the processor or on a card, which a file asks for or `auto` picks.

Polynomials on cells are made where `runtime.on_device` says, from the first table to the last correction; what comes
back is moved to the processor, where it is measured, drawn and saved. Networks stay where their box is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import PinnsolveError
from pinnsolve.runtime import on_device
from pinnsolve.solvers.follow import Outcome

PROCESSOR = torch.device("cpu")
PAYS_AXES, PAYS_WIDTH = 3, 1000  # coordinates of cells, and functions of a network, from which on `auto` takes a card
NOT_THERE = "solve.device is `cuda`, and no CUDA device is available here; use `cpu`"


def device_for(asked: str, problem: CompiledProblem, on_cells: bool, width: int) -> torch.device:
    """The device for a problem that is to be solved `on_cells`, or on a network of that width.

    Raises PinnsolveError where a card is asked for that is not there.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise PinnsolveError(NOT_THERE)
    if asked == "cpu" or not there or (on_cells and why_not_on_card(problem)):
        return PROCESSOR
    pays = len(problem.coordinates) >= PAYS_AXES if on_cells else width >= PAYS_WIDTH
    return torch.device("cuda", torch.cuda.current_device()) if asked == "cuda" or pays else PROCESSOR


def why_not_on_card(problem: CompiledProblem) -> str | None:
    """The reason, in words, why cells of this problem are for the processor alone; None for none."""
    if problem.shape is not None:
        return "boundaries of shapes are found by the processor"
    if problem.materials:
        return "boundaries of materials are found by the processor"
    return None


def solved_there(context: SolveContext, solve: Callable[[SolveContext], Outcome[Result]]) -> Outcome[Result]:
    """What `solve` makes of a context on the device for cells, moved to the processor."""
    device = context.cells_on
    if device is None or device == context.lower.device:
        return solve(context)
    with on_device(device):
        lower, upper = context.lower.to(device), context.upper.to(device)
        outcome = solve(replace(context, lower=lower, upper=upper, guess=_guess_there(context, device)))
    return replace(outcome, best=moved(outcome.best, PROCESSOR))


def _guess_there(context: SolveContext, device: torch.device) -> Callable[[Tensor], Tensor] | None:
    """The guess that is stated, evaluated on the processor, where what it was made of is."""
    stated = context.guess
    return None if stated is None else lambda x: stated(x.to(PROCESSOR)).to(device)


def moved(value: Any, device: torch.device) -> Any:
    """A value with all tensors that it holds on a device; itself where it holds none."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, PouCells):
        hidden = {name: one.to(device) for name, one in value.hidden.items()}
        return value.restore(value.settings(), hidden, value.lower.to(device), value.upper.to(device))
    if isinstance(value, tuple | list):
        return type(value)(moved(item, device) for item in value) if type(value) in (tuple, list) else value
    if isinstance(value, Mapping):
        return {key: moved(item, device) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type | CompiledProblem):
        changed = {f.name: moved(getattr(value, f.name), device) for f in fields(value) if f.init}
        return replace(value, **changed)
    return value
