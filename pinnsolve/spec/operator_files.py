"""Python files that register operators, bases and solvers, named by `--operators`: the one way code gets in."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from pinnsolve.errors import Diagnostic, PinnsolveError, ProblemError
from pinnsolve.spec.catalog import find_operators


def run_operators(texts: Iterable[str]) -> None:
    """Execute files that the person named, or that come with the problems. Raises `PinnsolveError` and
    `ProblemError`."""
    for text in texts:
        _run(find_operators(text))


def code_of(texts: Iterable[str]) -> str:
    """The texts of such files, one after the other."""
    return "".join(find_operators(text).read_text(encoding="utf-8") for text in texts)


def _run(path: Path) -> None:
    name = f"pinnsolve_operators_{path.stem}"
    try:
        module_spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module
        module_spec.loader.exec_module(module)
    except PinnsolveError:
        raise
    except Exception as error:  # whatever that file does wrong is for its author to see, in one line
        line = _last_line_in(path, error)
        raise ProblemError([Diagnostic(f"{type(error).__name__}: {error}", file=str(path), line=line)]) from None


def _last_line_in(path: Path, error: BaseException) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path.absolute():
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
