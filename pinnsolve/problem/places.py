"""Where regions lie and unknowns live: the regions of a spec as comparisons of coordinates, or groups of a mesh.

Input: the parsed regions and homes of a spec. Output: `Subdomain`s, terms narrowed to where their unknowns live, and
terms that say of an unknown that it is nothing elsewhere. No array library.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from pinnsolve.geometry import regions
from pinnsolve.geometry.comparisons import as_comparison, canonical, within_box
from pinnsolve.geometry.regions import Intervals, Region, Subdomain
from pinnsolve.geometry.shapes import MeshFile, ShapeTree
from pinnsolve.language.components import component_names
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.symbols import coordinate_symbol, feature_symbol, features_of
from pinnsolve.problem.checks.pointwise import function_of, holds_at
from pinnsolve.problem.domain import ShapeReader
from pinnsolve.problem.stated import StatedProblem, StatedTerm
from pinnsolve.spec.located_errors import KeyPath
from pinnsolve.spec.parsed import ParsedExpression, ParsedFile, ParsedHome, Place

Report = Callable[..., None]
GridPlace = tuple[int, ...]
PLACES = {1: 400, 2: 60, 3: 20}  # of a grid along each axis, on which regions are compared
SEEN = 20  # places of a grid that a region fills: of a smaller one, the grid does not tell whether it meets another


@dataclass(frozen=True)
class PlaceMaker:
    """Makes subdomains. `condition` builds a comparison, None where it is wrong; `report(path, message, hint)`."""

    axes: Coordinates
    intervals: Intervals
    reader: ShapeReader
    condition: Callable[[ParsedExpression], sp.Basic | None]
    report: Report

    def regions(self, parsed: ParsedFile) -> tuple[dict[str, Subdomain], list[tuple[KeyPath, str]]]:
        """The regions by name, without those that are wrong; and what is to be known of them, with its key path.

        Of two that overlap, between which something holds or in which unknowns live, the one named later has what they
        share: so a disk in a box may be stated as both.
        """
        read = {name: self._region(name, plain) for name, plain in parsed.regions.items()}
        found = {name: place for name, place in read.items() if place is not None}
        told: list[tuple[KeyPath, str]] = []
        dividing = _dividing(parsed)
        filled = {name: self._grid(place) for name, place in found.items() if name in dividing}
        for first, second in itertools.combinations(filled, 2):
            if filled[first] & filled[second]:
                filled[first] -= filled[second]
                both = (found[first].holds, found[second].holds)
                found[first] = replace(found[first], holds=sp.And(both[0], sp.Not(both[1])))
                words = f"`{first}` and `{second}` overlap: what they share is `{second}`, which is named later"
                told.append((("regions", first), words))
        for name, place in found.items():
            self._refuse_empty(name, place)
        return found, told

    def _refuse_empty(self, name: str, place: Subdomain) -> None:
        """Says so where a region is all of the domain or nothing of it."""
        nowhere = place.holds == sp.false
        if not nowhere and isinstance(place.holds, sp.And):  # what others took away may have left nothing
            nowhere = not self._grid(place)
        if nowhere or place.holds == sp.true:
            words = "no part of the domain" if nowhere else "all of the domain"
            hint = "compare its numbers with those of the domain, and of regions named later"
            self.report(("regions", name), f"the region `{name}` is {words}", hint)

    def _grid(self, place: Subdomain) -> set[GridPlace]:
        return _on_grid(self.axes, self.intervals, place)

    def _region(self, name: str, plain: Any) -> Subdomain | None:
        path = ("regions", name)
        if isinstance(plain, ParsedExpression):
            holds = self.condition(plain)
        else:
            tree = self.reader.shape(plain, path, "")
            symbols = tuple(coordinate_symbol(c) for c in self.axes.space)
            holds = None if tree is None else as_comparison(tree, symbols)
        if holds is None:
            return None
        space = {coordinate_symbol(c): self.intervals[self.axes.names.index(c)] for c in self.axes.space}
        return Subdomain(name, within_box(canonical(holds), space))

    def homes(
        self, parsed: ParsedFile, known: Mapping[str, Subdomain], complex_unknowns: Collection[str]
    ) -> dict[str, Subdomain]:
        """Where unknowns live, of those that do not live everywhere."""
        found: dict[str, Subdomain] = {}
        for unknown, home in parsed.homes.items():
            place = self._home(home, known)
            names = component_names(unknown) if unknown in complex_unknowns else (unknown,)
            found |= dict.fromkeys(names, place) if place is not None else {}
        return found

    def _home(self, home: ParsedHome, known: Mapping[str, Subdomain]) -> Subdomain | None:
        if home.where is None:
            return subdomain(home.places, known)
        holds = self.condition(home.where)
        return None if holds is None else Subdomain(home.where.text, canonical(holds))


def _dividing(parsed: ParsedFile) -> set[str]:
    """The regions that divide the domain: unknowns live in them, or conditions hold where they meet."""
    of_homes = {place.part for home in parsed.homes.values() for place in home.places}
    between = [p for term in parsed.conditions.values() for p in term.places if p.kind == "between"]
    return of_homes.union(*({p.part, p.other} for p in between))


def meeting_errors(problem: StatedProblem) -> Iterator[tuple[KeyPath, str, str]]:
    """What is wrong with regions between which conditions hold: key path, message and hint."""
    for item in problem.between:
        first, second = item.sides
        path = tuple(item.key.split(".", 1))
        if first.groups or second.groups:
            continue
        one, two = (_on_grid(problem.axes, problem.intervals, side) for side in item.sides)
        if min(len(one), len(two)) >= SEEN and not _adjacent(one, two):
            message = f"the regions {first.label} and {second.label} do not meet"
            yield path, message, "compare their numbers: there is something between them"


def _on_grid(axes: Coordinates, intervals: Intervals, subdomain: Subdomain) -> set[GridPlace]:
    """The places of a grid over space that lie in a subdomain."""
    space = axes.space_axes
    n, test = PLACES[len(space)], function_of(subdomain.holds)
    found = set()
    for place in itertools.product(range(n), repeat=len(space)):
        at = {}
        for axis, i in zip(space, place, strict=True):
            low, high = intervals[axis]
            at[coordinate_symbol(axes.names[axis])] = low + (i + 0.5) / n * (high - low)
        if holds_at(test, at):
            found.add(place)
    return found


def _adjacent(one: set[GridPlace], two: set[GridPlace]) -> bool:
    """Whether a place of one set is next to a place of the other."""
    beside = ((*p[:a], p[a] + step, *p[a + 1 :]) for p in one for a in range(len(p)) for step in (-1, 1))
    return any(place in two for place in beside)


def subdomain(places: Sequence[Place], known: Mapping[str, Subdomain]) -> Subdomain | None:
    """The union of regions and groups; None where one of them is all of the domain, or wrong."""
    kinds = {place.kind for place in places}
    label = ", ".join(place.label for place in places)
    if kinds == {"region"} and all(place.part in known for place in places):
        return Subdomain(label, sp.Or(*(known[place.part].holds for place in places)))
    return Subdomain(label, groups=tuple(place.part for place in places)) if kinds == {"group"} else None


def narrowed(term: StatedTerm, homes: Mapping[str, Subdomain], report: Report) -> list[StatedTerm]:
    """The term where all of its unknowns live; one that says so itself is left as it is.

    Of several residuals each is about its own unknowns: where those live elsewhere, it has a term of its own.
    """
    if term.kind == "data":
        return [term]
    found = []
    for at, (places, same) in enumerate(itertools.groupby(range(len(term.residuals)), _homes_of(term, homes))):
        part = _with_residuals(term, list(same))
        name = f"{term.name} of {', '.join(u for u in _unknowns_of(part) if u in homes)}" if at else term.name
        found.append(_narrowed(replace(part, name=name), dict.fromkeys(places), homes, report))
    return found


def _unknowns_of(term: StatedTerm) -> dict[str, None]:
    return dict.fromkeys(f.unknown for r in term.residuals for f in features_of(r))


def _homes_of(term: StatedTerm, homes: Mapping[str, Subdomain]) -> Callable[[int], tuple[Subdomain, ...]]:
    """By the number of a residual, where its unknowns live, of those that do not live everywhere."""

    def found(number: int) -> tuple[Subdomain, ...]:
        unknowns = dict.fromkeys(f.unknown for f in features_of(term.residuals[number]))
        return tuple(dict.fromkeys(homes[u] for u in unknowns if u in homes))

    return found


def _with_residuals(term: StatedTerm, numbers: Sequence[int]) -> StatedTerm:
    """The term with some of its residuals, and what belongs to these."""
    parts = {key: getattr(term, key) for key in ("residuals", "fluxes", "balances")}
    return replace(term, **{key: tuple(part[n] for n in numbers) for key, part in parts.items() if part})


def _narrowed(
    term: StatedTerm, places: Collection[Subdomain], homes: Mapping[str, Subdomain], report: Report
) -> StatedTerm:
    """The term in all of the places."""
    if not places:
        return term
    groups = [place.groups for place in places if place.groups]
    if groups:
        return replace(term, region=_in_groups(term.region, groups))
    label = " and ".join(place.label for place in places)
    region = term.region.narrowed(sp.And(*(place.holds for place in places)), label)
    if region.where == sp.false:
        words = " and ".join(f"`{u}` in {homes[u].label}" for u in _unknowns_of(term) if u in homes)
        hint = "conditions between unknowns of two regions hold `on: fluid/solid`"
        report(tuple(term.key.split(".", 1)), f"its unknowns live in different places: {words}", hint)
        return term
    return replace(term, region=replace(region, label=label if term.region.label == "domain" else term.region.label))


def _in_groups(region: Region, several: Sequence[tuple[str, ...]]) -> Region:
    """The pieces in the groups of cells common to `several`; one in a group already stays, and so do parts of the
    boundary, whose names say of what they are the boundary."""
    common = [g for g in several[0] if all(g in other for other in several)]
    pieces = []
    for piece in region.pieces:
        stays = piece.region is not None or piece.part is not None
        pieces += [piece] if stays else [replace(piece, region=g) for g in common]
    return replace(region, pieces=tuple(pieces))


def nothing_elsewhere(homes: Mapping[str, Subdomain], dimension: int, shape: ShapeTree | None) -> Iterator[StatedTerm]:
    """Of every unknown with a home, the equation that it is zero elsewhere: so one space of functions holds all."""
    for unknown, home in homes.items():
        region = regions.domain()
        if home.groups:
            others = [g for g in (shape.regions if isinstance(shape, MeshFile) else ()) if g not in home.groups]
            region = regions.union([regions.mesh_region(g) for g in others])
        else:
            region = replace(region, where=sp.Not(home.holds), label=f"outside of {home.label}")
        zero = (feature_symbol(unknown, (0,) * dimension),)
        yield StatedTerm(f"{unknown} elsewhere", "equation", zero, region, key="unknowns", fluxes=((),))
