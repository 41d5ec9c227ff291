"""One member of a problem with ranges: the problem at one value of each parameter, solved in whatever process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.method import solve_compiled
from pinnsolve.problem.build import build_problem, with_settings
from pinnsolve.problem.problem import Problem
from pinnsolve.results.solution import Solution, load_solution
from pinnsolve.spec.spec import spec_from_dict, spec_with_parameters


@dataclass(frozen=True)
class MemberTask:
    """The problem of a file's `text`, whose data lie in `data`, at `values` of its ranges; its run goes to `folder`.

    `place`: of the values in [-1, 1]; `settings` replace those of the file.
    """

    place: tuple[float, ...]
    values: Mapping[str, float]
    settings: Mapping[str, Any]
    text: str
    data: str
    folder: str


@dataclass(frozen=True)
class SolvedMember:
    """A member's solution; None where it has none, and `message` says why."""

    task: MemberTask
    solution: Solution | None
    message: str = ""


def solve_here(task: MemberTask) -> SolvedMember:
    """The member in this process. Nothing is raised but what ends all: an interruption."""
    try:
        spec = spec_from_dict(parse_yaml(task.text).data, task.data)
        member = with_settings(build_problem(spec_with_parameters(spec, task.values)), task.settings)
        solution = solve_compiled(member, compile_problem(member), None, None)
        solution.save(task.folder)
    except (PinnsolveError, OSError, MemoryError, ArithmeticError) as error:
        return SolvedMember(task, None, str(error).splitlines()[0] if str(error) else type(error).__name__)
    return SolvedMember(task, replace(solution, diagnostics={}))


def solve_there(task: MemberTask) -> tuple[MemberTask, str]:
    """The member in a process of its own: what `collect` needs; the solution is in its folder."""
    return task, solve_here(task).message


def lost_member(task: MemberTask, why: str) -> tuple[MemberTask, str]:
    """What `collect` needs of a member whose process ended."""
    return task, why


def collect(found: tuple[MemberTask, str]) -> SolvedMember:
    """The member that was solved in another process."""
    task, message = found
    if message:
        return SolvedMember(task, None, message)
    try:
        return SolvedMember(task, replace(load_solution(task.folder), diagnostics={}))
    except PinnsolveError as error:
        return SolvedMember(task, None, str(error))


def make_task(
    problem: Problem, text: str, place: tuple[float, ...], folder: Path, settings: Mapping[str, Any]
) -> MemberTask:
    """The task of a place in [-1, 1]^r; `text`: the problem's file."""
    values = {n: r.value(0.5 * (1 + y)) for (n, r), y in zip(problem.ranges.items(), place, strict=True)}
    return MemberTask(place, values, settings, text, str(problem.spec.folder), str(folder))
