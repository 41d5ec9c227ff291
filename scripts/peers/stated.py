"""A problem of ours as other solvers take it: residuals at points, and values that judge a solution.

Input: the name of a problem. Output: `Stated`, whose terms have points and a function that evaluates their residuals
from whatever gives derivatives of the unknowns; and a `Judge`, which notes errors against time. What a peer's way of
stating problems cannot say is refused with the reason.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "references"))

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.defaults import Collocation
from pinnsolve.geometry.sampling import Points
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.language.symbols import Feature, coordinate_symbol, feature_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.problem.build import build_problem
from pinnsolve.problem.problem import Problem
from pinnsolve.spec.spec import load_spec

COUNT = 3000  # points at which an exact solution judges
Derivative = Callable[[Feature], Tensor]  # of an unknown, (N,)


class NotStated(Exception):
    """A problem that this peer's way of stating problems does not reach; its text is the reason."""


@dataclass(frozen=True)
class Stated:
    """A problem with what peers need of it."""

    problem: Problem
    compiled: CompiledProblem

    @property
    def equations(self) -> tuple[Term, ...]:
        return tuple(t for t in self.compiled.terms if t.kind == "equation")

    @property
    def conditions(self) -> tuple[Term, ...]:
        return tuple(t for t in self.compiled.terms if t.kind != "equation")

    def sampled(self, interior: int, boundary: int, seed: int = 0) -> dict[str, Points]:
        """Points of every term, by its name."""
        from pinnsolve.assembly.collocation import sample_problem

        counts = Collocation(interior, boundary, "sobol")
        return sample_problem(self.compiled, counts, seed, torch.zeros(0, dtype=torch.float64))

    def residuals(self, term: Term, points: Points, derivative: Derivative) -> list[Tensor]:
        """The residuals of a term (N,) each; zero where its `where` says that it does not hold."""
        x = points.x[0]
        known = {coordinate_symbol(c): x[:, i] for i, c in enumerate(self.compiled.coordinates)}
        if points.normals is not None:
            names = (coordinate_symbol(f"n_{c}") for c in self.compiled.coordinates)
            known |= dict(zip(names, points.normals.T, strict=True))
        known |= {coordinate_symbol(name): column for name, column in points.columns.items()}
        for feature in term.features:
            symbol = feature_symbol(feature.unknown, feature.alpha, feature.operator, feature.side)
            known[symbol] = derivative(feature)
        values = _evaluator(term)(known)
        holds = where_function(term.region.where, self.compiled.coordinates)
        kept = 1.0 if holds is None or term.kind != "equation" else holds(x).to(x)
        return [value * kept + 0 * x[:, 0] for value in values]


_EVALUATORS: dict[Term, Evaluator] = {}


def _evaluator(term: Term) -> Evaluator:
    return _EVALUATORS.setdefault(term, Evaluator(list(term.residuals)))


def state_problem(name: str) -> Stated:
    """The problem of that name. Raises NotStated where it is of a kind that no peer here takes."""
    problem = build_problem(load_spec(name))
    compiled = compile_problem(problem)
    if any(f.operator for t in compiled.terms for f in t.features) or compiled.integrals:
        raise NotStated("the problem has integrals or operators")
    if compiled.unknown_parameters or compiled.eigenvalues or compiled.state_functions:
        raise NotStated("the problem has unknown constants")
    return Stated(problem, compiled)


@dataclass
class Judge:
    """Notes (seconds, error) of what a peer has so far; the clock stands still while it does.

    `points`: a dict each. The error is the largest relative L2 error of an unknown, at even points or those of the
    reference, as for our own solutions.
    """

    stated: Stated
    points: list[dict] = field(default_factory=list)

    def __post_init__(self):
        problem = self.stated.problem
        if problem.exact:
            from pinnsolve.estimate.measured_errors import exact_values

            self.places = self._unseen()
            self.truth = exact_values(problem, self.places)
        else:
            with np.load(problem.reference) as file:
                self.places = np.stack([file[c] for c in problem.coordinates], axis=1)
                self.truth = {u: file[u] for u in problem.unknowns if u in file.files}
        self._began, self._away = time.perf_counter(), 0.0

    def _unseen(self) -> np.ndarray:
        """Points inside the domain that are drawn for this purpose."""
        term = self.stated.equations[0]
        return self.stated.sampled(COUNT, 16, seed=7919)[term.name].x[0].numpy()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began - self._away

    def __call__(self, values: Callable[[np.ndarray], np.ndarray], **note) -> float:
        """Judge `values(places)` (U, N), in the order of the problem's unknowns; the error."""
        seconds, began = self.seconds, time.perf_counter()
        found = dict(zip(self.stated.problem.unknowns, np.asarray(values(self.places)), strict=True))
        errors = {u: _relative(found[u], v, u in self.floating) for u, v in self.truth.items()}
        worst = max(errors.values())
        self.points.append({"seconds": seconds, "error": float(worst), **note})
        self._away += time.perf_counter() - began
        return worst

    @property
    def floating(self) -> tuple[str, ...]:
        """Unknowns that the problem determines up to a constant."""
        return self.stated.compiled.undetermined_constants


def _relative(found: np.ndarray, truth: np.ndarray, floats: bool) -> float:
    if floats:
        found, truth = found - found.mean(), truth - truth.mean()
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))
