"""`report.html`: it says all there is, nothing in it runs or is fetched, and a browser shows it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import browser
import matplotlib.image
import numpy as np
import pytest
from shape_problems import ring_problem, ring_solution
from sine_basis import solution_of

import pinnsolve as ps
from pinnsolve.cli import main
from pinnsolve.figures.samples import Drawn
from pinnsolve.output.html import parts
from pinnsolve.output.html import report as html_report
from pinnsolve.output.html.history import history
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

SECTIONS = ["Solution", "Problem", "Terms", "How it was solved", "To cite", "Problem file"]
KINDS = {  # name of a problem, settings, words of its report
    "logistic": ([], "tolerance"),
    "heat-1d": (["solve.tolerance=1e-3"], "Converged"),
    "poisson-2d": ([], "Converged"),
    "kovasznay": (["solve.tolerance=1e-2"], "Converged"),
    "poisson-3d": (["solve.tolerance=1e-2"], "Converged"),
    "regression": ([], "measured, in"),
    "find-the-diffusivity": ([], "standard error"),
    "cavity": (["solve.limits.seconds=4", "solve.tolerance=1e-8"], "Ran into its time limit"),
}
needs_browser = pytest.mark.skipif(browser.find() is None, reason=f"none of {', '.join(browser.NAMES)} is installed")
VOID = {"meta", "img", "br", "hr", "input"}
ATTACK = "</title><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The report of a run of each kind, made when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def report(kind: str) -> Path:
        if kind not in made:
            settings = [word for setting in KINDS[kind][0] for word in ("--set", setting)]
            with pytest.raises(SystemExit) as end:
                main(["run", kind, "--json", "--out", str(folder / kind), *settings])
            assert end.value.code in (0, 1)
            made[kind] = folder / kind / "report.html"
        return made[kind]

    return report


class Page(HTMLParser):
    """The structure of a page: elements properly nested, attributes, text."""

    def __init__(self, path: Path):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def assert_harmless(page: Page) -> None:
    """No script, nothing that is fetched, and a policy that forbids both."""
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "href", "srcset", "action", "data"} or value.startswith("data:image/png;base64,")
            assert "url(" not in (value or "")
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies and policies[0].startswith("default-src 'none';")


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_says_everything(reports, kind):
    path = reports(kind)
    page, result = Page(path), ps.load_solution(path.parent).result
    assert_harmless(page)
    assert KINDS[kind][1] in page.text
    for heading in SECTIONS:
        assert heading in page.text
    problem = ps.load(path.parent / "problem.yaml")
    assert problem.spec.title in page.text
    assert page.count("math") >= len(problem.statements)
    for name in result["terms"]:
        assert name in page.text
    for citation in result["cite"]:
        assert citation in page.text
    for value in (result["method"], result["basis"], f"pinnsolve {result['version']}"):
        assert value in page.text
    figures = {picture.name for picture in (path.parent / "figures").iterdir()} - {"history.png"}
    frames = page.count("input")  # of a film, one for each mark
    assert page.count("img") == len(figures) + frames and len(figures) >= 2
    assert (frames > 0) == (problem.time is not None and len(problem.coordinates) > 1)
    told = bool(ps.load_solution(path.parent).history)  # a run that ends with its first level has none
    assert page.count("svg") == told and page.count("details") == 1 + told
    assert " ".join((path.parent / "problem.yaml").read_text().split()) in page.text
    assert path.stat().st_size < 3e6


def test_text_of_a_file_is_text(tmp_path):
    data = {
        "name": "attack",
        "title": ATTACK,
        "description": ATTACK,
        "cite": [ATTACK],
        "coordinates": {"x": [0, 1]},
        "unknowns": "u",
        "equations": {"ode": "D(u, x, x) = 0"},
        "conditions": {"ends": {"on": "boundary", "equation": "u = 1"}},
    }
    problem = build_problem(spec_from_dict(data))
    history = ({"step": 0, "seconds": 0.1, "phase": ATTACK, "loss": 1.0, "terms": {ATTACK: 1.0}},)
    result = {"status": ATTACK, "message": ATTACK, "why": ATTACK, "terms": {ATTACK: {}}, "cite": [ATTACK]}
    result |= {"estimated_error": {ATTACK: 1.0}, "parameters": {ATTACK: {"value": 1.0}}, "seed": ATTACK}
    solution = solution_of(("x",), result=result, history=history, problem_text=problem.spec.to_yaml())
    page = Page(html_report.write_report(solution, problem, tmp_path))
    assert_harmless(page)
    assert page.count("img") == 0
    assert page.text.count("alert(1)") >= 9


def test_a_shape_is_told_in_words(tmp_path):
    problem, solution = ring_problem(), ring_solution(result={"status": "converged"})
    page = Page(html_report.write_report(solution, problem, tmp_path))
    assert_harmless(page)
    assert "disk less disk" in page.text and "rim, hole" in page.text
    assert "on hole" in page.text


def test_what_an_inverse_problem_tells(tmp_path):
    values = {"value": 0.3, "standard_error": 1e-3, "discretization_error": 2e-9}
    result = {
        "parameters": {"kappa": values, "rate": values},
        "correlation": {"kappa": {"kappa": 1.0, "rate": -0.93}, "rate": {"kappa": -0.93, "rate": 1.0}},
        "noise": {"probes": {"estimated": 0.0123, "stated": 0.01}},
        "warnings": [ATTACK],
    }
    solution = solution_of(("x", "y"), time=None, result=result)
    page = Page(html_report.write_report(solution, ps.load("poisson-2d"), tmp_path))
    assert_harmless(page)
    for words in ("0.3", "1.0×10−3", "2.0×10−9", "−0.93", "0.0123", "as stated", "alert(1)"):
        assert words in page.text


@pytest.mark.parametrize("status", ["diverged", "interrupted", "something new"])
def test_a_run_that_failed_has_a_report(tmp_path, status):
    problem = ps.load("poisson-2d")
    result = {"status": status, "message": None, "estimated_error": None, "terms": {"walls": {"rms_residual": None}}}
    nothing = ({"step": 0, "loss": None, "terms": None}, {"step": 1, "seconds": 1.0, "loss": float("nan")})
    solution = solution_of(("x", "y"), time=None, result=result, history=nothing)
    page = Page(html_report.write_report(solution, problem, tmp_path))
    assert_harmless(page)
    assert "No error is known or estimated." in page.text
    assert page.count("svg") == 0  # no loss to draw; the table is there
    solution = replace(solution, history=(), result={})
    Page(html_report.write_report(solution, problem, tmp_path))


def test_a_long_history_is_thinned_out(reports, tmp_path):
    folder = reports("find-the-diffusivity").parent
    solution, problem = ps.load_solution(folder), ps.load(folder / "problem.yaml")
    long = replace(solution, history=tuple(replace_step(solution.history[-1], i) for i in range(20_000)))
    pictures = tuple(sorted((folder / "figures").glob("*.png")))
    html_report.write_report(long, problem, tmp_path, Drawn(pictures))
    assert "400 of 20000 steps" in Page(tmp_path / "report.html").text


def replace_step(record: dict, i: int) -> dict:
    return {**record, "step": i, "seconds": i * 1e-3}


def test_a_history_of_one_step_and_of_many_terms():
    terms = {f"term {i}": 10.0**-i for i in range(12)}
    drawn = history([{"step": 1, "seconds": 0.0, "loss": 2.0, "terms": terms}])
    assert "4 more terms are in the table" in drawn and "One step" in drawn
    assert history([]) == ""
    levels = [{"seconds": 1.0 + i, "loss": 1e-3**i, "estimate": 0.1**i, "terms": {"wave": 1e-3**i}} for i in range(3)]
    drawn = history(levels)
    assert "The estimated error, the loss" in drawn and "1.0×10<sup>−2</sup>" in drawn
    assert drawn.count("<circle") == 9  # three lines of three points


def test_numbers():
    shown = [parts.number(v) for v in (0, 3, -2, 0.25, 2.13e-7, 1234567.0, None, float("nan"), "x")]
    assert shown == ["0", "3", "−2", "0.25", "2.1×10<sup>−7</sup>", "1.2×10<sup>6</sup>", "–", "–", "–"]
    assert [parts.magnitude(v) for v in (0.0, 0.25, None)] == ["0", "2.5×10<sup>−1</sup>", "–"]


# -- in a browser ---------------------------------------------------------------------------------------------


@needs_browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_lays_it_out(reports, kind, tmp_path):
    page = reports(kind)
    found = browser.measured(page, tmp_path)
    assert found["title"] == ps.load(page.parent / "problem.yaml").spec.title
    assert found["scripts"] == 0 and found["too_wide"] <= 0
    assert found["headings"] == SECTIONS
    assert all(height >= 6 for height, _ in found["formulas"])
    assert all(whole > 1.5 * part for whole, part in found["fractions"])  # really drawn as fractions
    assert len(found["pictures"]) >= 2 and all(width > 300 for width, _ in found["pictures"])


@needs_browser
def test_nothing_is_fetched(reports, tmp_path):
    assert browser.fetched(reports("poisson-2d"), tmp_path) == set()
    other = tmp_path / "other.html"
    other.write_text('<img src="http://127.0.0.1:9/picture.png">')
    assert "http://127.0.0.1:9/picture.png" in browser.fetched(other, tmp_path)  # a request would be noticed


@needs_browser
def test_a_screenshot_is_neither_blank_nor_the_same_in_the_dark(reports, tmp_path):
    page = reports("poisson-2d")
    light = screen(browser.screenshot(page, tmp_path, "light.png"))
    dark = screen(browser.screenshot(page, tmp_path, "dark.png", "--blink-settings=preferredColorScheme=0"))
    assert light[:, :20].min() == 1.0  # white at the edge
    assert dark[:, :20].max() < 0.2
    colours = np.unique((light[::4, ::4] * 15).astype(int).reshape(-1, 3), axis=0)
    assert len(colours) > 50  # the picture of the solution is there
    for shot in (light, dark):
        ink = np.abs(shot - shot[5, 5]).max(axis=2) > 0.3
        assert ink[:120].mean() > 0.01  # title and status


def screen(path: Path) -> np.ndarray:
    return matplotlib.image.imread(path)[..., :3]
