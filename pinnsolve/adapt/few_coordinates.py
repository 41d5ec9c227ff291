"""Many coordinates: which sums of functions of few coordinates are tried, and how they grow.

Input: the context of a solve and what the file asks of the basis. Output: the levels of a family for
`growing_width.refined`. On the first level structures compete (radial functions alone, functions of one coordinate, of
neighbours, of all pairs) by their residual at unseen points; from then on the degree of the best one grows. The error
is sought in the next degree of the same structure and in structures that hold other pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pinnsolve import defaults
from pinnsolve.adapt.context import SolveContext
from pinnsolve.adapt.interacting_pairs import interacting_pairs
from pinnsolve.bases.base import Basis
from pinnsolve.bases.interactions import PAIRS, Interactions
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.geometry.shapes import Ball
from pinnsolve.language.symbols import feature_symbol

DEGREES = (3, 4, 5, 6, 7, 8, 10, 12, 16)  # of the polynomials of successive levels
RADIAL = 4  # times as high a degree have radial functions, which are few
RADIAL_BESIDE = 1  # and as high beside functions of coordinates, which hold low powers of |x|^2 themselves,
CONCENTRATED, LEAST_RADIAL = 80, 2  # up to so much over the number of coordinates: in many, |x| hardly varies
LENGTHS = (1 / 16, 1 / 4, 1.0)  # of the radial argument, in parts of the radius
SEARCHED = 2  # levels on which pairs are looked for
MOST_FOUND = 2  # times the number of coordinates: pairs that one level adds
FIRST = 1500  # coefficients of a structure that is tried on the first level
SMALL = 750  # coefficients of a structure that is tried again on the second level
NETWORK_AXES = 6  # coordinates up to which random sines serve a box
INSIDE, ON_BOUNDARY = 2.0, 3.0  # points per function, which are nearly orthogonal


def _is_held(one: Interactions, other: Interactions) -> bool:
    """Whether the functions of one basis are among those of another, beside which they see nothing more of an error."""
    pairs = one.pairs in ("none", other.pairs) or other.pairs == "all"
    return pairs and 0 < one.degree <= other.degree and one.radial <= other.radial and one.length == other.length


def has_many_coordinates(problem: CompiledProblem) -> bool:
    """Whether sums of functions of few coordinates are the first choice for a problem, and can hold its equations."""
    plain = all(f.operator is None and f.order <= 2 for term in problem.terms for f in term.features)
    return plain and (len(problem.coordinates) > NETWORK_AXES or (is_ball(problem) and len(problem.axes.space) > 3))


def is_ball(problem: CompiledProblem) -> bool:
    """Whether the domain in space is one ball."""
    return isinstance(problem.shape, Ball)


def vanishes_on_sphere(problem: CompiledProblem) -> bool:
    """Whether conditions hold every unknown at zero on the whole sphere of a ball, at all times."""
    held = {name for term in problem.terms for name in _held_at_zero(term)}
    return is_ball(problem) and held == set(problem.unknowns)


def with_usual_points(context: SolveContext) -> SolveContext:
    """With as many points as these functions need: next to none where all of them meet what is said of the boundary."""
    exact = vanishes_on_sphere(context.problem) and context.problem.axes.time is None
    return replace(context, per_function=(INSIDE, 0.0 if exact else ON_BOUNDARY))


def _held_at_zero(term: Term) -> set[str]:
    """The unknowns that a condition holds at zero all over the boundary."""
    whole = len(term.region.pieces) == 1 and term.region.pieces[0].part is not None and not term.region.pieces[0].fixed
    if term.kind != "condition" or not whole or term.region.where is not None:
        return set()
    found = set()
    for residual, linearization in zip(term.residuals, term.linearizations, strict=True):
        held = linearization.held_value
        value = None if held is None else feature_symbol(held[0], linearization.features[0][0].alpha)
        if value is not None and (residual - held[1] * value).expand() == 0:
            found.add(held[0])
    return found


@dataclass(frozen=True)
class FewCoordinates:
    """Bases of `interactions` of growing degree. `asked`: settings that the file fixes; `refinements`: how often."""

    context: SolveContext
    asked: Mapping[str, Any]
    refinements: int | None = None
    compete = True  # structures are no scale along which the residual has one valley

    @cached_property
    def degrees(self) -> tuple[int, ...]:
        """The degrees of the levels whose smallest structure there is room for."""
        first = self.asked.get("degree")
        found = [p for p in DEGREES if first is None or p >= first] or [first]
        if first is not None and first not in found:
            found = [first, *found]
        usable = [p for p in found if self._smallest(p) <= self._most]
        return tuple(usable[: None if self.refinements is None else self.refinements + 1])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of functions of the levels, of their smallest structures."""
        return tuple(map(self._smallest, self.degrees))

    @property
    def _most(self) -> int:
        return defaults.MOST_COLUMNS // len(self.context.problem.unknowns)

    def _smallest(self, degree: int) -> int:
        return next(self._structures(degree)).width

    def at(self, number: int, before: Approximation | None) -> list[Basis]:
        """The structures of the first level; on later ones the best so far, also with pairs that its residual names."""
        degree = self.degrees[number]
        if before is None:
            found = list(self._structures(degree))
            small = [basis for basis in found if basis.width * len(self.context.problem.unknowns) <= FIRST]
            return small or found[:1]
        grown = self._grown(before.basis, degree)
        wider = [self._with_pairs(before, grown) if number <= SEARCHED else None]
        if number == 1:  # the first level may have been too poor to tell
            wider += [one for one in self._structures(degree) if SMALL >= one.width > grown.width and one.degree]
        return [grown, *(one for one in wider if one is not None)]

    def _with_pairs(self, before: Approximation, grown: Interactions) -> Interactions | None:
        """With pairs that interact beside those that it holds, where there are too many to have tried all."""
        count = len(self.context.problem.axes.space)
        if grown.pairs == "all" or "pairs" in self.asked or self._usual_pairs(DEGREES[0]) == PAIRS:
            return None
        held = grown.listed_pairs()
        found = interacting_pairs(self.context, before, held, MOST_FOUND * count)
        if not found:
            return None
        asked = {**grown.settings(), "degree": max(grown.degree, self.degrees[0]), "pairs": [*held, *found]}
        wider = self.context.basis(asked)
        return wider if wider.width <= self._most else None

    def _usual_pairs(self, degree: int) -> tuple[str, ...]:
        """The structures that compete: all pairs only where there are not too many products of them."""
        pairs = math.comb(len(self.context.problem.axes.space), 2)
        return PAIRS if pairs * math.comb(degree, 2) <= FIRST else PAIRS[:2]

    def _grown(self, basis: Basis, degree: int) -> Interactions:
        old = basis.settings()
        alone = old["degree"] == 0
        new = {"degree": 0 if alone else degree, "radial": self._radial(degree, alone) if old["radial"] else 0}
        return self.context.basis({**old, **new})

    def _radial(self, degree: int, alone: bool) -> int:
        most = max(CONCENTRATED // len(self.context.problem.axes.space), LEAST_RADIAL)
        return int(self.asked.get("radial", RADIAL * degree if alone else min(RADIAL_BESIDE * degree, most)))

    def _structures(self, degree: int) -> Iterator[Interactions]:
        """Radial functions alone with several lengths, then functions of more and more coordinates."""
        if "pairs" not in self.asked and "degree" not in self.asked:
            radial = {"degree": 0, "pairs": "none", "radial": self._radial(degree, True)}
            yield from (self._basis({**radial, "length": part * self._radius}) for part in LENGTHS)
        for pairs in [self.asked["pairs"]] if "pairs" in self.asked else self._usual_pairs(degree):
            yield self._basis({"degree": degree, "pairs": pairs, "radial": self._radial(degree, False)})

    @property
    def _radius(self) -> float:
        axes = list(self.context.problem.axes.space_axes)
        return float((self.context.upper - self.context.lower)[axes].max()) / 2

    def _basis(self, settings: Mapping[str, Any]) -> Interactions:
        problem = self.context.problem
        place = {
            "ball": is_ball(problem),
            "vanishing": vanishes_on_sphere(problem),
            "time": problem.axes.time_axis,
        }
        return self.context.basis({"kind": "interactions", **settings, **place})

    def corrections(self, basis: Basis) -> list[Basis]:
        """What the error is sought in: the next degree, and other structures of about as many functions, as far as that
        does not hold them."""
        old = basis.settings()
        alone = old["degree"] == 0
        degree = old["radial"] // RADIAL if alone else old["degree"]
        after = next((p for p in DEGREES if p > degree), degree + 2)
        others = [one for one in self._structures(min(after, 4)) if one.width <= FIRST]
        if not alone:  # of radial functions alone one length will do
            others = others[len(LENGTHS) - 1 :] if others and others[0].degree == 0 else others
        grown = self._grown(basis, after)
        found = [grown, *(one for one in others if not _is_held(one, grown))]
        return [one for one in found if one.width <= self._most]
