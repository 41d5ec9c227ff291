"""How far a solution is from the values that conditions hold, at points that no solve has used.

In many coordinates nearly all of the volume lies near the boundary, so what is missed there is an error of the whole,
whatever a richer basis would change of it.
"""

from __future__ import annotations

import torch

from pinnsolve.assembly.rows import Assembly
from pinnsolve.estimate.defect_correction import Approximation


def missed_values(check: Assembly, solution: Approximation) -> dict[str, float]:
    """By unknown, the largest root mean square of what a linear condition on its value alone is missed by, relative to
    the root mean square of the unknown at all points."""
    residuals = check.unscaled_residuals(solution.basis, solution.state)
    everywhere = torch.cat([rows.points.x[0] for rows in check.terms if rows.points.count])
    size = solution.values(everywhere).square().mean(dim=1).sqrt()
    found: dict[str, float] = {}
    for rows in check.terms:
        if rows.term.kind != "condition" or not rows.points.count:
            continue
        for residual, linearization in zip(residuals[rows.term.name], rows.term.linearizations, strict=True):
            held = linearization.held_value
            if held is not None:
                unknown, factor = held
                norm = float(size[check.problem.unknowns.index(unknown)])
                missed = float(residual.square().mean().sqrt()) / abs(float(factor))
                found[unknown] = max(found.get(unknown, 0.0), min(missed / norm, 1.0) if norm > 0 else 0.0)
    return found
