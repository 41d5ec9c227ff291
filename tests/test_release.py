"""What a release asks of the texts and archives; building and installing is for `scripts/dev.py release` itself."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import dev
import release

from pinnsolve.version import version

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 1.2.0\n\n- A thing.\n\n## 1.1.0\n\n- Another.\n"
CITATION = "cff-version: 1.2.0\nversion: 1.2.0\n"


@pytest.mark.parametrize(
    "change, words",
    [
        (("", ""), ()),
        (("## Unreleased\n", "## Unreleased\n\n- Later.\n"), ("lines under `Unreleased`",)),
        (("## Unreleased\n\n", ""), ()),
        (("## 1.2.0\n", "## 1.2.0 - 2026-01-01\n"), ()),
        (("## 1.2.0\n\n- A thing.\n", ""), ("newest version in CHANGELOG.md is 1.1.0, not 1.2.0",)),
        (("- A thing.\n", ""), ("says nothing of 1.2.0",)),
        (("\nversion: 1.2.0", "\nversion: 1.1.0"), ("CITATION.cff is 1.1.0, not 1.2.0",)),
        (("\nversion: 1.2.0", ""), ("CITATION.cff is missing, not 1.2.0",)),
    ],
)
def test_versions_have_to_agree(change, words):
    changelog, citation = (text.replace(*change) for text in (CHANGELOG, CITATION))
    found = release.disagreements("1.2.0", changelog, citation)
    assert len(found) == len(words) and all(word in said for word, said in zip(words, found, strict=True))


def test_the_citation_has_the_newest_version_of_the_changelog():
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == newest


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with one commit, in which a release looks."""
    monkeypatch.setattr(release, "ROOT", tmp_path)
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "A")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    release.run("git", *words, folder=folder)


def test_a_release_is_a_clean_tree_with_one_tag(repository):
    with pytest.raises(release.Refused, match=r"needs one tag .*, and has none"):
        release.tagged_version()
    git(repository, "tag", "before-a-change")
    with pytest.raises(release.Refused, match="before-a-change"):
        release.tagged_version()
    git(repository, "tag", "v1.2.0")
    assert release.tagged_version() == "1.2.0"
    (repository / "a.txt").write_text("b")
    with pytest.raises(release.Refused, match=r"not committed:\n.*a\.txt"):
        release.tagged_version()


def test_the_version_of_an_archive_is_in_its_name():
    assert release.version_of(Path("pinnsolve-1.2.0.dev3-py3-none-any.whl")) == "1.2.0.dev3"
    assert release.version_of(Path("pinnsolve-1.2.0.tar.gz")) == "1.2.0"


def test_a_command_that_fails_says_what_it_said():
    with pytest.raises(release.Refused, match="ended with status 3:\nwhy"):
        release.run(sys.executable, "-c", "print('why'); raise SystemExit(3)")


def test_what_is_asked_of_archives_is_in_the_repository_and_in_its_settings():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    held = {path.strip("/") for path in settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]}
    always = {"pyproject.toml", "LICENSE", "README.md"}  # without being asked
    for name in release.IN_SDIST:
        assert (ROOT / name).exists() and (name in always or name.split("/")[0] in held), name
    assert all((ROOT / name.removeprefix("pinnsolve/") if "problems" in name else ROOT / name).exists()
               for name in release.IN_WHEEL)  # fmt: skip


def test_each_command_of_dev_has_an_extra_that_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(dev.EXTRAS.values()) <= set(extras)
    versions = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert all(f'"{version}"' in versions for version in release.PYTHONS)


def test_the_installed_package_has_a_version():
    assert re.match(r"\d+\.\d+", version())
