"""Unknowns without a derivative in time that integrals determine: drives and pressures."""

from __future__ import annotations

import pinnsolve as ps
from pinnsolve.adapt.context import Result
from pinnsolve.adapt.instant_unknowns import said
from pinnsolve.estimate.defect_correction import Estimate
from pinnsolve.problem.build import build_problem
from pinnsolve.solvers.follow import Outcome
from pinnsolve.spec.spec import spec_from_dict

CHANNEL = {
    "name": "channel",
    "coordinates": {"t": [0, 1], "y": [0, 1]},
    "time": "t",
    "unknowns": ["u", "g"],
    "equations": {"momentum": "D(u, t) = D(u, y, y) + g + 12*t*y*(1 - y)", "uniform": "D(g, y) = 0"},
    "conditions": {
        "start": {"on": "t = 0", "equation": "u = 6*y*(1 - y)"},
        "walls": {"on": ["y = 0", "y = 1"], "equation": "u = 0"},
        "flow": {"on": "domain", "mean": "u", "equals": "1 + t**2"},
    },
    "exact": {"u": "6*y*(1 - y)*(1 + t**2)", "g": "12*(1 + t**2)"},
    "solve": {"tolerance": 1e-5},
}


def test_the_drive_of_a_flow_rate_in_time():
    solution = ps.solve(build_problem(spec_from_dict(CHANNEL)))
    assert solution.result["status"] == "converged"
    assert max(solution.result["relative_l2_error"].values()) < 1e-5


def test_what_is_rough_at_the_start_is_said():
    """A march that counted u alone: the outcome has the error of g, and says why it is above the tolerance."""
    estimate = Estimate({"u": 1e-6, "g": 1e-2}, {}, 0.0, counts={"u": 1.0, "g": 0.0})
    found = said(Outcome(Result(None, estimate, "march", {}, {})), ["g"], 1e-4)
    assert found.status == "stalled"
    assert found.best.worst == 1e-2
    assert "`g`, without a derivative in time, is not smooth" in found.message
    assert "`tolerance: {u: 0.0001}`" in found.message
    assert said(Outcome(Result(None, estimate, "march", {}, {})), ["g"], 1e-8) is None
