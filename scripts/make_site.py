"""Builds the documentation site: the pages of docs/, the gallery, the reference of Python, and the notebooks.

    python scripts/make_site.py [--to build/site/html] [--gallery SECONDS] [--no-notebooks]

Needs the extra `docs`. Input: docs/, README.md, CHANGELOG.md, the problems with what `scripts/make_gallery.py` has
found, the docstrings. Output: the site, to be opened at index.html; nothing on it needs a network. Any warning is an
error.
`--gallery` first runs problems for so many seconds, those whose records are missing or out of date.

The pages are put together in build/site/pages, as they are on the site: those in docs/ with their links changed, and
those that are made. What stands in docs/ is never changed. Executed notebooks are kept in build/site/notebooks and run
again only where their code has changed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_gallery
from website import api, gallery
from website.links import on_site

ROOT = Path(__file__).resolve().parents[1]
DOCS, BUILD = ROOT / "docs", ROOT / "build" / "site"
COPIED = ("figures", "notebooks")  # folders of docs/ that the pages use

CONTENTS = {  # heading in the margin -> pages, in their order
    "Begin": ("start", "tutorial", "gallery/index", "notebooks/index"),
    "Reference": ("problem-file", "api/index", "method", "licenses", "changelog"),
    "Measured": ("benchmarks", "systems", "comparison", "scaling", "experiments"),
    "The code": ("development", "contributing"),
}


def pages() -> tuple[dict[str, str], dict[str, Path]]:
    """All pages by their path on the site, without an ending, and the files beside them that are not in docs/."""
    found = {path.stem: on_site(path.read_text(encoding="utf-8"), "docs") for path in sorted(DOCS.glob("*.md"))}
    for name, page in (("README", "start"), ("CHANGELOG", "changelog"), ("CONTRIBUTING", "contributing")):
        found[page] = on_site((ROOT / f"{name}.md").read_text(encoding="utf-8"), "")
    found["start"] = found["start"].replace("# pinnsolve\n", "# Start\n", 1)
    found |= api.pages()
    problems, files = gallery.pages()
    found |= problems
    found["notebooks/index"] = _notebooks()
    listed = [page for group in CONTENTS.values() for page in group]
    rest = [page for page in found if "/" not in page and page not in (*listed, "index")]
    groups = {heading: [page for page in group if page in found] for heading, group in CONTENTS.items()}
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {heading}", *group, "```\n"])
        for heading, group in {**groups, "More": rest}.items()
        if group
    ]
    found["index"] = "\n".join([found["index"], *trees])
    return found, files


def _notebooks() -> str:
    """The page that leads to the notebooks."""
    names = sorted(path.stem for path in (DOCS / "notebooks").glob("*.ipynb"))
    head = "# Notebooks\n\nRun while this site was built; each file is in docs/notebooks of the repository.\n"
    return "\n".join([head, "```{toctree}\n:maxdepth: 1\n" + "\n".join(names) + "\n```\n"])


def put_together(folder: Path) -> None:
    """Write what the site is made from into a folder, which holds nothing else afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(DOCS / name, folder / name, ignore=shutil.ignore_patterns("*.csv", ".ipynb_checkpoints"))
    texts, files = pages()
    for page, text in texts.items():
        file = folder / f"{page}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for path, source in files.items():
        shutil.copyfile(source, folder / path)


def render(work: Path, to: Path, notebooks: bool = True) -> int:
    """Make the site of what was put together in a folder; the exit status is not 0 after any warning."""
    cache = work / "notebooks"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-b", "html"]
    command += ["-c", str(DOCS / "site"), "-d", str(work / "read"), "-D", f"nb_execution_cache_path={cache}"]
    command += [] if notebooks else ["-D", "nb_execution_mode=off"]
    return subprocess.run([*command, str(work / "pages"), str(to)], cwd=ROOT).returncode


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=BUILD / "html")
    parser.add_argument("--gallery", type=float, metavar="SECONDS", help="run problems for the gallery first")
    parser.add_argument("--no-notebooks", action="store_true", help="show notebooks without their output")
    asked = parser.parse_args(arguments)
    if asked.gallery is not None:
        make_gallery.main(["--budget", str(asked.gallery)])
    put_together(BUILD / "pages")
    return render(BUILD, asked.to, notebooks=not asked.no_notebooks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
