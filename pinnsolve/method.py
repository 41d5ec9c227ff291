"""CompiledProblem -> Solution: picks the method, runs it, measures what came out.

`method: auto` takes refined least squares on default bases where the file leaves the basis open. Where that does not
reach the tolerance, it tries LSGD on a small ReLU basis for linear equations of first order (kinks), and marches in
time for nonlinear problems that evolve (layers). Where the file asks for a small basis, the hidden parameters move
(varpro, or lsgd for ReLU). The report says which it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from pinnsolve import defaults, extensions
from pinnsolve.adapt.context import Result, Work
from pinnsolve.adapt.forward import on_cells, on_given_cells
from pinnsolve.adapt.growing_width import fixed, refined
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.base import Basis
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.pou.pou_grid import read_settings
from pinnsolve.compiler.applicability import why_not_cells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.estimate.measured_errors import parameter_report, term_report, true_error
from pinnsolve.inverse.strategy import inverse_on_cells, is_inverse
from pinnsolve.problem.problem import Problem
from pinnsolve.results.solution import Solution
from pinnsolve.results.storage import plain
from pinnsolve.runtime import threads_for
from pinnsolve.solvers import LSGD, Clock
from pinnsolve.solvers.budget import INTERRUPTED
from pinnsolve.version import version

SMOOTH_OVERLAP = 0.25  # of windows that a file asks for without saying how far they overlap
NO_ROOM = (
    "the first cells of the materials take more memory or time than there is, and networks are smooth where "
    "coefficients jump; raise limits.memory_gb or limits.seconds, or state a smaller domain"
)
KINKED_WIDTHS = (32, 64)  # of ReLU bases that `auto` adapts where a first-order equation has no smooth solution


def solve_compiled(
    problem: Problem, compiled: CompiledProblem, progress: Callable[[dict], None] | None, start: Solution | None
) -> Solution:
    """See `pipeline.solve`."""
    work = _work(problem, compiled, progress)
    try:
        result = _run(problem, work, start)
    except KeyboardInterrupt:  # between two solves; inside one, the solver's loop keeps its best iterate
        if work.best is None:
            raise
        result = replace(work.best, status="interrupted", message=INTERRUPTED)
    return _solution(problem, work, result)


def _work(problem: Problem, compiled: CompiledProblem, progress) -> Work:
    settings = problem.settings
    device = settings.device
    if device == "cuda" and not torch.cuda.is_available():
        raise PinnsolveError("solve.device is `cuda`, and no CUDA device is available here; use `cpu`")
    kind = {"dtype": getattr(torch, settings.precision), "device": device}
    lower, upper = (torch.tensor([ends[i] for ends in compiled.intervals], **kind) for i in (0, 1))
    return Work(
        compiled,
        lower,
        upper,
        settings.seed,
        Clock(settings.limits.seconds),
        progress,
        settings.collocation,
        compiled.weights_at,
        settings.limits.memory_gb,
        compiled.undetermined_constants,
    )


# -- which method ---------------------------------------------------------------------------------------


def _run(problem: Problem, work: Work, start: Solution | None) -> Result:
    settings = problem.settings
    asked = settings.basis.settings() if settings.basis else {}
    method = settings.method
    grows = method in ("auto", "least_squares") and "width" not in asked and not _is_custom(asked)
    if start is None and method == "auto" and not asked and settings.collocation is None:
        result = _on_cells(problem, work)
        if result is not None:
            return result
    if start is None and grows:
        return _refined(problem, work, asked)
    if start is None and asked.get("kind") == "pou_grid":
        asked = {"overlap": 0.0 if _on_sharp_cells(work, method) else SMOOTH_OVERLAP, **asked}
        if not asked["overlap"]:
            return _given_cells(problem, work, asked)
    basis, first = _basis(problem, work, asked, start)
    solver = extensions.solver_class(method if method != "auto" else _method_for(basis)).from_settings(settings)
    return fixed(work, basis, solver, first, LSGD.first_phase(settings))


def _on_sharp_cells(work: Work, method: str) -> bool:
    """Whether a grid of partitions can be sharp: its continuity is then part of a sparse least squares."""
    plain = work.lower.dtype == torch.float64 and work.lower.device.type == "cpu" and work.problem.shape is None
    return (
        plain and method in ("auto", "least_squares") and why_not_cells(work.problem) is None and not is_inverse(work)
    )


def _given_cells(problem: Problem, work: Work, asked: dict) -> Result:
    """One least squares on the sharp partitions that the file asks for."""
    if not _on_sharp_cells(work, problem.settings.method):
        raise PinnsolveError(
            "sharp partitions are for equations on a box solved by least squares; give solve.basis an `overlap` above 0"
        )
    partitions, degrees, _ = read_settings(asked, work.dimension)
    work.why = "the partitions that the file asks for"
    return on_given_cells(work, partitions, degrees, problem.settings.tolerance)


def _refined(problem: Problem, work: Work, asked: dict) -> Result:
    """Growing bases; where they do not reach the tolerance and `auto` leaves the choice, kinks and layers are tried."""
    settings = problem.settings
    result = refined(work, settings.tolerance, asked, settings.limits.refinements)
    if _reached(result, settings.tolerance) or settings.method != "auto" or result.status != "finished" or asked:
        return result
    if work.problem.order <= 1 and work.problem.linear:
        result = _kinked(work, result, settings.tolerance)
    return result


def _on_cells(problem: Problem, work: Work) -> Result | None:
    """The path on cells, where the problem lets it and it reaches the tolerance or is not beaten by other bases."""
    settings = problem.settings
    reason = why_not_cells(work.problem)
    if settings.precision != "float64" or settings.device != "cpu":
        reason = "cells are solved on the processor in double precision"
    if reason is not None:
        work.why = f"a network, because {reason}"
        return None
    if is_inverse(work):
        result = inverse_on_cells(work, settings.tolerance, settings.limits.refinements, settings.starts)
        on_them = "polynomials on cells, because equations hold in the domain"
        work.why = on_them if result is not None else "a network, because polynomials on cells gave no result"
        return result
    result = on_cells(work, settings.tolerance, settings.limits.refinements)
    work.why = "polynomials on cells, because equations hold in the domain"
    if any(interface.kinks for interface in work.problem.interfaces):
        if result is None:
            raise ResourceError(NO_ROOM)
        return replace(result, status="finished" if result.status == "stalled" else result.status)
    if result is not None and (_reached(result, settings.tolerance) or result.status not in ("finished", "stalled")):
        return result
    other = _networks(problem, work, result)
    if result is not None and not (other.estimate and other.estimate.worst < result.estimate.worst):
        return replace(result, status="finished" if result.status == "stalled" else result.status)
    work.why = "a network, because polynomials on cells did not come as far"
    return other


def _networks(problem: Problem, work: Work, result: Result | None) -> Result:
    """Where cells did not reach the tolerance: kinks first, if the equation lets them travel, then growing bases."""
    settings = problem.settings
    if work.problem.order <= 1 and work.problem.linear and not work.regression:
        kinked = _kinked(work, result, settings.tolerance)
        if _reached(kinked, settings.tolerance) or kinked.status not in ("finished", "stalled"):
            return kinked
    return _refined(problem, work, {})


def _reached(result: Result, tolerance: float) -> bool:
    return result.estimate is not None and result.estimate.worst <= tolerance


def _kinked(work: Work, best: Result | None, tolerance: float) -> Result:
    """LSGD on a few ReLU functions: a kink travels along characteristics, and they may hold all of it."""
    for width in KINKED_WIDTHS:
        other = fixed(work, work.basis({"kind": "mlp", "width": width, "activation": "relu"}), LSGD())
        if best is None or (other.estimate is not None and other.estimate.worst < best.estimate.worst):
            best = work.best = other
        if other.status != "finished":
            return replace(best, status=other.status, message=other.message)
        if _reached(best, tolerance):
            break
    return best


def _is_custom(asked: dict) -> bool:
    return asked.get("kind", "mlp") not in extensions.NETWORKS


def _basis(problem: Problem, work: Work, asked: dict, start: Solution | None) -> tuple[Basis, Approximation | None]:
    if start is not None:
        first = _going_on(work, start)
        return first.basis, first
    settings = {"kind": "mlp", **asked}
    if settings["kind"] == "pou_resnet":
        settings.setdefault("activation", "tanh" if work.problem.order > 1 else "relu")
    if settings["kind"] in extensions.PARTITIONED and settings.get("scale") == "auto":
        settings["scale"] = 1.0
    if not _is_custom(asked):
        smooth = work.problem.order > 1
        settings.setdefault("activation", "tanh" if smooth else "relu")
        settings.setdefault("width", defaults.FIXED_WIDTH.get(settings["activation"], defaults.DEFAULT_FIXED_WIDTH))
        if settings.get("scale") in (None, "auto"):
            settings["scale"] = 1.0
    return work.basis(settings), None


def _going_on(work: Work, start: Solution) -> Approximation:
    """A solution to start from, in the precision and on the device of this solve."""
    problem, basis, like = work.problem, start.basis, work.lower
    if (start.unknowns, start.coordinates) != (problem.unknowns, problem.coordinates):
        theirs, ours = (f"{', '.join(p.unknowns)} of {', '.join(p.coordinates)}" for p in (start, problem))
        raise PinnsolveError(
            f"a solve of {ours} cannot start from a solution for {theirs}: give one of the same problem"
        )
    if basis.lower.dtype != like.dtype or basis.lower.device != like.device:
        hidden = {name: value.to(like) for name, value in basis.hidden.items()}
        basis = basis.restore(basis.settings(), hidden, basis.lower.to(like), basis.upper.to(like))
    values = [start.parameters.get(p.name, {}).get("value", p.guess) for p in problem.unknown_parameters]
    return Approximation(basis, State(start.coefficients.to(like), like.new_tensor(values)))


def _method_for(basis: Basis) -> str:
    if basis.width > defaults.MOVING_WIDTH or not basis.hidden:
        return "least_squares"
    return "varpro" if basis.smoothness > 1 else "lsgd"


# -- what came out --------------------------------------------------------------------------------------


def _solution(problem: Problem, work: Work, result: Result) -> Solution:
    approximation = result.approximation
    with torch.no_grad(), threads_for(approximation.state.coefficients.numel()):
        work.term_weights = dict(result.term_weights or work.term_weights)
        terms, diagnostics = term_report(work.check_assembly(defaults.CHECK_POINTS, 2), approximation, result.points)
        measured = true_error(problem, approximation, work.check_points(), work.floating)
        found = dict(result.inverse or {})
        if result.assembly:
            found["parameters"] = parameter_report(result.assembly, approximation)
    status, message = _status(problem, result, terms)
    if _misses_kinks(work.problem, approximation.basis):
        message += "; this basis knows nothing of what holds where coefficients jump, so fluxes are wrong there"
    report = {
        "problem": problem.name,
        "status": status,
        "message": message,
        **({"relative_l2_error": measured[0], "reference": measured[1]} if measured else {}),
        "estimated_error": dict(result.estimate.relative) if result.estimate else None,
        **({"effectivity": _effectivity(result.estimate, measured)} if measured and result.estimate else {}),
        "tolerance": problem.settings.tolerance,
        "wall_time_s": work.clock.seconds(),
        "unknown_coefficients": approximation.state.coefficients.numel(),
        "terms": terms,
        "parameters": found.pop("parameters", {}),
        **found,
        "method": result.method,
        "basis": approximation.basis.describe(),
        **({"why": work.why} if work.why else {}),
        "seed": problem.settings.seed,
        "version": version(),
        "cite": list(problem.spec.cite),
    }
    report = plain(report)  # numbers that JSON cannot say are None here, too
    return Solution(
        name=problem.name,
        coordinates=problem.coordinates,
        intervals=problem.intervals,
        time=problem.time,
        unknowns=problem.unknowns,
        basis=approximation.basis,
        coefficients=approximation.state.coefficients,
        parameters=report["parameters"],
        result=report,
        history=tuple(work.history),
        problem_text=problem.spec.to_yaml(),
        diagnostics=diagnostics,
        shape=problem.shape,
        deviations=result.deviations,
    )


def _misses_kinks(problem: CompiledProblem, basis: Basis) -> bool:
    """Whether solutions have kinks between materials, and the basis has no cells of each."""
    has_cells = isinstance(basis, PouCells) and basis.space.cells.parts is not None
    return not has_cells and any(interface.kinks for interface in problem.interfaces)


def _effectivity(estimate: Estimate, measured: tuple) -> dict[str, float | None]:
    """Estimated over true error, per unknown whose truth is known."""
    return {name: estimate.relative[name] / error if error > 0 else None for name, error in measured[0].items()}


def _status(problem: Problem, result: Result, terms: dict) -> tuple[str, str]:
    """The status word and a sentence with the next step."""
    if result.status != "finished":
        return result.status, result.message
    tolerance = problem.settings.tolerance
    estimate: Estimate | None = result.estimate
    if estimate is None or not math.isfinite(estimate.worst):
        return "diverged", "no usable solution was found; check the problem's conditions and coefficients"
    if estimate.worst <= tolerance:
        return "converged", f"the estimated error {estimate.worst:.1e} meets the tolerance {tolerance:g}"
    if (result.inverse or {}).get("limited_by") == "noise":
        return "tolerance_not_reached", (
            f"the estimated error {estimate.worst:.1e} is above the tolerance {tolerance:g} because of noise in "
            f"the data; "
            "finer cells would not help, only more or better data, or a larger solve.tolerance"
        )
    if result.message:  # what ended the refinement
        return "tolerance_not_reached", (
            f"the estimated error {estimate.worst:.1e} is above the tolerance {tolerance:g}: {result.message}"
        )
    largest = max(terms, key=lambda name: terms[name]["rms_residual"])
    return "tolerance_not_reached", (
        f"the estimated error {estimate.worst:.1e} is above the tolerance {tolerance:g}; the largest residual is that "
        f"of `{largest}`. See whether a warning names a cause (a corner, a missing condition); else loosen "
        "solve.tolerance, or try another solve.basis and more solve.collocation points"
    )
