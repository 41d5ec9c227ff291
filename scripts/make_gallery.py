"""Runs every problem that comes with pinnsolve once, for the gallery: its picture, its time and its errors.

    python scripts/make_gallery.py [NAME ...] [--budget SECONDS] [--limit 300] [--again] [--keep]

Input: the problem files. Output: in the cache, `build/gallery`, a record NAME.json and a picture NAME.webp for each.
What has not changed is left as it is: a record holds the hash of the problem file and of the files that it names. So a
run that was interrupted, or that came to the end of its `--budget`, goes on where it was. `--again` runs the named
problems whatever their records say. A solve is stopped after `--limit` seconds, and its record then says so.

`--keep` writes no record but copies from the cache to docs/gallery what the repository holds, so that a site can be
built where nothing was run: the records of all problems, in one file, and the pictures of `FEATURED`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measured import PROBLEMS, OverTime, failed, measure, reason, say, shown, solved

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "gallery"
KEPT = ROOT / "docs" / "gallery"
RECORDS = "records.json"
DOTS_PER_INCH = 90
MOST_PIXELS = (720, 1400)  # width and height of a picture
QUALITY = 75  # of WebP, out of 100: lines and labels stay clear, and a picture has about ten kilobytes

# One for each kind of problem: their pictures are in the repository, some 200 kB together.
FEATURED = (
    "akhmediev-breather", "annulus", "burgers", "cavity", "conjugate-heat", "cooling-fin", "find-the-conductivity",
    "gray-scott", "heat-many-holes", "kdv-two-solitons", "kuramoto-sivashinsky", "lorenz", "magnetic-ring",
    "poisson-2d", "poisson-four-holes", "sine-gordon-collision", "two-materials",
)  # fmt: skip

# what a record takes from `result.json`
REPORTED = (
    "status", "message", "tolerance", "method", "basis", "unknown_coefficients", "relative_l2_error", "estimated_error",
    "parameters", "eigenvalues", "machine", "version", "date",
)  # fmt: skip


def names() -> list[str]:
    """The problems, by the names of their files."""
    return sorted(path.stem for path in PROBLEMS.glob("*.yaml"))


def fingerprint(name: str) -> str:
    """Changes with the problem file and with each file of data, mesh, reference or operators that belongs to it."""
    file = PROBLEMS / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode())
    for path in sorted(path for path in PROBLEMS.rglob("*") if path.is_file() and path != file):
        if path.relative_to(PROBLEMS).as_posix() in text or path.name == f"{name}.py":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def records() -> dict[str, dict]:
    """The record of each problem that has one: that of the cache, else the one that the repository holds."""
    file = KEPT / RECORDS
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in names():
        if (CACHE / f"{name}.json").exists():
            found[name] = json.loads((CACHE / f"{name}.json").read_text(encoding="utf-8"))
    return found


def picture(name: str) -> Path | None:
    """The picture of a problem, from the cache or the repository."""
    return next((path for folder in (CACHE, KEPT) if (path := folder / f"{name}.webp").exists()), None)


def is_current(name: str) -> bool:
    """Whether the cache has the record and the picture of the problem as it is now."""
    file = CACHE / f"{name}.json"
    if not (file.exists() and (CACHE / f"{name}.webp").exists()):
        return False
    return json.loads(file.read_text(encoding="utf-8"))["files"] == fingerprint(name)


def _row(path: Path, problem: str, overrides: tuple[str, ...], limit: float | None, settings: dict) -> dict:
    """One solve, in a process of its own; the picture goes to `path`."""
    import pinnsolve as ps
    from pinnsolve.pipeline import truth

    began = time.perf_counter()
    try:
        solution, seconds = solved(problem, overrides, limit, **settings)
        write_picture(solution.plot(truth=truth(ps.load(problem))), path)
    except (Exception, OverTime) as failure:  # whatever it is, the others go on
        return failed(problem, reason(failure), time.perf_counter() - began)
    reported = {key: solution.result[key] for key in REPORTED if solution.result.get(key) is not None}
    return {"seconds": round(seconds, 2), **reported}


def write_picture(figure, path: Path) -> None:
    """A figure as a small picture."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH)
    image = Image.open(drawn).convert("RGB")
    image.thumbnail(MOST_PIXELS)
    image.save(path, "WEBP", quality=QUALITY, method=6)


def run(name: str, limit: float) -> dict:
    """The record of one problem, written to the cache."""
    file = CACHE / f"{name}.json"
    file.unlink(missing_ok=True)  # while there is a picture of one run, there is no record of another
    row = measure(name, limit=limit, make_row=partial(_row, CACHE / f"{name}.webp"))
    record = {"files": fingerprint(name), **row}
    if row["status"] != "failed":
        file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def keep() -> None:
    """Copy to the repository what it holds of the cache."""
    KEPT.mkdir(parents=True, exist_ok=True)
    known = records()
    lines = [f'"{name}": {json.dumps(known[name])}' for name in names() if name in known]
    (KEPT / RECORDS).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for name in FEATURED:
        if (CACHE / f"{name}.webp").exists():
            (KEPT / f"{name}.webp").write_bytes((CACHE / f"{name}.webp").read_bytes())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which no solve begins")
    parser.add_argument("--limit", type=float, default=300, help="seconds for one solve")
    parser.add_argument("--again", action="store_true", help="also what has not changed")
    parser.add_argument("--keep", action="store_true", help="copy from the cache to docs/gallery")
    asked = parser.parse_args(arguments)
    if asked.keep:
        keep()
        return 0
    CACHE.mkdir(parents=True, exist_ok=True)
    waiting = [name for name in asked.names or names() if asked.again or not is_current(name)]
    took = {name: record["seconds"] for name, record in records().items()}
    waiting.sort(key=lambda name: took.get(name, 0))  # the quick ones first: a short budget gives many pictures
    began, failures = time.monotonic(), 0
    for done, name in enumerate(waiting):
        if time.monotonic() - began > asked.budget:
            say(f"the budget is used up; {len(waiting) - done} problems are left for another time")
            break
        record = run(name, asked.limit)
        failures += record["status"] == "failed"
        errors = (record.get("relative_l2_error") or record.get("estimated_error") or {}).values()
        say(f"{name}: {record['status']}, {shown(max(errors, default=None))}, {record['seconds']:.1f} s")
        if record["status"] == "failed":
            say(f"    {record['message']}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
