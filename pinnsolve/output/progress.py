"""The progress of a solve on the terminal: phase, step, loss per named term, time left.

Input: the history records a solve reports (`{"step", "seconds", "phase", "loss", "terms"}`, with `steps` or `time_left`
where known). Output: a table on a terminal that redraws itself in place; nothing anywhere else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pinnsolve.files.text import duration, scientific

REDRAW_SECONDS, NEW_PHASE_SECONDS = 0.2, 0.05
BAR_WIDTH = 40
MOST_LEVELS, MOST_GROWTH = 12, 4.0  # of a refinement: beyond, nobody knows how long it takes


class Progress:
    """Call it with each record: `with Progress(console) as progress: solve(problem, progress=progress)`.

    Between redraws a record costs no more than a look at the clock. With `quiet`, and where the console is not a
    terminal, nothing is shown.
    """

    def __init__(self, console: Console, quiet: bool = False, outlook: Outlook | None = None):
        self._live, self._outlook = None, outlook or Outlook()
        if console.is_terminal and not quiet:
            self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn, self._phase = -math.inf, None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, record: Mapping[str, Any]) -> None:
        if self._live is None:
            return
        self._outlook.seen(record)
        now, phase = time.monotonic(), record.get("phase")
        if now < self._drawn + (REDRAW_SECONDS if phase == self._phase else NEW_PHASE_SECONDS):
            return
        self._drawn, self._phase = now, phase
        self._live.update(display(record, self._outlook.left(record)), refresh=True)


def display(record: Mapping[str, Any], left: float | None = None) -> Group:
    """Show a record as a line on the state of the solve, and the terms with their shares of the loss.

    `left`: seconds that are left, if the record does not say it.
    """
    step, steps = record.get("step"), record.get("steps")
    words = Text.assemble((str(record.get("phase") or "solving"), "bold"))
    if step is not None:
        words.append(f"  step {step}" + (f" of {steps}" if steps else ""))
    words.append(f"  loss {scientific(record.get('loss'))}")
    if record.get("seconds") is not None:
        words.append(f"  {duration(record['seconds'])}")
    left = _time_left(record) if left is None else left
    if left is not None:
        words.append(f"  about {duration(left)} left", style="dim")
    table = Table.grid(padding=(0, 2))
    terms = {name: value for name, value in (record.get("terms") or {}).items() if value is not None}
    total = sum(value for value in terms.values() if value > 0)
    for name, value in terms.items():
        share = value / total if total > 0 else 0.0
        bar = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * round(BAR_WIDTH * share) if 0 <= share <= 1 else ""
        table.add_row("", Text(name), scientific(value), Text(bar, style="blue"))
    return Group(words, table)


class Outlook:
    """How long a solve may still take: as it says itself, by its pace, or by how its estimated errors fall.

    A refinement is taken to go on as its last two levels did: each lowers the estimate by the same factor, and takes
    longer by the same factor. A time limit is never exceeded.
    """

    def __init__(self, tolerance: float | None = None, limit: float | None = None):
        self.tolerance, self.limit = tolerance, limit
        self._levels: list[tuple[float, float]] = []  # seconds and estimate, each estimate lower than those before

    def seen(self, record: Mapping[str, Any]) -> None:
        """Take note of a record."""
        seconds, estimate = record.get("seconds"), record.get("estimate")
        if seconds is None or estimate is None or not math.isfinite(estimate) or estimate <= 0:
            return
        if not self._levels or estimate < self._levels[-1][1]:
            self._levels.append((float(seconds), float(estimate)))

    def left(self, record: Mapping[str, Any]) -> float | None:
        """Seconds, or None where nothing tells."""
        found = _time_left(record)
        found = self._by_estimates() if found is None else found
        if self.limit is None or record.get("seconds") is None:
            return found
        most = max(0.0, self.limit - float(record["seconds"]))
        return most if found is None else min(found, most)

    def _by_estimates(self) -> float | None:
        if self.tolerance is None or len(self._levels) < 2:
            return None
        before = self._levels[-3][0] if len(self._levels) > 2 else 0.0
        (first, high), (last, low) = self._levels[-2:]
        levels = math.ceil(math.log(max(low / self.tolerance, 1.0)) / math.log(high / low))
        if levels > MOST_LEVELS:
            return None
        growth = min(max((last - first) / max(first - before, 1e-9), 1.0), MOST_GROWTH)
        return sum((last - first) * growth**k for k in range(1, levels + 1))


def _time_left(record: Mapping[str, Any]) -> float | None:
    """Seconds, as the solver says, or by the pace so far."""
    if record.get("time_left") is not None:
        return float(record["time_left"])
    step, steps, seconds = (record.get(key) for key in ("step", "steps", "seconds"))
    if step and steps and seconds is not None and steps >= step:
        return float(seconds) * (steps - step) / step
    return None
