"""Films: frames of a solution in time, files of them, and the slider of a report."""

from __future__ import annotations

import io
import re
import stat
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageSequence
from sine_basis import solution_of

from pinnsolve.errors import PinnsolveError, SolutionError
from pinnsolve.figures import animation, film
from pinnsolve.figures.samples import values_at
from pinnsolve.output.html import parts
from pinnsolve.spec.output import Output


def film_of(solution, times=None):
    return film.film_of(solution, values_at, times)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(film, "FRAMES", 4)
    monkeypatch.setattr(film, "PIXELS", 11)
    monkeypatch.setattr(film, "LEAST_PIXELS", 5)


# -- what is shown --------------------------------------------------------------------------------------------------


def test_a_line_in_time():
    solution = solution_of(unknowns=("u", "v"))
    found = film_of(solution)
    assert found.times == pytest.approx((0, 1 / 3, 2 / 3, 1)) and found.values["v"].shape == (4, film.LINE_POINTS)
    x = np.linspace(-1, 2, film.LINE_POINTS)
    np.testing.assert_allclose(found.values["u"][1], solution(t=found.times[1], x=x)["u"], rtol=1e-12)


def test_an_image_in_time():
    solution = solution_of(("x", "t", "y"))
    found = film_of(solution, [0.25, 0.5])
    assert found.values["u"].shape == (2, 11, 11) and found.view.axes == (0, 2)
    points = found.view.grid(solution, 11)
    points[:, 1] = 0.5
    np.testing.assert_allclose(found.values["u"][1].ravel(), solution.values(points, "u"), rtol=1e-12)


def test_the_middle_of_other_coordinates():
    found = film_of(solution_of(("t", "x", "y", "z")))
    assert found.view.axes == (1, 2) and dict(found.view.held) == {3: 0.5}


@pytest.mark.parametrize("fields", [{"coordinates": ("t",)}, {"coordinates": ("x", "y"), "time": None}])
def test_what_does_not_move(fields, tmp_path):
    solution = solution_of(**fields)
    assert film_of(solution) is None
    with pytest.raises(SolutionError, match="in time and space"):
        solution.animate(tmp_path / "film.gif")


def test_times_of_the_file_and_as_many_as_can_be_computed(monkeypatch):
    solution = replace(solution_of(), output=Output((0.0, 0.1, 1.0)))
    assert film_of(solution).times == (0, 0.1, 1)
    many = replace(solution, output=Output(1001))
    assert len(film_of(many).times) == film.MOST_FRAMES
    monkeypatch.setattr(film, "WORK", 1.0)
    costly = film_of(replace(solution_of(("t", "x", "y")), output=Output(1001)))
    assert len(costly.times) == film.LEAST_FRAMES and costly.values["u"].shape[1] == film.LEAST_PIXELS


# -- files ----------------------------------------------------------------------------------------------------------


def test_frames_have_one_size_and_move():
    pictures = list(animation.frames(film_of(solution_of(("t", "x", "y")))))
    assert len(pictures) == 4 and len({p.shape for p in pictures}) == 1
    assert all(n % 2 == 0 for n in pictures[0].shape[:2])
    assert np.count_nonzero(pictures[0] != pictures[-1]) > 1000


def test_what_does_not_change_looks_the_same():
    still = film_of(solution_of())
    still = replace(still, values={"u": np.repeat(still.values["u"][:1], 4, axis=0)})
    pictures = list(animation.frames(still, titled=False))
    assert all((p == pictures[0]).all() for p in pictures)


def test_a_gif(work, command):
    solution_of().save("run")
    code, out, _ = command("export", "run", "--to", "film.gif", "--times", "0,0.5,1")
    assert (code, out) == (0, "wrote film.gif: 3 times from t = 0 to 1\n")
    with Image.open("film.gif") as found:
        assert found.n_frames == 3 and found.info.get("loop") == 0
        first, *_, last = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(found)]
    assert (first != last).any()


def test_a_film_of_what_is_steady_is_refused(work, command):
    solution_of(("x", "y"), time=None).save("run")
    code, _, err = command("export", "run", "--to", "film.gif")
    assert code == 2 and "does not depend on time" in err


def test_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    with pytest.raises(PinnsolveError, match=r"ffmpeg, which is not installed; a \.gif"):
        solution_of().animate(tmp_path / "film.mp4")
    with pytest.raises(PinnsolveError, match=r"written as \.gif or \.mp4"):
        solution_of().animate(tmp_path / "film.avi")


FFMPEG = """#!/bin/sh
for last; do :; done
echo "$@" > {folder}/arguments
wc -c > "$last"
{end}
"""


@pytest.mark.parametrize("end", ["exit 0", "echo it is broken >&2; exit 1"])
def test_mp4_by_ffmpeg(end, tmp_path, monkeypatch):
    """All pixels of all frames go through its pipe, and what it complains of is told."""
    program = tmp_path / "ffmpeg"
    program.write_text(FFMPEG.format(folder=tmp_path, end=end))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(animation.shutil, "which", lambda name: str(program))
    path = tmp_path / "film.mp4"
    if "broken" in end:
        with pytest.raises(PinnsolveError, match="ffmpeg could not write it: it is broken"):
            solution_of().animate(path)
        return
    assert solution_of().animate(path) == path
    width, height = map(int, re.search(r"-s (\d+)x(\d+)", (tmp_path / "arguments").read_text()).groups())
    assert int(path.read_text()) == 4 * 3 * width * height and width % 2 == height % 2 == 0


def test_frames_of_a_page_fit_into_a_budget():
    found = film_of(solution_of(("t", "x", "y")), np.linspace(0, 1, 9))
    everything = animation.small_pngs(found, 10**9)
    assert [t for t, _ in everything] == pytest.approx(np.linspace(0, 1, 9))
    assert Image.open(io.BytesIO(everything[0][1])).mode == "P"
    size = sum(len(content) for _, content in everything)
    few = animation.small_pngs(found, size // 2)
    assert 2 <= len(few) <= 5 and (few[0][0], few[-1][0]) == (0, 1)


def test_a_slider_has_a_mark_and_a_rule_for_each_frame():
    page = parts.film([(0.0, b"first"), (0.5, b"second"), (1.0, b"third")], "t")
    assert page.count('type="radio"') == page.count("<img") == page.count(":checked") == 3
    assert page.count(" checked>") == 1 and "<script" not in page
    assert "t = 0.5" in page


def test_a_large_picture_is_made_smaller(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    content = (tmp_path / "noise.png").read_bytes()
    assert len(content) > parts.LARGE_PICTURE and len(parts._smaller(content)) < len(content) / 2
    assert parts._smaller(b"small") == b"small"


def test_pictures_are_made_smaller_where_a_page_would_be_too_large(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (300, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    content = (tmp_path / "noise.png").read_bytes()
    contents = {"a": content, "b": b"small"}
    assert parts.within(contents, 10**9) == contents
    found = parts.within(contents, 10**5)
    assert found["b"] == b"small" and len(found["a"]) < len(content) / 3
    assert Image.open(io.BytesIO(found["a"])).size == (parts.WIDEST, 210)
    assert 'width="1200"' in parts.picture(found["a"], "noise", parts.pixels_wide(content))  # as it was drawn
