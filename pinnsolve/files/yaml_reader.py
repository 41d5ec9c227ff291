"""YAML by the core schema of YAML 1.2, with the line of every key.

Input: a file or a text. Output: a `Document` of plain maps, lists, texts, numbers, true/false and null. PyYAML supplies
the events only: its own loader follows YAML 1.1 (`on` is true, `1e-6` a text) and forgets lines. Sizes are limited
while reading, aliases count with what they stand for, and tags are refused, so that no text takes long or makes
objects.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pinnsolve.errors import Diagnostic, ProblemError

MAX_BYTES = 256_000
MAX_VALUES = 20_000  # scalars, lists and maps, those behind aliases counted each time
MAX_DEPTH = 20
TOO_DEEP = f"nested too deeply: more than {MAX_DEPTH} levels"
GIVEN_TWICE = "the key is given twice"

Path_ = tuple[str | int, ...]
_Parser = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")


@dataclass(frozen=True)
class Document:
    """A YAML document: its map, the line of every key path (from 1), and problems that did not stop the reading."""

    data: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)
    file: str | None = None
    problems: tuple[Diagnostic, ...] = ()

    def line(self, path: Path_) -> int | None:
        """The line of a key path, or of the nearest key above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def load_yaml(path: Path) -> Document:
    """Read a problem file. Raises `ProblemError`."""
    name = str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ProblemError([Diagnostic("is not a file", file=name)])
        if status.st_size > MAX_BYTES:
            raise ProblemError([_too_large(name)])
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ProblemError([Diagnostic("is not text in UTF-8", file=name, line=line)]) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or "not a file name"
        raise ProblemError([Diagnostic(f"cannot be read: {reason}", file=name)]) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, file: str | None = None) -> Document:
    """Read a YAML text that holds a map. Raises `ProblemError`."""
    if len(text) > MAX_BYTES:
        raise ProblemError([_too_large(file)])
    reader = _Reader(text, file)
    data = reader.read()
    if data is None:
        raise ProblemError([Diagnostic("the file is empty", file=file, hint="start from `pinnsolve new NAME`")])
    if not isinstance(data, dict):
        raise ProblemError([Diagnostic("a problem file is a map of `key: value` lines", file=file, line=1)])
    return Document(data, reader.lines, file, tuple(reader.problems))


def parse_value(text: str) -> Any:
    """The value that a text has as the value of a key. Raises `ProblemError`."""
    if len(text) > MAX_BYTES:
        raise ProblemError([_too_large(None)])
    reader = _Reader(text, None)
    value = reader.read()
    if reader.problems:
        raise ProblemError(reader.problems)
    return value


def scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar by the core schema of YAML 1.2.2, section 10.3.2.

    A number that does not fit stays a text: what to say about it is for the grammar of expressions.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if len(text) > 300:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        lost = value in (float("inf"), float("-inf")) or (value == 0 and re.match(r"[-+.0]*[1-9]", text))
        return text if lost else value
    if match := _INFINITE.fullmatch(text):
        return float(f"{match[1]}inf")
    return float("nan") if _NAN.fullmatch(text) else text


def _open_brackets(text: str, mark: yaml.Mark) -> int:
    """Count the brackets before a place that are not closed there.

    PyYAML reads brackets ahead of its events, and some versions refuse many of them in words of their own; the count
    gives the same message whatever the version.
    """
    lines = text.splitlines(keepends=True)
    before = "".join(lines[: mark.line]) + (lines[mark.line][: mark.column] if mark.line < len(lines) else "")
    return sum(before.count(c) for c in "[{") - sum(before.count(c) for c in "]}")


def _too_large(file: str | None) -> Diagnostic:
    return Diagnostic(f"is too large: more than {MAX_BYTES // 1000} kB", file=file)


@dataclass
class _Open:
    """A map or list that is being read."""

    value: dict | list
    path: Path_
    line: int
    anchor: str | None
    start: int  # values counted before it
    key: str | None = None
    kept: bool = True  # False inside the value of a key given twice, which is read and dropped
    known: bool = True  # False for such a key
    seen: set[str] = field(default_factory=set)


class _Reader:
    """Builds values from events with a stack of its own: deep nesting is an error of the file, not of the program."""

    def __init__(self, text: str, file: str | None):
        self.text, self.file = text, file
        self.lines: dict[Path_, int] = {}
        self.problems: list[Diagnostic] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.stack: list[_Open] = []
        self.count = 0
        self.root: Any = None

    def read(self) -> Any:
        try:
            parser = _Parser(self.text)
            try:
                documents = 0
                while parser.check_event():
                    event = parser.get_event()
                    documents += isinstance(event, yaml.DocumentStartEvent)
                    if documents > 1:
                        raise self.error("a second document", event, "a problem file holds one; remove the `---`")
                    self.event(event)
            finally:
                parser.dispose()
        except yaml.YAMLError as error:
            raise self.translated(error) from None
        return self.root

    def event(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.close()
        elif isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)

    def counted(self, event: yaml.Event, amount: int = 1) -> None:
        self.count += amount
        if self.count > MAX_VALUES:
            raise self.error(f"too large: more than {MAX_VALUES} values, those behind aliases counted", event)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self.error(f"the tag `{str(tag)[:60]}` is not used here", event, "write the plain value")

    # -- keys and values --

    def place(self, event: yaml.Event) -> Path_:
        """The key path of the value that begins here."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        if top.key is None:
            raise self.error("a key is a word", event, "write `key: value`")
        return (*top.path, top.key)

    def open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        self.counted(event)
        if len(self.stack) >= MAX_DEPTH:
            raise self.error(TOO_DEEP, event)
        path = self.place(event)
        value: dict | list = {} if isinstance(event, yaml.MappingStartEvent) else []
        kept = all(top.kept and top.known for top in self.stack[-1:])
        self.stack.append(_Open(value, path, event.start_mark.line + 1, event.anchor, self.count, kept=kept))

    def close(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = (done.value, self.count - done.start + 1)
        self.put(done.value, done.path, done.line)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        self.counted(event)
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self.begin_key(top, event)
            return
        value = scalar(event.value) if event.style in (None, "") else event.value
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        self.put(value, self.place(event), event.start_mark.line + 1)

    def begin_key(self, top: _Open, event: yaml.ScalarEvent) -> None:
        top.key, top.known = event.value, event.value not in top.seen
        path = (*top.path, event.value)
        if top.known:
            top.seen.add(event.value)
            self.note(path, event.start_mark.line + 1)
            return
        hint = f"it is first given in line {self.lines.get(path)}"
        line = event.start_mark.line + 1
        key = ".".join(map(str, path))
        self.problems.append(Diagnostic(GIVEN_TWICE, file=self.file, line=line, key=key, hint=hint))

    def alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self.anchors:
            raise self.error(f"the alias `*{event.anchor[:60]}` stands for nothing read before", event)
        value, size = self.anchors[event.anchor]
        self.counted(event, size)
        self.put(value, self.place(event), event.start_mark.line + 1)

    def put(self, value: Any, path: Path_, line: int) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
            self.note(path, line)
        else:
            if top.known:
                top.value[top.key] = value
                if not isinstance(value, dict | list):
                    self.note(path, line)  # that of the value: a text may begin below its key
            top.key = None

    def note(self, path: Path_, line: int) -> None:
        if self.stack[-1].kept:
            self.lines[path] = line

    # -- errors --

    def error(self, message: str, event: yaml.Event, hint: str | None = None) -> ProblemError:
        key = ".".join(map(str, self.stack[-1].path[:4])) if self.stack else None
        line = event.start_mark.line + 1
        found = Diagnostic(message, file=self.file, line=line, key=key or None, hint=hint)
        return ProblemError([*self.problems, found])

    def translated(self, error: yaml.YAMLError) -> ProblemError:
        """PyYAML's error with the place that it names."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        message = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        position = getattr(error, "position", None)
        if mark and _open_brackets(self.text, mark) > MAX_DEPTH:
            found = Diagnostic(TOO_DEEP, file=self.file, line=mark.line + 1)
            return ProblemError([*self.problems, found])
        line = mark.line + 1 if mark else None
        if line is None and isinstance(position, int):
            line = self.text[:position].count("\n") + 1
        lines = self.text.splitlines()
        text = lines[line - 1] if line and line <= len(lines) else None
        offset = mark.column if mark and text is not None and mark.column <= len(text) else None
        hint = "quote a text that holds `: `, `#`, `[` or `{`"
        if text is not None and "\t" in text[: len(text) - len(text.lstrip())]:
            hint = "indent with spaces, not with tabs"
        found = Diagnostic(f"not YAML: {message}", file=self.file, line=line, text=text, offset=offset, hint=hint)
        return ProblemError([*self.problems, found])
