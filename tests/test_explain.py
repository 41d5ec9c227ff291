"""`pinnsolve explain`: the compiled loss as mathematics, and where each number comes from."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

import pinnsolve as ps
from pinnsolve.output.explain import differential_text
from pinnsolve.output.explanation import BASIS_WEIGHTS, BY_CELL, CELL_WEIGHTS, DEFAULT, explained, origin
from pinnsolve.output.html.explanation import explanation_page

TEXT = """\
name: burgers
coordinates: {t: [0, T], x: [-1, 1]}
unknowns: u
parameters:
  T: 2
  nu: 0.01/pi
equations:
  momentum: D(u, t) + u*D(u, x) = nu*D(u, x, x)
conditions:
  start: {on: "t = 0", equation: "u = -sin(pi*x)"}
  walls: {on: ["x = -1", "x = 1"], equation: "u = 0"}
solve: {tolerance: 1e-3}
"""


@pytest.fixture
def file(work):
    path = Path("burgers.yaml")
    path.write_text(TEXT)
    return path


def by_name(explanation):
    return {number.name: number for numbers in explanation.numbers.values() for number in numbers}


def test_terms_as_stated_and_as_compiled(file):
    found = explained(ps.load(file))
    momentum, start, walls = found.terms
    assert momentum.stated == ("D(u, t) + u*D(u, x) = nu*D(u, x, x)",) and momentum.stated_at == "burgers.yaml, line 8"
    assert momentum.residuals == ("u_t + u*u_x - nu*u_xx",)
    assert [name for _, name in momentum.differentials[0]] == ["u", "u_x", "u_xx", "u_t"]
    assert {name: factor for factor, name in momentum.differentials[0]}["u"] == "u_x"
    assert not start.differentials and not walls.differentials
    assert (walls.region, walls.points, walls.points_from) == ("x = -1, x = 1", "by cell", BY_CELL)
    assert walls.weight_from == CELL_WEIGHTS


def test_numbers_have_their_origin(file):
    numbers = by_name(explained(ps.load(file, ["solve.seed=7"])))
    assert (numbers["nu"].text, numbers["nu"].origin) == ("0.01/pi", "burgers.yaml, line 6")
    assert numbers["nu"].value.startswith("0.00318309886")
    assert (numbers["t"].text, numbers["t"].value) == ("[0, T]", "[0, 2]")
    assert (numbers["x"].text, numbers["x"].origin) == ("", "burgers.yaml, line 2")
    assert numbers["solve.tolerance"].origin == "burgers.yaml, line 12"
    assert numbers["solve.seed"].origin == "--set solve.seed=7" and numbers["solve.seed"].value == "7"
    assert numbers["solve.precision"].origin == DEFAULT


def test_points_and_weights_that_the_file_gives(file):
    file.write_text(TEXT.replace("{tolerance: 1e-3}", """
  basis: {kind: mlp, width: 300}
  collocation: {interior: 5000}
  term_weights: {walls: W/3}"""))  # fmt: skip
    momentum, start, walls = explained(ps.load(file)).terms
    assert momentum.points == "5000" and "`solve.collocation.interior`: burgers.yaml, line 14" in momentum.points_from
    assert "300 if it is a network, shared by the faces" in walls.points_from
    assert walls.weight == "W/3" and walls.weight_from == "`solve.term_weights.walls`: burgers.yaml, line 15"
    assert start.weight == "1" and "none for this term" in start.weight_from


def test_weights_of_a_network(file):
    file.write_text(TEXT.replace("{tolerance: 1e-3}", "{basis: {kind: mlp}}"))
    assert {term.weight_from for term in explained(ps.load(file)).terms} == {BASIS_WEIGHTS}


def test_where_a_place_is_in_the_file(file):
    problem = ps.load(file)
    assert origin(problem, "conditions", "walls") == "burgers.yaml, line 11"
    assert origin(problem, "solve", "limits", "seconds") == DEFAULT


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([("1", "u_t"), ("-nu", "u_xx")], "δu_t - nu*δu_xx"),
        ([("-(a + b)", "u"), ("u - v", "w")], "-(a + b)*δu + (u - v)*δw"),
        ([("2*sin(x + y)", "u")], "2*sin(x + y)*δu"),
        ([("-u - v", "w")], "(-u - v)*δw"),
    ],
)
def test_differentials_as_text(pairs, text):
    assert differential_text(pairs) == text


NAMES = ["cavity", "find-reynolds", "conjugate-heat", "helmholtz-impedance", "cooling-fin", "schroedinger-well",
         "poisson-5d", "backward-step", "heat-5d-ball"]  # fmt: skip


class Tags(HTMLParser):
    """Raises for tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_problem_is_explained(name, work, command):
    code, out, _ = command("explain", name)
    assert code == 0 and "which should vanish" in out and f"{name}.yaml, line" in out
    tags = Tags()
    tags.feed(explanation_page(explained(ps.load(name))))
    assert tags.open == []


def test_a_page(file, command):
    code, out, _ = command("explain", "burgers.yaml", "--html", "loss.html")
    assert (code, out) == (0, "wrote loss.html\n")
    page = Path("loss.html").read_text(encoding="utf-8")
    assert "<munder>" in page and "burgers.yaml, line 8" in page and "δ" in page


def test_text_of_a_file_is_text(file):
    file.write_text(TEXT.replace("name: burgers", 'name: burgers\ntitle: "<script>alert(1)</script>"'))
    assert "<script" not in explanation_page(explained(ps.load(file)))


def test_a_wrong_file(work, command):
    Path("wrong.yaml").write_text(TEXT.replace("nu*D", "mu*D"))
    code, out, err = command("explain", "wrong.yaml")
    assert (code, out) == (2, "") and "mu" in err
