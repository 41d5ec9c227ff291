"""What was found of a function of small total variation, as the answer to an inverse problem.

The function is the mean over where its jumps may lie, whose places are about normally distributed: beside a jump it is
no steeper than the data tell. Its deviation holds the values in the layers, the places, what one jump more
gives, by how likely that is, and what many small jumps would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.inverse.fit import Answer
from pinnsolve.inverse.layer_search import STEP, LayerFit, Layers
from pinnsolve.inverse.layered_problem import names_of_layers
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.language.symbols import UnknownParameter
from pinnsolve.problem.rough_functions import RoughFunction

MOST_HALVED = 12  # times that cells are halved towards a jump
POINTS = 101  # of the table of the function, beside those round its jumps
BESIDE = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)  # standard errors from a jump


@dataclass(frozen=True)
class LayersFound:
    """The layers with their uncertainty: `places` (J, J) is the covariance of the edges, without the factor of the
    noise found; `unknowns`: of the whole problem, the function among them if it is one."""

    rough: RoughFunction
    layers: Layers
    places: Tensor
    spread: float
    unknowns: tuple[str, ...]

    @classmethod
    def of(cls, rough: RoughFunction, layers: Layers, unknowns: tuple[str, ...]) -> LayersFound:
        """From a search."""
        J = layers.by_places(rough.length)
        return cls(rough, layers, torch.linalg.pinv(J.T @ J, hermitian=True), layers.fit.answer.fit.spread, unknowns)

    @property
    def edges(self) -> Tensor:
        return torch.tensor(self.layers.fit.edges, dtype=torch.float64)

    @property
    def errors(self) -> Tensor:
        """(J,) standard errors of the places."""
        least = 1e-6 * self.rough.length
        return (self.spread * torch.diagonal(self.places).clamp_min(0.0).sqrt()).clamp_min(least)

    def values(self, fit: LayerFit | None = None) -> Tensor:
        """(J + 1,) the values in the layers."""
        fit = fit or self.layers.fit
        names = names_of_layers(self.rough, len(fit.edges) + 1)
        return torch.tensor([fit.values[n] for n in names], dtype=torch.float64)

    def function(self, x: Tensor) -> Tensor:
        """(N,) the mean of the function at places (N,) along its coordinate."""
        values = self.values()
        return values[0] + self._beyond(x) @ torch.diff(values)

    def share(self, x: Tensor) -> Tensor:
        """(N, J + 1): what every layer counts at places (N,)."""
        beyond = self._beyond(x)
        one = torch.ones(len(x), 1, dtype=x.dtype)
        return torch.cat([one, beyond], dim=1) - torch.cat([beyond, 0.0 * one], dim=1)

    def _beyond(self, x: Tensor) -> Tensor:
        """(N, J): how likely places are beyond the jumps."""
        return 0.5 * (1.0 + torch.special.erf((x[:, None] - self.edges) / (math.sqrt(2.0) * self.errors)))

    def doubts(self, x: Tensor) -> Tensor:
        """(K, N): functions whose squares add up to the variance that places give, and that there are so few layers."""
        beyond = self._beyond(x)
        found = list((torch.diff(self.values()).abs() * torch.sqrt(beyond * (1.0 - beyond))).T)
        if self.layers.richer is not None:
            richer = self.layers.richer
            x = x.contiguous()
            there = self.values(richer)[torch.bucketize(x, torch.tensor(richer.edges, dtype=x.dtype))]
            here = self.values()[torch.bucketize(x, self.edges)]
            # its share in the mean of both, by Schwarz's approximation of their likelihoods (Raftery, Sociol. Methodol.
            # 25 (1995) 111-163)
            more = 1.0 / (1.0 + math.exp(min(max(0.5 * (richer.criterion - self.layers.fit.criterion), -60.0), 60.0)))
            found.append(math.sqrt(more * (1.0 - more)) * (there - here))
        return torch.stack([*found, self._bias(x)])

    def _bias(self, x: Tensor) -> Tensor:
        """(N,): by how much the function in many equal layers is another, away from jumps, which it blurs.

        It is what layers may hide of a function that is not constant in them.
        """
        r, grid = self.rough, self.layers.grid
        width = r.length / len(grid)
        middle = r.low + width * (0.5 + torch.arange(len(grid), dtype=x.dtype))
        blurred = ((middle[:, None] - self.edges).abs() < 1.5 * width).any(dim=1)
        if bool(blurred.all()):
            return torch.zeros_like(x)
        off = grid - self.values()[torch.bucketize(middle, self.edges)]
        return torch.as_tensor(np.interp(x.numpy(), middle[~blurred].numpy(), off[~blurred].numpy()))

    def jumps(self) -> list[dict[str, float]]:
        """For the report, what is known of each jump."""
        values = self.values().tolist()
        rows = zip(self.edges.tolist(), self.errors.tolist(), values[:-1], values[1:], strict=True)
        return [{"at": at, "standard_error": e, "from": a, "to": b} for at, e, a, b in rows]


def graded(space: Space, found: LayersFound, axis: int) -> Space:
    """With cells that are halved towards the jumps until they are as small as the places are uncertain."""
    cells, d = space.cells, space.cells.dimension
    along = torch.tensor([a == axis for a in range(d)])
    for edge, error in zip(found.edges.tolist(), found.errors.tolist(), strict=True):
        near = 1e-9 * found.rough.length
        for _ in range(MOST_HALVED):
            large = cells.size[:, axis] > 3.0 * error
            touching = (cells.lower[:, axis] <= edge + near) & (cells.upper[:, axis] >= edge - near)
            marked = large & touching
            if not bool(marked.any()):
                break
            cells = cells.split(marked, marked[:, None] & along)
    return Space(cells, space.degrees, space.orders)


def whole_answer(statement: InverseProblem, answer: Answer, found: LayersFound) -> tuple[InverseProblem, Answer]:
    """The answer with the function among its unknowns, if it is one, and the places of jumps among its parameters."""
    problem, rough = statement.problem, found.rough
    axis, count = problem.coordinates.index(rough.coordinate), len(found.edges)
    names = [p.name for p in problem.unknown_parameters]
    layers = [names.index(n) for n in names_of_layers(rough, count + 1)]
    low, high = rough.low, rough.high
    more = tuple(
        UnknownParameter(f"{rough.name}_jump_{j + 1}", edge, (low, high), function=rough.name)
        for j, edge in enumerate(found.edges.tolist())
    )
    problem = replace(problem, unknowns=found.unknowns, unknown_parameters=(*problem.unknown_parameters, *more))
    put = _Put(answer.space, axis, found.unknowns.index(rough.name) if rough.unknown else None)
    along, by_place = _by_places(answer, found)
    inverse = torch.zeros(len(names) + count, len(names) + count, dtype=torch.float64)
    inverse[: len(names), : len(names)] = answer.fit.inverse + along @ found.places @ along.T
    inverse[: len(names), len(names) :] = along @ found.places
    inverse[len(names) :, : len(names)] = inverse[: len(names), len(names) :].T
    inverse[len(names) :, len(names) :] = found.places
    sensitivity = torch.cat([answer.sensitivity, by_place])
    values = torch.zeros(len(sensitivity), answer.space.cells.count, answer.space.functions, dtype=torch.float64)
    values[layers] = put.projected(lambda x: found.share(x).T, count + 1)
    spread = max(answer.fit.spread, 1e-300)
    c = put(answer.c, put.projected(lambda x: found.function(x)[None], 1)[0])
    nothing = torch.zeros(1, dtype=torch.float64)
    whole = replace(
        answer,
        c=c,
        error=put.entry(answer.error, nothing),
        size=put.entry(answer.size, answer.space.rms(c)[put.number or 0][None]),
        parameters=torch.cat([answer.parameters, found.edges]),
        parameter_error=torch.cat([answer.parameter_error, torch.zeros(count, dtype=torch.float64)]),
        fit=replace(answer.fit, inverse=inverse),
        sensitivity=put(sensitivity, values),
        drawn=lambda seed: _drawn(answer, found, put, spread, seed),
        discretization=None,
    )
    return replace(statement, problem=problem, bounds=Bounds.of(problem)), whole


class _Put:
    """The function put among the unknowns, as number `number`; left out where it is none of them."""

    def __init__(self, space: Space, axis: int, number: int | None):
        self.space, self.axis, self.number = space, axis, number

    def projected(self, function: Callable[[Tensor], Tensor], count: int) -> Tensor:
        """(count, C, n) of functions (N,) -> (count, N) along the axis."""
        return self.space.project(lambda x: function(x[:, self.axis]), count).transpose(0, 1)

    def __call__(self, c: Tensor, mine: Tensor) -> Tensor:
        """(..., C, U + 1, n) from (..., C, U, n) and (..., C, n)."""
        if self.number is None:
            return c
        return torch.cat([c[..., : self.number, :], mine[..., None, :], c[..., self.number :, :]], dim=-2)

    def entry(self, values: Tensor, mine: Tensor) -> Tensor:
        """(U + 1,)"""
        return values if self.number is None else torch.cat([values[: self.number], mine, values[self.number :]])


def _by_places(answer: Answer, found: LayersFound) -> tuple[Tensor, Tensor]:
    """By the places, (P, J) the derivatives of the constants that are best, and (J, C, U, n) those of the solution with
    all constants held."""
    fit, step = found.layers.fit, STEP * found.rough.length
    zero = (0,) * answer.space.cells.dimension
    along, by_place = [], []
    for one in found.layers.slopes:
        moved = (one.answer.parameters - fit.answer.parameters) / step
        there, here = (
            answer.space.project(lambda x, a=a: a.space.values(a.c, x, zero), answer.c.shape[1])
            for a in (one.answer, fit.answer)
        )
        along.append(moved)
        by_place.append((there - here) / step - torch.einsum("p,pcun->cun", moved, answer.sensitivity))
    if not along:
        return answer.parameters.new_zeros(len(answer.parameters), 0), answer.c.new_zeros(0, *answer.c.shape)
    return torch.stack(along, dim=1), torch.stack(by_place)


def _drawn(answer: Answer, found: LayersFound, put: _Put, spread: float, seed: int) -> tuple[Tensor, float]:
    """The `drawn` of the answer."""
    functions, freedom = answer.drawn(seed)
    nothing = functions.new_zeros(len(functions), *functions.shape[1:2], functions.shape[3])
    if put.number is None:
        return functions, freedom + len(found.edges)
    x = found.edges
    count = len(found.doubts(x))
    doubts = put.projected(found.doubts, count) / spread
    more = put(functions.new_zeros(count, *functions.shape[1:]), doubts)
    return torch.cat([put(functions, nothing), more]), freedom


def function_of_layers(found: LayersFound, statement: InverseProblem, answer: Answer) -> dict[str, Any]:
    """The entry of a report: what functions of the state have, and the jumps."""
    rough = found.rough
    x = np.linspace(rough.low, rough.high, POINTS)
    beside = [e + s * k for e, s in zip(found.edges.tolist(), found.errors.tolist(), strict=True) for k in BESIDE]
    at = np.unique(np.clip(np.r_[x, beside], rough.low, rough.high))
    places = torch.as_tensor(at)
    names = [p.name for p in statement.problem.unknown_parameters]
    layers = [names.index(n) for n in names_of_layers(rough, len(found.edges) + 1)]
    share = found.share(places)
    covariance = answer.fit.spread**2 * answer.fit.inverse[layers][:, layers]
    variance = torch.einsum("nj,jk,nk->n", share, covariance, share) + (found.doubts(places) ** 2).sum(dim=0)
    return {
        "of": [rough.coordinate],
        "range": {rough.coordinate: [rough.low, rough.high]},
        "at": {rough.coordinate: at.tolist()},
        "value": found.function(places).tolist(),
        "standard_deviation": variance.clamp_min(0.0).sqrt().tolist(),
        "jumps": found.jumps(),
    }


def on_space(answer: Answer, space: Space) -> Answer:
    """The same answer written on other cells of the same layers, which are parts of its own.

    It isn't solved anew there: what flows through cells that are tiny is held loosely, beside data.
    """
    zero = (0,) * space.cells.dimension

    def written(c: Tensor) -> Tensor:
        """(C', U, n') from (C, U, n)"""
        return space.project(lambda x: answer.space.values(c, x, zero), c.shape[1])

    def drawn(seed: int) -> tuple[Tensor, float]:
        functions, freedom = answer.drawn(seed)
        return _stacked([written(c) for c in functions], space, functions), freedom

    sensitivity = _stacked([written(c) for c in answer.sensitivity], space, answer.sensitivity)
    return replace(answer, space=space, c=written(answer.c), sensitivity=sensitivity, drawn=drawn, discretization=None)


def _stacked(parts: list[Tensor], space: Space, like: Tensor) -> Tensor:
    return torch.stack(parts) if parts else like.new_zeros(0, space.cells.count, like.shape[2], space.functions)
