"""Links of pages as they are on the site.

In the repository, a page links to files beside it. On the site, some of these files are pages, others are not there.

Input: a page's text and its folder in the repository. Output: the text, in which a link to a problem file leads to its
page in the gallery, one to a page to that page, and one to any other file is the file's name.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```\n", re.MULTILINE | re.DOTALL)

# pages that are elsewhere in the repository -> their places on the site
ELSEWHERE = {
    "README.md": "start",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "problems": "gallery/index",
}


def on_site(text: str, folder: str, place: str = "") -> str:
    """A page of the repository, which stands in `folder` there, as it is in the folder `place` of the site."""
    pieces, end = [], 0
    for block in FENCED.finditer(text):  # what is shown as it is stays as it is
        pieces += [_linked(text[end : block.start()], folder, place), block[0]]
        end = block.end()
    return "".join([*pieces, _linked(text[end:], folder, place)])


def _linked(text: str, folder: str, place: str) -> str:
    def replaced(match: re.Match) -> str:
        mark, words, link = match.groups()
        path, _, anchor = link.partition("#")
        if "://" in link or not path or mark:
            return match[0]
        target = _target(os.path.normpath(PurePosixPath(folder, path)))
        if target is None:
            return words if "`" in words else f"`{words}`" if "/" in words else words
        relative = os.path.relpath(f"{target}.md", place or ".")
        return f"[{words}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(replaced, text)


def _target(path: str) -> str | None:
    """Where a file of the repository is on the site, without an ending; None where it is not there."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    file = PurePosixPath(path)
    if file.parts[0] == "problems" and file.suffix == ".yaml" and len(file.parts) == 2:
        return f"gallery/{file.stem}"
    if file.parts[0] == "docs" and file.suffix == ".md":
        return str(PurePosixPath(*file.parts[1:]).with_suffix(""))
    return None
