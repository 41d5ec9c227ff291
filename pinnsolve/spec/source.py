"""The source of a problem: a file, a problem that comes with pinnsolve, or a dict; and settings put over it.

Input: a path, a name or a dict, and settings such as `solve.tolerance=1e-8`. Output: a `Source` of plain values that
knows where each came from.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.files.yaml_reader import MAX_DEPTH, load_yaml, parse_value
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.located_errors import KeyPath, Places, printable

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """The plain values of a problem, their places, the folder of its data files, and problems found on the way."""

    data: dict[str, Any]
    places: Places
    folder: Path
    file: Path | None
    problems: tuple[Diagnostic, ...] = ()


def problem_folders() -> tuple[Path, ...]:
    """The folders of the problems that come with pinnsolve: in the package when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return tuple(folder for folder in (package / "problems", package.parent / "problems") if folder.is_dir())


def bundled_problems() -> dict[str, Path]:
    """The problems that come with pinnsolve, by name."""
    found = {path.stem: path for folder in reversed(problem_folders()) for path in folder.glob("*.yaml")}
    return dict(sorted(found.items()))


def find_problem(path_or_name: str | Path) -> Path:
    """The file of a problem. Raises `ProblemError` with a close match where there is none."""
    path = Path(path_or_name)
    name = str(path_or_name)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):  # too long, or with a null character
        raise ProblemError([Diagnostic(f"`{name[:80]!a}` is not the name of a file")]) from None
    bundled = bundled_problems()
    if name in bundled:
        return bundled[name]
    plain_name = len(path.parts) == 1 and path.suffix not in SUFFIXES
    close = close_match(path.stem, bundled)
    hint = f"did you mean `{close}`?" if close else "`pinnsolve list` shows the problems that come with pinnsolve"
    what = "no file and no problem of that name" if plain_name else "there is no such file"
    raise ProblemError([Diagnostic(what, file=printable(name)[:200], hint=hint)])


def file_source(path_or_name: str | Path) -> Source:
    """Read a problem file. Raises `ProblemError`."""
    path = find_problem(path_or_name)
    document = load_yaml(path)
    places = Places(str(path), document.lines)
    return Source(document.data, places, path.parent, path, document.problems)


def plain(value: Any, depth: int = 0) -> Any:
    """A value from Python as YAML would give it: keys are texts, tuples are lists, numbers of arrays are numbers."""
    if depth > MAX_DEPTH:
        raise ProblemError([Diagnostic(f"nested too deeply: more than {MAX_DEPTH} levels")])
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def with_overrides(source: Source, settings: Iterable[str]) -> Source:
    """The source with settings put over it. Raises `ProblemError` for a setting that cannot be read."""
    data, overridden, wrong = copy.deepcopy(source.data), {}, []
    for setting in settings:
        key, separator, text = setting.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not separator or not all(path) or len(path) > MAX_DEPTH:
            wrong.append(_setting_error(setting, "not a setting", "write `--set solve.tolerance=1e-8`"))
            continue
        try:
            full = _put(data, path, parse_value(text))
        except ProblemError as error:
            wrong.append(_setting_error(setting, error.diagnostics[0].message, error.diagnostics[0].hint))
            continue
        overridden[full] = setting
    if wrong:
        raise ProblemError([*source.problems, *wrong])
    return replace(source, data=data, places=replace(source.places, overrides=overridden))


def _setting_error(setting: str, message: str, hint: str | None) -> Diagnostic:
    return Places().diagnostic((), message, hint, text=f"--set {setting[:200]}")


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> KeyPath:
    """Put a value at a key path, making maps on the way; the path with list positions as numbers."""
    node: Any = data
    full: list[str | int] = []
    for depth, part in enumerate(path):
        key: str | int = part
        if isinstance(node, list):
            if not part.isdecimal() or len(part) > 4 or int(part) >= len(node):
                shown = ".".join(path[:depth])
                raise ProblemError(
                    [Diagnostic(f"`{shown}` is a list of {len(node)}; `{part}` is not a position in it")]
                )
            key = int(part)
        elif not isinstance(node, dict):
            shown = ".".join(path[:depth])
            raise ProblemError([Diagnostic(f"`{shown}` holds a single value; nothing can be set below it")])
        full.append(key)
        if depth == len(path) - 1:
            node[key] = value
        elif isinstance(node, dict) and node.get(key) is None:
            node[key] = {}
        node = node[key]
    return tuple(full)
