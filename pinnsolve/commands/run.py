"""`pinnsolve run`: a problem file is solved, and the run folder written.

Input: what the command was asked for. Output: the solution and its folder. What takes long to load is begun first, and
in other places than this: matplotlib in another process, torch's largest library in a thread.
"""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pinnsolve import process
from pinnsolve.commands.load import load
from pinnsolve.errors import OthersLost, PinnsolveError
from pinnsolve.figures import drawer
from pinnsolve.output.console import console, say
from pinnsolve.processes import launch

if TYPE_CHECKING:
    from pinnsolve.figures.samples import Draw
    from pinnsolve.problem.problem import Problem
    from pinnsolve.processes.communicator import Communicator
    from pinnsolve.results.run_folders import RunUnderWay
    from pinnsolve.results.solution import Solution

GOES_ON = ("interrupted", "time_limit")  # statuses of a solve that --resume takes up where it was


@dataclass(frozen=True)
class Run:
    """What was asked for: a problem, the folder if one is named, and whether to go on from what is there.

    `quiet`: no progress is shown.
    """

    file: str
    overrides: list[str] | None
    operators: list[str] | None
    out: Path | None
    resume: bool
    quiet: bool
    draws: bool

    def done(self) -> tuple[Solution, Path]:
        """Solve the problem and write its folder.

        Raises PinnsolveError for what is wrong with the file, and KeyboardInterrupt where it was ended before there was
        an answer. In the processes that took part in the solve of another one, typer.Exit.
        """
        signals = process.Interrupts(several=launch.size() > 1, speaks=launch.rank() == 0)
        with signals as interrupts, drawer.Drawer() if self._draws_here() else nullcontext() as drawing:
            process.load_torch_ahead()  # before anything else that takes time
            from pinnsolve.commands import divided_run

            among = divided_run.begin(interrupts)
            problem = divided_run.agreed(among, lambda: load(self.file, self.overrides, self.operators))
            code = _code_of(self.operators)
            among = None if among is None else _others_at_work(problem, code, among, interrupts)
            under_way = divided_run.agreed(among, lambda: self._begun(problem, code))
            solution = self._solved(problem, under_way, among, interrupts)
            self._written(solution, problem, under_way, interrupts, None if drawing is None else drawing.draw)
        return solution, under_way.folder

    def _draws_here(self) -> bool:
        return self.draws and launch.rank() == 0

    def _begun(self, problem: Problem, code: str) -> RunUnderWay:
        from pinnsolve.results.run_folders import RunUnderWay, choose_folder, holds_a_run

        folder = choose_folder(problem.name, self.out, self.resume)
        if self.resume and not holds_a_run(folder):
            say(f"there is no run to resume in {folder}: it begins")
        return RunUnderWay(folder, problem, self.resume, say, code)

    def _solved(
        self, problem: Problem, under_way: RunUnderWay, among: Communicator | None, interrupts: process.Interrupts
    ) -> Solution:
        try:
            solution = _solve(problem, under_way, under_way.folder if self.resume else None, self.quiet, among)
            if among is not None and among.size > 1:
                launch.part()
                interrupts.alone()
            return solution
        except BaseException as ended:
            if isinstance(ended, OthersLost):
                under_way.pause()  # what is there is to be gone on from
            under_way.abandon()
            if isinstance(ended, KeyboardInterrupt):
                say("interrupted before there was an answer")
            raise

    def _written(
        self,
        solution: Solution,
        problem: Problem,
        under_way: RunUnderWay,
        interrupts: process.Interrupts,
        draw: Draw | None,
    ) -> None:
        """First the solution, which nothing may interrupt; then what may be left out."""
        from pinnsolve import pipeline
        from pinnsolve.results.run_folders import save_anywhere

        folder = under_way.folder
        with interrupts.held():
            under_way.pause()
            save_anywhere(solution, folder)
            under_way.complete(ended=solution.result.get("status") not in GOES_ON)
        try:
            for failure in pipeline.illustrate(solution, problem, folder, draw):
                say(f"warning: {failure}")
        except KeyboardInterrupt:
            say("figures and report were left out")


def _code_of(operators: list[str] | None) -> str:
    from pinnsolve.spec.operator_files import code_of

    return code_of(operators or ())


def _others_at_work(problem: Problem, code: str, among: Communicator, interrupts: process.Interrupts) -> Communicator:
    """The processes that solve a problem together, in the first of them. The others take part here, and then end."""
    from pinnsolve.commands import divided_run

    among, sentence = divided_run.dividing(problem, code, among, interrupts)
    if not among.first:
        if not sentence:
            divided_run.take_part(problem, among)
        raise typer.Exit
    if sentence:
        say(sentence)
    return among


def _solve(
    problem: Problem, under_way: RunUnderWay, resumed: Path | None, quiet: bool, among: Communicator | None
) -> Solution:
    from pinnsolve import pipeline
    from pinnsolve.output.progress import Outlook, Progress
    from pinnsolve.results.run_folders import is_run_folder

    importlib.import_module("pinnsolve.method")  # torch and the solvers, before garbage is looked for again
    if problem.settings.limits.memory_gb is None:
        process.keep_freed_memory()
    else:
        process.return_freed_memory()
    process.resume_garbage_collection()
    start = None
    if resumed is not None and is_run_folder(resumed):
        from pinnsolve.results.solution import load_solution

        start = load_solution(resumed)
        if (start.coordinates, start.unknowns) != ((*problem.coordinates, *problem.ranges), problem.unknowns):
            raise PinnsolveError(f"{resumed} holds a solution of another problem: {start!r}")
    from pinnsolve.processes.communicator import ALONE

    among = among or ALONE
    start = among.told(start)
    settings = problem.settings
    outlook = Outlook(float(settings.tolerance), settings.limits.seconds)
    with Progress(console(error=True), quiet, outlook) as progress:

        def told(record: dict) -> None:
            under_way.log(record)
            progress(record)

        return pipeline.solve(problem, progress=told, start=start, journal=under_way.journal(among), among=among)
