"""Levels of a refinement that a journal knows from before, which are not solved again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from pinnsolve.adapt.hp_refinement import Level
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, units
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import Correction, enriched_space
from pinnsolve.solvers.journal import Journal, digest

LEVEL_FIELDS = tuple(f.name for f in fields(Level) if f.name not in ("space", "correction", "system"))
CORRECTION_FIELDS = ("delta", "moved", "left", "seen")


def solved(
    journal: Journal, space: Space, solve: Callable[[], Level], system: Callable[[], CellSystem], *about: float
) -> Level:
    """What `solve` returns on a space, or the level that was recorded; `system`: its rows, in their units then."""
    cells = space.cells
    asked = (*about, list(space.degrees), digest(cells.lower, cells.upper))
    values = journal.found("level", *asked)
    if values is not None:
        return Level(space=space, correction=None, system=system(), **values)
    level = solve()
    if journal.keeps:
        journal.add("level", *asked, values={name: getattr(level, name) for name in LEVEL_FIELDS})
    return level


def corrected(journal: Journal, level: Level, correct: Callable[[Level], Level], tolerance: float) -> Level:
    """What `correct` makes of a level, or the correction that was recorded.

    That of a level which may meet the tolerance is made again: its factorization tells whether solutions are unique.
    """
    asked = digest(level.c)
    values = journal.found("correction", asked)
    if values is not None:
        fine = enriched_space(level.space)
        least = fine.rms(values["delta"])  # no error is taken to be smaller
        if float((least / units(level.size, values["error"])).max()) <= tolerance:
            return correct(level)
        found = {name: values[name] for name in CORRECTION_FIELDS}
        state = State(values["c"], level.parameters + values["moved"])
        correction = Correction(space=fine, state=state, first=(), rows=(), reduced=None, **found)
        return replace(level, correction=correction, error=values["error"])
    level = correct(level)
    if journal.keeps:
        kept = {name: getattr(level.correction, name) for name in CORRECTION_FIELDS}
        journal.add("correction", asked, values={**kept, "c": level.correction.c, "error": level.error})
    return level
