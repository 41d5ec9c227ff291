"""Steps in time by collocation, one after another: their length, and when the space is refined.

Lengths are the whole time divided by powers of two, so that a few factorizations serve all steps. A step that misses
what is allowed is shortened where time is to blame; else the space gets more degrees where solutions are smooth, or
smaller cells, which hold what was reached exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_step import Blame, Moment, Step, Stepper, stages_of
from pinnsolve.adapt.recorded_steps import Steppers
from pinnsolve.adapt.simplified_newton import NotConverged
from pinnsolve.adapt.space_changes import on_space, with_merged_cells
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.row_source import RowSource, State
from pinnsolve.assembly.system import CellSystem, units
from pinnsolve.assembly.term_rows import table_orders, term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.enriched_space import blame, correct, decay_rates, enriched_space
from pinnsolve.solvers.gauss_newton import Iteration, gauss_newton
from pinnsolve.solvers.journal import NOTHING, Journal
from pinnsolve.solvers.memory import bytes_of_modes, refuse_beyond

AT_START, ACCURACY = 0.3, 0.01  # of a step's own error: what the start may be missed by; of the least squares
CONTRADICTS = 30.0  # times the error allowed: by what a start must miss the walls for kinks or layers to set out
CONSTRAINED = 1e4  # term weight of constraints beside what is stated of the start
STAYS = 0.3  # of what a start misses, that is no matter of the space: what is left of it in the richer space
PATIENCE = 4  # steps before less is allowed again
FIRST_HALVINGS, MOST_HALVINGS, AT_ONCE = 4, 20, 5  # of the time; at once, after one step
DOUBLED = 0.5  # of what is allowed may be the error that a step of twice the length is expected to have
SAVED = 12  # steps that those of twice the length must save to be worth their factorizations
SAVED_CHANGING = 3  # where factorizations are renewed anyway
REFUSED_AGAIN = 32  # steps before a length that was refused is tried again
MOST_DEGREE = {2: 24, 3: 12}
SMOOTH = 0.75  # factor by which coefficients fall per degree, from which on cells are split
MODERATE_DEGREE, VERY_SMOOTH = 9, 0.4  # from that degree on it is less, where linearizations are renewed; the highest
# where kinks travel, which need as many functions of any degree
LEAST_ABOVE = 5  # the order of the equations: degrees that splitting may leave
EVERYWHERE = 0.35  # share of cells to blame from which on all get more degrees
TO_BLAME = 0.3  # of the worst
TO_BLAME_CHANGING = 0.05  # where a new space costs no more than a new linearization, or fronts go everywhere: few
# refinements, of many cells
MOST_CELLS, MOST_REFINED = 1024, 40
MERGED = 0.1  # of the error inside a step, that merging cells before the next one may lose
LEAST_GROWN = 3.0  # times the coefficients, before a rate is known
MOST_COEFFICIENTS = 60_000  # of a space that is within reach of refinement before the first step
SETTLES = 0.2  # of the excess of space before: what a refinement may leave of it before the first step is taken
SETTLES_CHANGING = 0.9  # the same where slabs, which are linearized again and again, serve rarely
IN_TIME_TOO = 0.2  # of the excess of space: below it, what a correction says of time means little
IN_TIME_ALONE = 30.0  # times what space is to blame for: where no richer space would help
NOT_SHORTER = 0.5  # of the excess of time before: what a shorter step must get below
KEPT, KEPT_CHANGING = 3, 1  # lengths whose factorizations are kept


@dataclass
class March:
    """What was reached: the steps, and how it went, `status`: `finished`, `missed` where the error is beyond the
    tolerance already, `stalled`, or what interrupted it."""

    space: Space
    halvings: int = FIRST_HALVINGS
    steps: list[Step] = field(default_factory=list)
    status: str = "finished"

    def error(self) -> float:
        """The estimated relative error over the time so far."""
        return float(self.relative().max())

    def relative(self) -> Tensor:
        """(U,)"""
        dt = torch.tensor([s.dt for s in self.steps], dtype=torch.float64)[:, None]
        error = torch.sqrt((torch.stack([s.error for s in self.steps]) ** 2 * dt).sum(dim=0))
        size = torch.sqrt((torch.stack([s.size for s in self.steps]) ** 2 * dt).sum(dim=0))
        return error / units(size, error)

    @property
    def time(self) -> float:
        return self.steps[-1].time + self.steps[-1].dt


@dataclass
class _Progress:
    """Between two steps: `moment`, where the next one starts; `done` steps of the length now; `size` of the solution so
    far, (U,); `refined` how often since the last step; `refused`: by length, how many steps there were when it was;
    `longer`: whether the next step is the first of a new length that is expected to do; `excess`: of space with its
    coefficients, at first and when it was refined last; `shortened`: excess of time of a step that was shortened since
    the last one; `tightened`: how many steps there were when less was allowed; `ended`: the status, if any."""

    moment: Moment
    done: int = 0
    size: Tensor | None = None
    refined: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    longer: bool = False
    excess: list[tuple[float, int]] = field(default_factory=list)
    shortened: float | None = None
    tightened: int = 0
    ended: str | None = None


class Marcher:
    """Marches from the start to the end of the time, for the error to stay below a tolerance."""

    def __init__(
        self, stated: SpaceProblem, interval: tuple[float, float], weights: Mapping[str, float], aim: Aim,
        check: Callable[[], None], memory: float = math.inf, journal: Journal = NOTHING,
    ):  # fmt: skip
        self.stated, self.weights, self.aim, self.check = stated, weights, aim, check
        self.memory = memory  # bytes that may be taken
        self.low, self.high = interval
        self.orders = table_orders(stated.problem)
        self._kinks = False  # whether they travel from the start, whatever solutions look like in a cell at first
        self._stages = stages_of(stated, aim.inside)
        kept = KEPT_CHANGING if stated.changing else KEPT
        self._steppers = Steppers(self._make, journal, kept)

    @property
    def _order(self) -> int:
        """At which errors in a step fall with its length."""
        return self._stages + 1

    @property
    def whole(self) -> float:
        return self.high - self.low

    def run(self, march: March, watch: Callable[[March], str | None]) -> None:
        """Adds steps to the march; `watch(march)` is asked after every step, and ends it by answering a status."""
        first = march.space
        at = _Progress(self._begin(march))
        if self._contradicted(march.space, at.moment):
            if self.stated.levels == 2:  # shorter slabs and smaller cells at the walls serve better than stages
                at.ended = "stalled"
            else:  # kinks get anywhere
                self._kinks, march.space = True, first
                at.moment = self._begin(march)
        while at.ended is None:
            self._next(march, at, watch)
        march.status = at.ended

    def _next(self, march: March, at: _Progress, watch: Callable[[March], str | None]) -> None:
        """Takes a step, or changes what it was tried with."""
        dt, before = self.whole / 2**march.halvings, march.steps[-1] if march.steps else None
        time, accuracy = self.low + at.done * dt, ACCURACY * self.aim.inside
        try:
            step, found = self._steppers.step(march.space, dt, at.moment, time, accuracy, at.size, before)
        except NotConverged:
            self._shorten(march, at, 1)
            if march.halvings > MOST_HALVINGS:
                at.ended = "stalled"
            return
        in_time, in_space = self._excess(found)
        if max(in_time, in_space) <= 1.0:
            self._take(march, at, step)
            status = watch(march)
            if status is not None or at.done == 2**march.halvings:
                at.ended = status or "finished"
            else:
                self._prepare(march, at, (in_time, in_space))
        elif at.longer:  # not worth it after all
            at.longer = False
            self._shorten(march, at, 1)
        else:
            self._amend(march, at, step, found)

    def _shorten(self, march: March, at: _Progress, halvings: int) -> None:
        at.refused[march.halvings] = len(march.steps)
        march.halvings, at.done = march.halvings + halvings, at.done * 2**halvings

    def _amend(self, march: March, at: _Progress, step: Step, found: Blame) -> None:
        """A shorter step or a richer space, whichever is to blame for the error of a step."""
        in_time, in_space = self._excess(found)
        at.refined += 1
        if at.refined > MOST_REFINED or march.halvings > MOST_HALVINGS:
            at.ended = "stalled"
            return
        # a shorter step was no better: it is not time after all
        not_time = at.shortened is not None and in_time > NOT_SHORTER * at.shortened
        at.shortened = None
        alone = found.in_time > IN_TIME_ALONE * float(found.in_space.norm())
        if (alone or in_time > max(1.0, IN_TIME_TOO * in_space)) and not not_time:
            at.shortened = in_time
            self._shorten(march, at, min(max(math.ceil(math.log2(max(in_time, 1.0)) / self._order), 1), AT_ONCE))
            return
        old = march.space
        now = in_space, old.cells.count * old.functions
        rough = not march.steps and self._rough(at.excess, now)
        at.excess = [*at.excess[:1], now]
        if rough or not self._refined(march, found.in_space, in_space, step.values[-1]):
            at.ended = "stalled"
            return
        at.moment = _moved(at.moment, old, march.space) if march.steps else self._begin(march)

    def _take(self, march: March, at: _Progress, step: Step) -> None:
        march.steps.append(step)
        at.refined, at.done, at.moment, at.shortened = 0, at.done + 1, step.end, None
        at.size = step.size if at.size is None else torch.maximum(at.size, step.size)
        # what kinks have cost at the start is not had back by better steps
        if not self._kinks and len(march.steps) >= at.tightened + PATIENCE:
            relative = float((step.error / units(at.size, step.error)).max())
            aim = self.aim.after(relative, (march.time - self.low) / self.whole)
            if aim is not self.aim:
                self.aim, at.tightened = aim, len(march.steps)

    def _prepare(self, march: March, at: _Progress, excess: tuple[float, float]) -> None:
        """Longer steps and fewer cells for the next step, where the last one, with its excess of time and space, allows
        it."""
        in_time, in_space = excess
        step, changing = march.steps[-1], bool(self.stated.changing)
        at.longer = self._longer(march, at.done, in_time, at.refused)
        at.longer &= not changing or in_space < DOUBLED  # rows count otherwise in longer steps
        if at.longer:
            march.halvings, at.done = march.halvings - 1, at.done // 2
        if changing and in_space < DOUBLED:
            old, unit = march.space, units(step.size, step.error)
            march.space = with_merged_cells(old, step.values[-1], unit, MERGED * self.aim.inside)
            if march.space is not old:
                at.moment = _moved(at.moment, old, march.space)

    def _rough(self, before: Sequence[tuple[float, int]], now: tuple[float, int]) -> bool:
        """Whether refinement takes so little of the excess of space, given with its coefficients, that slabs do better.

        They do no better with kinks that travel: there what is needed must be within reach.
        """
        if not before:
            return False
        if self.stated.levels == 2:
            return now[0] > (SETTLES_CHANGING if self.stated.changing else SETTLES) * before[-1][0]
        excess, coefficients = before[0]
        if now[1] < LEAST_GROWN * coefficients:
            return False
        rate = math.log(excess / now[0]) / math.log(now[1] / coefficients)
        return rate <= 0 or math.log(now[1]) + math.log(max(now[0], 1.0)) / rate > math.log(MOST_COEFFICIENTS)

    def _excess(self, found: Blame) -> tuple[float, float]:
        """What time and space are to blame for, relative to what is allowed."""
        inside, end = self.aim.inside, found.at_end / self.aim.at_end
        in_time, in_space = found.in_time / inside, float(found.in_space.norm()) / inside
        return (max(in_time, end), in_space) if in_time > in_space else (in_time, max(in_space, end))

    def _longer(self, march: March, done: int, in_time: float, refused: dict[int, int]) -> bool:
        """Whether steps of twice the length are expected to do, and to be worth it."""
        saved = SAVED_CHANGING if self.stated.changing else SAVED
        if done % 2 or march.halvings == 0 or (2**march.halvings - done) / 2 < saved:
            return False
        last = refused.get(march.halvings - 1)
        if last is not None and len(march.steps) - last < REFUSED_AGAIN:
            return False
        return in_time * 2.0**self._order < DOUBLED

    def _make(self, space: Space, dt: float) -> Stepper:
        self._check_memory(space)
        return Stepper(self.stated, space, self.weights, dt, self._stages, self.check)

    def _check_memory(self, space: Space) -> None:
        """Raises ResourceError where one more stepper, beside those that are kept, does not fit."""
        problem, fine = self.stated.problem, enriched_space(space)
        sources = [
            *term_rows(problem, fine, self.weights),
            *continuity_rows(fine, problem.coordinates, self.stated.continuous),
        ]
        system = CellSystem(fine, sources, len(self.stated.evolving), True, self.check)
        modes = 0 if self.stated.shares_factors else self._stages // 2 + 1
        needed = (len(self._steppers) + 1) * bytes_of_modes(system, self.stated.levels, modes)
        refuse_beyond(self.memory, needed, system.coefficients)

    # -- space --------------------------------------------------------------------------------------------------------

    def _begin(self, march: March) -> Moment:
        """The start, on a space that holds what the conditions there say."""
        levels = self.stated.levels
        state = State(None, torch.tensor([self.low, 1.0 / self.whole], dtype=torch.float64))
        while True:
            self.check()
            space, fine = march.space, enriched_space(march.space)
            systems = []
            for one in (space, fine):
                sources = [source.scaled_at(state) for source in self._start_rows(one)]
                systems.append(CellSystem(one, sources, levels * len(self.stated.evolving), True, self.check))
            zero = State(systems[0].zero(), state.parameters)
            c = gauss_newton(systems[0], zero, Iteration(1e-13)).state.coefficients
            found = correct(systems[1], State(space.widened(c, fine), state.parameters))
            unit = fine.rms(found.c).clamp_min(1e-12 * float(fine.rms(found.c).max()) + 1e-300)
            delta = found.enlargement * found.delta
            excess = float((fine.rms(delta) / unit).max()) / (AT_START * self.aim.inside)
            if excess > 1.0:
                share = (fine.cells.volume / fine.cells.volume.sum())[:, None]
                parts = torch.sqrt(blame(delta / unit[:, None], fine, space.degrees) * share)
                if self._refined(march, parts, excess, c):
                    continue
            # unknowns stand for derivatives in time in units of the whole of it
            per = [(k, self.whole**-k) for k in range(max(levels - 1, 1))]
            return Moment(
                *(torch.stack([unit * t.unflatten(1, (levels, -1))[:, k] for k, unit in per]) for t in (c, delta))
            )

    def _start_rows(self, space: Space) -> list[RowSource]:
        """What is stated of the start, with the constraints that it must meet for pressures to be of any size."""
        stated = self.stated
        rows: list[RowSource] = [*term_rows(stated.start, space, self.weights)]
        if stated.constraints:
            bound = replace(stated.problem, terms=stated.constraints)
            weights = {t.name: CONSTRAINED * self.weights.get(t.name, 1.0) for t in stated.constraints}
            evolves = [*stated.evolving, *(0 for _ in stated.continuous[len(stated.evolving) :])]
            orders = [order if k else (0,) * len(order) for order, k in zip(stated.continuous, evolves, strict=True)]
            rows += [*term_rows(bound, space, weights), *continuity_rows(space, bound.coordinates, orders)]
        return rows

    def _contradicted(self, space: Space, start: Moment) -> bool:
        """Whether the start misses the conditions that hold at all times, by more than the space does not hold."""
        problem, fine = self.stated.problem, enriched_space(space)
        at_all_times = tuple(term for term in problem.terms if term.kind != "equation")
        if self.stated.constraints:  # of which the start may be a compromise
            at_all_times = (*self.stated.constraints, *self.stated.start.terms)
        conditions = replace(problem, terms=at_all_times)
        wide = torch.stack([space.widened(one, fine) for one in start.c]) + start.e
        allowed = CONTRADICTS * self.aim.inside * float(space.rms(start.c[0]).max())
        missed = self._missed(conditions, space, start.c)
        return missed > allowed and self._missed(conditions, fine, wide) > max(allowed, STAYS * missed)

    def _missed(self, conditions: CompiledProblem, space: Space, start: Tensor) -> float:
        """The root of the loss of conditions at the start (L, C, U, n)."""
        c = torch.cat([*start, *torch.zeros_like(start[:1]).expand(self.stated.levels - len(start), -1, -1, -1)], 1)
        parameters = torch.tensor([self.low, 1.0 / self.whole], dtype=torch.float64)
        sources = [rows.scaled_at(State(None, parameters)) for rows in term_rows(conditions, space, self.weights)]
        return math.sqrt(sum(source.rows(State(c, parameters), matrix=False).loss for source in sources))

    def _refined(self, march: March, parts: Tensor, excess: float, c: Tensor) -> bool:
        """Gives the march a richer space, where cells and axes (C, d) are to blame; False where there is none."""
        space = march.space
        bad = parts > (TO_BLAME_CHANGING if self.stated.changing or self._kinks else TO_BLAME) * parts.max()
        marked = bad.any(dim=1)
        axes = parts.norm(dim=0) > TO_BLAME * parts.norm(dim=0).max()
        most = MOST_DEGREE.get(len(space.degrees), min(MOST_DEGREE.values()))
        most = MODERATE_DEGREE if self._kinks else most
        rate = float(decay_rates(c, space)[marked][:, axes].median())
        # what is factorized often is cheaper on small cells, unless coefficients fall very fast
        many = self.stated.changing and max(space.degrees) >= MODERATE_DEGREE
        smooth = rate < (VERY_SMOOTH if many else SMOOTH) and float(marked.double().mean()) >= EVERYWHERE
        more = 2 if excess < 100.0 else 4
        degrees = tuple(
            max(p, min(p + more, most)) if worse else p for p, worse in zip(space.degrees, axes.tolist(), strict=True)
        )
        if smooth and degrees != space.degrees:
            march.space = Space(space.cells, degrees, self.orders)
            return True
        if space.cells.count >= MOST_CELLS:
            return False
        degrees = space.degrees
        if self.stated.changing and bool(bad.all(dim=0).any()):
            missing = math.log(max(excess, 1.0)) / -math.log(min(rate, SMOOTH))  # degrees
            least = min(max(self.orders) + LEAST_ABOVE, min(degrees))
            degrees = tuple(
                min(max(math.ceil((p + missing) / 2) + 1, least), p) if everywhere else p
                for p, everywhere in zip(degrees, bad.all(dim=0).tolist(), strict=True)
            )  # halved cells need half as many for as small an error
        march.space = Space(space.cells.split(marked, bad), degrees, self.orders)
        return True


def _moved(moment: Moment, old: Space, new: Space) -> Moment:
    """The same functions on another space; what it does not hold of the solution is in `e`."""
    fine_old, fine_new = enriched_space(old), enriched_space(new)
    c = on_space(old, new, moment.c)
    if all(p <= q for p, q in zip(old.degrees, new.degrees, strict=True)):
        return Moment(c, on_space(fine_old, fine_new, moment.e))
    corrected = torch.stack([old.widened(one, fine_old) for one in moment.c]) + moment.e
    held = torch.stack([new.widened(one, fine_new) for one in c])
    return Moment(c, on_space(fine_old, fine_new, corrected) - held)
