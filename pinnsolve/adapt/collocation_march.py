"""Steps in time by collocation, one after another: their length, and when the space is refined.

A step that misses what is allowed is shortened where time is to blame; else the space gets more degrees where solutions
are smooth, or smaller cells, which hold what was reached exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from pinnsolve.adapt.aim import Aim
from pinnsolve.adapt.collocation_step import Blame, Moment, SettingOut, Step, Stepper, stages_of
from pinnsolve.adapt.march_starts import Starts
from pinnsolve.adapt.march_watch import Marched, Means
from pinnsolve.adapt.recorded_steps import Steppers
from pinnsolve.adapt.simplified_newton import NotConverged
from pinnsolve.adapt.space_changes import adapted, on_space, to_blame
from pinnsolve.adapt.space_problem import SpaceProblem
from pinnsolve.adapt.stage_system import NotTogether
from pinnsolve.adapt.step_length import StepLength
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, units
from pinnsolve.assembly.term_rows import table_orders, term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import blame, correct, decay_rates, enriched_space
from pinnsolve.solvers.gauss_newton import Iteration, gauss_newton
from pinnsolve.solvers.memory import bytes_at_most, bytes_of_modes, refuse_beyond

AT_START = 0.3  # of a step's own error: what the start may be missed by
ACCURACY, ACCURACY_CHANGING = 0.01, 0.1  # the same of the least squares, once factorized, and of stages where they are
# iterated (Hairer & Wanner II, section IV.8: 0.1 to 0.01)
PATIENCE = 4  # steps before less is allowed again
ROOM = 0.5  # of what is allowed may be the error of space where a longer step is tried: rows count otherwise in it
MOST_DEGREE = {2: 24, 3: 12}
SMOOTH = 0.75  # factor by which coefficients fall per degree, from which on cells are split
MODERATE_DEGREE, VERY_SMOOTH = 9, 0.4  # from that degree on it is less, where linearizations are renewed; the highest
# where kinks travel, which need as many functions of any degree
UNSEEN_OF_KINKS = 1.5  # times the correction by a richer space is the error, as measured against exact solutions
EARLY = 0.3  # share of the time after which steps are not taken again from the start
ORDER_OF_KINKS = 3.0  # in the degree, at which their errors fall
KINKED_STAGES = 5  # where kinks travel, whose errors fall slowly at any order: fewer modes, in steps as short
LEAST_ABOVE = 5  # the order of the equations: degrees that splitting may leave
EVERYWHERE = 0.35  # share of cells to blame from which on all get more degrees
TO_BLAME = 0.3  # of the worst
TO_BLAME_AT_FIRST = 0.05  # before the first step of what changes: few refinements, of many cells
LEFT_CHANGING = 0.2  # of what is allowed, that cells may leave of the error of space which are not split where a new
# space costs no more than a new linearization
FORESEEN = 0.4  # of what is allowed, from which on cells are split before a step is refused
MOST_CELLS, MOST_REFINED = 1024, 40
MERGED = 0.05  # of the error of a step, that merging cells before the next one may lose
LEAST_GROWN = 3.0  # times the coefficients, before a rate is known
MOST_COEFFICIENTS = 60_000  # of a space that is within reach of refinement before the first step
SETTLES = 0.2  # of the excess of space before: what a refinement may leave of it before the first step is taken
SETTLES_CHANGING = 0.9  # the same where slabs, which are linearized again and again, serve rarely
IN_TIME_TOO = 0.2  # of the excess of space: below it, what a correction says of time means little
IN_TIME_ALONE = 30.0  # times what space is to blame for: where no richer space would help
SEEN_SHORTER = 0.5  # excess of space of kinks that travel, from which on a shorter step needs a richer space, too
CRUDE, LONGER = 4, 8  # steps that tell the size of a solution, each at most so many times as long as the first one
NEW = 4  # steps, in which layers are new
TELLS_SIZE = 0.5  # relative error of a step, taken or not, that tells how large the solution is
NOT_SHORTER = 0.7  # of the excess of time before: what a shorter step must get below
BORNE = 2.0  # excess of time of a step that is taken where shorter ones are no better, as its error says
SURE = 0.5  # of the memory: what surely takes less is not counted further
KEPT, KEPT_CHANGING = 3, 1  # lengths whose factorizations are kept


@dataclass
class March(Marched):
    """What was reached: the steps, that of length `dt` which is tried next, and how it went, `status`: `finished`,
    `missed` where the error is beyond the tolerance already, `stalled`, or what interrupted it; `foreseen`: (U,) the
    size of a solution that is nothing at first, if it is known."""

    space: Space
    dt: float
    steps: list[Step] = field(default_factory=list)
    status: str = "finished"
    foreseen: Tensor | None = None

    @property
    def kinks(self) -> bool:
        """Whether they travel from the start, whatever solutions look like in a cell at first: balls are for them."""
        return self.space.ball

    def relative(self) -> Tensor:
        error, size = self.rms_over_time()
        return (UNSEEN_OF_KINKS if self.kinks else 1.0) * error / units(size, error)


@dataclass
class _Progress:
    """Between two steps: `moment`, where the next one starts; `length` that it has; `size` of the solution so far,
    (U,); `refined` how often since the last step; `excess`: of space with its coefficients, whenever it was refined;
    `shortened`: excess of time of a step that was shortened since the last one, and the step; `layers`: whether some
    set out from the start; `tightened`: how many steps there were when less was allowed; `ended`: the status."""

    moment: Moment
    length: StepLength
    size: Tensor | None = None
    refined: int = 0
    excess: list[tuple[float, int]] = field(default_factory=list)
    shortened: tuple[float, Step] | None = None
    layers: bool = False
    tightened: int = 0
    ended: str | None = None


class Marcher:
    """Marches from the start to the end of the time, for the error to stay below a tolerance."""

    def __init__(
        self, stated: SpaceProblem, interval: tuple[float, float], weights: Mapping[str, float], aim: Aim, means: Means
    ):
        self.stated, self.weights, self.aim, self.means = stated, weights, aim, means
        self.low, self.high = interval
        self.starts = Starts(stated, weights, interval)
        self.orders = table_orders(stated.problem)
        self._stages = stages_of(stated, aim.inside)
        self._apart = not stated.shares_factors  # whether modes have factorizations of their own
        kept = KEPT_CHANGING if stated.changing else KEPT
        self._steppers = Steppers(self._make, means.journal, kept, self._recycles)

    @property
    def _recycles(self) -> bool:
        """Whether steps of any length share a factorization, and what is found with it."""
        return not (self.stated.changing or self._apart)

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
        length = self._lengths(march.dt)
        at = _Progress(self.begin(march), length)
        # on smaller cells it matters less; what a march before has seen holds for this one
        if march.kinks or self.starts.contradicted(march.space, at.moment, self.aim.inside):
            if self.stated.levels == 2:  # shorter slabs and smaller cells at the walls serve better than stages
                at.ended = "stalled"
            else:  # kinks get anywhere
                march.space = replace(first, ball=True)
                self._stages = min(self._stages, KINKED_STAGES)
                length.order = self._order
                at.moment = self.begin(march)
        at.layers = at.ended is None and self.starts.layered(march.space, at.moment, self.aim.inside)
        if at.layers and not self.stated.changing:
            at.size = march.foreseen = self._foreseen(march, at.moment)
        while at.ended is None:
            self._next(march, at, watch)
        march.status = at.ended

    def _lengths(self, dt: float) -> StepLength:
        """Of steps from the start on."""
        return StepLength(self.low, self.high, dt, bool(self.stated.changing), self._order, self._recycles)

    def _next(self, march: March, at: _Progress, watch: Callable[[March], str | None]) -> None:
        """Takes a step, or changes what it was tried with."""
        length, before = at.length, march.steps[-1] if march.steps else None
        march.dt = length.dt
        accuracy = (ACCURACY_CHANGING if self.stated.changing else ACCURACY) * self.aim.inside
        try:
            setting_out = SettingOut(at.moment, length.time, accuracy, at.size, before)
            step, found = self._steppers.step(march.space, length.dt, setting_out)
        except NotConverged:
            length.fails(len(march.steps))
            at.ended = "stalled" if length.too_short else None
            return
        except NotTogether:
            self._take_apart()
            length.shared = length.free = False
            return
        if found.inside < TELLS_SIZE:  # of what begins at rest short steps see little
            at.size = step.size if at.size is None else torch.maximum(at.size, step.size)
        in_time, in_space = self._excess(found, self._allowed(at))
        borne = in_space <= 1.0 and self._borne(at, in_time)
        if max(in_time, in_space) > 1.0 and not borne:
            if not length.back(len(march.steps)):  # else it was not worth it after all
                self._amend(march, at, step, found)
            return
        if borne and at.shortened is not None and at.shortened[0] < in_time:
            in_time, step = at.shortened
            length.restore(step.dt)
        self._take(march, at, step)
        status = watch(march)
        if status is not None or not length.left:
            at.ended = status or "finished"
        else:
            self._prepare(march, at, found, (in_time, in_space))

    def _borne(self, at: _Progress, in_time: float) -> bool:
        """Whether the better one of a step with that excess of time, and of the longer one before it, is taken.

        What the start lacks of the constraints is an impulse of the pressures, whose share is larger in shorter steps.
        """
        return at.shortened is not None and NOT_SHORTER * at.shortened[0] < in_time and at.shortened[0] <= BORNE

    def _amend(self, march: March, at: _Progress, step: Step, found: Blame) -> None:
        """A shorter step or a richer space, whichever is to blame for the error of a step."""
        in_time, in_space = self._excess(found, self._allowed(at))
        at.refined += 1
        if at.refined > MOST_REFINED or at.length.too_short:
            at.ended = "stalled"
            return
        # a shorter step was no better: it is not time after all
        not_time = at.shortened is not None and in_time > NOT_SHORTER * at.shortened[0]
        before = None if at.shortened is None else (at.shortened[0], at.shortened[1].dt)
        at.shortened = None
        alone = found.in_time > IN_TIME_ALONE * float(found.in_space.norm())
        # layers and kinks that are not resolved are thinner still in shorter steps
        share = 1.0 if at.layers or march.kinks else IN_TIME_TOO
        if (alone or in_time > max(1.0, share * in_space)) and not not_time:
            at.length.shorten_for(in_time, before, len(march.steps))
            if not (march.kinks and in_space > SEEN_SHORTER):
                at.shortened = in_time, step
                return
        old = march.space
        now = in_space, old.cells.count * old.functions
        rough = not march.steps and (now[1] > MOST_COEFFICIENTS if march.kinks else self._rough(at, now))
        at.excess.append(now)
        if rough or not self._refined(march, found.in_space, in_space, step.values[-1]):
            at.ended = "stalled"
            return
        early = bool(march.steps) and march.time - self.low < EARLY * self.whole
        if march.kinks and early:  # what a coarse space has lost of them is not had back on a finer one
            march.steps.clear()
            at.length = self._lengths(at.length.dt)
        at.moment = _moved(at.moment, old, march.space) if march.steps else self.begin(march)

    def _take(self, march: March, at: _Progress, step: Step) -> None:
        march.steps.append(step)
        at.length.taken()
        at.refined, at.moment, at.shortened = 0, step.end, None
        at.size = step.size if at.size is None else at.size
        # what kinks have cost at the start is not had back by better steps
        if not march.kinks and len(march.steps) >= at.tightened + PATIENCE:
            now, before = (float((s.error / units(at.size, s.error)).max()) for s in (step, march.steps[-PATIENCE]))
            aim = self.aim.after(now, before, (march.time - self.low) / self.whole)
            if aim is not self.aim:
                self.aim, at.tightened = aim, len(march.steps)

    def _prepare(self, march: March, at: _Progress, found: Blame, excess: tuple[float, float]) -> None:
        """Longer steps and other cells for the next step, as far as the last one, with its excess of time and space,
        allows it."""
        in_time, in_space = excess
        step, changing = march.steps[-1], bool(self.stated.changing)
        if not changing or in_space < ROOM:
            at.length.lengthen(in_time, len(march.steps))
        if changing:
            old, unit = march.space, units(step.size, step.error)
            left = LEFT_CHANGING / max(in_space, 1e-300) * float(found.in_space.norm())
            bad = to_blame(found.in_space, left)
            few = float(bad.any(dim=1).double().mean()) < EVERYWHERE  # else a step that is refused gets more degrees
            if in_space < FORESEEN or old.cells.count >= MOST_CELLS or not few:
                bad = torch.zeros_like(bad)
            # where functions lose the constraints they met, pressures give them back in one step, and jump by the loss
            # over its length
            share = at.length.share if self.stated.constraints else 1.0
            march.space = adapted(old, step.values[-1], unit, share * MERGED * self.aim.inside, bad)
            if march.space is not old:
                at.moment = _moved(at.moment, old, march.space)

    def _rough(self, at: _Progress, now: tuple[float, int]) -> bool:
        """Whether refinement takes so little of the excess of space, given with its coefficients, that slabs do better.

        They do no better with kinks that travel: there what is needed must be within reach.
        """
        if not at.excess:
            return False
        if self.stated.levels == 2 and self.stated.changing:  # one that says little yet may be one of too few functions
            values = [*(one for one, _ in at.excess[-2:]), now[0]]
            return len(values) > 2 and all(b > SETTLES_CHANGING * a for a, b in pairwise(values))
        if self.stated.levels == 2:
            return now[0] > (SETTLES_CHANGING if at.layers else SETTLES) * at.excess[-1][0]
        excess, coefficients = at.excess[0]
        if now[1] < LEAST_GROWN * coefficients:
            return False
        rate = math.log(excess / now[0]) / math.log(now[1] / coefficients)
        return rate <= 0 or math.log(now[1]) + math.log(max(now[0], 1.0)) / rate > math.log(MOST_COEFFICIENTS)

    def _excess(self, found: Blame, allowed: float) -> tuple[float, float]:
        """What time and space are to blame for, relative to what is allowed, so many times the aim."""
        inside, end = allowed * self.aim.inside, found.at_end / (allowed * self.aim.at_end)
        in_time, in_space = found.in_time / inside, float(found.in_space.norm()) / inside
        return (max(in_time, end), in_space) if in_time > in_space else (in_time, max(in_space, end))

    def _allowed(self, at: _Progress) -> float:
        """How many times the aim the error of a step may be: in layers that begin at nothing it soon is nothing.

        So the first steps together may have as large a share of the error of all the time as all steps have.
        """
        done = at.length.done
        return max(1.0, math.sqrt(1.0 / at.length.share) / (done + 1)) if at.layers and done < NEW else 1.0

    def _foreseen(self, march: March, moment: Moment) -> Tensor:
        """(U,) the size of a solution that begins as nothing, from crude steps to the end."""
        count = round(self.whole / march.dt)
        if not self._apart:  # with factorizations of steps as they will be
            try:
                self._steppers.crude(march.space, march.dt, moment, self.low, 0)
                few = min(count, max(CRUDE, math.ceil(count / LONGER)))
                return self._steppers.crude(march.space, self.whole / few, moment, self.low, few)
            except NotTogether:
                self._take_apart()
        return self._steppers.crude(march.space, march.dt, moment, self.low, count)

    def _take_apart(self) -> None:
        """From here on modes have factorizations of their own."""
        self._apart = True
        self._steppers.take_apart()

    def _make(self, space: Space, dt: float) -> Stepper:
        self._check_memory(space)
        return Stepper(self.stated, space, self.weights, dt, self._stages, self.means.check, self._apart)

    def _check_memory(self, space: Space) -> None:
        """Raises ResourceError where one more stepper, beside those that are kept, does not fit."""
        problem, fine = self.stated.problem, enriched_space(space)
        modes = self._stages // 2 + 1 if self._apart else 0
        coefficients = fine.functions * len(self.stated.evolving)
        count = len(self._steppers) + 1
        if count * bytes_at_most(fine.cells, coefficients, self.stated.levels, modes) < SURE * self.means.memory:
            return
        sources = [
            *term_rows(problem, fine, self.weights),
            *continuity_rows(fine, problem.coordinates, self.stated.continuous),
        ]
        system = CellSystem(fine, sources, len(self.stated.evolving), True, self.means.check)
        needed = count * bytes_of_modes(system, self.stated.levels, modes)
        refuse_beyond(self.means.memory, needed, system.coefficients)

    # -- space --------------------------------------------------------------------------------------------------------

    def begin(self, march: March) -> Moment:
        """The start, on a space that holds what the conditions there say."""
        levels = self.starts.levels
        state = State(None, torch.tensor([self.low, 1.0 / self.whole], dtype=torch.float64))
        while True:
            self.means.check()
            space, fine = march.space, enriched_space(march.space)
            systems = []
            for one in (space, fine):
                sources = [source.scaled_at(state) for source in self.starts.rows(one)]
                systems.append(CellSystem(one, sources, self.starts.unknowns, True, self.means.check))
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
            per = [(k, self.whole**-k) for k in range(levels)]
            return Moment(
                *(torch.stack([unit * t.unflatten(1, (levels, -1))[:, k] for k, unit in per]) for t in (c, delta))
            )

    def _refined(self, march: March, parts: Tensor, excess: float, c: Tensor) -> bool:
        """Gives the march a richer space, where cells and axes (C, d) are to blame; False where there is none."""
        space = march.space
        if self.stated.changing and march.steps:
            bad = to_blame(parts, LEFT_CHANGING / excess * float(parts.norm()))
        else:
            bad = parts > (TO_BLAME_AT_FIRST if self.stated.changing else TO_BLAME) * parts.max()
        bad |= march.kinks  # which soon are everywhere: better one refinement of all cells than one after another
        marked = bad.any(dim=1)
        axes = parts.norm(dim=0) > TO_BLAME * parts.norm(dim=0).max()
        richer = march.kinks and space.cells.count * 2 ** len(space.degrees) >= MOST_CELLS  # for lack of cells
        rate = float(decay_rates(c, space)[marked][:, axes].median())
        # what is factorized often is cheaper on small cells, unless coefficients fall very fast
        many = self.stated.changing and max(space.degrees) >= MODERATE_DEGREE
        smooth = rate < (VERY_SMOOTH if many else SMOOTH) and float(marked.double().mean()) >= EVERYWHERE
        degrees = self._raised(march, axes | richer, excess, richer)
        if (smooth or richer) and degrees != space.degrees:
            march.space = replace(space, degrees=degrees)
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
        march.space = replace(space, cells=space.cells.split(marked, bad), degrees=degrees)
        return True

    @staticmethod
    def _raised(march: March, axes: Tensor, excess: float, richer: bool) -> tuple[int, ...]:
        """The degrees, more of them on axes (d,); as many as kinks need where these are to have `richer` cells."""
        degrees, more = march.space.degrees, 2 if excess < 100.0 else 4
        most = MOST_DEGREE.get(len(degrees), min(MOST_DEGREE.values()))
        if richer:
            more = max(more, math.ceil(max(degrees) * (excess ** (1.0 / ORDER_OF_KINKS) - 1.0)))
        elif march.kinks:
            most = MODERATE_DEGREE
        return tuple(max(p, min(p + more, most)) if one else p for p, one in zip(degrees, axes.tolist(), strict=True))


def _moved(moment: Moment, old: Space, new: Space) -> Moment:
    """The same functions on another space, each as well as its own holds it; what the step's lacks is in `e`."""
    fine_old, fine_new = enriched_space(old), enriched_space(new)
    c = on_space(old, new, moment.c)
    corrected = torch.stack([old.widened(one, fine_old) for one in moment.c]) + moment.e
    held = torch.stack([new.widened(one, fine_new) for one in c])
    return Moment(c, on_space(fine_old, fine_new, corrected) - held)
