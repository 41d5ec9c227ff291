"""What a problem states and a solution does not resolve: said, because no estimate sees what no point has met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.details import Details, details_of
from pinnsolve.compiler.known_functions import breaks_of
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import coordinate_symbol

SEES = 20.0  # times the width of a detail: how large a cell that holds it may be for its points to see it
USUAL = 10.0  # degree of such a cell; points of higher ones are as much denser
JUMPS = (
    "coefficients of `{name}` jump where no interface is: there are too many jumps, or data to fit, so that fluxes are "
    "wrong there; state fewer materials, or smooth the jumps over a known width"
)
APART = 2.0  # distances of evenly spread points: details no narrower than so many are met
MOST_NUMBERS = 4e6  # of pairs of details and cells that are compared at a time


def unresolved(problem: CompiledProblem, basis: Basis, points: Mapping[str, int]) -> list[str]:
    """Sentences: which functions of the problem the solution does not resolve, and where. `points`: of each term.

    Empty where cells are small enough everywhere. Networks have evenly spread points, which miss what is narrow.
    """
    found = [
        f"no point of the solve lies where `{term.name}` holds; its `where` is too narrow, or never true"
        for term in problem.terms
        if term.region.where is not None and not points.get(term.name)
    ]
    found += [JUMPS.format(name=name) for name in _jumping(problem)]
    return found + list(_missed(problem, basis, details_of(problem), points))


def _jumping(problem: CompiledProblem) -> Iterator[str]:
    """The equations whose coefficients of second derivatives jump in space, where no materials were made of it."""
    space = {coordinate_symbol(c) for c in problem.axes.space}
    for term in problem.terms if not problem.materials else ():
        coefficients = [c for l in term.linearizations for f, c in l.features if f.order == 2]
        levels = [one.level for c in coefficients for one in breaks_of(c) if one.jump]
        if term.kind == "equation" and any(level.free_symbols <= space for level in levels):
            yield term.name


def too_much_to_look_at(problem: CompiledProblem) -> list[str]:
    """Warnings of functions in which narrow details were not sought to the end."""
    names = dict.fromkeys(f.term for f in details_of(problem).unseen)
    return [
        f"what `{name}` states is too involved to look for narrow peaks and windows in all of it: the estimate may not "
        "see those"
        for name in names
    ]


def _missed(problem: CompiledProblem, basis: Basis, details: Details, points: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each term with details that are much narrower than the cells that hold them."""
    told = set()
    if isinstance(basis, PouCells):
        coarse = _too_coarse(basis, details)
    else:
        coarse = _between_points(problem, details, points)
    for number in coarse.tolist():
        name = details.functions[number].term
        if name in told:
            continue
        told.add(name)
        size = details.size[number]
        axis = int(size.argmin())
        place = ", ".join(
            f"{c} = {float(a + b) / 2:.4g}"
            for c, a, b in zip(problem.coordinates, details.lower[number], details.upper[number], strict=True)
        )
        yield (
            f"what `{name}` states varies within {float(size[axis]):.2g} of {problem.coordinates[axis]} near {place}, "
            "and the solution does not resolve it there"
        )


def _between_points(problem: CompiledProblem, details: Details, points: Mapping[str, int]) -> Tensor:
    """The numbers of details that fall between points spread evenly over the domain."""
    span = torch.tensor([high - low for low, high in problem.intervals], dtype=torch.float64)
    axes = [len(span) - len(function.fixed) for function in details.functions]
    apart = [max(points.get(f.term, 1), 1) ** (-1.0 / max(k, 1)) for f, k in zip(details.functions, axes, strict=True)]
    width = (details.size / span).amin(dim=1) if details.count else torch.zeros(0, dtype=torch.float64)
    return (width < APART * torch.tensor(apart, dtype=torch.float64)).nonzero()[:, 0]


def _too_coarse(basis: PouCells, details: Details) -> Tensor:
    """The numbers of details that lie in cells whose points do not see them."""
    cells, bad = basis.space.cells, [torch.zeros(0, dtype=torch.long)]
    near = 1e-9 * (cells.upper - cells.lower)
    size = cells.upper - cells.lower
    sees = SEES * (size.new_tensor(basis.space.degrees) / USUAL).clamp_min(1.0)
    for some in torch.arange(details.count).split(max(1, int(MOST_NUMBERS // cells.count))):
        lower, upper = details.lower[some][:, None], details.upper[some][:, None]  # (S, 1, d)
        meets = ((cells.lower < upper - near) & (cells.upper > lower + near)) | (
            (lower == upper) & (cells.lower <= upper + near) & (cells.upper >= lower - near)
        )
        coarse = (size > sees * details.size[some][:, None]).any(dim=2) & meets.all(dim=2)
        bad.append(some[coarse.any(dim=1)])
    return torch.cat(bad)
