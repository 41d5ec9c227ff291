"""The files of a run folder: strict JSON, arrays without pickle, each file put in place in one step.

Input: plain values and arrays. Output: `result.json`, `solution.npz`, `problem.yaml`, `history.jsonl`, and the same
read back, or a `SolutionError` that names the file. `solution` gives the values their meaning.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pinnsolve.errors import SolutionError
from pinnsolve.results.names import HISTORY_FILE, PROBLEM_FILE, RESULT_FILE, SOLUTION_FILE

FORMAT = 1  # of solution.npz; raise it when a reader of the old one would go wrong
SERIES_FILE = "quantities.csv"


def to_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON: NaN and infinities, which JSON cannot say, become null; arrays and tuples become lists."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Turn a value into plain ones that JSON has, as `to_json` writes them."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def write_run(folder: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping, texts: Mapping[str, Any]) -> None:
    """Write the four files; `texts` has `result` (dict), `history` (records) and `problem_text`.

    The result comes last, so that a folder that has one is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = {"metadata": np.array(to_json({"format": FORMAT, **metadata})), **arrays}
    history = "".join(to_json(record) + "\n" for record in texts["history"])
    result = to_json(texts["result"], indent=2) + "\n"
    replace_file(folder / PROBLEM_FILE, lambda f: f.write(texts["problem_text"].encode()))
    replace_file(folder / HISTORY_FILE, lambda f: f.write(history.encode()))
    replace_file(folder / SOLUTION_FILE, lambda f: np.savez(f, **packed))
    replace_file(folder / RESULT_FILE, lambda f: f.write(result.encode()))


def write_table(path: Path, header: Iterable[str], rows: np.ndarray) -> None:
    """A CSV file in full precision."""
    lines = [",".join(header), *(",".join(map(repr, row)) for row in rows.tolist())]
    replace_file(path, lambda file: file.write(("\n".join(lines) + "\n").encode()))


def read_run(folder: Path) -> tuple[dict[str, np.ndarray], dict, dict[str, Any]]:
    """Read what `write_run` wrote: arrays, metadata and texts. Raises `SolutionError`."""
    path = folder / SOLUTION_FILE
    if not path.is_file():
        raise SolutionError(f"{folder} is not a run folder: it has no {SOLUTION_FILE}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        metadata = json.loads(str(arrays.pop("metadata")))
        found = metadata["format"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise SolutionError(f"{path} is damaged, or no solution of pinnsolve ({error})") from None
    if found != FORMAT:
        raise SolutionError(f"{path} has format {found}; this version of pinnsolve reads format {FORMAT}")
    return arrays, metadata, _read_texts(folder)


def _read_texts(folder: Path) -> dict[str, Any]:
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        lines = (folder / HISTORY_FILE).read_text(encoding="utf-8").splitlines()
        history = tuple(json.loads(line) for line in lines)
        problem_text = (folder / PROBLEM_FILE).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SolutionError(f"the run folder {folder} has no {Path(error.filename).name}") from None
    except (OSError, ValueError) as error:
        raise SolutionError(f"the run folder {folder} has a damaged file ({error})") from None
    if not isinstance(result, dict):
        raise SolutionError(f"{folder / RESULT_FILE} does not hold a result")
    return {"result": result, "history": history, "problem_text": problem_text}


def flatten(tree: Mapping, above: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], np.ndarray]]:
    """The arrays of numbers in nested dicts, with the keys that lead to them; anything else is left out."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, (*above, str(key)))
            continue
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.dtype.kind in "bfiu":
            yield (*above, str(key)), array


def nest(leaves: Iterable[tuple[Iterable[str], np.ndarray]]) -> dict:
    """The inverse of `flatten`."""
    tree: dict = {}
    for keys, array in leaves:
        *above, last = keys
        place = tree
        for key in above:
            place = place.setdefault(key, {})
        place[last] = array
    return tree


def replace_file(path: Path, write: Callable) -> None:
    """Write a file beside `path` and put it in place in one step, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
