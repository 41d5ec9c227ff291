"""docs/benchmarks.md and its picture, from the stored rows of the ladder.

Input: the JSON file that `ladder.py` writes. Output: a page with a table of all rungs, those that did not run among
them, and one picture: error against time, a line for each solver, a panel for each problem.
"""

from __future__ import annotations

import json
from pathlib import Path

from ladder import FASTER, SECONDS, STORED, final, narrow, read_rows, shown_solve
from measured import say
from peers import PEERS, title
from published import PAPER, RUNGS, Rung

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PICTURE = PAGE.parent / "figures" / "ladder.png"
COLUMNS = 4  # panels beside each other

HEAD = f"""# The ladder

The [PINNacle collection](https://arxiv.org/abs/2306.08827) has twenty-two problems on which many neural solvers were
measured. This page sets beside each other, for each of them, the least relative L2 error that was published, ours at a
tolerance of a tenth of that, and what other solvers reach that ran here, on the same machine, on as many threads, one
after the other. It is written by `scripts/benchmark.py --page` from the figures that `scripts/benchmark.py --ladder
--peers deepxde,pina,classical` stores, with whatever came out.

- Ours: `pinnsolve run` with the file that comes with it and a tolerance, and no other setting, for at most
  {SECONDS:.0f} s. The error is the largest one of an unknown, at points that the solver never used; the estimate is
  what the solver itself says of it. Time is that of the solve after import; memory is the most that its process held.
- Published: the least error in the paper's main table, and its method. What is asked for is a tenth of it, or the
  accuracy of our reference, within {SECONDS:.0f} s; the row shows the first solve that is so exact, of those that were
  asked for the paper's error and for a tenth of it.
- Peers: each with the settings of its own example nearest to the problem, until the budget of seconds that they were
  given is over. `ahead` says how many times earlier we reach the error that they end with, by the quickest of our
  solves that does; one of them is asked for no more than that. The picture shows what they had on the way. A classical
  code that is made for one equation on one simple shape knows beforehand which resolution it takes; see
  [that comparison](comparison.md), too.

Two problems of the collection are mended, and their files say so: Wave2d-MS, whose solution is none of its equation,
and PInv, whose source has a wrong sign. Where it draws fields at random, ours come from a stated seed.

"""


def page_text(rows: dict[str, dict], machine: dict[str, str]) -> str:
    """The page."""
    peers = [peer for peer in PEERS if any(row["peers"].get(peer, {}).get("points") for row in rows.values())]
    met = sum(row["met"] for row in rows.values())
    heads = ["problem", "published", "asked", "ours: error", "estimate", "time", "memory"]
    heads += [f"{title(peer)}: error, time, ahead" for peer in peers]
    lines = [f"{met} of {len(RUNGS)} rows show what is asked.", ""]
    lines += [f"| {' | '.join(heads)} |", "| " + " | ".join(["---"] * len(heads)) + " |"]
    lines += [_line(rung, rows.get(rung.name), peers) for rung in RUNGS]
    behind = [text for rung in RUNGS if (text := _behind(rung, rows.get(rung.name)))]
    if behind:
        lines += ["", "Where we are not ahead, and why:", "", *behind]
    lines += ["", "![Error against time, a panel for each problem](figures/ladder.png)", "", _sources(), ""]
    about = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in ("architecture", "threads"))
    lines.append(f"Measured on {machine['architecture']}, {machine['threads']} thread(s); {about}.")
    return HEAD + "\n".join(lines) + "\n"


def _line(rung: Rung, row: dict | None, peers: list[str]) -> str:
    name = f"{rung.name}: [{rung.problem}](../problems/{rung.problem}.yaml)" if row else rung.name
    cells = [name, f"{rung.paper:.1e} ({rung.method})", f"{rung.asked:.1e}"]
    if row is None:
        cells += ["not run", "", "", ""]
    else:
        solve = shown_solve(row)
        mark = "" if row["met"] else " **missed**"
        cells += [_number(solve["error"]) + mark, _number(solve["estimated_error"]), _seconds(solve["seconds"])]
        cells.append(f"{solve['memory_mb']:.0f} MB" if solve.get("memory_mb") else "")
    cells += [_peer_cell(peer, row) for peer in peers]
    return f"| {' | '.join(cells)} |"


def _peer_cell(peer: str, row: dict | None) -> str:
    points = (row or {}).get("peers", {}).get(peer, {}).get("points")
    if not points:
        return ""
    last, ahead = final(row["peers"][peer]), row["ahead"].get(peer)
    return f"{last['error']:.1e}, {_seconds(last['seconds'])}, " + (f"{ahead:.2g}" if ahead else "not reached")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _seconds(value: float) -> str:
    if value >= 10:
        return f"{value:.0f} s"
    return f"{value:.2g} s" if value >= 0.1 else f"{1000 * value:.2g} ms"


def _behind(rung: Rung, row: dict | None) -> str:
    """Why a row falls short, in a line; nothing where it does not."""
    if row is None:
        return f"- {rung.name}: not run{f': {rung.missing}' if rung.missing else ''}."
    reasons = [
        f"`converged` to {solve['tolerance']:.1e} with an error of {solve['error']:.1e}"
        for solve in row["ours"]
        if solve["error"] is not None and narrow(solve, row["accuracy"])
    ]
    if not row["met"]:  # of what was asked for last
        reasons.append(min(row["ours"], key=lambda solve: solve["tolerance"])["message"])
    for peer, ahead in row["ahead"].items():
        if ahead is None:
            reasons.append(f"{title(peer)} ends with a smaller error than we asked for")
        elif ahead < FASTER and peer != "classical":
            reasons.append(f"{title(peer)} is met only {ahead:.2g} times earlier")
        elif ahead < 1:
            reasons.append(f"{title(peer)}, which is made for this problem, is faster")
    return f"- {rung.name}: {'; '.join(reasons)}." if reasons else ""


def _sources() -> str:
    smaller = [f"{r.name} {r.elsewhere.error:.1e} ({r.elsewhere.source})" for r in RUNGS if r.elsewhere]
    return f"Published figures: {PAPER}. Smaller ones that we know of elsewhere: {'; '.join(smaller)}."


def draw(rows: dict[str, dict], path: Path) -> None:
    """Panels of error against time, both logarithmic, with the published figure as a line across."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    rungs = [rung for rung in RUNGS if rung.name in rows]
    height = -(-max(1, len(rungs)) // COLUMNS)
    figure, axes = plt.subplots(height, COLUMNS, figsize=(3 * COLUMNS, 2.3 * height), squeeze=False)
    colours = {"pinnsolve": "C0", **{peer: f"C{i + 1}" for i, peer in enumerate(PEERS)}}
    for axis, rung in zip(axes.flat, rungs, strict=False):
        row = rows[rung.name]
        lines = {"pinnsolve": [s for s in row["ours"] if s["error"]]}
        lines |= {peer: theirs["points"] for peer, theirs in row["peers"].items()}
        for solver, points in lines.items():
            if points:
                label = solver if solver == "pinnsolve" else title(solver)
                xy = [(max(p["seconds"], 1e-4), p["error"]) for p in points]
                axis.loglog(*zip(*xy, strict=True), "o-", ms=3, lw=1, color=colours[solver], label=label)
        axis.axhline(rung.paper, color="0.5", lw=1, ls="--", label="published")
        axis.set_title(rung.name, fontsize=9)
        axis.tick_params(labelsize=7)
        for one in (axis.xaxis, axis.yaxis):
            one.set_minor_formatter(NullFormatter())
    for axis in axes.flat[len(rungs) :]:
        axis.set_axis_off()
    known = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(known.values(), known.keys(), loc="upper center", ncols=len(known), frameon=False)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("relative L2 error", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.96))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def write_page(path: Path | None = None) -> int:
    """Write page and picture from the stored rows; the exit code."""
    path = path or STORED
    rows = read_rows(path)
    if not rows:
        say(f"there are no rows in {path}: run --ladder first")
        return 2
    PAGE.write_text(page_text(rows, json.loads(path.read_text(encoding="utf-8"))["machine"]), encoding="utf-8")
    draw(rows, PICTURE)
    say(f"written: {PAGE} and {PICTURE.name}")
    return 0
