"""The documentation site: it is built without a warning and needs no network; links lead to pages of the site."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

import pinnsolve as ps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import make_gallery
import make_site
from website import api, gallery
from website.links import on_site

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("sphinx", "furo", "myst_nb", "latex2mathml")
with_generator = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED), reason="the extra `docs` is not installed"
)
FETCHED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*rel="stylesheet"[^>]*href="https?:"""
)


@with_generator
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path):
    make_site.put_together(tmp_path / "pages")
    assert make_site.render(tmp_path, tmp_path / "html", notebooks=False) == 0
    html = tmp_path / "html"
    found = {path.relative_to(html).with_suffix("").as_posix() for path in html.rglob("*.html")}
    assert {f"gallery/{name}" for name in make_gallery.names()} <= found
    assert {page for group in make_site.CONTENTS.values() for page in group} - found <= {"benchmarks"}
    for path in html.rglob("*.html"):
        assert not FETCHED.search(path.read_text(encoding="utf-8")), path
    method = (html / "method.html").read_text(encoding="utf-8")
    assert method.count("<math") > 50 and "$" not in re.sub(r"<(code|pre).*?</\1>", "", method, flags=re.DOTALL)
    for style in (html / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", style.read_text(encoding="utf-8")), style


@with_generator
@pytest.mark.parametrize("wrong", ["[gone](gone.md)", "[gone](#gone)", "$\\nocommand x$"])
def test_a_warning_ends_the_build(wrong, tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text(f"# A page\n\nText with {wrong}.\n", encoding="utf-8")
    assert make_site.render(tmp_path, tmp_path / "html") != 0


def test_links_lead_to_pages_of_the_site():
    text = "[B](../problems/burgers.yaml), [all](../problems), [M](method.md#what-auto-does), [C](../scripts/dev.py)"
    here = on_site(text, "docs")
    assert here == ("[B](gallery/burgers.md), [all](gallery/index.md), [M](method.md#what-auto-does), C")
    assert on_site("[M](docs/method.md), [w](https://example.org), ![p](a.png)", "") == (
        "[M](method.md), [w](https://example.org), ![p](a.png)"
    )
    assert on_site("[R](../README.md)", "docs", "notebooks") == "[R](../start.md)"
    shown = "```text\n[B](../problems/burgers.yaml)\n```\n"
    assert on_site(shown, "docs") == shown


def test_the_reference_of_python_has_every_public_name_once(monkeypatch):
    text = "\n".join(api.pages().values())
    for name in ps.__all__:
        assert (
            len(re.findall(rf"^`{{4,}}{{py:(?:function|class|exception)}} {name}(?:\(.*)?$", text, re.MULTILINE)) == 1
        ), name
    assert "at 0x" not in text  # no default is an address
    monkeypatch.setattr(ps, "__all__", [*ps.__all__, "something_new"])
    with pytest.raises(ValueError, match="something_new"):
        api.pages()


# -- the gallery ----------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A gallery of three problems, whose solves only write down what they were asked for."""
    monkeypatch.setattr(make_gallery, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(make_gallery, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(make_gallery, "names", lambda: ["beam", "bratu", "burgers"])
    return tmp_path / "cache"


def solved_by(solves: list[str], monkeypatch, status: str = "converged") -> None:
    def measure(name, limit, make_row):
        solves.append(name)
        make_row.args[0].write_bytes(b"picture")
        return {"status": status, "seconds": 1.0, "message": "", "relative_l2_error": {"u": 1e-7}}

    monkeypatch.setattr(make_gallery, "measure", measure)


def test_the_gallery_goes_on_where_it_was_and_keeps_what_has_not_changed(cache, monkeypatch):
    solves: list[str] = []
    solved_by(solves, monkeypatch)
    assert make_gallery.main(["bratu"]) == 0
    assert make_gallery.main([]) == 0
    assert sorted(solves) == ["beam", "bratu", "burgers"] and solves[0] == "bratu"
    assert make_gallery.main([]) == 0 and len(solves) == 3
    assert make_gallery.main(["beam", "--again"]) == 0 and solves[3:] == ["beam"]
    monkeypatch.setattr(make_gallery, "fingerprint", lambda name: name + " changed")
    assert make_gallery.main(["--budget", "-1"]) == 0 and len(solves) == 4
    assert make_gallery.main([]) == 0 and len(solves) == 7


def test_a_solve_that_failed_is_no_record(cache, monkeypatch):
    solves: list[str] = []
    solved_by(solves, monkeypatch, "failed")
    assert make_gallery.main([]) == 1
    assert make_gallery.records() == {} and len(solves) == 3


def test_the_repository_keeps_all_records_and_few_pictures(cache, monkeypatch):
    solved_by([], monkeypatch)
    make_gallery.main([])
    make_gallery.main(["--keep"])
    kept = cache.parent / "kept"
    assert set(json.loads((kept / make_gallery.RECORDS).read_text(encoding="utf-8"))) == {"beam", "bratu", "burgers"}
    assert [path.name for path in kept.glob("*.webp")] == ["burgers.webp"]
    assert make_gallery.picture("burgers") == cache / "burgers.webp" and make_gallery.picture("heat-1d") is None


def test_the_pictures_in_the_repository_are_small_and_named():
    pictures = list((ROOT / "docs" / "gallery").glob("*"))
    assert {path.stem for path in pictures if path.suffix == ".webp"} <= set(make_gallery.FEATURED)
    assert set(make_gallery.FEATURED) <= set(make_gallery.names())
    assert sum(path.stat().st_size for path in pictures) < 500_000


def test_a_page_of_the_gallery_has_the_file_and_the_run(monkeypatch):
    record = {
        "files": "of another file", "status": "converged", "message": "met", "seconds": 2.0, "method": "least_squares",
        "basis": "cells", "unknown_coefficients": 9, "relative_l2_error": {"u": 1e-7}, "estimated_error": {"u": 2e-7},
        "machine": "a machine", "version": "0.1.0", "date": "2026-01-01T00:00:00",
    }  # fmt: skip
    monkeypatch.setattr(gallery, "records", lambda: {"beam": record})
    pages, _ = gallery.pages()
    beam = pages["gallery/beam"]
    assert (ROOT / "problems" / "beam.yaml").read_text(encoding="utf-8").strip() in beam
    assert "| error of `u` | 1.0e-07 |" in beam and "The file has changed since this run." in beam
    assert "error 1.0e-07, 2 s" in pages["gallery/index"]
    assert "No run of it is on record" in pages["gallery/bratu"]
    assert "--operators fredholm" in pages["gallery/fredholm"]


# -- licences -------------------------------------------------------------------------------------------------


def test_the_licence_of_every_package_that_is_asked_for_is_listed():
    import make_licenses

    rows = re.findall(r"^\| ([\w-]+) \| (.+?) \| .+ \|$", make_licenses.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name: licence for name, licence in rows if name not in ("package", "---")}
    needed, extras = make_licenses.stated()
    asked = {make_licenses.name_of(text) for text in [*needed, *(text for some in extras.values() for text in some)]}
    assert asked - {"pinnsolve"} - set(listed) == set()  # `python scripts/make_licenses.py` writes the page
    assert all(listed.values())
    followed = make_licenses.followed(needed)
    assert {"pinnsolve"} == followed["torch"] and "sympy" in followed["mpmath"]
