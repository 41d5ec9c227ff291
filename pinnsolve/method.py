"""CompiledProblem -> Solution: picks the method, runs it, measures what came out.

`method: auto` takes refined least squares on default bases where the file leaves the basis open. Where that does not
reach the tolerance, it tries LSGD on a small ReLU basis for linear equations of first order (kinks), and marches in
time for nonlinear problems that evolve (layers). Where the file asks for a small basis, the hidden parameters move
(varpro, or lsgd for ReLU). The report says which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from pinnsolve import defaults, extensions
from pinnsolve.adapt.basis_slabs import SlabTuning, basis_marches, can_march_with
from pinnsolve.adapt.context import Result, SolveContext, least_error
from pinnsolve.adapt.devices import PROCESSOR, device_for, moved, solved_there, why_not_on_card
from pinnsolve.adapt.few_coordinates import NETWORK_AXES, FewCoordinates, has_many_coordinates, with_usual_points
from pinnsolve.adapt.forward import on_cells
from pinnsolve.adapt.growing_width import Networks, Successors, fixed, refined
from pinnsolve.adapt.named_tolerances import counted
from pinnsolve.adapt.near_guess import is_sought, near_guess
from pinnsolve.adapt.rough_start import rough_start
from pinnsolve.adapt.time_marching import can_march
from pinnsolve.adapt.whole_levels import on_given_cells
from pinnsolve.bases.base import Basis
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.pou.pou_grid import read_settings
from pinnsolve.bases.time_slabs import TimeSlabs
from pinnsolve.compiler.applicability import comes_on_cells, why_not_cells, why_not_double
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import PinnsolveError, ResourceError
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.files.data_files import digests
from pinnsolve.problem.build import with_settings
from pinnsolve.problem.checks.neumann import says_no_solution
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.rough_functions import rough_function
from pinnsolve.processes.communicator import ALONE, Communicator
from pinnsolve.results.going_on import approximation_of, known_result, solves, start_on_cells
from pinnsolve.results.of_outcome import solution_of
from pinnsolve.results.solution import Solution
from pinnsolve.results.stated_guess import stated_guess
from pinnsolve.solvers import LSGD, Clock, Outcome
from pinnsolve.solvers.budget import NO_ANSWER
from pinnsolve.solvers.follow import follow
from pinnsolve.solvers.journal import NOTHING, Journal
from pinnsolve.threads import one_thread_each

SMOOTH_OVERLAP = 0.25  # of windows that a file asks for without saying how far they overlap
NO_ROOM = (
    "the first cells of the materials take more memory or time than there is, and networks are smooth where "
    "coefficients jump; raise limits.memory_gb or limits.seconds, or state a smaller domain"
)
MANY_COORDINATES = (
    f"in more than {NETWORK_AXES} coordinates solutions are sums of functions of few of them, which hold equations "
    "up to order two without operators of your own; introduce an unknown for a second derivative, or ask for another "
    "`basis`"
)
ON_CELLS = "polynomials on cells, because equations hold in the domain"
KINKED_WIDTHS = (32, 64)  # of ReLU bases that `auto` adapts where a first-order equation has no smooth solution


def solve_compiled(
    problem: Problem,
    compiled: CompiledProblem,
    progress: Callable[[dict], None] | None,
    start: Solution | None,
    journal: Journal = NOTHING,
    among: Communicator = ALONE,
) -> Solution:
    """See `pipeline.solve`."""
    context = replace(solve_context(problem, compiled, progress, among), journal=journal)
    aimed = problem
    if problem.settings.tolerance < defaults.LEAST_TOLERANCE:  # no refinement gets there
        aimed = with_settings(problem, {"tolerance": defaults.LEAST_TOLERANCE})
    with one_thread_each():
        outcome = follow(_results_from(aimed, context, start), context.clock, least_error)
        if outcome.best is None:
            if outcome.status == "time_limit":
                raise PinnsolveError(NO_ANSWER.format(limit=context.clock.limit))
            outcome.raised(outcome.status)
        try:
            return solution_of(problem, context, outcome)
        except KeyboardInterrupt:  # when all was done: what was found is not to be lost
            return solution_of(problem, context, outcome)


def solve_context(
    problem: Problem, compiled: CompiledProblem, progress: Callable[[dict], None] | None, among: Communicator = ALONE
) -> SolveContext:
    """What all parts of the solve share, by the settings of the problem."""
    settings = problem.settings
    basis = settings.basis.settings() if settings.basis else {}
    cells = comes_on_cells(settings, compiled)
    device = device_for(settings.device, compiled, cells, basis.get("width") or defaults.DEFAULT_FIXED_WIDTH)
    kind = {"dtype": getattr(torch, settings.precision), "device": PROCESSOR if cells else device}
    lower, upper = (torch.tensor([ends[i] for ends in compiled.intervals], **kind) for i in (0, 1))
    return SolveContext(
        compiled,
        lower,
        upper,
        settings.seed,
        Clock(settings.limits.seconds, among),
        progress,
        settings.collocation,
        compiled.weights_at,
        settings.limits.memory_gb,
        guess=None if compiled.linear else stated_guess(problem),
        cells_on=device if cells else None,
    )


# -- which method ---------------------------------------------------------------------------------------


def _results_from(problem: Problem, context: SolveContext, start: Solution | None) -> Iterator[Result | Outcome]:
    """The solution to start from, where it is one of the same problem, and better ones than that."""
    if start is None or context.problem.state_functions:  # whose splines are of the range that a solve has visited
        yield from _results(problem, context, None)
        return
    first, taken_up = approximation_of(context, start), context.journal.replays
    if solves(start, problem.spec.to_yaml(), digests(problem.files())):
        known = known_result(start, first, [warning.message for warning in problem.warnings])
        if not known.meets(problem.settings.tolerance):
            yield known
        elif start.result.get("status") == "converged":  # else something but its error spoke against it
            yield known
            context.history.extend(start.history)
            return
    # slabs and cells hang together by rows that the solvers of networks do not have
    apart = isinstance(start.basis, (PouCells, TimeSlabs))
    if taken_up:
        yield from _results(problem, context, None)
    else:
        yield from _results(problem, context, None if apart else start, start if apart else None)


def _results(
    problem: Problem, context: SolveContext, start: Solution | None, cells: Solution | None = None
) -> Iterator[Result | Outcome]:
    """What the method gives, better and better, and how it ends; from a `start`, or from one on `cells`."""
    settings = problem.settings
    asked = settings.basis.settings() if settings.basis else {}
    method = settings.method
    if context.problem.integrals:
        _refuse_integrals(problem, context)
    if context.problem.candidates or context.problem.state_functions:
        _refuse_discovery(problem, context)
    if context.problem.eigenvalues is not None:
        return _eigenvalues(problem, context)
    if start is None and method == "auto" and not asked and settings.collocation is None:
        return _by_choice(problem, context, cells)
    if start is None and method in ("auto", "least_squares") and asked.get("kind") == "interactions":
        return _of_few_coordinates(problem, context, {k: v for k, v in asked.items() if k != "kind"})
    if start is None and method in ("auto", "least_squares") and "width" not in asked and not _is_custom(asked):
        return _refined(problem, context, asked)
    if start is None and asked.get("kind") == "pou_grid":
        asked = {"overlap": 0.0 if _on_sharp_cells(context, method) else SMOOTH_OVERLAP, **asked}
        if not asked["overlap"]:
            return _given_cells(problem, context, asked)
    if start is None and method == "auto" and "width" not in asked and _grows(context, asked):
        return _registered(problem, context, asked)
    basis, first = _basis(problem, context, asked, start)
    if first is None and method != "gd":  # the baseline starts from nothing
        context = replace(context, guess=rough_start(context) or context.guess)
    solver = extensions.solver_class(method if method != "auto" else _method_for(basis)).from_settings(settings)
    return fixed(context, basis, solver, first, LSGD.first_phase(settings))


def _why_not_plain_cells(problem: Problem, context: SolveContext) -> str | None:
    """The reason, in words, why cells are not the way or not the one that the file asks for; None for none."""
    settings = problem.settings
    if settings.method not in ("auto", "least_squares") or settings.basis is not None or settings.collocation:
        return "the file asks for another method, basis or points; leave these out"
    return why_not_double(settings) or why_not_cells(context.problem)


def _refuse_integrals(problem: Problem, context: SolveContext) -> None:
    """Raises PinnsolveError where a problem with integrals is not one for cells."""
    reason = _why_not_plain_cells(problem, context)
    if context.measured:
        reason = "there are data"
    if context.problem.unknown_parameters and can_march(context.problem) is not None:
        reason = "there are unknown parameters in a problem that evolves"
    if context.problem.eigenvalues is not None:
        reason = "there are eigenvalues to find"
    if context.problem.homes:
        reason = "some unknowns live in one region"
    if reason is not None:
        raise PinnsolveError(
            f"equations and conditions with integrals are solved by polynomials on cells, and {reason}"
        )


def _refuse_discovery(problem: Problem, context: SolveContext) -> None:
    """Raises PinnsolveError where terms or functions are to be found of a problem that is not one for cells."""
    reason = _why_not_plain_cells(problem, context)
    if context.problem.integrals:
        reason = "there are integrals in equations or conditions"
    if context.problem.materials:
        reason = "coefficients jump between parts of the domain"
    if reason is not None:
        what = "terms" if context.problem.candidates else "functions of the state"
        raise PinnsolveError(f"{what} are found from data by polynomials on cells, and {reason}")


def _eigenvalues(problem: Problem, context: SolveContext) -> Iterator[Result | Outcome]:
    """Eigenvalues, which are found on cells alone."""
    reason = why_not_double(problem.settings) or why_not_cells(replace(context.problem, unknown_parameters=()))
    if reason is not None:
        raise PinnsolveError(f"eigenvalues are found by polynomials on cells, and {reason}")
    from pinnsolve.eigen.eigenvalues import eigenvalues_on_cells  # as below, for the problems that need it

    tolerance, most = problem.settings.tolerance, problem.settings.limits.refinements
    outcome = solved_there(context, lambda there: eigenvalues_on_cells(there, tolerance, most))
    if outcome.best is None:
        outcome.raised("interrupted", "no_memory", "time_limit")
        raise PinnsolveError(f"no eigenvalue was found: {outcome.message or outcome.event}")
    yield from _passed_on(outcome, ON_CELLS)


def _on_sharp_cells(context: SolveContext, method: str) -> bool:
    """Whether a grid of partitions can be sharp: its continuity is then part of a sparse least squares."""
    box = context.lower.dtype == torch.float64 and context.problem.shape is None
    sought = box and method in ("auto", "least_squares") and not context.is_inverse
    return sought and why_not_cells(context.problem) is None


def _given_cells(problem: Problem, context: SolveContext, asked: dict) -> Iterator[Result | Outcome]:
    """One least squares on the sharp partitions that the file asks for."""
    if not _on_sharp_cells(context, problem.settings.method):
        raise PinnsolveError(
            "sharp partitions are for equations on a box solved by least squares; give solve.basis an `overlap` above 0"
        )
    partitions, degrees, _ = read_settings(asked, context.dimension)
    tolerance = problem.settings.tolerance
    outcome = solved_there(context, lambda there: on_given_cells(there, partitions, degrees, tolerance))
    yield from _passed_on(outcome, "the partitions that the file asks for")


def _passed_on(outcome: Outcome[Result], why: str = "") -> Iterator[Result | Outcome]:
    """The best result of one way, found by it for that reason, and how the way ended."""
    if outcome.best is not None:
        yield replace(outcome.best, why=why)
    yield replace(outcome, best=None)


def _by_choice(problem: Problem, context: SolveContext, start: Solution | None) -> Iterator[Result | Outcome]:
    """Cells, where the problem lets them; and where they do not reach the tolerance, other bases that may do better.

    The refinement begins with those of `start`, if there are any.
    """
    settings = problem.settings
    reason = why_not_double(settings) or why_not_cells(context.problem)
    if reason is not None:
        if is_sought(context.problem):
            networks = near_guess(context, settings.tolerance, settings.limits.refinements)
        elif has_many_coordinates(context.problem):
            sums = _best(problem, context, _of_few_coordinates(problem, context, {}))
            yield from _passed_on(sums, f"sums of functions of few coordinates, because {reason}")
            return
        elif len(context.problem.coordinates) > NETWORK_AXES:
            raise PinnsolveError(MANY_COORDINATES)
        else:
            networks = _best(problem, context, _refined(problem, context, {}))
        yield from _passed_on(networks, f"a network, because {reason}")
        return
    rough = rough_function(problem)
    if rough is not None:
        from pinnsolve.inverse.strategy import layers_on_cells

        tolerance, most = settings.tolerance, settings.limits.refinements
        cells = solved_there(context, lambda there: layers_on_cells(problem, rough, there, tolerance, most))
    elif context.is_inverse and not context.problem.integrals:
        from pinnsolve.inverse.strategy import inverse_on_cells

        tolerance, most = settings.tolerance, settings.limits.refinements
        cells = solved_there(context, lambda there: inverse_on_cells(there, tolerance, most, settings.starts))
    else:
        hopeless = says_no_solution(warning.message for warning in problem.warnings)
        most = 0 if hopeless else settings.limits.refinements

        def solve(there: SolveContext) -> Outcome[Result]:
            begun = None if start is None else moved(start_on_cells(there, start), there.lower.device)
            return on_cells(there, settings.tolerance, most, begun)

        cells = solved_there(context, solve)
    if cells.best is None:
        cells.raised("interrupted", "time_limit")
    why = ON_CELLS
    if settings.device == "cuda" and (kept := why_not_on_card(context.problem)) is not None:
        why = f"{ON_CELLS}, and by the processor, because {kept}"
    if _is_settled(problem, context, cells):
        yield from _passed_on(cells, why)
        return
    networks = _best(problem, context, _networks(problem, context, cells.best))
    if cells.best is not None and not (networks.best and networks.best.worst < cells.best.worst):
        yield from _passed_on(cells, why)
    elif cells.best is not None:
        yield from _passed_on(networks, "a network, because polynomials on cells did not come as far")
    else:
        yield from _passed_on(
            networks, f"a network, because there is no solution on cells ({cells.event or cells.message})"
        )


def _is_settled(problem: Problem, context: SolveContext, cells: Outcome[Result]) -> bool:
    """Whether nothing but cells will do, or needs to be tried. Raises ResourceError where they fail then."""
    if context.problem.candidates or context.problem.state_functions or rough_function(problem) is not None:
        if cells.best is None:
            if cells.status == "time_limit":
                raise PinnsolveError("the time limit ended the search for terms or functions; raise limits.seconds")
            raise PinnsolveError(cells.message or f"nothing was found ({cells.event})")
        return True
    if context.problem.integrals or context.problem.exactly:
        if cells.best is None:
            raise PinnsolveError(cells.message or f"there is no solution on cells ({cells.event})")
        return True
    if any(interface.kinks for interface in context.problem.interfaces):
        if cells.best is None:
            raise ResourceError(NO_ROOM)
        return True
    if cells.status == "broken":  # other functions have no smooth solution to find, either
        if cells.best is None:
            raise PinnsolveError(cells.message)
        return True
    hopeless = says_no_solution(warning.message for warning in problem.warnings)
    # networks take more memory than cells for as many digits
    full = cells.status == "no_memory" and context.memory_gb is not None
    met = cells.best is not None and cells.best.meets(problem.settings.tolerance)
    return cells.best is not None and (met or cells.ends_all or context.is_inverse or full or bool(hopeless))


def _best(problem: Problem, context: SolveContext, results: Iterator[Result | Outcome]) -> Outcome[Result]:
    """The best of the results, until one meets the tolerance."""
    tolerance = problem.settings.tolerance
    results = (one if isinstance(one, Outcome) else counted(context.problem, one) for one in results)
    return follow(results, context.clock, least_error, lambda result: result.meets(tolerance))


def _refined(problem: Problem, context: SolveContext, asked: dict) -> Iterator[Result | Outcome]:
    """Growing bases; where they do not reach the tolerance and `auto` leaves the choice, kinks are tried."""
    settings = problem.settings
    family = Networks(context, asked, settings.limits.refinements)
    grown = _best(problem, context, refined(context, settings.tolerance, family))
    kinks = context.problem.order <= 1 and context.problem.linear and settings.method == "auto" and not asked
    if grown.best is not None and kinks and grown.status == "finished" and not grown.best.meets(settings.tolerance):
        yield grown.best
        yield from _passed_on(_best(problem, context, _kinked(context)))
    else:
        yield from _passed_on(grown)


def _of_few_coordinates(problem: Problem, context: SolveContext, asked: dict) -> Iterator[Result | Outcome]:
    """Sums of functions of few coordinates, whose structure is found and whose degree grows."""
    context = with_usual_points(context)
    family = FewCoordinates(context, asked, problem.settings.limits.refinements)
    return refined(context, problem.settings.tolerance, family)


def _networks(problem: Problem, context: SolveContext, cells: Result | None) -> Iterator[Result | Outcome]:
    """Where cells did not reach the tolerance: kinks first, if the equation lets them travel, then growing bases.

    What a march reached, until whatever time, is not given up for random functions on all of space and time.
    """
    if context.problem.order <= 1 and context.problem.linear and not context.is_inverse:
        kinked = _best(problem, context, _kinked(context))
        if kinked.status != "finished" or kinked.best.meets(problem.settings.tolerance):
            yield from _passed_on(kinked)
            return
        yield kinked.best
    if cells is None or can_march(context.problem) is None:
        yield from _refined(problem, context, {})


def _grows(context: SolveContext, asked: dict) -> bool:
    """Whether the basis that the file asks for is from outside, and says what a finer one is."""
    outside = asked.get("kind", "mlp") not in extensions.BUILT_IN_BASES
    return outside and context.basis(asked).refined() is not None


def _registered(problem: Problem, context: SolveContext, asked: dict) -> Iterator[Result | Outcome]:
    """A basis from outside, refined; where one over the whole time does not do, in slabs of time."""
    settings, axis = problem.settings, can_march(context.problem)
    marches = axis is not None and can_march_with(context.problem)
    most = SlabTuning().most if marches else defaults.MOST_COLUMNS
    family = Successors(context, context.basis(asked), settings.limits.refinements, most)
    whole = _best(problem, context, refined(context, settings.tolerance, family))
    met = whole.best is not None and whole.best.meets(settings.tolerance)
    if met or not marches or whole.status not in ("finished", "diverged"):
        yield from _passed_on(whole)
        return
    if whole.best is not None:
        yield whole.best
    slabs = basis_marches(context, lambda inside: inside.basis(asked), axis, settings.tolerance)
    yield from _passed_on(_best(problem, context, slabs))


def _kinked(context: SolveContext) -> Iterator[Result | Outcome]:
    """LSGD on a few ReLU functions: a kink travels along characteristics, and they may hold all of it."""
    bases = [context.basis({"kind": "mlp", "width": width, "activation": "relu"}) for width in KINKED_WIDTHS]
    context = context.weighted(bases[0])
    for basis in bases:
        yield from fixed(context, basis, LSGD())


def _is_custom(asked: dict) -> bool:
    return asked.get("kind", "mlp") not in extensions.NETWORKS


def _basis(
    problem: Problem, context: SolveContext, asked: dict, start: Solution | None
) -> tuple[Basis, Approximation | None]:
    if start is not None:
        first = approximation_of(context, start)
        return first.basis, first
    settings = {"kind": "mlp", **asked}
    if settings["kind"] == "pou_resnet":
        settings.setdefault("activation", "tanh" if context.problem.order > 1 else "relu")
    if settings["kind"] in extensions.PARTITIONED and settings.get("scale") == "auto":
        settings["scale"] = 1.0
    if not _is_custom(asked):
        smooth = context.problem.order > 1
        settings.setdefault("activation", "tanh" if smooth else "relu")
        settings.setdefault("width", defaults.FIXED_WIDTH.get(settings["activation"], defaults.DEFAULT_FIXED_WIDTH))
        if settings.get("scale") in (None, "auto"):
            settings["scale"] = 1.0
    return context.basis(settings), None


def _method_for(basis: Basis) -> str:
    if basis.width > defaults.MOVING_WIDTH or not basis.hidden:
        return "least_squares"
    return "varpro" if basis.smoothness > 1 else "lsgd"
