"""A real browser without a window, for tests of pages: what it lays out, what it would fetch, what it shows.

Chromium's own switches only: the page is loaded into a frame of a page of ours, whose script measures it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120
_QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-extensions", "--disable-sync", "--hide-scrollbars",
    "--allow-file-access-from-files",  # our frame looks into the page
)  # fmt: skip

_FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="page" width="1000" height="900"></iframe><pre id="out"></pre>
<script>
const frame = document.getElementById("page");
frame.onload = () => {
  const d = frame.contentDocument, all = (s) => [...d.querySelectorAll(s)];
  const height = (e) => e.getBoundingClientRect().height;
  document.getElementById("out").textContent = JSON.stringify({
    title: d.title, scripts: d.scripts.length, headings: all("h2").map((e) => e.textContent),
    status: d.querySelector(".status").textContent,
    formulas: all("math").filter((e) => e.getClientRects().length).map((e) => [height(e), e.textContent]),
    fractions: all("mfrac").filter((e) => e.getClientRects().length).map((e) => [height(e), height(e.children[0])]),
    pictures: all("img").map((e) => [e.naturalWidth, e.naturalHeight]),
    too_wide: d.documentElement.scrollWidth - d.documentElement.clientWidth,
    paper: getComputedStyle(d.body).backgroundColor,
  });
};
frame.src = PAGE;
</script>"""


def find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def measured(page: Path, folder: Path) -> dict:
    """What the browser makes of a page."""
    frame = folder / "frame.html"
    frame.write_text(_FRAME.replace("PAGE", json.dumps(page.absolute().as_uri())), encoding="utf-8")
    dom = _run(folder, "--virtual-time-budget=20000", "--dump-dom", frame.as_uri())
    out = re.search(r'<pre id="out">(.*?)</pre>', dom, re.DOTALL)[1]
    assert out, "the page was never loaded"
    return json.loads(unescape(out))


def fetched(page: Path, folder: Path) -> set[str]:
    """The addresses that a page makes the browser ask for, besides itself and the pictures in it.

    The browser asks for things of its own, too; those have no page as their initiator.
    """
    log = folder / "net.json"
    _run(folder, f"--log-net-log={log}", "--virtual-time-budget=5000", "--dump-dom", page.absolute().as_uri())
    events = json.loads(log.read_text(encoding="utf-8", errors="replace"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    addresses = {a["url"] for a in asked if a["initiator"] != "not an origin"}
    return {a for a in addresses if not a.startswith("data:")}


def screenshot(page: Path, folder: Path, name: str = "page.png", *switches: str) -> Path:
    """A picture of the page's upper part."""
    path = folder / name
    _run(folder, f"--screenshot={path}", "--window-size=1000,2200", *switches, page.absolute().as_uri())
    return path


def _run(folder: Path, *arguments: str) -> str:
    root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()  # it refuses to run as root
    command = [find(), *_QUIET, *root, f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
