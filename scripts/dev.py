"""One command that sets everything up and runs it; needs nothing but Python 3.11 or later.

    python3 scripts/dev.py run problems/poisson-2d.yaml     any pinnsolve command with its arguments
    python3 scripts/dev.py test                             checks and tests; further arguments go to pytest
    python3 scripts/dev.py release                          whether this commit can be released; nothing is uploaded

Input: the command line; PINNSOLVE_VENV may name the folder of the environment (`.venv` in the repository otherwise).
Output: the environment, made when it is missing, unfinished or older than pyproject.toml or constraints.txt, and the
exit status of the command. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = "pinnsolve-environment"  # a file that says: made by this script, may be deleted by it
READY = "pinnsolve-ready"  # a file with the fingerprint of what was installed; there only when all went well
MINIMUM = (3, 11)
MOST_WORKERS = 4  # processes that run tests side by side; each loads torch, half a GB

EXTRAS = {"test": "dev", "release": "release"}  # a command that is not pinnsolve's own -> what it needs installed


def main(arguments: list[str]) -> int:
    if sys.version_info < MINIMUM:
        return fail(f"Python {MINIMUM[0]}.{MINIMUM[1]} or later is needed; this is {sys.version.split()[0]}")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    environment = Path(os.environ.get("PINNSOLVE_VENV") or ROOT / ".venv").expanduser().absolute()
    command = arguments[0]
    try:
        python = prepare(environment, extra=EXTRAS.get(command, ""))
    except SetupError as error:
        return fail(str(error))
    if command == "test":
        return run_tests(python, arguments[1:])
    if command == "release":
        return run([python, str(ROOT / "scripts" / "release.py"), *arguments[1:]])
    return run([python, "-m", "pinnsolve", *arguments])


CHECKS = {  # what each complains of -> the command
    "ruff check found faults": ["ruff", "check", "."],
    "ruff format --check found files that `ruff format` would change": ["ruff", "format", "--check", "."],
    "mypy found types that do not fit": ["mypy"],
}


def run_tests(python: str, arguments: list[str]) -> int:
    """Check the code, then run the tests, also after a complaint. Returns 0 when all are content."""
    complaints = [complaint for complaint, check in CHECKS.items() if run([python, "-m", *check], cwd=ROOT)]
    # one thread a process: two that want all cores take turns, and rounding then depends on the machine
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    workers = [] if arguments else ["-n", str(min(os.cpu_count() or 1, MOST_WORKERS))]
    tests = run([python, "-m", "pytest", *workers, *arguments], cwd=ROOT, environment=environment)
    for complaint in complaints:
        print(f"dev.py: {complaint}, listed above the tests", file=sys.stderr)
    return tests or bool(complaints)


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def prepare(environment: Path, extra: str) -> str:
    """The environment's Python, after installing what is missing."""
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = _installed(environment)
    if python.exists() and installed[:1] == [fingerprint()] and (not extra or extra in installed):
        return str(python)
    extras = sorted({*installed[1:], *([extra] if extra else [])})
    if not installed or not _works(python):  # missing, left half made, or its Python was replaced
        create(environment, python)
    (environment / READY).unlink(missing_ok=True)  # an interruption from here on starts afresh the next time
    install(str(python), extras)
    (environment / READY).write_text("\n".join([fingerprint(), *extras]), encoding="utf-8")
    return str(python)


def _installed(environment: Path) -> list[str]:
    """The fingerprint and the extras of a finished environment; empty when there is none."""
    try:
        return (environment / READY).read_text(encoding="utf-8").split()
    except OSError:
        return []


def _works(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", "import pip"], capture_output=True).returncode == 0
    except OSError:
        return False


def fingerprint() -> str:
    """Changes when the environment has to be brought up to date."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def create(environment: Path, python: Path) -> None:
    if environment.exists() and any(environment.iterdir()):
        if not (environment / OURS).exists():
            raise SetupError(f"{environment} holds something else; name another folder in PINNSOLVE_VENV")
        shutil.rmtree(environment)
    print(f"Setting up {environment}: this takes a few minutes, once.", file=sys.stderr)
    environment.mkdir(parents=True, exist_ok=True)
    (environment / OURS).touch()
    status = run([sys.executable, "-m", "venv", str(environment)])
    if status or not python.exists():
        raise SetupError("Python's venv module failed; on Debian and Ubuntu, install the package python3-venv")


def install(python: str, extras: list[str]) -> None:
    """torch first and by itself, so that its pinned build is settled before anything else may ask for another."""
    package = "." + (f"[{','.join(extras)}]" if extras else "")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-c", "constraints.txt"]
    for step in (["torch"], ["-e", package]):
        print(f"pip install -c constraints.txt {' '.join(step)}", file=sys.stderr)
        start = time.monotonic()
        if run([*pip, *step], cwd=ROOT):
            raise SetupError("the installation failed; run the same command again once the cause is removed")
        print(f"    done in {time.monotonic() - start:.0f} s", file=sys.stderr)


def run(command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None) -> int:
    """Run a command and return its exit status; Ctrl-C is left to the command, which may have work to save."""
    process = subprocess.Popen(command, cwd=cwd, env=environment)
    while True:
        try:
            status = process.wait()
            return status if status >= 0 else 128 - status  # killed by a signal, as a shell reports it
        except KeyboardInterrupt:
            continue


def fail(message: str) -> int:
    print(f"dev.py: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
