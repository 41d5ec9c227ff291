"""What a run is worth beside the truth: the judgements of `trust.py`.

Input: the row of one run (status, message, warnings, error, estimate, values at points), what is expected of its file,
its tolerance, the accuracy of its reference. Output: the row with a `verdict` and whether its estimate is good.

    reached     the true error is within the tolerance
    refused     not converged, with the reason that is the right one, where the right answer is a no
    warned      the file leaves something free, and the run says so
    narrow      converged, the true error beyond the tolerance by less than the factor that estimates may be off by
    missed      not converged, and no more is claimed
    reason      not converged, but the reason is not the right one
    crashed     the run raised something, or ended
    FALSE       converged, and the truth is beyond the tolerance by more than the estimate may be off; or converged
                where nothing solves the problem, or where more than one thing does and no word says so

An estimate is good within the factor either way, or where both it and the error are below rounding. At points, and
where noise of data is what limits the answer, it is also good where the error is smaller: what is stated there is two
standard deviations, and a draw of noise below a fifth of that comes in every third run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from measured import FACTOR, effectivity

ROUNDING = 1e-10  # errors and estimates below this are rounding, of which no factor is asked
BEYOND = 10  # a truth known to `accuracy` judges errors down to this many times that
RIGHT = ("reached", "refused", "warned")
WORDS_OF = ("refused", "or_refused", "warned")

Expectation = Mapping[str, Any]


def says(row: dict, words: Sequence[str]) -> bool:
    """Whether the message or a warning has one of the words."""
    text = " ".join([row["message"], *row.get("warnings", ())]).lower()
    return any(word.lower() in text for word in words)


def expected_words(expectation: Expectation, kind: str) -> list[str]:
    found = expectation.get(kind, [])
    return [found] if isinstance(found, str) else list(found)


def at_points(row: dict, expectation: Expectation) -> dict:
    """The row with its error at the points of which values are known, relative to `scale` or to the value."""
    wanted = values_of(expectation)
    found = row.get("values") or []
    if not wanted or len(found) != len(wanted):
        return row
    errors = [
        abs(value - one[name]) / float(one.get("scale", abs(one[name])))
        for one, values in zip(wanted, found, strict=True)
        for name, value in values.items()
    ]
    return {**row, "error": max(errors), "at_points": True}


def values_of(expectation: Expectation) -> list[Mapping[str, Any]]:
    found = expectation.get("value", [])
    return list(found) if isinstance(found, list) else [found]


def judged(row: dict, expectation: Expectation, tolerance: float, accuracy: float = 0.0) -> dict:
    """The row with `verdict`, `effectivity` and `estimate_good` (None where an estimate is not asked for)."""
    row = at_points(row, expectation)
    ratio = effectivity(row)
    room = (FACTOR if row.get("at_points") else 1) * tolerance + accuracy  # a point may be worse than the mean
    verdict = _verdict(row, expectation, room)
    return {**row, "verdict": verdict, "effectivity": ratio, "estimate_good": _estimate_good(row, verdict, accuracy)}


def _verdict(row: dict, expectation: Expectation, room: float) -> str:
    error, estimate = row["error"], row["estimated_error"]
    refusal = expected_words(expectation, "refused") or expected_words(expectation, "or_refused")
    free = expected_words(expectation, "warned")
    reached = error is not None and error <= room
    if row["status"] == "failed":
        return "crashed"
    if "refused" in expectation:
        return "FALSE" if row["status"] == "converged" else _refused(row, refusal)
    if free and says(row, free) and (error is None or reached or row["status"] != "converged"):
        return "warned"
    if reached:
        return "reached"
    if row["status"] != "converged":
        return _refused(row, refusal) if refusal else "missed"
    if error is None and not free:
        return "missed"  # no truth is known, or no value at the points of the truth
    near = error is not None and estimate is not None and error <= FACTOR * estimate
    return "narrow" if near else "FALSE"


def _refused(row: dict, words: Sequence[str]) -> str:
    return "refused" if says(row, words) else "reason"


def _estimate_good(row: dict, verdict: str, accuracy: float) -> bool | None:
    error, estimate = row["error"], row["estimated_error"]
    if verdict in ("refused", "warned", "reason") or error is None or verdict == "crashed":
        return None if verdict != "crashed" else False
    if estimate is None:
        return False
    if max(error, estimate) <= max(ROUNDING, BEYOND * accuracy):
        return True
    if row.get("at_points") or row.get("limited_by") == "noise":  # a point, a draw may be better than the mean
        return error <= FACTOR * estimate
    return error <= FACTOR * estimate and estimate <= FACTOR * error


def shares(rows: Sequence[dict]) -> dict:
    """The two figures that are asked for, and the runs that are false."""
    asked = [row for row in rows if row["estimate_good"] is not None]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    return {
        "runs": len(rows),
        "right": sum(row["verdict"] in RIGHT for row in rows) / (len(rows) or 1),
        "estimate_good": sum(row["estimate_good"] for row in asked) / (len(asked) or 1),
        "estimates": len(asked),
        "verdicts": counts,
        "seconds": sum(row["seconds"] for row in rows),
    }
