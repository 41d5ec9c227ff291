"""Every example of README.md and docs/ runs as it is written, and every link leads somewhere.

How a page is read: its fenced blocks are taken in order, in a folder and a Python namespace of their own.

- A block that follows a line ending in "`poisson.yaml`:" (any name) is written to that file.
- `console`: lines `$ pinnsolve ...` are run; the exit code is 0, or that of a comment such as `# exit code 1`. Every
  line of the output below them must be printed, with the same words; its numbers agree as `agree` says. `...` stands
  for lines left out, and times are not compared.
- `python`: executed. Where a comment after `print(...)` begins with numbers, these are what is printed.
- `yaml` without a file name: a whole problem, which is solved (or, where that takes long, compiled); without `name`, it
  is a change to the problem before it, and the result is compiled.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest
from test_imports import ROOMS

import pinnsolve as ps
from pinnsolve import defaults, extensions
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language import operators
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
LANGUAGES = {"yaml", "python", "console", "csv", "sh"}
TAKES_LONG = {"burgers", "lid-driven-cavity"}  # by name: compiled here, solved elsewhere
SECONDS = 120  # for one command

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```\n", re.MULTILINE | re.DOTALL)
MATHEMATICS = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
FILE_NAME = re.compile(r"`([\w.-]+\.\w+)`:$")
EXIT_CODE = re.compile(r"#.*\bexit code (\d+)")
WORD = re.compile(r"[^\W\d_]{3,}")
NUMBER = re.compile(r"(?<![\w.-])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w-])", re.IGNORECASE)
NUMBERS_SAID = re.compile(r"#\s*(?:about )?\(?((?:[-+]?\d[\d.]*(?:e[-+]?\d+)?(?:, | and )?)+)")
TIMED = re.compile(r"^\s*time\b")
ROUNDING = 1e-11  # numbers below are zero but for rounding
MAGNITUDE, COUNT, VALUE = 10.0, 0.25, 0.01  # how far numbers may be apart: a factor, and relative differences
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH_IN_CODE = re.compile(r"`((?:docs|pinnsolve|problems|scripts|tests)/[\w./-]*)`")


# -- what is on a page ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, and the file that it shows, if any."""

    place: str
    language: str
    text: str
    file: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip()
        name = FILE_NAME.search(before)
        place = f"{page.name}:{text[: match.start()].count(chr(10)) + 1}"
        found.append(Block(place, match[2], dedent(match[3]), name and name[1]))
    assert text.count("```") == 2 * len(found), f"{page.name}: a fence without its other end"
    return found


def words_of(page: Path) -> str:
    """The page without its blocks and formulas."""
    return MATHEMATICS.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors_of(page: Path) -> set[str]:
    """The headings of a page, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", words_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- running one ----------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Someone who does what a page says, in a folder."""

    folder: Path
    names: dict = field(default_factory=lambda: {"__name__": "page"})
    problem: dict = field(default_factory=dict)

    def do(self, block: Block) -> None:
        assert block.language in LANGUAGES, f"{block.place}: a block of language {block.language!r} is never tried"
        if block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            self.read(block)
        elif block.language == "console":
            self.type(block)
        elif block.language == "python" and not block.file:
            self.execute(block)

    def read(self, block: Block) -> None:
        data = parse_yaml(block.text).data
        self.problem = data if "name" in data else merged(self.problem, data)
        if block.file:  # what becomes of it, commands on the page say: some files are wrong on purpose
            return
        problem = build_problem(spec_from_dict(self.problem, self.folder))
        compile_problem(problem)
        if "name" in data and problem.name not in TAKES_LONG:
            solution = ps.solve(problem)
            assert solution.result["status"] == "converged", f"{block.place}: {solution.result['message']}"

    def execute(self, block: Block) -> None:
        """Run a page of Python, and compare what it prints with the comments that say so."""
        lines = block.text.splitlines()

        def printed(*values, **_) -> None:
            said = NUMBERS_SAID.search(lines[sys._getframe(1).f_lineno - 1])
            if said:
                found, wanted = numbers(" ".join(map(str, values))), numbers(said[1])
                close = len(found) == len(wanted) and all(map(agree, wanted, found))
                assert close, f"{block.place}: {wanted} is said to be printed, and {found} is"

        self.names["print"] = printed
        exec(compile(block.text, block.place, "exec", dont_inherit=True), self.names)

    def type(self, block: Block) -> None:
        for command, shown in commands_of(block):
            words = shlex.split(command, comments=True)
            assert words[0] == "pinnsolve", f"{block.place}: only pinnsolve can be run here, not {words[0]}"
            code = EXIT_CODE.search(command)
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"},
                capture_output=True,
                encoding="utf-8",
                timeout=SECONDS,
            )
            printed = done.stdout + done.stderr
            assert done.returncode == (int(code[1]) if code else 0), f"{block.place}: {command}\n{printed}"
            missing = [line for line in shown.splitlines() if not is_printed(line, printed)]
            assert not missing, f"{block.place}: {command} does not say\n" + "\n".join(missing) + f"\nbut\n{printed}"


def is_printed(line: str, printed: str) -> bool:
    """Whether some line of the output has the words of this one, and numbers that agree."""
    words, wanted = WORD.findall(line), [] if TIMED.match(line) else NUMBER.findall(line)
    if not words and not wanted:
        return True
    for other in printed.splitlines():
        found = NUMBER.findall(other)
        if set(words) <= set(WORD.findall(other)) and len(found) >= len(wanted) and all(map(agree, wanted, found)):
            return True
    return False


def numbers(text: str) -> list[str]:
    return NUMBER.findall(text)


def agree(wanted: str, found: str) -> bool:
    """Whether a number is as the page has it.

    Those in powers of ten are errors, of which the magnitude counts; those without a point are counts; others are
    values. What is rounding on the page is so on any machine.
    """
    a, b = float(wanted), float(found)
    if abs(a) < ROUNDING or abs(b) < ROUNDING:
        return max(abs(a), abs(b)) < 1e3 * ROUNDING
    if "e" in wanted.lower():
        return a * b > 0 and 1 / MAGNITUDE <= a / b <= MAGNITUDE
    return abs(a - b) <= (VALUE if "." in wanted else COUNT) * abs(a)


def commands_of(block: Block) -> list[tuple[str, str]]:
    """Commands with the output shown below each."""
    parts = re.split(r"^\$ (.+)$", block.text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"{block.place}: output without a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def merged(problem: dict, change: dict) -> dict:
    """The problem with a map of changes put over it."""
    result = dict(problem)
    for key, value in change.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


# -- tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module, name in (
        (operators, "OPERATORS"),
        (extensions, "BASES"),
        (extensions, "SOLVERS"),
    ):  # forgotten afterwards
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    reader = Reader(tmp_path)
    for block in blocks_of(page):
        reader.do(block)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_file_that_a_page_shows_is_used_there(page):
    blocks = blocks_of(page)
    for i, block in enumerate(blocks):
        used = any(block.file in other.text for other in blocks[i + 1 :]) if block.file else True
        assert used, f"{block.place}: no example uses `{block.file}`"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_and_paths_lead_somewhere(page):
    text = words_of(page)
    broken = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        found = path.exists() and ROOT in (path, *path.parents)
        if not found or (anchor and anchor not in anchors_of(path)):
            broken.append(link)
    broken += [path for path in PATH_IN_CODE.findall(text) if not (ROOT / path).exists()]
    assert not broken


def test_the_method_page_states_the_defaults():
    text = words_of(ROOT / "docs" / "method.md")
    for dimension, label in ((1, "1"), (2, "2"), (3, "3"), (4, "4 to 6")):
        widths, scales = (", ".join(f"{n:g}" for n in f(dimension)) for f in (defaults.widths, defaults.scales))
        assert f"| {label} | {widths} | {scales} |" in text
    for method, steps in defaults.STEPS.items():
        assert re.search(rf"^\| `{method}` \|.*\| {steps} \|", text, re.MULTILINE), method
    assert f"Systems stop at {defaults.MOST_COLUMNS} coefficients" in text


def test_the_development_page_lists_the_rooms_in_their_order():
    text = words_of(ROOT / "docs" / "development.md")
    section = text[text.index("## The rooms") : text.index("## Words of the code")]
    rows = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert told == [room for room in ROOMS if not room.startswith("__")]


def test_the_commands_of_the_readme_name_files_that_exist():
    shell = "".join(block.text for block in blocks_of(ROOT / "README.md") if block.language == "sh")
    paths = re.findall(r"[\w.-]+/[\w./-]+", shell)
    assert "scripts/dev.py" in paths
    assert all((ROOT / path).exists() for path in paths)


def test_every_page_can_be_reached_from_the_index():
    linked = set(LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES[1:]} - linked == {"index.md"}
    assert "docs/index.md" in (ROOT / "README.md").read_text(encoding="utf-8")


# -- and of the reading itself --------------------------------------------------------------------------------


def block(language: str, text: str, file: str | None = None, line: int = 1) -> Block:
    return Block(f"page.md:{line}", language, text, file)


@pytest.mark.parametrize(
    "wrong",
    [
        block("console", "$ pinnsolve check missing.yaml\n"),
        block("console", "$ pinnsolve --version   # exit code 1\n"),
        block("console", "$ pinnsolve --version\nsomething else\n"),
        block("console", "$ pinnsolve --version\npinnsolve 7.7\n"),
        block("python", "print(1.5)  # 1.6\n"),
        block("python", "print([1, 2])  # about 1, 2, 3\n"),
        block("console", "$ rm -r runs\n"),
        block("console", "no command\n"),
        block("python", "1/0\n"),
        block("ruby", "puts 1\n"),
        block("yaml", "name: p\ncoordinates: {x: [0, 1]}\nunknowns: u\nequations: {e: u = z}\n"),
        block("yaml", "solve: {tolerence: 1e-3}\n"),
    ],
)
def test_an_example_that_is_wrong_is_noticed(wrong, tmp_path):
    with pytest.raises((AssertionError, ZeroDivisionError, ps.PinnsolveError)):
        Reader(tmp_path).do(wrong)


def test_numbers_agree_within_what_they_say():
    for wanted, found in [
        ("5.3e-05", "2.1e-05"),
        ("484", "440"),
        ("0.0396", "0.03961"),
        ("1.6e-15", "3.2e-14"),
        ("0", "0"),
    ]:
        assert agree(wanted, found)
    for wanted, found in [
        ("5.3e-05", "2.1e-07"),
        ("484", "324"),
        ("0.0396", "0.041"),
        ("1.6e-15", "1e-6"),
        ("3", "-3"),
    ]:
        assert not agree(wanted, found)
    assert numbers("(2, 5) in run-2 at x2, 1e-3 and -0.5") == ["2", "5", "1e-3", "-0.5"]


def test_blocks_are_found_with_their_files(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\nSave as `a.csv`:\n\n```csv\nx\n1\n```\n\n1. Run `it`:\n\n   ```console\n   $ it\n   ```\n"
    )
    assert blocks_of(page) == [block("csv", "x\n1\n", "a.csv", 5), block("console", "$ it\n", None, 12)]
    assert anchors_of(page) == {"a-page"}
    page.write_text("```yaml\nname: p\n")
    with pytest.raises(AssertionError):
        blocks_of(page)
