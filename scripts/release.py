"""Whether this commit can be released; nothing is uploaded. Called by `scripts/dev.py release`.

    python3 scripts/dev.py release [--rehearse] [--python PYTHON ...] [--keep FOLDER]

What is asked, in this order: the working tree is clean; the commit has a tag `v1.2.0`; CHANGELOG.md and CITATION.cff
have that version, and nothing is left under "Unreleased"; the list of licences is that of the installed packages; sdist
and wheel are built, hold what they should, and their descriptions can be shown; in a fresh environment of each Python,
the wheel is installed and solves a problem from an empty folder; in one of them, so does the sdist.

`--rehearse` leaves out what only a release has: clean tree, tag, changelog, citation. `--python` names the Pythons;
else they are those from 3.11 on that are found here. `--keep` copies the archives to a folder once all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")  # those that the tests run on
PROBLEM = "poisson-2d"
IN_WHEEL = ("pinnsolve/cli.py", "pinnsolve/problems/poisson-2d.yaml")
IN_SDIST = ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "problems/poisson-2d.yaml",
            "tests/test_solve.py", "docs/tutorial.md", "scripts/dev.py", "constraints.txt")  # fmt: skip
NEVER = (".venv", "__pycache__", "build/", "runs/", ".git/")


class Refused(Exception):
    """The commit cannot be released; the message says why."""


def say(text: str) -> None:
    print(text, flush=True)


def run(*command: str | Path, folder: Path | None = None) -> str:
    """What a command prints, run in the repository or in a folder. Raises Refused with that where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder or ROOT, env=environment, capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise Refused(
            f"`{' '.join(map(str, command))}` ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


# -- what stands in the repository -----------------------------------------------------------------------------------


def tagged_version() -> str:
    """The version of the tag of this commit, whose tree has to be clean."""
    changed = run("git", "status", "--porcelain").strip()
    if changed:
        raise Refused(f"the working tree has changes that are not committed:\n{changed}")
    tags = run("git", "tag", "--points-at", "HEAD").split()
    versions = [match[1] for tag in tags if (match := re.fullmatch(r"v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)", tag))]
    if len(versions) != 1:
        raise Refused(f"this commit needs one tag such as v1.2.0, and has {', '.join(tags) or 'none'}")
    return versions[0]


def disagreements(version: str, changelog: str, citation: str) -> list[str]:
    """What the texts of CHANGELOG.md and CITATION.cff say against a version, in sentences."""
    found = []
    parts = re.split(r"^## (.+)$", changelog, flags=re.MULTILINE)
    headings = {parts[i].strip(): parts[i + 1].strip() for i in range(1, len(parts), 2)}
    if headings.pop("Unreleased", ""):
        found.append("CHANGELOG.md has lines under `Unreleased`")
    newest = next(iter(headings), "none")
    if newest.split()[0] != version:
        found.append(f"the newest version in CHANGELOG.md is {newest}, not {version}")
    elif not headings[newest]:
        found.append(f"CHANGELOG.md says nothing of {version}")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    if cited is None or cited[1] != version:
        found.append(f"the version in CITATION.cff is {cited[1] if cited else 'missing'}, not {version}")
    return found


# -- the archives ----------------------------------------------------------------------------------------------------


def built(folder: Path) -> tuple[Path, Path]:
    """sdist and wheel, the wheel from the sdist, with their contents and descriptions checked."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        held_by_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        held_by_wheel = set(archive.namelist())
    for path, held, asked in ((sdist, held_by_sdist, IN_SDIST), (wheel, held_by_wheel, IN_WHEEL)):
        missing = [name for name in asked if name not in held]
        strays = sorted(name for name in held if any(part in name for part in NEVER))
        if missing or strays:
            raise Refused(f"{path.name} lacks {missing} and should not hold {strays[:5]}")
        say(f"  {path.name}: {len(held)} files, {path.stat().st_size / 1e6:.1f} MB")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    return sdist, wheel


def version_of(archive: Path) -> str:
    """The version in the name of a wheel or an sdist."""
    return re.fullmatch(r"pinnsolve-([^-]+?)(?:-.*\.whl|\.tar\.gz)", archive.name)[1]


# -- fresh environments ----------------------------------------------------------------------------------------------


def pythons_here() -> Iterator[str]:
    """A command for each of `PYTHONS` that is found: on the path, or among the versions of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        places = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
        for place in filter(None, places):
            told = subprocess.run([place, "-c", "import sys, venv; print(*sys.version_info[:2], sep='.')"],
                                  capture_output=True, encoding="utf-8")  # fmt: skip
            if told.returncode == 0 and told.stdout.strip() == version:
                yield place
                break
        else:
            say(f"  no Python {version} is here")


def solves_a_problem(python: str, archive: Path, version: str) -> None:
    """Install an archive into a fresh environment and solve a problem there, in an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(python, "-m", "venv", folder / "venv")
        programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        pip = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "-c", ROOT / "constraints.txt", archive)
        (folder / "empty").mkdir()
        told = run(programs / "pinnsolve", "--version", folder=folder / "empty").strip()
        if told != f"pinnsolve {version}":
            raise Refused(f"what is installed from {archive.name} calls itself {told!r}")
        run(programs / "pinnsolve", "run", PROBLEM, folder=folder / "empty")
        result = json.loads((folder / "empty" / "runs" / PROBLEM / "result.json").read_text(encoding="utf-8"))
        if (result["status"], result["version"]) != ("converged", version):
            raise Refused(f"{PROBLEM} by {archive.name}: {result['status']}, version {result['version']}")
        named = run(programs / "python", "-c", "import sys; print(sys.version.split()[0])").strip()
        say(f"  {archive.name} under Python {named}: {PROBLEM} {result['status']}, error {result['relative_l2_error']}")


def check(asked: argparse.Namespace) -> None:
    """All that a release needs. Raises Refused at the first that is missing."""
    version = None
    if not asked.rehearse:
        version = tagged_version()
        texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff")]
        if found := disagreements(version, *texts):
            raise Refused("; ".join(found))
        say(f"the tag, CHANGELOG.md and CITATION.cff have version {version}")
    run(sys.executable, ROOT / "scripts" / "make_reference.py", "--check")
    try:
        run(sys.executable, ROOT / "scripts" / "make_licenses.py", "--check")
    except Refused as error:
        raise Refused(f"docs/licenses.md is not up to date; scripts/make_licenses.py writes it\n{error}") from None
    say("licences and the reference of problem files are up to date")
    with tempfile.TemporaryDirectory() as name:
        sdist, wheel = built(Path(name))
        version = version or version_of(wheel)
        if {version_of(sdist), version_of(wheel)} != {version}:
            raise Refused(f"{sdist.name} and {wheel.name} are not of version {version}")
        pythons = asked.python or list(pythons_here())
        for python in pythons:
            solves_a_problem(python, wheel, version)
        solves_a_problem(pythons[0], sdist, version)
        if asked.keep:
            asked.keep.mkdir(parents=True, exist_ok=True)
            for archive in (sdist, wheel):
                shutil.copy(archive, asked.keep)
    word = "could be released, by what a rehearsal can see" if asked.rehearse else "can be released"
    say(f"pinnsolve {version} {word}; nothing was uploaded")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="without clean tree, tag, changelog and citation")
    parser.add_argument("--python", action="append", help="a Python to install with; may be given several times")
    parser.add_argument("--keep", type=Path, help="a folder for the archives")
    try:
        check(parser.parse_args(arguments))
    except Refused as error:
        print(f"not released: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
