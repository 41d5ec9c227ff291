"""Whether a solution asks functions of tables for values outside of their tables.

While it is sought, an unknown may leave the range of a table, which goes on with the slope at its end. An answer that
rests on that is none of the problem. Input: a compiled problem, a solution, points. Output: sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol, features_of
from pinnsolve.language.tabulated import Tabulated
from pinnsolve.language.to_torch import Evaluator

BEYOND = 1e-3  # of the range of a table: less is no more than an error of the solution


def left_tables(problem: CompiledProblem, solution: Approximation, x: Tensor) -> Iterator[str]:
    """A sentence for each table that the solution leaves at points (N, d), where nothing is said of its outside."""
    told = set()
    atoms = {atom for term in problem.terms for r in term.residuals for atom in r.atoms(Tabulated)}
    for atom in sorted(atoms, key=str):
        asks = atom.table is not None and atom.table.outside == "error" and any(map(features_of, atom.args))
        if not asks or atom.table_name in told:
            continue
        beyond = atom.table.beyond(*(part.cpu().numpy() for part in _arguments(atom, problem, solution, x)))
        if beyond.max() > BEYOND:
            told.add(atom.table_name)
            ends = zip(atom.table.arguments, atom.table.lower, atom.table.upper, strict=True)
            listed = ", ".join(f"{name} from {low:g} to {high:g}" for name, low, high in ends)
            yield (
                f"the solution asks `{atom.table_name}` for values outside of its table ({listed}), where nothing is "
                "known of it; give more rows, or say what is `outside`"
            )


def _arguments(atom: Tabulated, problem: CompiledProblem, solution: Approximation, x: Tensor) -> list[Tensor]:
    """(N,) each: what a function of a table is asked for at the points."""
    evaluator = Evaluator(list(atom.args))
    values = {coordinate_symbol(name): x[:, i] for i, name in enumerate(problem.coordinates)}
    parameters = solution.state.parameters
    values |= {coordinate_symbol(p.name): parameters[i] for i, p in enumerate(problem.unknown_parameters)}
    values |= {s: torch.zeros_like(x[:, 0]) for s in evaluator.symbols if s not in values}  # of normals nothing depends
    features = [s for s in evaluator.symbols if isinstance(s, FeatureSymbol)]
    alphas = sorted({s.feature.alpha for s in features})
    found = solution.basis.combined(x, alphas, solution.state.coefficients)
    index = problem.unknowns.index
    values |= {s: found[s.feature.alpha][index(s.feature.unknown)] for s in features}
    return [torch.as_tensor(value).expand(len(x)) for value in evaluator(values)]
