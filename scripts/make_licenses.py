"""Writes docs/licenses.md: the licences of all packages that pinnsolve needs, as their metadata state them.

    python scripts/make_licenses.py [--check]

Input: pyproject.toml and the packages of this environment, in which all extras are installed. Output: the page; with
`--check` nothing is written, and the exit code is 1 where the page is not up to date. What needs what is followed to
the end for everything that an installed pinnsolve may load; of the tools of developers, which nobody gets with it,
those that pyproject.toml names are listed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licenses.md"
FOR_DEVELOPERS = ("dev", "docs", "peers", "release")  # extras whose packages are tools: they are not followed
LONG = 60  # characters, beyond which a field holds the text of a licence and not its name
OF_A_CARD = re.compile(r"nvidia-|cuda-|triton")  # what torch brings where it computes on cards

HEAD = """\
# Licences

pinnsolve is under the [MIT licence](../LICENSE). It contains no code of others; what it needs is installed beside it,
under licences of its own, as the packages state them. This page is made by `scripts/make_licenses.py`. Where torch is
installed for cards of NVIDIA, it brings their libraries, which are under NVIDIA's own terms.

## What every installation has

| package | licence | needed by |
| --- | --- | --- |
"""
EXTRAS = """
## What extras add

`pip install 'pinnsolve[tables]'` and others install these.

| package | licence | needed by |
| --- | --- | --- |
"""
TOOLS = """
## Tools of developers

They test and describe pinnsolve, and no installation of a user has them.

| package | licence | extra |
| --- | --- | --- |
"""


def stated() -> tuple[list[str], dict[str, list[str]]]:
    """The requirements in pyproject.toml, and those of each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"], project["optional-dependencies"]


def name_of(requirement: str) -> str:
    """The package that a requirement asks for, as indexes spell it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def license_of(package: str) -> str:
    """The licence that the installed package states: an expression of SPDX, a short text, or its classifiers."""
    about = metadata.metadata(package)
    classifiers = [text.split(" :: ")[-1] for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    if expression := about.get("License-Expression"):
        return expression
    for text in (about.get("License"), ", ".join(classifiers)):
        if text and text != "UNKNOWN" and len(text) <= LONG and "\n" not in text:
            return text.removeprefix("OSI Approved, ")
    raise LookupError(f"{package} states no licence; look it up and say here where")


def followed(requirements: list[str]) -> dict[str, set[str]]:
    """Each package that these need in the end, by what it is needed by."""
    from packaging.requirements import Requirement

    found: dict[str, set[str]] = {}
    waiting = [("pinnsolve", requirement) for requirement in requirements]
    while waiting:
        parent, text = waiting.pop()
        requirement, name = Requirement(text), name_of(text)
        extras = requirement.extras or {""}
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not applies or OF_A_CARD.match(name):
            continue
        if name not in found:
            waiting += [(name, more) for more in metadata.requires(name) or () if _holds(more, extras)]
        found.setdefault(name, set()).add(parent)
    return found


def _holds(text: str, extras: set[str]) -> bool:
    """Whether a requirement of a package holds here, for one who asked for these extras of it."""
    from packaging.requirements import Requirement

    marker = Requirement(text).marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})


def page() -> str:
    """The text of the page. Raises LookupError for a package that is not installed or states no licence."""
    needed, extras = stated()
    core = followed(needed)
    added: dict[str, set[str]] = {}
    for extra, requirements in extras.items():
        if extra in FOR_DEVELOPERS:
            continue
        for name, parents in followed(requirements).items():
            if name not in core:
                added.setdefault(name, set()).update(f"[{extra}]" if p == "pinnsolve" else p for p in parents)
    tools: dict[str, set[str]] = {}
    for extra in FOR_DEVELOPERS:
        for requirement in extras.get(extra, ()):
            if (name := name_of(requirement)) not in {"pinnsolve", *core, *added}:
                tools.setdefault(name, set()).add(f"[{extra}]")
    return HEAD + _rows(core) + EXTRAS + _rows(added) + TOOLS + _rows(tools)


def _rows(packages: dict[str, set[str]]) -> str:
    rows = ((name, license_of(name), ", ".join(sorted(parents))) for name, parents in sorted(packages.items()))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
