"""The columns of the tables that functions are read from. No sympy and no array library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pinnsolve.spec.located_errors import KeyPath

MOST_ARGUMENTS = 3


@dataclass(frozen=True)
class FunctionProblem:
    """What is wrong with a function, and where."""

    path: KeyPath
    message: str
    hint: str | None = None


def value_column(name: str, item: Any, found: Sequence[str]) -> str | None:
    """The column of the values of the function of that name, if it is stated or clear; None otherwise."""
    left = [c for c in found if c not in item.of]
    chosen = item.column or (name if name in left else left[0] if len(left) == 1 else None)
    return chosen if chosen in left else None


def function_problems(name: str, item: Any, found: Sequence[str]) -> Iterator[FunctionProblem]:
    """What is wrong with a function whose file has these columns."""
    path: KeyPath = ("functions", name)
    if len(item.of) > MOST_ARGUMENTS or len(set(item.of)) < len(item.of):
        yield FunctionProblem((*path, "of"), f"a table has one to {MOST_ARGUMENTS} arguments, each named once")
    if value_column(name, item, found) is not None:
        return
    left = ", ".join([c for c in found if c not in item.of][:20])
    if item.column is not None and item.column in item.of:
        yield FunctionProblem((*path, "column"), f"the column `{item.column[:60]}` is an argument already")
    elif item.column is not None:
        message = f"the file has no column `{item.column[:60]}`"
        yield FunctionProblem((*path, "column"), message, f"its other columns are {left}" if left else None)
    elif left:
        message = f"the column of the values is one of {left}: which one is not clear"
        yield FunctionProblem(path, message, "name it: `column: ...`")
    else:
        yield FunctionProblem(path, "the file has no column for the values, only for the arguments")
