"""Where regions lie and unknowns live: the regions of a spec as comparisons of coordinates, or groups of a mesh.

Input: the parsed regions and homes of a spec. Output: `Subdomain`s, terms narrowed to where their unknowns live, and
terms that say of an unknown that it is nothing elsewhere. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from pinnsolve.geometry import regions
from pinnsolve.geometry.comparisons import as_comparison, within_box
from pinnsolve.geometry.regions import Intervals, Region, Subdomain
from pinnsolve.geometry.shapes import MeshFile, ShapeTree
from pinnsolve.language.coordinates import Coordinates
from pinnsolve.language.symbols import coordinate_symbol, feature_symbol, features_of
from pinnsolve.problem.domain import ShapeReader
from pinnsolve.problem.stated import StatedTerm
from pinnsolve.spec.parsed import ParsedExpression, ParsedFile, Place

Report = Callable[..., None]


@dataclass(frozen=True)
class PlaceMaker:
    """Makes subdomains. `condition` builds a comparison, None where it is wrong; `report(path, message, hint)` tells."""

    axes: Coordinates
    intervals: Intervals
    reader: ShapeReader
    condition: Callable[[ParsedExpression], sp.Basic | None]
    report: Report

    def regions(self, parsed: ParsedFile) -> dict[str, Subdomain]:
        """The regions by name, without those that are wrong."""
        found = {name: self._region(name, plain) for name, plain in parsed.regions.items()}
        return {name: place for name, place in found.items() if place is not None}

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
        holds = within_box(holds, space)
        if holds in (sp.true, sp.false):
            words = "all of the domain" if holds == sp.true else "no part of the domain"
            self.report(path, f"the region `{name}` is {words}", "compare its numbers with those of the domain")
            return None
        return Subdomain(name, holds)

    def homes(self, parsed: ParsedFile, known: Mapping[str, Subdomain]) -> dict[str, Subdomain]:
        """Where unknowns live, of those that do not live everywhere."""
        found = {}
        for unknown, home in parsed.homes.items():
            if home.where is not None:
                holds = self.condition(home.where)
                if holds is not None:
                    found[unknown] = Subdomain(home.where.text, holds)
                continue
            place = subdomain(home.places, known)
            if place is not None:
                found[unknown] = place
        return found


def subdomain(places: Sequence[Place], known: Mapping[str, Subdomain]) -> Subdomain | None:
    """The union of regions and groups; None where one of them is all of the domain, or wrong."""
    kinds = {place.kind for place in places}
    label = ", ".join(place.label for place in places)
    if kinds == {"region"} and all(place.part in known for place in places):
        return Subdomain(label, sp.Or(*(known[place.part].holds for place in places)))
    return Subdomain(label, groups=tuple(place.part for place in places)) if kinds == {"group"} else None


def narrowed(term: StatedTerm, homes: Mapping[str, Subdomain], report: Report) -> StatedTerm:
    """The term where all of its unknowns live; one that says so itself is left as it is."""
    unknowns = dict.fromkeys(f.unknown for r in term.residuals for f in features_of(r))
    places = dict.fromkeys(homes[u] for u in unknowns if u in homes)
    if not places or term.kind == "data":
        return term
    groups = [place.groups for place in places if place.groups]
    if groups:
        return replace(term, region=_in_groups(term.region, groups))
    holds = sp.And(*(place.holds for place in places))
    where = sp.And(term.region.where, holds) if term.region.where is not None else holds
    if where == sp.false:
        words = " and ".join(f"`{u}` in {homes[u].label}" for u in unknowns if u in homes)
        hint = "conditions between unknowns of two regions hold `on: fluid/solid`"
        report(tuple(term.key.split(".", 1)), f"its unknowns live in different places: {words}", hint)
        return term
    return replace(term, region=replace(term.region, where=where))


def _in_groups(region: Region, several: Sequence[tuple[str, ...]]) -> Region:
    """The pieces in the groups of cells common to `several`; one in a group already stays."""
    common = [g for g in several[0] if all(g in other for other in several)]
    pieces = []
    for piece in region.pieces:
        pieces += [piece] if piece.region is not None else [replace(piece, region=g) for g in common]
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

