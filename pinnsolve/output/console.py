"""Where the command line prints: tables on standard output, messages on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from pinnsolve.files.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPED_WIDTH = 200  # where no terminal says how wide lines may be


def say(message: object) -> None:
    """A message for the person, on standard error."""
    typer.echo(printable(message), err=True)


def console(error: bool = False) -> Console:
    """Standard output, or the one for errors, as rich prints to it."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def show(renderable: RenderableType) -> None:
    """Print on standard output; into a pipe without colours and without blanks at the ends of lines."""
    there = console()
    if there.is_terminal:
        there.print(renderable)
        return
    with there.capture() as captured:
        there.print(renderable)
    lines: list[Any] = [line.rstrip() for line in captured.get().splitlines()]
    typer.echo("\n".join(lines))
