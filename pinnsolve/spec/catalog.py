"""The problems that come with pinnsolve: their titles, and the operators some of them need.

Input: nothing, or what a person typed. Output: names with titles; the path of a Python file. What a name of a problem
stands for is known to `spec.source`.
"""

from __future__ import annotations

from pathlib import Path

from pinnsolve.errors import PinnsolveError, ProblemError
from pinnsolve.files.yaml_reader import load_yaml
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.source import bundled_problems, problem_folders

OPERATORS = "operators"
YAML = (".yaml", ".yml")


def titles() -> dict[str, str]:
    """Problem name to title, for the files that can be read."""
    result = {}
    for name, path in bundled_problems().items():
        try:
            result[name] = str(load_yaml(path).data.get("title") or "")
        except ProblemError:
            continue
    return result


def find_operators(text: str) -> Path:
    """A Python file, or one that comes with the problems by its bare name. Raises `PinnsolveError`."""
    path = Path(text)
    if path.is_file():
        return path
    bundled = {p.stem: p for folder in problem_folders() for p in sorted((folder / OPERATORS).glob("*.py"))}
    if path.parent == Path() and path.stem in bundled:
        return bundled[path.stem]
    near = close_match(path.stem, bundled)
    hint = f"; did you mean `--operators {near}`?" if near else ""
    raise PinnsolveError(f"--operators {text}: there is no such file{hint}")


def completions(incomplete: str) -> list[str]:
    """What the beginning of a problem may become on a command line: files, folders, names of bundled problems."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    try:
        beside = sorted(folder.iterdir())
    except OSError:
        beside = []
    paths = [f"{path}/" if path.is_dir() else str(path) for path in beside if path.is_dir() or path.suffix in YAML]
    found = [*bundled_problems(), *paths]
    return [text for text in found if text.startswith(incomplete)]
