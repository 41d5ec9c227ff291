"""The gallery: a page with a picture of every problem, and a page for each with its file and what a run has shown.

Input: the problem files, the records and pictures of `scripts/make_gallery.py`. Output: pages of Markdown, and the
pictures and problem files by their paths on the site.
"""

from __future__ import annotations

from pathlib import Path

from make_gallery import PROBLEMS, fingerprint, names, picture, records

from pinnsolve.files.yaml_reader import parse_yaml

HEAD = """\
# Gallery

Every problem that comes with pinnsolve, with what a run of it has shown: `pinnsolve run NAME` does the same, and the
page of each has its file, to be copied and changed. Errors are relative to the root mean square of the solution, over
all unknowns the largest; where the exact solution is not known, they are against a reference. Times are those of the
solve on the machine that the page of each problem names.
"""

KINDS = {  # heading -> whether a file, as a map, is of that kind; the first that holds
    "Found from data": lambda data: "data" in data,
    "Many coordinates": lambda data: len(_coordinates(data)) > 4 or _counted(data),
    "Curves, and integral equations": lambda data: len(_coordinates(data)) == 1,
    "In time": lambda data: "t" in _coordinates(data),
    "Steady": lambda data: True,
}


def pages() -> tuple[dict[str, str], dict[str, Path]]:
    """The text of each page by its path on the site, and the pictures and problem files by theirs."""
    known, found, files = records(), {}, {}
    groups: dict[str, list[str]] = {heading: [] for heading in KINDS}
    for name in names():
        text = (PROBLEMS / f"{name}.yaml").read_text(encoding="utf-8")
        data = parse_yaml(text).data
        shown = picture(name)
        if shown is not None:
            files[f"gallery/{name}.webp"] = shown
        files[f"gallery/{name}.yaml"] = PROBLEMS / f"{name}.yaml"
        record = known.get(name)
        groups[next(heading for heading, holds in KINDS.items() if holds(data))].append(_card(name, data, record))
        found[f"gallery/{name}"] = _page(name, text, data, record)
    parts = [HEAD, "```{toctree}\n:hidden:\n" + "\n".join(names()) + "\n```\n"]
    for heading, cards in groups.items():
        parts += [f"## {heading}\n", ":::::{container} gallery\n", *cards, ":::::\n"]
    found["gallery/index"] = "\n".join(parts)
    return found, files


def _coordinates(data: dict) -> list[str]:
    return [name for name in data.get("coordinates", ()) if name != "system"]


def _counted(data: dict) -> bool:
    """Whether one coordinate stands for many."""
    return any(isinstance(value, dict) for value in data.get("coordinates", {}).values())


def _card(name: str, data: dict, record: dict | None) -> str:
    image = f"[![{data['title']}]({name}.webp)]({name}.md)\n" if picture(name) else ""
    facts = [] if record is None else [_error(record), _seconds(record)]
    return "\n".join(
        ["::::{container} card\n", image, f"[{name}]({name}.md): {data['title']}\n", ", ".join(facts) + "\n", "::::\n"]
    )


def _error(record: dict) -> str:
    """The largest error of a record, and whether it is the true one."""
    for key, words in (("relative_l2_error", "error"), ("estimated_error", "estimated error")):
        values = [value for value in (record.get(key) or {}).values() if value is not None]
        if values:
            return f"{words} {max(values):.1e}"
    return "no error known"


def _seconds(record: dict) -> str:
    return f"{record['seconds']:.2g} s" if record["seconds"] < 100 else f"{record['seconds']:.0f} s"


def _page(name: str, text: str, data: dict, record: dict | None) -> str:
    parts = [f"# {name}\n", f"**{data['title']}.** {data['description'].strip()}\n"]
    if picture(name):
        parts.append(f"![{data['title']}]({name}.webp)\n")
    parts += _run(name, data, record)
    parts += [
        f"## The file\n\n[{name}.yaml]({name}.yaml), to be copied and changed:\n\n````yaml\n{text.rstrip()}\n````\n"
    ]
    sources = data["cite"] if isinstance(data["cite"], list) else [data["cite"]]
    parts += ["## From\n", *(f"- {source}" for source in sources), ""]
    return "\n".join(parts)


def _run(name: str, data: dict, record: dict | None) -> list[str]:
    """What a run of the problem has shown, as a table."""
    command = f"pinnsolve run {name}"
    if (PROBLEMS / "operators" / f"{name}.py").exists():
        command += f" --operators {name}"
    head = ["## A run\n", f"```console\n$ {command}\n```\n"]
    if record is None:
        return [*head, "No run of it is on record here; `python scripts/make_gallery.py` makes one.\n"]
    errors, estimates = record.get("relative_l2_error") or {}, record.get("estimated_error") or {}
    rows = [
        ("ended", f"{record['status'].replace('_', ' ')}: {record['message']}"),
        ("time", _seconds(record)),
        *((f"error of `{unknown}`", f"{value:.1e}") for unknown, value in errors.items() if value is not None),
        *((f"estimated for `{unknown}`", f"{value:.1e}") for unknown, value in estimates.items() if value is not None),
        ("method", f"`{record['method']}`"),
        ("basis", record["basis"]),
        ("coefficients", str(record["unknown_coefficients"])),
        ("machine", record["machine"]),
        ("version, date", f"{record['version']}, {record['date'][:10]}"),
    ]
    table = ["| | |", "| --- | --- |", *(f"| {key} | {_cell(value)} |" for key, value in rows), ""]
    changed = record["files"] != fingerprint(name)
    return [*head, *table, *(["The file has changed since this run.\n"] if changed else [])]


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
