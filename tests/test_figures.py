"""Figures: what they show follows from the coordinates, colours from the values, and nothing overlaps or is cut off."""

import itertools
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import LogNorm
from shape_problems import CENTER, INNER, OUTER, RING_AREA, ring_solution
from sine_basis import LOWER, UPPER, closed_form, solution_of

from pinnsolve.figures import convergence, figures, film, labels, slices, style
from pinnsolve.figures import samples as sampling
from pinnsolve.figures.drawer import Drawer
from pinnsolve.figures.samples import sample
from pinnsolve.figures.slices import side

RNG = np.random.default_rng(1)


def make(coordinates, unknowns=("u",), time="t", **fields):
    """A solution with errors in its result, history, and residuals inside and on the faces."""
    count = len(coordinates)
    low, high = np.array([LOWER[i % 2] for i in range(count)]), np.array([UPPER[i % 2] for i in range(count)])
    inside = low + (high - low) * RNG.random((300, count))
    faces = []
    for axis in range(count):
        face = low + (high - low) * RNG.random((60, count))
        face[:, axis] = low[axis]
        faces.append(face)
    faces = np.concatenate(faces)
    residuals = {"momentum": RNG.standard_normal(300) * 1e-7, "walls": RNG.standard_normal(len(faces)) * 1e-6}
    history = tuple(
        {
            "step": i,
            "phase": "lsgd" if i < 30 else "newton",
            "loss": 2 * 0.8**i,
            "terms": {"momentum": 0.8**i, "walls": 0.8**i},
        }
        for i in range(50)
    )
    defaults = {
        "result": {"relative_l2_error": dict.fromkeys(unknowns, 2.1e-7), "reference": "exact"},
        "history": history,
        "diagnostics": {"points": {"momentum": inside, "walls": faces}, "residuals": residuals},
    }
    return solution_of(coordinates, unknowns, time if time in coordinates else None, **{**defaults, **fields})


def truth_of(solution):
    zero = (0,) * len(solution.coordinates)

    def truth(points):
        bump = 1e-7 * np.prod(np.sin(points + 0.5), axis=1)
        return {u: closed_form(solution, i, points, zero) + bump for i, u in enumerate(solution.unknowns)}

    return truth


def solution_figure(solution, truth=None):
    return figures.solution_figure(sample(solution, truth))


def residual_figure(solution):
    return convergence.residual_figure(sample(solution))


def history_figure(solution):
    return convergence.history_figure(sample(solution))


def save_figures(solution, folder, truth=None):
    """The paths of all figures, none of which may fail."""
    drawn = figures.save_figures(sample(solution, truth), folder)
    assert drawn.failures == ()
    return drawn.pictures


FOUR = ["solution.png", "error.png", "residual.png", "history.png"]  # of every solution whose truth is known
CASES = {
    "one coordinate": (("x",), ("u",)),
    "time alone, two unknowns": (("t",), ("u", "v")),
    "time and space": (("t", "x"), ("u",)),
    "space and time, two unknowns": (("x", "t"), ("u", "v")),
    "plane": (("x", "y"), ("u",)),
    "plane, four unknowns": (("x", "y"), ("u", "v", "p", "T")),
    "time and plane": (("t", "x", "y"), ("u", "v")),
    "space, two unknowns": (("x", "y", "z", "r"), ("u", "v")),
    "time and space of three": (("t", "x", "y", "z"), ("u",)),
    "five dimensions": (("x1", "x2", "x3", "x4", "x5"), ("u",)),
}


def extents(figure):
    """Of every panel with its labels, and of every text of the figure itself, in pixels."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes += [text.get_window_extent(renderer) for text in figure.texts if text.get_text()]
    return [box for box in boxes if box.width > 0 and box.height > 0]


def assert_well_laid_out(figure):
    boxes = extents(figure)
    for a, b in itertools.combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 1 or high <= 1, f"panels overlap: {a} {b}"


@pytest.fixture
def coarse(monkeypatch):
    """Fewer pixels: the layout is the same."""
    monkeypatch.setattr(sampling, "PIXELS", 31)
    monkeypatch.setattr(style, "DOTS_PER_INCH", 50)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_problem_gives_four_figures(case, tmp_path, coarse, monkeypatch):
    drawn = []
    write = style.write
    monkeypatch.setattr(style, "write", lambda figure, path: drawn.append(figure) or write(figure, path))
    solution = make(*CASES[case])
    before = dict(mpl.rcParams)
    paths = save_figures(solution, tmp_path / "figures", truth_of(solution))
    assert [p.name for p in paths] == FOUR
    assert all(p.read_bytes()[:4] == b"\x89PNG" and p.stat().st_size > 2000 for p in paths)
    assert dict(mpl.rcParams) == before
    with style.styled():
        for figure in drawn:
            assert_well_laid_out(figure)


def test_a_solution_is_evaluated_once_for_all_figures():
    solution, calls = make(("t", "x")), []

    class Counted:
        def __getattr__(self, name):
            return getattr(solution, name)

        def columns(self, points, *rest):
            calls.append(len(points))
            return solution.columns(points, *rest)

    found = sample(Counted(), truth_of(solution))
    assert len(calls) == 1
    assert [values.shape for values in found.values["u"]] == [(sampling.PIXELS, sampling.PIXELS)]
    for line, values, exact in zip(found.profiles, found.profile_values["u"], found.profile_exact["u"], strict=True):
        points = line.grid(solution, sampling.LINE_POINTS)
        np.testing.assert_array_equal(values, solution.values(points, "u"))
        np.testing.assert_array_equal(exact, truth_of(solution)(points)["u"])


def test_a_figure_that_fails_leaves_the_others(tmp_path, coarse, monkeypatch):
    def fail(samples):
        raise RuntimeError("no ink")

    monkeypatch.setattr(figures, "residual_figure", fail)
    drawn = figures.save_figures(sample(make(("x", "y"))), tmp_path)
    assert [path.name for path in drawn.pictures] == ["solution.png", "history.png"]
    assert drawn.failures == ("The figure residual.png could not be drawn: RuntimeError: no ink",)


def test_another_process_draws_the_same(tmp_path):
    found = sample(make(("x", "y")), truth_of(make(("x", "y"))))
    here = figures.save_figures(found, tmp_path / "here")
    with Drawer() as drawer:
        there = drawer.draw(found, tmp_path / "there")
    assert there.failures == ()
    assert [path.name for path in there.pictures] == FOUR
    for a, b in zip(here.pictures, there.pictures, strict=True):
        np.testing.assert_array_equal(mpl.image.imread(a), mpl.image.imread(b))


@pytest.mark.parametrize("how", ["never began", "died"])
def test_without_another_process_this_one_draws(how, tmp_path, coarse, monkeypatch):
    if how == "never began":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with Drawer() as drawer:
        if how == "died":
            drawer._process.kill()
        drawn = drawer.draw(sample(make(("x", "y"))), tmp_path / "figures")
    assert [path.name for path in drawn.pictures] == ["solution.png", "residual.png", "history.png"]


def test_without_truth_there_is_no_error_figure(tmp_path, coarse):
    paths = save_figures(make(("x", "y")), tmp_path)
    assert [p.name for p in paths] == ["solution.png", "residual.png", "history.png"]


def test_with_nothing_but_a_solution(tmp_path, coarse):
    solution = make(("x", "y"), diagnostics={}, history=(), result={})
    assert [p.name for p in save_figures(solution, tmp_path)] == ["solution.png"]


@pytest.mark.parametrize("case", ["one coordinate", "time and space", "plane", "five dimensions"])
def test_a_solution_that_diverged_can_be_drawn(case, tmp_path, coarse):
    solution = make(*CASES[case])
    solution.coefficients[0] = torch.nan
    nothing = {name: np.full(300 if name == "momentum" else 60, np.nan) for name in ("momentum", "walls")}
    solution.diagnostics["residuals"].update(nothing)
    solution.diagnostics["points"]["walls"] = solution.diagnostics["points"]["walls"][:60]
    history = tuple({"step": i, "loss": None, "terms": {"momentum": None}} for i in range(2))
    object.__setattr__(solution, "history", history)
    save_figures(solution, tmp_path, truth_of(solution))


# -- which slices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coordinates", "axes"),
    [
        (("x",), [(0,)]),
        (("t", "x"), [(0, 1)]),
        (("x", "t"), [(1, 0)]),  # time is horizontal
        (("x", "y"), [(0, 1)]),
        (("t", "x", "y"), [(1, 2)] * 4),
        (("x", "t", "y", "z"), [(0, 2)] * 4),
        (("x", "y", "z"), [(0, 1), (0, 2), (1, 2)]),
        (("x1", "x2", "x3", "x4", "x5"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]),
    ],
)
def test_views(coordinates, axes):
    solution = make(coordinates)
    found = slices.views_of(solution)
    assert [view.axes for view in found] == axes
    for view in found:
        grid = view.grid(solution, 5)
        assert len(grid) == 5 ** len(view.axes)
        assert not solution.outside(grid).any()
        assert {a for a, _ in view.held} | set(view.axes) == set(range(len(coordinates)))


def test_snapshots_run_from_the_first_time_to_the_last():
    found = slices.views_of(make(("t", "x", "y")))
    assert [dict(view.held)[0] for view in found] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_images_are_the_right_way_up():
    solution = make(("x", "t"))
    image = solution_figure(solution).axes[0].images[0]
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (-1, 2, 0, 1)  # t over -1..2 horizontally, x over 0..1 upwards
    array = image.get_array()
    t, x = -1 + 3 * (10 + 0.5) / sampling.PIXELS, (170 + 0.5) / sampling.PIXELS
    assert array[170, 10] == pytest.approx(float(solution(x=x, t=t)), rel=1e-9)


def test_equal_scales_in_space_only():
    assert solution_figure(make(("x", "y"))).axes[0].get_aspect() == 1
    assert solution_figure(make(("t", "x"))).axes[0].get_aspect() == "auto"


# -- words and colours ------------------------------------------------------------------------------------------


def words_of(figure):
    found = [t.get_text() for t in figure.texts]
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found += [t.get_text() for t in (axes.get_legend().get_texts() if axes.get_legend() else ())]
    return found


def test_titles_state_what_is_shown_and_how_wrong_it_is():
    solution = make(("t", "x"))
    words = words_of(solution_figure(solution, truth_of(solution)))
    assert words[0] == "waves: solution $u$, relative L² error 2.1×10⁻⁷"
    assert {"$t$", "$x$", "$u$", "exact"} <= set(words)
    assert "$t$ = 0.25" in words
    estimated = make(("t", "x"), ("u", "v"), result={"estimated_error": {"u": 0.012}})
    words = words_of(solution_figure(estimated))
    assert words[0] == "waves: solution"
    assert "$u$, estimated relative error 0.012" in words
    assert "$v$" in words
    assert "exact" not in words


def test_a_reference_is_not_called_exact():
    solution = make(("t", "x"), result={"reference": "burgers.npz, 1e-9"})
    assert "reference" in words_of(solution_figure(solution, truth_of(solution)))
    assert "|$u$ \N{MINUS SIGN} reference|" in [
        axes.get_ylabel()
        for a in figures.error_figure(sample(solution, truth_of(solution))).axes
        for axes in [a, *a.child_axes]
    ]


def test_colours_follow_the_sign():
    name, norm = style.field_colours(np.array([-0.3, 0.9998]))
    assert (name, norm.vmin, norm.vmax) == (style.SIGNED, -1.0, 1.0)
    name, norm = style.field_colours(np.array([0.001, 0.5]))
    assert (name, norm.vmin, norm.vmax) == (style.POSITIVE, 0.0, 0.5)
    name, norm = style.field_colours(np.array([-1e-9, 2.0]))  # rounding is no sign
    assert name == style.POSITIVE
    name, norm = style.field_colours(np.full(9, 3.0))
    assert norm.vmin < 3 < norm.vmax
    name, norm = style.field_colours(np.zeros(9))
    assert norm.vmin < 0 < norm.vmax


def test_errors_are_shown_on_a_logarithmic_scale():
    name, norm = style.magnitude_colours(np.array([0.0, *[1e-12] * 9, 1e-3, np.nan]))
    assert name == style.MAGNITUDE
    assert isinstance(norm, LogNorm)
    assert (norm.vmin, norm.vmax) == (pytest.approx(1e-8), 1e-3)
    assert style.magnitude_colours(np.zeros(3))[1].vmax == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "$x$"),
        ("x1", "$x_{1}$"),
        ("x_12", "$x_{12}$"),
        ("theta", r"$\theta$"),
        ("theta2", r"$\theta_{2}$"),
        ("u_x", "$u_{x}$"),
        ("pressure", "pressure"),
        ("a$b", r"a\$b"),
    ],
)
def test_symbols(name, shown):
    assert labels.symbol(name) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.13e-7, "2.1×10⁻⁷"), (0.25, "0.25"), (0.0, "0"), (12345.0, "1.2×10⁴"), (None, "unknown")],
)
def test_numbers(value, shown):
    assert labels.number(value) == shown


def test_ticks_are_plain_letters():
    figure, ((axes,),) = style.sheet([[style.Panel(3, 2)]], "")
    axes.plot([0, 3e-7], [1e-5, 2e-3])
    style.lines(axes, "x", "y", logarithmic=True)
    figure.canvas.draw()
    assert axes.xaxis.get_major_formatter().get_offset() == "×10⁻⁷"
    assert "10⁻⁴" in [tick.get_text() for tick in axes.get_yticklabels()]
    axes.set_ylim(2e-3, 3e-3)  # no power of ten: the ticks between have labels
    figure.canvas.draw()
    assert "2×10⁻³" in [tick.get_text() for tick in axes.get_yticklabels(which="both")]
    axes.set_xlim(5e5, 5e5 + 1)
    figure.canvas.draw()
    assert axes.xaxis.get_major_formatter().get_offset() == "+5×10⁵"


def drawn_size(figure, path):
    """Height and width of the PNG file in pixels, and whether its rim is white."""
    pixels = mpl.image.imread(style.write(figure, path))
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return pixels.shape[:2], bool((rim == 1).all())


def test_files_are_cut_to_what_is_drawn(tmp_path):
    figure, _ = style.sheet([[style.Panel(3, 2)]], "title")
    (height, width), white = drawn_size(figure, tmp_path / "a.png")
    assert white
    assert 2 * style.DOTS_PER_INCH < height < 3 * style.DOTS_PER_INCH
    assert 3 * style.DOTS_PER_INCH < width < 4 * style.DOTS_PER_INCH
    figure.text(0.5, 0.5, "long " * 40)  # beyond the room that is kept
    (_, wider), white = drawn_size(figure, tmp_path / "b.png")
    assert white
    assert wider > width + 4 * style.DOTS_PER_INCH


def test_hostile_names_are_only_text(tmp_path, coarse):
    name = "$\\frac{$ ^_{} \x1b[31m" + "long " * 40
    assert save_figures(make(("x", "y"), name=name), tmp_path)


# -- residuals and history --------------------------------------------------------------------------------------


def panel_of(solution, points, residuals):
    diagnostics = {"points": {"term": np.array(points)}, "residuals": {"term": np.array(residuals)}}
    object.__setattr__(solution, "diagnostics", diagnostics)
    return residual_figure(solution).axes[0]


def test_residual_on_two_walls_is_two_lines():
    t = np.linspace(0, 1, 5)
    points = np.concatenate([np.stack([t, np.full(5, -1.0)], 1), np.stack([t, np.full(5, 2.0)], 1)])
    axes = panel_of(make(("t", "x")), points, np.arange(1.0, 11))
    assert [line.get_label() for line in axes.lines] == ["$x$ = \N{MINUS SIGN}1", "$x$ = 2"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), np.arange(1.0, 6))
    assert axes.get_xlabel() == "$t$"
    assert axes.get_title() == "term: root mean square 6.2"


def test_residual_inside_the_plane_is_a_map():
    axes = panel_of(make(("x", "y")), [[0.1, 0.1], [0.5, 1.5], [0.9, 0.0]], [1e-3, -1e-5, 1e-4])
    (marks,) = axes.collections
    np.testing.assert_array_equal(sorted(marks.get_array()), [1e-5, 1e-4, 1e-3])


def test_residual_at_a_point_is_a_number():
    axes = panel_of(make(("x", "y")), [[0.0, -1.0]], [-1e-3])
    assert [t.get_text() for t in axes.texts] == ["one point\n|residual| = 0.001"]


def test_residual_in_many_dimensions_is_binned():
    points = np.random.default_rng(0).random((4000, 3)) * [1, 3, 1] - [0, 1, 0]
    axes = panel_of(make(("x", "y", "z")), points, np.where(points[:, 0] > 0.5, 1e-2, 1e-6))
    x_line, y_line, _ = (line.get_ydata() for line in axes.lines)
    assert x_line[0] == pytest.approx(1e-6)
    assert x_line[-1] == pytest.approx(1e-2)
    assert y_line == pytest.approx(np.full(16, 1e-2 / 2**0.5), rel=0.3)


def test_history_has_a_line_per_term_and_the_sum():
    axes = history_figure(make(("x",))).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert {"momentum", "walls", "sum"} <= set(lines)
    np.testing.assert_allclose(lines["momentum"].get_ydata(), 0.8 ** np.arange(50))
    assert axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.texts] == ["lsgd", "newton"]


def test_history_of_several_parts_runs_on():
    history = tuple({"step": i % 3, "phase": "p", "loss": 1.0 / (i + 1), "terms": {"a": 1.0}} for i in range(6))
    axes = history_figure(make(("x",), history=history)).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 1, 2, np.nan, 3, 4, 5])


def test_history_without_a_loss_is_that_of_the_error():
    history = tuple({"step": i, "phase": "p", "loss": 0.0, "terms": {"a": 0.0}, "estimate": 0.1**i} for i in range(4))
    axes = history_figure(make(("x",), history=history)).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.0, 0.1, 0.01, 0.001])
    assert axes.get_ylabel() == "estimated relative error"


def test_names_of_phases_do_not_overlap(coarse):
    history = tuple({"step": i, "phase": f"W = 250, scale {i // 3}", "loss": 1.0, "terms": {}} for i in range(33))
    with style.styled():
        figure = history_figure(make(("x",), history=history))
        figure.canvas.draw()
        texts = figure.axes[0].texts
        boxes = [t.get_window_extent() for t in texts]
    assert len(texts) > 3
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


# -- domains that are shapes --------------------------------------------------------------------------------------


def test_a_shape_is_masked_and_its_holes_are_seen(tmp_path):
    solution = ring_solution()
    figure = solution_figure(solution)
    cover = figure.axes[0].images[1].get_array()  # white over what is outside, as (vertical, horizontal, RGBA)
    x, y = (side(*ends, cover.shape[0], ends=False) for ends in solution.intervals)
    r = np.hypot(*(np.array(np.meshgrid(x, y)) - CENTER[:, None, None]))
    width = x[1] - x[0]
    assert (cover[(r < OUTER - width) & (r > INNER + width)][:, 3] == 0).all()
    assert (cover[(r > OUTER + width) | (r < INNER - width)] == 1).all()
    assert np.isfinite(figure.axes[0].images[0].get_array()).all()  # below it colours go on, so that no edge is pale
    assert any(type(mark).__name__ == "QuadContourSet" for mark in figure.axes[0].collections)
    with style.styled():
        assert_well_laid_out(figure)


def test_every_figure_of_a_shape(tmp_path, coarse):
    inside = np.array([[0.5, 0.9], [0.2, 0.5], [0.5, 0.15]])
    rim = CENTER + OUTER * np.stack([np.cos(angles := np.linspace(0, 6, 50)), np.sin(angles)], axis=1)
    kept = {"points": {"inside": inside, "rim": rim}, "residuals": {"inside": np.ones(3), "rim": np.ones(50)}}
    solution = ring_solution(diagnostics=kept)
    paths = save_figures(solution, tmp_path, lambda points: {"u": np.ones(len(points))})
    assert [p.name for p in paths] == ["solution.png", "error.png", "residual.png"]
    assert save_figures(ring_solution(time=True), tmp_path / "time")


def test_an_outline_is_found_as_well_as_by_testing_every_pixel(monkeypatch):
    monkeypatch.setattr(slices, "OUTLINE_PIXELS", 240)
    found = sample(ring_solution())
    (view,) = found.views
    every = ring_solution().in_domain(view.grid(found, 240)).reshape(240, 240)
    np.testing.assert_array_equal(found.outline(view), every)
    assert abs(every.mean() - RING_AREA) < 0.01
    assert sample(make(("x", "y"))).outline(view) is None


def test_an_outline_is_found_once_for_all_times():
    found = sample(ring_solution(time=True))
    assert len(found.views) == slices.TIMES_OF_IMAGES
    assert len(found.outlines) == 1
    assert all(found.outline(view) is not None for view in found.views)


def test_a_film_takes_the_outline_that_is_known(monkeypatch):
    looked = []
    outline = slices.outline
    for module in (sampling, film):
        monkeypatch.setattr(module, "outline", lambda *a: looked.append(a) or outline(*a))
    found = sample(ring_solution(time=True), film=True)
    assert len(looked) == 1 and found.film.inside is found.outline(found.views[0])
